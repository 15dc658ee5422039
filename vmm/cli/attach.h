/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of `cordon attach`. */
#ifndef CORDON_CLI_ATTACH_H
#define CORDON_CLI_ATTACH_H

#include <stdbool.h>

#include "vmm/base/err.h"

struct attach_options {
	const char *name;
	const char *line; /* -c; or NULL */
	unsigned session; /* 0: a detached shell, or else a new one */
	bool fresh;	  /* a new one */
};

/* At a terminal: until the operator leaves. Returns the exit status, or -errno with a message. */
int attach_interactive(const struct attach_options *options, struct err *err);

#endif
