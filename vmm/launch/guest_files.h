/* SPDX-License-Identifier: Apache-2.0 */
/* Where the files are that come with the program: the guest's, and the benchmark's. */
#ifndef CORDON_LAUNCH_GUEST_FILES_H
#define CORDON_LAUNCH_GUEST_FILES_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Finds a file that comes with the program: IN_BUILD/NAME beside it (a build), or
 * ../lib/cordon/NAME from it (installed). 0, or -ENOENT with a message that says how to make it.
 */
int find_installed_file(const char *in_build, const char *name, char path[PATH_MAX],
			struct err *err);

/* Finds a guest file ("vmlinux", "initramfs") in the same way. */
int find_guest_file(const char *name, char path[PATH_MAX], struct err *err);

#endif
