/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that few commands need: loaded when they are first used, so that the start of a sandbox
 * does not pay for them (docs/decisions/0006-libraries.md).
 */
#ifndef CORDON_BASE_LIBRARY_H
#define CORDON_BASE_LIBRARY_H

#include <stddef.h>

#include "vmm/base/err.h"

/* A function of a library, and the pointer to it that is set. */
struct library_symbol {
	const char *name;
	void **to;
};

/*
 * Loads a library for the rest of the process and sets the pointers of all count symbols. file: its
 * soname. package: where Debian has it, for the message. 0, or -ENOENT with a message; pointers are
 * then NULL.
 */
int library_load(const char *file, const char *package, const struct library_symbol *symbol,
		 size_t count, struct err *err);

#endif
