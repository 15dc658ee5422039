/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What <linux/fuse.h> of Debian 12 (protocol 7.38) lacks of 7.41, under names of our own, as a
 * later header has the kernel's.
 */
#ifndef CORDON_FILES_FUSE_WIRE_H
#define CORDON_FILES_FUSE_WIRE_H

#include <stdint.h>

#define FUSED_MINOR	41u
#define FUSED_MINOR_MIN 31u /* what is older lacks fields that we require */

/* 7.39 */
#define FUSED_OP_STATX		   52u
#define FUSED_PARALLEL_WRITES	   (1u << 6) /* FOPEN_PARALLEL_DIRECT_WRITES */
#define FUSED_NOFLUSH		   (1u << 5) /* FOPEN_NOFLUSH */
#define FUSED_DIRECT_IO_ALLOW_MMAP (1ull << 36)
/* 7.40 */
#define FUSED_NO_EXPORT_SUPPORT (1ull << 38)

/*
 * open_flags of OPEN, CREATE and TMPFILE from the driver of our guest kernel, which is offered
 * FS_F_NOFLUSH and FS_F_CREATE (devices/fs/fs.h).
 */
#define FUSED_OPEN_NOFLUSH (1u << 31) /* FOPEN_NOFLUSH keeps no FLUSH back that matters */
#define FUSED_OPEN_UNSEEN  (1u << 30) /* of CREATE: the name was not looked up */

/* FUSE_STATX: the layouts are those of statx(2), with a header. */
struct fused_statx_in {
	uint32_t getattr_flags, reserved;
	uint64_t fh;
	uint32_t sx_flags, sx_mask;
};

struct fused_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

struct fused_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct {
		uint32_t mask, blksize;
		uint64_t attributes;
		uint32_t nlink, uid, gid;
		uint16_t mode, spare0;
		uint64_t ino, size, blocks, attributes_mask;
		struct fused_time atime, btime, ctime, mtime;
		uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
		uint64_t spare2[14];
	} stat;
};

_Static_assert(sizeof(struct fused_statx_in) == 24, "fuse_statx_in");
_Static_assert(sizeof(struct fused_statx_out) == 32 + 256, "fuse_statx_out");

#endif
