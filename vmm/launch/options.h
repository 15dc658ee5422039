/* SPDX-License-Identifier: Apache-2.0 */
/* Command line options: tables, the parser, and values. */
#ifndef CORDON_LAUNCH_OPTIONS_H
#define CORDON_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* An option of a verb. set gets the value (NULL for a flag): 0 or -errno with a message. */
struct cli_option {
	const char *name;  /* long name without "--" */
	char letter;	   /* or 0 */
	const char *value; /* what the value is called in the help, NULL for a flag */
	const char *help;  /* NULL: not shown */
	int (*set)(void *arg, const char *value, struct err *err);
};

struct cli_options {
	const struct cli_option *option;
	size_t count;
	void *arg; /* what set gets */
};

/*
 * Parses options of several tables up to the first word that is none, or "--". Returns the index of
 * the first argument after them, or -errno with a message that names the verb and the nearest
 * option.
 */
int cli_parse(const struct cli_options *tables, size_t count, int argc, char **argv,
	      struct err *err);

/* Prints the options, one a line, to stdout. */
void cli_print_options(const struct cli_option *options, size_t count);

/* "256M", "2G", "1048576", with K M G T (powers of 1024). 0 or -EINVAL with a message. */
int cli_parse_size(const char *text, uint64_t *bytes, struct err *err);

/* "90", "90s", "5m", "2h", "250ms". 0 or -EINVAL with a message. */
int cli_parse_duration(const char *text, uint64_t *ns, struct err *err);

/* A whole number from low to high. 0 or -EINVAL with a message. */
int cli_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err);

#endif
