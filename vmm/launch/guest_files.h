/* SPDX-License-Identifier: Apache-2.0 */
/* Where the guest's kernel and initramfs are. */
#ifndef CORDON_LAUNCH_GUEST_FILES_H
#define CORDON_LAUNCH_GUEST_FILES_H

#include <limits.h>

#include "vmm/base/err.h"

/*
 * Finds a guest file ("vmlinux", "initramfs"): guest/NAME beside the program (a build), or
 * ../lib/cordon/NAME from it (installed). 0, or -ENOENT with a message that says how to make it.
 */
int find_guest_file(const char *name, char path[PATH_MAX], struct err *err);

#endif
