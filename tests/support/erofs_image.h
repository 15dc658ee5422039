/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads erofs images for tests, from the format alone: it shares with the writer only the
 * structures of erofs_format.h. Looks names up as Linux does, by binary search.
 */
#ifndef CORDON_TEST_EROFS_IMAGE_H
#define CORDON_TEST_EROFS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/image/erofs_format.h"

struct erofs_image {
	const uint8_t *bytes; /* mapped */
	size_t length;
	struct erofs_super_block super;
};

/* An inode. */
struct erofs_found {
	uint64_t nid, at; /* at: of the byte behind the inode and its attributes, in the image */
	uint64_t size;
	mode_t mode;
	uint32_t uid, gid, links, number, i_u, mtime_nsec;
	int64_t mtime;
	unsigned layout; /* EROFS_INODE_FLAT_PLAIN and so on */
	bool compact;
	const uint8_t *xattr;
	size_t xattr_size;
};

/* Maps the image. False if the superblock is not one. */
bool erofs_image_open(struct erofs_image *image, int fd);
void erofs_image_close(struct erofs_image *image);

/* Checks the superblock and the whole tree: places, order of names, link counts, and that no two
 * files share a block. NULL, or what is wrong. */
const char *erofs_image_check(const struct erofs_image *image);

/* Finds a path from the root; follows no links. False if there is none. */
bool erofs_image_find(const struct erofs_image *image, const char *path, struct erofs_found *found);

/* Reads contents of a file, a directory or a symbolic link. The bytes read. */
size_t erofs_image_read(const struct erofs_image *image, const struct erofs_found *found,
			uint64_t offset, void *to, size_t length);

/* Whether path is a file (or a link) with this text. */
bool erofs_image_has(const struct erofs_image *image, const char *path, const char *text);

/* The value of an attribute, by the index of its prefix; NULL if there is none. */
const void *erofs_image_xattr(const struct erofs_found *found, unsigned index, const char *name,
			      size_t *size);

#define EROFS_PLACE(block) ((uint64_t)(block) << EROFS_BLKSIZ_BITS)

/* A block of a directory. */
struct erofs_names {
	uint8_t bytes[EROFS_BLKSIZ + 1]; /* and a NUL */
	unsigned count;
	size_t length;
};

/* Read an inode, a block of a directory, and a name in that. False if it is not sound. */
bool erofs_image_inode(const struct erofs_image *image, uint64_t nid, struct erofs_found *found);
bool erofs_image_names(const struct erofs_image *image, const struct erofs_found *directory,
		       uint64_t block, struct erofs_names *names);
bool erofs_image_name(const struct erofs_names *names, unsigned i, struct erofs_dirent *entry,
		      char name[EROFS_NAME_LEN + 1]);

/* The place of a block of a file; 0: a hole; UINT64_MAX: outside of the image. *room: the bytes of
 * the file in it. */
uint64_t erofs_image_block(const struct erofs_image *image, const struct erofs_found *found,
			   uint64_t block, uint64_t *room);

/*
 * Whether the image has the same tree as the directory that image_tree() has made: names, types,
 * permissions (a tree has more of them for its owner), sizes and contents. NULL, or a path that
 * differs.
 */
const char *erofs_image_compare(const struct erofs_image *image, int directory_fd);

#endif
