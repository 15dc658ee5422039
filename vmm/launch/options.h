/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line options as tables of typed entries: what an option sets, within which bounds, and
 * what help and manual say of it.
 */
#ifndef CORDON_LAUNCH_OPTIONS_H
#define CORDON_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* What an entry stores at its offset. */
enum option_kind {
	OPTION_FLAG,	 /* bool: true */
	OPTION_STRING,	 /* const char *: the value */
	OPTION_NUMBER,	 /* unsigned, from low to high */
	OPTION_BYTES,	 /* uint64_t, from low to high (0: no bound); 256M, 2G */
	OPTION_DURATION, /* uint64_t, nanoseconds; 30s, 5m */
	OPTION_CHOICE,	 /* const char *: one of choices */
	OPTION_LIST,	 /* const char *[high], and a size_t at count_offset */
	OPTION_CALL,	 /* what set() makes of the value */
};

struct option_entry {
	const char *name; /* long name without "--" */
	char letter;	  /* or 0 */
	enum option_kind kind;
	const char *value; /* what help calls the value; NULL for a flag, and a call without one */
	const char *help;  /* a phrase without a full stop; `literal` text in backquotes */
	const char *more;  /* further paragraphs for the manual, or NULL */
	size_t offset, count_offset;
	uint64_t low, high;
	const char *const *choices; /* NULL-ended */
	/* Gets the struct that the table is for: 0 or -errno with a message. */
	int (*set)(void *arg, const char *value, struct err *err);
};

struct option_table {
	const char *title; /* "Network" */
	const struct option_entry *entry;
	size_t count;
};

/* A table, and the struct that its values go into. */
struct option_set {
	const struct option_table *table;
	void *arg;
};

/* -h or --help was given, and is no option of the tables: not an errno, and without a message. */
#define OPTIONS_HELP (-4096)

/*
 * Parses options of several tables up to "--" or the first argument that is not an option: long
 * ones (--name VALUE, --name=VALUE) and letters, of which those without a value can be combined
 * (-it). Returns the index of the first argument after them, OPTIONS_HELP, or -errno with a message
 * that names the verb (argv[0]) and the nearest option.
 */
int options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
		  struct err *err);

/*
 * The same for verbs with a name and a command: options may stand before and after the name. *name
 * is NULL if there is none. Returns the index of the first argument after all that.
 */
int options_parse_name(const struct option_set *sets, size_t count, int argc, char **argv,
		       const char **name, struct err *err);

/*
 * The same for verbs whose options may stand anywhere before "--". The other arguments are then
 * argv[1] and up, in their order. Returns their number, which may be 0.
 */
int options_parse_words(const struct option_set *sets, size_t count, int argc, char **argv,
			struct err *err);

#endif
