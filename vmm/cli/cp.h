/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of `cordon cp`: a tar stream into a folder, and a folder into a tar stream. */
#ifndef CORDON_CLI_CP_H
#define CORDON_CLI_CP_H

#include "vmm/base/err.h"

/*
 * Extracts the stream of fd, a guest's, whose entries are all `from` or below it, as `to` (a single
 * name) in the folder folder_fd. Never leaves it and never follows a symbolic link, neither one of
 * the stream nor one that was there; devices and the like are left out, set-id bits too. 0 or
 * -errno with a message.
 */
int cp_extract(int fd, int folder_fd, const char *from, const char *to, struct err *err);

/* Writes the file or folder path, its contents included, as `name` to fd. 0 or -errno. */
int cp_archive(int fd, const char *path, const char *name, struct err *err);

#endif
