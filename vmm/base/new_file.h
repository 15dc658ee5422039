/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that get their name once they are whole: a writer that is killed leaves nothing, and what
 * has the name stays as it is until then. Names are single components, in a directory that is open.
 */
#ifndef CORDON_BASE_NEW_FILE_H
#define CORDON_BASE_NEW_FILE_H

#include <limits.h>
#include <stdbool.h>

struct new_file {
	int fd;	       /* empty at first, for reading and writing, of mode 0600 */
	int directory; /* where it gets its name */
	char name[NAME_MAX + 1];
	char temporary[NAME_MAX + 1]; /* its name meanwhile; "": it needs none */
};

/* The initial value, on which new_file_close() works. */
#define NEW_FILE_NONE ((struct new_file){.fd = -1, .directory = -1})

/*
 * Makes the file. directory stays the caller's, and may be one of O_PATH. Where the file system has
 * no files without a name (O_TMPFILE, open(2)), it has a temporary one: name, a dot and six
 * characters. A temporary file that is not locked (flock) is one of a writer that was killed.
 * 0; -EISDIR if name is no name of a file; or another -errno.
 */
int new_file_open(struct new_file *file, int directory, const char *name);

/* The same at a path, relative or absolute. */
int new_file_open_path(struct new_file *file, const char *path);

/*
 * Writes the file to the disk (fsync) and gives it its name. replace: what has the name is
 * replaced, unless it is a directory; else that is -EEXIST. 0 or -errno.
 */
int new_file_finish(struct new_file *file, bool replace);

/* Closes it. One that has not got its name is gone. */
void new_file_close(struct new_file *file);

/*
 * A file in the directory that has no name and never gets one. Returns the descriptor, for reading
 * and writing, or -errno.
 */
int new_file_nameless(int directory);

/*
 * As renameat(2) within a directory, but fails with EEXIST if there is a file of the new name,
 * where the file system can do that.
 */
int new_file_rename(int directory, const char *from, const char *to);

#endif
