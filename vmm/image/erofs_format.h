/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The on-disk format of erofs, as far as uncompressed images need it, in the names of Linux
 * (fs/erofs/erofs_fs.h, Documentation/filesystems/erofs.rst). All numbers are little-endian; all
 * "blkaddr" count blocks of the image.
 *
 * An inode has a number, its nid: it stands at meta_blkaddr * block size + nid * 32. Behind the
 * inode come its extended attributes, then the map of its chunks, or the tail of its contents.
 */
#ifndef CORDON_IMAGE_EROFS_FORMAT_H
#define CORDON_IMAGE_EROFS_FORMAT_H

#include <endian.h>
#include <stdint.h>

#define EROFS_SUPER_OFFSET   1024
#define EROFS_SUPER_MAGIC_V1 0xe0f5e1e2
#define EROFS_BLKSIZ_BITS    12
#define EROFS_BLKSIZ	     (1u << EROFS_BLKSIZ_BITS)
#define EROFS_SLOTSIZE	     32 /* inodes stand at multiples */
#define EROFS_NAME_LEN	     255

#define EROFS_FEATURE_COMPAT_SB_CHKSUM	    0x1
#define EROFS_FEATURE_COMPAT_MTIME	    0x2 /* times are those of the last change */
#define EROFS_FEATURE_INCOMPAT_CHUNKED_FILE 0x4

struct erofs_super_block {
	uint32_t magic;
	uint32_t checksum; /* CRC-32C of the block from here on, with this field 0 */
	uint32_t feature_compat;
	uint8_t blkszbits;
	uint8_t sb_extslots;
	uint16_t root_nid;
	uint64_t inos; /* inodes in all */
	uint64_t build_time;
	uint32_t build_time_nsec; /* with build_time: the time of all compact inodes */
	uint32_t blocks;	  /* of the image, for statfs(2) */
	uint32_t meta_blkaddr;
	uint32_t xattr_blkaddr; /* shared attributes */
	uint8_t uuid[16];
	uint8_t volume_name[16];
	uint32_t feature_incompat;
	uint16_t available_compr_algs;
	uint16_t extra_devices;
	uint16_t devt_slotoff;
	uint8_t dirblkbits;
	uint8_t xattr_prefix_count;
	uint32_t xattr_prefix_start;
	uint64_t packed_nid;
	uint8_t xattr_filter_reserved;
	uint8_t reserved2[23];
};

/* i_format: bit 0 is the layout of the inode, bits 1 to 3 are that of its contents. */
#define EROFS_INODE_LAYOUT_COMPACT  0
#define EROFS_INODE_LAYOUT_EXTENDED 1
#define EROFS_I_DATALAYOUT_BIT	    1

#define EROFS_INODE_FLAT_PLAIN	0 /* whole blocks from raw_blkaddr on */
#define EROFS_INODE_FLAT_INLINE 2 /* the same, and the tail behind the inode, within one block */
#define EROFS_INODE_CHUNK_BASED 4 /* a map of chunks behind the inode */

/*
 * i_u of a chunk-based inode: the size of a chunk is that of a block, shifted by these bits. The
 * map then has a 32-bit block address for each chunk, or EROFS_NULL_ADDR for a hole.
 */
#define EROFS_CHUNK_FORMAT_BLKBITS_MASK 0x1f
#define EROFS_NULL_ADDR			0xffffffffu

struct erofs_inode_compact {
	uint16_t i_format;
	uint16_t
		i_xattr_icount; /* 0, or 1 + the 4-byte units behind the header of the attributes */
	uint16_t i_mode;
	uint16_t i_nlink;
	uint32_t i_size;
	uint32_t i_reserved;
	uint32_t i_u; /* raw_blkaddr, a device number, or the format of the chunks */
	uint32_t i_ino;
	uint16_t i_uid;
	uint16_t i_gid;
	uint32_t i_reserved2;
};

struct erofs_inode_extended {
	uint16_t i_format;
	uint16_t i_xattr_icount;
	uint16_t i_mode;
	uint16_t i_reserved;
	uint64_t i_size;
	uint32_t i_u;
	uint32_t i_ino;
	uint32_t i_uid;
	uint32_t i_gid;
	uint64_t i_mtime;
	uint32_t i_mtime_nsec;
	uint32_t i_nlink;
	uint8_t i_reserved2[16];
};

struct erofs_xattr_ibody_header {
	uint32_t h_name_filter;
	uint8_t h_shared_count;
	uint8_t h_reserved2[7];
};

#define EROFS_XATTR_INDEX_USER	   1
#define EROFS_XATTR_INDEX_TRUSTED  4
#define EROFS_XATTR_INDEX_SECURITY 6

/* Followed by the name without its prefix, the value, and zeros to a multiple of 4 bytes. */
struct erofs_xattr_entry {
	uint8_t e_name_len;
	uint8_t e_name_index;
	uint16_t e_value_size;
};

/*
 * A block of a directory: first all entries, then all names, neither terminated nor padded, but the
 * last one may end in a NUL. Names are sorted as bytes, "." and ".." among them, over all blocks.
 */
struct erofs_dirent {
	uint64_t nid;
	uint16_t nameoff; /* in the block; that of the first one tells the number of entries */
	uint8_t file_type;
	uint8_t reserved;
} __attribute__((packed));

enum {
	EROFS_FT_UNKNOWN,
	EROFS_FT_REG_FILE,
	EROFS_FT_DIR,
	EROFS_FT_CHRDEV,
	EROFS_FT_BLKDEV,
	EROFS_FT_FIFO,
	EROFS_FT_SOCK,
	EROFS_FT_SYMLINK,
};

_Static_assert(sizeof(struct erofs_super_block) == 128, "size on disk");
_Static_assert(sizeof(struct erofs_inode_compact) == 32, "size on disk");
_Static_assert(sizeof(struct erofs_inode_extended) == 64, "size on disk");
_Static_assert(sizeof(struct erofs_xattr_ibody_header) == 12, "size on disk");
_Static_assert(sizeof(struct erofs_xattr_entry) == 4, "size on disk");
_Static_assert(sizeof(struct erofs_dirent) == 12, "size on disk");

#endif
