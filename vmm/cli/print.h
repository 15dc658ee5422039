/* SPDX-License-Identifier: Apache-2.0 */
/* JSON on stdout. Lines of text are printed by vmm/base/text.h. */
#ifndef CORDON_CLI_PRINT_H
#define CORDON_CLI_PRINT_H

#include <jansson.h>

/*
 * Prints JSON and a newline. On a terminal, control and invisible characters are escaped as in
 * \u202e, which is equivalent JSON. flags: JSON_INDENT(2), JSON_COMPACT.
 */
void print_json(const json_t *json, size_t flags);

/* A line of a log, which is JSON already. */
void print_json_line(const char *line, size_t length);

#endif
