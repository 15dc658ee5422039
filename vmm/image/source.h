/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of an image: a directory with an OCI image layout, a tar archive of one, an archive of
 * `docker save`, or a tar archive of a root file system, as `docker export` writes. The first three
 * are sets of files, found by name; the last is a layer without a description. Archives may be
 * compressed (decompress.h). Nothing in a source is trusted: names cannot lead outside, only
 * regular files count, and all numbers are bounded.
 */
#ifndef CORDON_IMAGE_SOURCE_H
#define CORDON_IMAGE_SOURCE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define IMAGE_SOURCE_FILES_MAX 4096 /* in an archive */
#define IMAGE_NAME_MAX	       255  /* bytes of a file's name */
#define IMAGE_SOURCE_WHOLE     "."  /* the name of a flat archive itself */

struct image_source_file {
	char name[IMAGE_NAME_MAX + 1];
	char link[IMAGE_NAME_MAX + 1]; /* the file with the contents, or "" */
	uint64_t at, size;
};

struct image_source {
	char path[PATH_MAX];
	int fd;				 /* the directory or the archive */
	struct image_source_file *files; /* of an archive; NULL: a directory */
	unsigned count;
	uint64_t size; /* of the archive */
	/*
	 * The archive is a root file system: it has no description of an image, but directories
	 * such as /etc; or `docker export` wrote it.
	 */
	bool flat;
};

/* A range of an open file. */
struct image_blob {
	int fd;
	uint64_t at, size;
};

/*
 * path: "-" is standard input. 0; or -errno with a message, -EINTR if a signal has arrived
 * (signals_hold()). image_source_close() may follow a failure, or an all-zero source.
 */
int image_source_open(struct image_source *source, const char *path, struct err *err);
void image_source_close(struct image_source *source);

/* Opens a file of the source. 0; or -errno with a message, -ENOENT if there is no such file. */
int image_source_find(const struct image_source *source, const char *name, struct image_blob *blob,
		      struct err *err);
void image_blob_close(struct image_blob *blob);

/*
 * Reads a whole file of at most max bytes into *text, which ends in NUL and the caller frees.
 * Returns its length, or -errno with a message.
 */
long image_source_read(const struct image_source *source, const char *name, uint64_t max,
		       char **text, struct err *err);

#endif
