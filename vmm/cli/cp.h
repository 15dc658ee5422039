/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of `cordon cp`: extracting, filtering and writing tar streams. */
#ifndef CORDON_CLI_CP_H
#define CORDON_CLI_CP_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Opens the target directory of a copy to the host, with the name in it: source_name if path is a
 * directory, else its last component. An earlier copy may have put a link at the target, and then
 * the sandbox chose where that leads: a link is followed only if the path ends with a slash. A
 * descriptor or -errno with a message.
 */
int cp_open_target(const char *path, const char *source_name, char name[PATH_MAX], struct err *err);

/*
 * Opens the directory of what is copied from the host, with its name there and in the stream.
 * Follows no link, which could give another file's contents to the sandbox. A descriptor or -errno
 * with a message.
 */
int cp_open_source(const char *path, char base[NAME_MAX + 1], char name[NAME_MAX + 1],
		   struct err *err);

/*
 * Extracts a guest's stream from fd, in which all entries are `from` or below it, as `to` (a single
 * name) in the directory directory_fd. Never leaves that directory and follows no symbolic link,
 * whether from the stream or existing. Skips devices, pipes and sockets; drops set-id bits. 0 or
 * -errno with a message.
 */
int cp_extract(int fd, int directory_fd, const char *from, const char *to, struct err *err);

/*
 * Writes a guest's stream from fd to the descriptor `to` as a new tar stream with the same
 * restrictions: every name is `from` or below it without "..", and none leads through a symbolic
 * link of the stream. 0 or -errno with a message.
 */
int cp_filter(int fd, int to, const char *from, struct err *err);

/*
 * Makes a path of a name in the stream: its first component must be `from` and becomes `to`; "."
 * and empty components are dropped, ".." and a leading slash are refused. 0 or -errno with a
 * message.
 */
int cp_map_name(const char *from, const char *to, const char *name, char path[PATH_MAX],
		struct err *err);

/* Writes the file or directory `base` in the directory parent_fd, its contents included, as `name`
 * to fd. Symbolic links are written as links. 0 or -errno. */
int cp_archive(int fd, int parent_fd, const char *base, const char *name, struct err *err);

/*
 * The stderr of tar in the sandbox: cp_stderr_fd() between begin and end. What tar writes there
 * goes to stderr, with control characters escaped on a terminal; cp_stderr_end() flushes it. 0 or
 * -errno with a message.
 */
int cp_stderr_begin(struct err *err);
int cp_stderr_fd(void);
void cp_stderr_end(void);

#endif
