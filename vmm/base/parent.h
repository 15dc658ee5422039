/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens host paths from the command line that may lie where a sandbox can write: in a writable
 * share, or where an earlier `cordon cp` put files from a sandbox. A sandbox can plant symbolic
 * links there, and following one would let it choose which file of the host is read or written.
 */
#ifndef CORDON_BASE_PARENT_H
#define CORDON_BASE_PARENT_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Opens the parent directory of path (O_PATH) and returns the last component in name; "", "." and
 * ".." are refused. A symbolic link on the way is followed only if just host root can have made it:
 * in /, or, unless the caller itself is host root, in a directory that host root owns and no other
 * user can write. A descriptor, or -errno with a message; -ELOOP for any other link.
 */
int parent_open(const char *path, char name[NAME_MAX + 1], struct err *err);

/*
 * Opens the directory path itself (O_PATH), with the same rule for links on the way, but follows a
 * link in the last component: for a path that ends with a slash, "." or "..", and so can't mean the
 * link itself.
 */
int parent_enter(const char *path, struct err *err);

#endif
