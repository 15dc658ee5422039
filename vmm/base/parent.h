/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of the command line that may lie where a sandbox can write: in a writable share, or where
 * an earlier `cordon cp` put what a sandbox sent. A symbolic link there is the sandbox's word, and
 * it would decide which file of the host is read or written.
 */
#ifndef CORDON_BASE_PARENT_H
#define CORDON_BASE_PARENT_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Opens the directory that path lies in (O_PATH) and tells the last component, which may not be "",
 * "." or "..". On the way a symbolic link is followed only where none but the administrator can
 * have made it: in /, or, unless the caller is the administrator, in a directory of root's that
 * only root can write. A descriptor, or -errno with a message; -ELOOP for another link.
 */
int parent_open(const char *path, char name[NAME_MAX + 1], struct err *err);

/*
 * Opens the directory that path names (O_PATH), by the same way, but follows a link at its end: for
 * a path that ends with a slash, "." or "..", none of which is a name that a link can have.
 */
int parent_enter(const char *path, struct err *err);

#endif
