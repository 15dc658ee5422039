/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs as data: what `cordon VERB` runs, and what help and manual say of it. Each verb has a file
 * of its own; verbs.c has the list.
 *
 * Texts are plain paragraphs with an empty line between them; `literal` text is in backquotes, and
 * a paragraph of indented lines stays as it is.
 */
#ifndef CORDON_CLI_VERB_H
#define CORDON_CLI_VERB_H

#include <limits.h>

#include "vmm/base/err.h"
#include "vmm/base/exit_status.h"
#include "vmm/launch/options.h"

enum verb_group { VERB_SANDBOXES, VERB_POLICY, VERB_IMAGES, VERB_HOST, VERB_GROUPS };

/* A part of a verb: `cordon policy check`. */
struct subverb {
	const char *name;
	const char *usage;			   /* its arguments: one form a line */
	const char *description;		   /* a sentence or more */
	const struct option_table *const *options; /* NULL-ended, or NULL */
	/* argv[0] is both names. Returns the exit status, or -errno with a message. */
	int (*run)(int argc, char **argv, struct err *err);
};

struct verb {
	const char *name;
	enum verb_group group;
	const char *usage;	 /* its arguments: one form a line; NULL if it has subverbs */
	const char *summary;	 /* a phrase, without a full stop */
	const char *description; /* further paragraphs, or NULL */
	const struct option_table *const *options; /* NULL-ended, or NULL */
	const struct subverb *subverbs;		   /* ended by a NULL name, or NULL */
	const char *notes;			   /* paragraphs for the manual only, or NULL */
	const char *examples;			   /* lines, or NULL */
	const char *exit_status;		   /* a paragraph; NULL: 0, or 125 for a failure */
	const char *see_also; /* verbs and manual pages, one blank between them, or NULL */
	/* argv[0] is the verb. Returns the exit status, or -errno with a message. NULL: subverbs.
	 */
	int (*run)(int argc, char **argv, struct err *err);
};

/* All verbs, in the order in which help shows them; NULL-ended. */
extern const struct verb *const verbs[];
extern const char *const verb_group_titles[VERB_GROUPS];

extern const struct verb verb_run, verb_start, verb_exec, verb_attach, verb_cp, verb_ps, verb_top,
	verb_stats, verb_logs, verb_limit, verb_pause, verb_resume, verb_snapshot, verb_restore,
	verb_fork, verb_stop, verb_kill, verb_wait, verb_rm, verb_prune, verb_publish,
	verb_unpublish, verb_share, verb_unshare, verb_ports, verb_policy, verb_audit, verb_why,
	verb_ask, verb_image, verb_template, verb_doctor, verb_bench, verb_help, verb_version;

/* What `cordon version` calls the source: main() knows it, the library does not (vmm/revision.h).
 */
extern const char *version_revision;

/* NULL if there is none of that name. */
const struct verb *verb_find(const char *name);

/*
 * -EINVAL with a message that says how a verb is called; subverb: the name of its subverb, or NULL.
 */
int verb_usage_error(const struct verb *verb, const char *subverb, const char *what,
		     struct err *err);

/* How many arguments besides options a verb takes, and the question that too few lead to. */
struct verb_words {
	const struct verb *verb;
	const char *subverb; /* or NULL */
	int least, most;
	const char *missing; /* "which sandbox?"; NULL if least is 0 */
};

#define VERB_WORDS_ANY INT_MAX

/*
 * Parses the options of such a verb , which may stand anywhere before "--". Its other arguments
 * are then argv[1] and up. Returns their number, OPTIONS_HELP, or -EINVAL with a message.
 */
int verb_words(const struct verb_words *words, const struct option_set *sets, size_t sets_count,
	       int argc, char **argv, struct err *err);

/* -q: no warnings and no progress. Its argument is not used. */
extern const struct option_table quiet_option_table;
int quiet_set(void *arg, const char *value, struct err *err);

/* -EINVAL with a message that says what the word means here, or suggests the nearest verb. */
int verb_unknown(const char *name, struct err *err);

/* Runs it: argv[0] is its name. Prints errors. Returns the exit status. */
int verb_main(const struct verb *verb, int argc, char **argv);

/*
 * The same for the verb that argv[0] names; other tools' names of verbs, --help and --version are
 * taken, too. Prints errors. Returns the exit status.
 */
int verbs_main(int argc, char **argv);

#endif
