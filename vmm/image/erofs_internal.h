/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by erofs*.c: the tree in memory, and what each file does with it. */
#ifndef CORDON_IMAGE_EROFS_INTERNAL_H
#define CORDON_IMAGE_EROFS_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "vmm/image/erofs.h"
#include "vmm/image/erofs_format.h"

#define EROFS_CHUNK_BITS (EROFS_BLKSIZ_BITS + 4)
#define EROFS_CHUNK	 (1u << EROFS_CHUNK_BITS)

/* Consecutive chunks of zeros. */
struct erofs_hole {
	uint32_t chunk, count;
};

struct erofs_node;

/* A name in a directory. */
struct erofs_name {
	struct erofs_node *node;
	const char *text; /* not terminated */
	size_t length;
};

struct erofs_file {
	uint32_t block, blocks; /* the contents without holes and tail */
	uint32_t hole_count, hole_room;
	struct erofs_hole *holes;
	uint8_t *tail;
	uint32_t tail_size;
};

struct erofs_directory {
	void *names; /* of tsearch(3), keys are struct erofs_name */
	struct erofs_node *parent;
	uint32_t depth, directories;
};

/* An inode. */
struct erofs_node {
	mode_t mode;
	uint32_t uid, gid, device, mtime_nsec;
	int64_t mtime;
	uint32_t links;	     /* names that lead here */
	uint32_t xattr_size; /* with the header */
	uint8_t *xattr;
	uint64_t size;
	union {
		struct erofs_file file;
		struct erofs_directory directory;
		char *target;
	};
	/* set by erofs_place() */
	uint32_t number; /* from 1 on; 0: has no place yet */
	uint32_t blkaddr;
	uint32_t inline_size; /* of the tail behind the inode */
	bool compact;
	uint64_t nid;
};

struct erofs {
	int fd;
	bool finished; /* contents stay, whatever is freed */
	struct erofs_limits limits;
	uint64_t memory, tails, steps; /* used of the limits */
	uint64_t block;		       /* the next free one */
	uint32_t nodes;
	struct erofs_node *root;
	struct erofs_node *file; /* is being written, or NULL */
	uint32_t filled;	 /* bytes of it in chunk */
	uint8_t chunk[EROFS_CHUNK];
	/* set by erofs_place() */
	struct erofs_node **order;
	int64_t time;
	uint32_t time_nsec;
	uint32_t meta_block;
	uint64_t meta_size; /* bytes */
	bool chunked;
};

/* --- erofs_tree.c --- */

/* Counts memory; EFBIG if it is too much. erofs_give() takes it back. */
int erofs_take(struct erofs *fs, uint64_t bytes, struct err *err);
void erofs_give(struct erofs *fs, uint64_t bytes);

/* A node without a name. */
int erofs_new_node(struct erofs *fs, const struct erofs_stat *stat, struct erofs_node **node,
		   struct err *err);
/* Drops a link (or a node without one), and with the last one the node, contents and all. */
void erofs_put_node(struct erofs *fs, struct erofs_node *node);

struct erofs_name *erofs_find(const struct erofs_node *directory, const char *text, size_t length);
int erofs_attach(struct erofs *fs, struct erofs_node *directory, const char *text, size_t length,
		 struct erofs_node *node, struct err *err);
void erofs_detach(struct erofs *fs, struct erofs_node *directory, struct erofs_name *name);
void erofs_empty(struct erofs *fs, struct erofs_node *directory);

/* Calls fn for each name in order, "." and ".." among them. */
typedef void erofs_name_fn(void *arg, const struct erofs_name *name);
void erofs_each_name(struct erofs_node *directory, erofs_name_fn *fn, void *arg);

/* --- erofs_walk.c --- */

/* Finds the directory at path, of length bytes. make: the stat of missing directories, or NULL. */
int erofs_walk(struct erofs *fs, const char *path, size_t length, const struct erofs_stat *make,
	       struct erofs_node **directory, struct err *err);

/* --- erofs_data.c --- */

/* Completes the file that is being written, if there is one. */
int erofs_settle(struct erofs *fs, struct err *err);
/* Gives the contents back to the host. */
void erofs_drop_contents(struct erofs *fs, const struct erofs_node *node);
/* Writes whole blocks. */
int erofs_write_blocks(struct erofs *fs, uint64_t block, const void *bytes, size_t length,
		       struct err *err);

/* --- erofs_xattr.c --- */

/* Packs the attributes for the node, in place of those that it has. */
int erofs_set_xattr(struct erofs *fs, struct erofs_node *node, const struct erofs_stat *stat,
		    struct err *err);

/* --- erofs_place.c --- */

/* Gives every node its number and place. */
int erofs_place(struct erofs *fs, struct err *err);
static inline uint32_t erofs_chunks(const struct erofs_node *node)
{
	return (uint32_t)((node->size + EROFS_CHUNK - 1) >> EROFS_CHUNK_BITS);
}

/* --- erofs_metadata.c --- */

int erofs_write_metadata(struct erofs *fs, const uint8_t uuid[16], struct err *err);

#endif
