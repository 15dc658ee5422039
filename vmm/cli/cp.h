/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of `cordon cp`: a tar stream into a directory or filtered, and files into a tar
 * stream. */
#ifndef CORDON_CLI_CP_H
#define CORDON_CLI_CP_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Where a copy goes on the host: the directory, open, and the name in it: source_name if path is a
 * directory, else its last component. A link at the target may be what an earlier copy has put
 * there, so that the sandbox chose where it leads: only a target that ends with a slash is
 * followed. A descriptor or -errno with a message.
 */
int cp_open_target(const char *path, const char *source_name, char name[PATH_MAX], struct err *err);

/*
 * What is copied from the host: its directory, open, its name there and its name in the stream. Not
 * through a link either, which would make another file's contents the sandbox's. A descriptor or
 * -errno with a message.
 */
int cp_open_source(const char *path, char base[NAME_MAX + 1], char name[NAME_MAX + 1],
		   struct err *err);

/*
 * Extracts the stream of fd, a guest's, whose entries are all `from` or below it, as `to` (a single
 * name) in the directory folder_fd. Never leaves it and never follows a symbolic link, neither one
 * of the stream nor one that was there; devices and the like are left out, set-id bits too. 0 or
 * -errno with a message.
 */
int cp_extract(int fd, int folder_fd, const char *from, const char *to, struct err *err);

/*
 * Writes the stream of fd, a guest's, to the descriptor `to` as a tar stream of our own making,
 * with the same restrictions: every name is `from` or below it without "..", no name leads through
 * a symbolic link of the stream. 0 or -errno with a message.
 */
int cp_filter(int fd, int to, const char *from, struct err *err);

/*
 * The path for a name of the stream: its first component must be `from` and becomes `to`; "." and
 * empty ones go, ".." and a leading slash are refused. 0 or -errno with a message.
 */
int cp_map_name(const char *from, const char *to, const char *name, char path[PATH_MAX],
		struct err *err);

/* Writes the file or directory `base` in the directory parent_fd, its contents included, as `name`
 * to fd. Symbolic links are written as links. 0 or -errno. */
int cp_archive(int fd, int parent_fd, const char *base, const char *name, struct err *err);

/*
 * A copy's stderr in the sandbox: cp_words_fd() between begin and end. What is written there goes
 * to stderr, made harmless where that is a terminal; at the end all of it that has come so far is
 * out. 0 or -errno with a message.
 */
int cp_words_begin(struct err *err);
int cp_words_fd(void);
void cp_words_end(void);

#endif
