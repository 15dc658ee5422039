/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by tar.c, tar_pax.c and tar_sparse.c. */
#ifndef CORDON_IMAGE_TAR_INTERNAL_H
#define CORDON_IMAGE_TAR_INTERNAL_H

#include "vmm/image/tar.h"
#include "vmm/image/ustar.h"

/* Fields of the next entry from the headers before its own. */
struct tar_extension {
	char name[PATH_MAX], link[PATH_MAX];
	uint64_t size;
	uint64_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	bool has_size, has_uid, has_gid, has_mtime, sparse;
	struct tar_attributes *attributes; /* the reader's, or NULL */
	/* records GNU.sparse.*, if map (the reader's) is not NULL */
	struct tar_sparse *map;
	char sparse_name[PATH_MAX];
	uint64_t real_size, sparse_major, sparse_minor;
	bool has_real_size, has_offset; /* has_offset: the last region has no length yet */
};

int tar_read_all(struct tar_reader *reader, void *to, size_t length, struct err *err);

/* Octal text, or GNU's binary form (first byte 0x80). UINT64_MAX: neither. */
uint64_t tar_number(const char *field, size_t size);

/* Digits alone, at most `most` (18) of them. False if it is anything else. */
bool tar_digits(const char *value, size_t size, size_t most, uint64_t *number);

int tar_set_path(char to[PATH_MAX], const char *from, size_t length, struct err *err);

/* Parses a whole extended header (POSIX.1-2001 pax). Writes NULs into the text. */
int tar_pax_records(struct tar_extension *extension, char *text, size_t length, struct err *err);

/* --- tar_sparse.c --- */

/* Takes a record GNU.sparse.KEY. */
int tar_sparse_record(struct tar_extension *extension, const char *key, const char *value,
		      size_t size, struct err *err);

/*
 * Reads the rest of the map of a sparse entry, whose headers have been read and say that `stored`
 * bytes follow. Sets what tar_read() needs, and the entry's name and size.
 */
int tar_sparse_begin(struct tar_reader *reader, struct tar_entry *entry, const struct ustar *header,
		     struct tar_extension *extension, uint64_t stored, struct err *err);

/* As tar_read(), for a sparse entry. */
ssize_t tar_sparse_read(struct tar_reader *reader, void *to, size_t length, struct err *err);

#endif
