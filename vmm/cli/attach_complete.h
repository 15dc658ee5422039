/* SPDX-License-Identifier: Apache-2.0 */
/* Completion of lines of `cordon attach`. */
#ifndef CORDON_CLI_ATTACH_COMPLETE_H
#define CORDON_CLI_ATTACH_COMPLETE_H

#include "vmm/cli/attach_line.h"

/*
 * Adds what the text may go on with: commands that begin with ':' and their arguments, or programs
 * and paths of the sandbox, as its shell (process pid there) sees them.
 */
void attach_complete(const char *name, unsigned pid, const char *text,
		     struct line_candidates *found);

#endif
