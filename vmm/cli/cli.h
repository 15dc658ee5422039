/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: verbs, options from tables, values, exit statuses.
 */
#ifndef CORDON_CLI_H
#define CORDON_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* Exit statuses that are not the command's own. */
#define EXIT_TIMEOUT	  124
#define EXIT_CORDON	  125 /* Cordon itself failed, or was called wrongly */
#define EXIT_NOT_RUNNABLE 126
#define EXIT_NOT_FOUND	  127
#define EXIT_SIGNAL_BASE  128

/* One verb: `cordon NAME ...`. argv[0] is the verb. Returns the exit status. */
struct verb {
	const char *name;
	const char *arguments; /* "[options] -- CMD ARGS" */
	const char *summary;
	int (*run)(int argc, char **argv);
	void (*help)(void); /* prints the options, or NULL */
};

/* The table of verbs, ended by a NULL name (vmm/main.c). */
extern const struct verb verbs[];

int cmd_run(int argc, char **argv);
void help_run(void);
int cmd_start(int argc, char **argv);
void help_start(void);
int cmd_exec(int argc, char **argv);
void help_exec(void);
int cmd_cp(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_prune(int argc, char **argv);
int cmd_ps(int argc, char **argv);
void help_ps(void);
int cmd_stats(int argc, char **argv);
void help_stats(void);
int cmd_logs(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_restore(int argc, char **argv);
void help_restore(void);
int cmd_fork(int argc, char **argv);
void help_fork(void);
int cmd_template(int argc, char **argv);
int cmd_image(int argc, char **argv);
void help_image(void);
int cmd_doctor(int argc, char **argv);
int cmd_policy(int argc, char **argv);
void help_policy(void);
int cmd_audit(int argc, char **argv);
void help_audit(void);
int cmd_why(int argc, char **argv);
void help_why(void);
int cmd_ask(int argc, char **argv);
void help_ask(void);

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
