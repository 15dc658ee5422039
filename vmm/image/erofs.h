/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an erofs image: one file with a read-only, uncompressed file system that Linux mounts as
 *it is (feature CHUNKED_FILE: Linux 5.15). Needs no privilege: owners, devices and attributes are
 *only bytes in the file.
 *
 *	erofs_create(&fs, fd, &limits, &err);
 *	erofs_add(fs, "etc", &directory, NULL, &err);
 *	erofs_add(fs, "etc/motd", &file, NULL, &err);
 *	erofs_write(fs, "hello\n", 6, &err);
 *	erofs_link(fs, "etc/issue", "etc/motd", &err);
 *	erofs_finish(fs, uuid, &err);
 *	erofs_destroy(fs);
 *
 * Contents go straight to the image; names, attributes and short tails of files stay in memory
 *until erofs_finish() writes them behind the contents, and the superblock last. The same calls give
 *the same bytes. The layout, in blocks of 4096 bytes:
 *
 *	0		superblock
 *	1 ...		contents of files, in the order of their coming
 *	then		blocks of directories, and long targets of symbolic links
 *	meta_blkaddr	inodes with attributes, chunk maps and tails, directory by directory
 *
 * Contents of files that are removed or replaced are given back to the host's file system (a hole
 *in the image) but keep their place. Aligned 64 KiB of zeros become a hole of the file, which takes
 *no place in the image: such a file is chunk-based, all others are flat.
 *
 * Paths are relative, separated by "/". "", "." and ".." components are resolved as the kernel does
 * it, with the image's root as root. Symbolic links are followed (at most EROFS_LINKS_MAX in a
 *path, else ELOOP), except in the last component.
 *
 * All functions return 0, or -errno with a message. After an error the image is useless: the
 * caller removes the file. Errors beside those named: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG from
 * paths, EFBIG from limits, ENOMEM, and whatever writing the file gives (ENOSPC).
 */
#ifndef CORDON_IMAGE_EROFS_H
#define CORDON_IMAGE_EROFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/bytes.h"
#include "vmm/base/err.h"
#include "vmm/image/tar.h"

#define EROFS_LINKS_MAX	 40	    /* as in Linux */
#define EROFS_DEPTH_MAX	 128	    /* nested directories */
#define EROFS_BLOCKS_MAX (1u << 30) /* 4 TiB; the format has 32 bits */

struct erofs_limits {
	uint64_t memory; /* bytes for names, attributes and so on: of all that exists at a time */
	/* Components of paths that may be looked up in all: bounds the time that names through
	 * symbolic links, or many directories that come and go, can take. */
	uint64_t steps;
	/*
	 * The tail of a file (its size modulo 4096) of up to this many bytes is kept with the
	 * inode, so that a small file takes no block, nor a request of its own; others fill a whole
	 * block. 0: none, since DAX maps only files of whole blocks. At most EROFS_TAIL_MAX. All
	 * tails together take at most a quarter of the memory.
	 */
	uint32_t tail;
};

#define EROFS_TAIL_MAX 2048

/* 512 MiB, 2^26 steps, EROFS_TAIL_MAX */
extern const struct erofs_limits erofs_limits_default;

struct erofs_stat {
	mode_t mode; /* with S_IFMT; sockets too */
	uint32_t uid, gid;
	uint32_t major, minor; /* of devices: at most 4095 and 1048575, else EINVAL */
	int64_t mtime;
	uint32_t mtime_nsec;
	/*
	 * Attributes user.*, trusted.* and security.*; any others are left out, as are
	 * trusted.overlay.* and user.overlay.*, by which an overlay above the image would take it
	 * for a layer of its own making. A value has at most 65535 bytes (E2BIG).
	 */
	const struct tar_attribute *attributes;
	unsigned attribute_count;
};

struct erofs;

/* Starts a file system with an empty root directory (mode 0755, owner 0, time 0), in an empty file
 * open for reading and writing. limits: NULL: the default. *fs is NULL after an error. */
int erofs_create(struct erofs **fs, int fd, const struct erofs_limits *limits, struct err *err);
void erofs_destroy(struct erofs *fs); /* or NULL */

/*
 * Adds a file of any type at path. Missing directories on the way get mode 0755, owner 0 and the
 * same time. What is at path is replaced, a directory with all its contents; but a directory by a
 * directory only in its attributes, the root ("") too. target: of a symbolic link, 1 to 4095 bytes
 * (EINVAL). Contents of a regular file follow by erofs_write() until the next call of any other
 * function.
 */
int erofs_add(struct erofs *fs, const char *path, const struct erofs_stat *stat, const char *target,
	      struct err *err);
int erofs_write(struct erofs *fs, const void *bytes, size_t length, struct err *err);

/* Makes the directory at path and missing ones on the way, with this status. What is there stays.
 */
int erofs_make_directory(struct erofs *fs, const char *path, const struct erofs_stat *stat,
			 struct err *err);

/* Adds a hard link to any file but a directory (EPROTO, also if there is no target). As
 * erofs_add(), but missing directories get the time 0. */
int erofs_link(struct erofs *fs, const char *path, const char *target, struct err *err);

/* Removes a file, or a directory with its contents. Success if it, or a directory on the way, does
 * not exist. The root cannot be removed (EINVAL). */
int erofs_remove(struct erofs *fs, const char *path, struct err *err);

/* Removes what is in the directory at path; the last component may be a link to it, too. Success
 * as for erofs_remove(), also if path is another file. */
int erofs_remove_contents(struct erofs *fs, const char *path, struct err *err);

/* Completes the image, whose length is then a multiple of the block size. Does not sync it. Only
 * erofs_destroy() may follow. */
int erofs_finish(struct erofs *fs, const uint8_t uuid[16], struct err *err);

#endif
