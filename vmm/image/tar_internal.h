/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by tar.c and tar_pax.c. */
#ifndef CORDON_IMAGE_TAR_INTERNAL_H
#define CORDON_IMAGE_TAR_INTERNAL_H

#include "vmm/image/tar.h"

/* Fields of the next entry from the headers before its own. */
struct tar_extension {
	char name[PATH_MAX], link[PATH_MAX];
	uint64_t size;
	uint64_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	bool has_size, has_uid, has_gid, has_mtime, sparse;
	struct tar_attributes *attributes; /* the reader's, or NULL */
};

int tar_set_path(char to[PATH_MAX], const char *from, size_t length, struct err *err);

/* Parses a whole extended header (POSIX.1-2001 pax). Writes NULs into the text. */
int tar_pax_records(struct tar_extension *extension, char *text, size_t length, struct err *err);

#endif
