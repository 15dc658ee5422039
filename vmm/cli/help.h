/* SPDX-License-Identifier: Apache-2.0 */
/* What `cordon help` prints, made from the table of verbs. */
#ifndef CORDON_CLI_HELP_H
#define CORDON_CLI_HELP_H

#include <stdio.h>

#include "vmm/cli/verb.h"

#define HELP_COLUMNS 100 /* no line is longer */

/* All verbs by group, one line each. */
void help_print_overview(FILE *to);

/* One verb: usage, description, options, examples, exit status. */
void help_print_verb(FILE *to, const struct verb *verb);

/* The arguments of a verb, as one line of at most size - 1 bytes. */
void help_arguments(const struct verb *verb, char *line, size_t size);

#endif
