/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a tar stream made into files below a folder. How a path on the way to an entry is
 * resolved is the caller's choice of openat2(2) flags; the entry's own name is never followed if
 * it is a symbolic link, and what was there under it is replaced, not written into.
 */
#ifndef CORDON_IMAGE_EXTRACT_H
#define CORDON_IMAGE_EXTRACT_H

#include <linux/openat2.h>
#include <stdbool.h>

#include "vmm/image/tar.h"

/* Neither out of the folder nor through a link of any kind. */
#define EXTRACT_STRICT (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
/* Links lead where they would lead for a process whose root the folder is. */
#define EXTRACT_AS_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

/* openat2(): a descriptor or -errno. */
int extract_open(int folder_fd, const char *path, uint64_t flags, uint64_t resolve);

/* The folder that path lies in, opened, and the last name of path. A descriptor or -errno. */
int extract_open_parent(int folder_fd, char *path, uint64_t resolve, const char **name);

/*
 * The entry at hand as `name` in parent, with its time of change. exact: with this mode whatever
 * the umask is, and its owner noted. 0 or -errno with a message; what is there of the file then is
 * the caller's to remove.
 */
int extract_file(struct tar_reader *reader, int parent, const char *name, mode_t mode, bool exact,
		 const struct tar_entry *entry, struct err *err);
int extract_symlink(int parent, const char *name, const struct tar_entry *entry, struct err *err);

/* A second name of the file `path` below folder_fd, which must be a plain file or a link. */
int extract_link(int folder_fd, char *path, uint64_t resolve, int parent, const char *name,
		 struct err *err);

/*
 * Notes an entry's owner with a file that is ours: the attribute OWNER_ATTRIBUTE, "UID:GID", and
 * none for root. It must be writable for us. Where the file system has no such attributes nothing
 * is noted.
 */
#define OWNER_ATTRIBUTE "user.cordon.owner"
void extract_note_owner(int fd, const struct tar_entry *entry);

/* Whether its file system has them: asked of a folder without a note. */
bool extract_keeps_owners(int fd);

/* Removes a file or folder with all that is in it. 0 (also if it is not there) or -errno. */
int extract_remove(int parent, const char *name, struct err *err);
/* All that is in the folder (which is closed). */
int extract_remove_contents(int fd, struct err *err);

#endif
