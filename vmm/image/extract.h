/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes files below a directory from entries of a tar stream. The caller chooses how the path to an
 * entry is resolved, by flags of openat2(2). A symbolic link at the entry's own name is never
 * followed; an existing file of that name is replaced, not written into.
 */
#ifndef CORDON_IMAGE_EXTRACT_H
#define CORDON_IMAGE_EXTRACT_H

#include <linux/openat2.h>

#include "vmm/image/tar.h"

/* Neither out of the directory nor through any link. */
#define EXTRACT_STRICT (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* openat2(): a descriptor or -errno. */
int extract_open(int directory_fd, const char *path, uint64_t flags, uint64_t resolve);

/* Opens the directory of path; *name: the last component of path. A descriptor or -errno. */
int extract_open_parent(int directory_fd, char *path, uint64_t resolve, const char **name);

/*
 * Makes the current entry as `name` in parent, with its modification time. mode: less the umask. 0;
 * or -errno with a message, and the caller removes the incomplete file.
 */
int extract_file(struct tar_reader *reader, int parent, const char *name, mode_t mode,
		 const struct tar_entry *entry, struct err *err);
int extract_symlink(int parent, const char *name, const struct tar_entry *entry, struct err *err);

/* Makes a hard link to the file `path` below directory_fd, a regular file or a symbolic link. */
int extract_link(int directory_fd, char *path, uint64_t resolve, int parent, const char *name,
		 struct err *err);

/* Removes a file, or a directory with its contents. 0, also if there is none, or -errno. */
int extract_remove(int parent, const char *name, struct err *err);

#endif
