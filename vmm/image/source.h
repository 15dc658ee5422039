/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image comes from: an OCI image layout in a folder, or an archive (a tar file) that holds
 * one, or what `docker save` writes. Either way a set of files that are found by name. Nothing of
 * it is trusted: names stay inside, only regular files count, and all numbers are bounded.
 */
#ifndef CORDON_IMAGE_SOURCE_H
#define CORDON_IMAGE_SOURCE_H

#include <limits.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define IMAGE_SOURCE_FILES_MAX 4096 /* in an archive */
#define IMAGE_NAME_MAX	       255  /* of a file in it */

struct image_source_file {
	char name[IMAGE_NAME_MAX + 1];
	char link[IMAGE_NAME_MAX + 1]; /* the file that has the contents, or "" */
	uint64_t at, size;
};

struct image_source {
	char path[PATH_MAX];
	int fd;				 /* the folder, or the archive */
	struct image_source_file *files; /* of an archive; NULL: a folder */
	unsigned count;
};

/* A part of an open file. */
struct image_blob {
	int fd;
	uint64_t at, size;
};

/* 0 or -errno with a message. image_source_close() works on a half-open and a zeroed one. */
int image_source_open(struct image_source *source, const char *path, struct err *err);
void image_source_close(struct image_source *source);

/* Opens a file of it: 0, -ENOENT (with a message) if it is not there, or another error. */
int image_source_find(const struct image_source *source, const char *name, struct image_blob *blob,
		      struct err *err);
void image_blob_close(struct image_blob *blob);

/*
 * Reads a whole file of at most max bytes into *text (ended by a zero byte, to be freed). Returns
 * its length, or -errno with a message.
 */
long image_source_read(const struct image_source *source, const char *name, uint64_t max,
		       char **text, struct err *err);

#endif
