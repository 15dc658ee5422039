/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar streams (POSIX ustar with GNU and pax long names), for `cordon cp` and for images. The
 * reader's input is hostile (from a guest, or a downloaded file): every length is bounded, and an
 * entry is returned only after all of its headers have been parsed.
 */
#ifndef CORDON_IMAGE_TAR_H
#define CORDON_IMAGE_TAR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/err.h"

#define TAR_BLOCK 512

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1', /* hard link to link, a name in the same stream */
	TAR_SYMLINK = '2',
	TAR_DIRECTORY = '5',
	TAR_OTHER = 0, /* a device, a pipe, anything else: without contents */
};

struct tar_entry {
	char name[PATH_MAX], link[PATH_MAX];
	enum tar_type type;
	char flag;	 /* the type in the header: tells what TAR_OTHER is */
	bool sparse;	 /* the contents are a map and data, in GNU's or pax format */
	mode_t mode;	 /* permission bits only */
	mode_t set_bits; /* set-id and sticky bits, kept apart from mode against accidental use */
	uint32_t uid, gid;
	uint64_t size;	/* bytes of contents, holes included; 0 unless TAR_FILE */
	uint64_t holes; /* bytes of them that are not in the stream */
	int64_t mtime;
	uint32_t mtime_nsec;   /* the part of a second after mtime */
	uint32_t major, minor; /* of a device; UINT32_MAX: not a number */
};

/*
 * Extended attributes of an entry, from pax records SCHILY.xattr.NAME (as GNU tar, buildkit and
 * others write them). A record of the same name replaces an earlier one. No name is empty or longer
 * than TAR_ATTRIBUTE_NAME_MAX.
 */
#define TAR_ATTRIBUTES_MAX     64
#define TAR_ATTRIBUTES_BYTES   (64u << 10) /* names and values together */
#define TAR_ATTRIBUTE_NAME_MAX 255

struct tar_attribute {
	const char *name; /* "user.x" */
	const void *value;
	size_t size;
};

struct tar_attributes {
	unsigned count;
	size_t used;
	struct tar_attribute list[TAR_ATTRIBUTES_MAX];
	char bytes[TAR_ATTRIBUTES_BYTES];
};

/*
 * The data of a sparse entry, in GNU tar's formats: the old one (type 'S'), and 0.0, 0.1 and 1.0 in
 * pax headers. Regions are in order, do not overlap, and lie within the file; between them are
 * holes.
 */
#define TAR_REGIONS_MAX 65536

struct tar_sparse {
	unsigned count;
	struct tar_region {
		uint64_t offset, length;
	} regions[TAR_REGIONS_MAX];
};

/* The source of a stream, if it is not a descriptor. */
struct tar_input {
	/* Reads up to length bytes; 0 at the end; -errno with a message. */
	ssize_t (*read)(void *arg, void *to, size_t length, struct err *err);
	/* Skips bytes without reading them, or NULL. 0 or -errno with a message. */
	int (*skip)(void *arg, uint64_t bytes, struct err *err);
	void *arg;
};

struct tar_reader {
	struct tar_input input;
	int fd;
	uint64_t left, padding; /* of the current entry's contents */
	bool ended;
	/*
	 * The stream may end after any entry, without the two empty blocks and without the padding
	 * of the last entry's contents, as some tools write layers. For streams whose length or
	 * digest is known otherwise.
	 */
	bool end_optional;
	struct tar_attributes *attributes; /* filled by tar_next(), unless it is NULL */
	/*
	 * If not NULL: sparse entries are files, whose holes tar_read() returns as zeros. Otherwise
	 * the caller must refuse them, by entry.sparse.
	 */
	struct tar_sparse *sparse;
	bool has_holes;		 /* the current entry is sparse: */
	uint64_t position, size; /* in its contents */
	unsigned region;	 /* the first one that does not end before the position */
};

/* Leaves attributes and sparse NULL, and end_optional false. */
void tar_reader_init(struct tar_reader *reader, int fd);
void tar_reader_init_input(struct tar_reader *reader, const struct tar_input *input);

/* Reads the next entry, skipping unread contents of the one before. 1; 0 at the end; -errno with a
 * message. */
int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err);

/* Reads up to length bytes of the entry's contents; 0 at their end; -errno with a message, also if
 * the stream is truncated. */
ssize_t tar_read(struct tar_reader *reader, void *to, size_t length, struct err *err);

/* Skips a hole at the position in a sparse entry. Its length, or 0 if there is none. */
uint64_t tar_skip_hole(struct tar_reader *reader);

/* Writes an entry's headers. The contents and tar_write_padding() follow. 0 or -errno. */
int tar_write_entry(int fd, const struct tar_entry *entry);
int tar_write_padding(int fd, uint64_t size);
int tar_write_end(int fd);

#endif
