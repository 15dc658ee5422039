/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of `cordon attach` that begin with ':'. Most of them are another verb of cordon with
 * the sandbox's name put in: each is run by that verb, in a process of its own.
 */
#ifndef CORDON_CLI_ATTACH_COMMANDS_H
#define CORDON_CLI_ATTACH_COMMANDS_H

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/cli/attach_words.h"

/* What only `attach` itself can do. */
enum attach_action {
	ATTACH_NONE,   /* the command is done */
	ATTACH_DETACH, /* leave the shell running */
	ATTACH_QUIT,   /* end the shell */
	ATTACH_SHELL,  /* another shell: the words are the command's */
};

struct arguments;

struct attach_command {
	const char *name;
	const char *arguments; /* "" if none */
	const char *help;
	const char *verb;  /* that runs it, or NULL */
	const char *later; /* it is not there yet, and what to do instead; or NULL */
	enum attach_action action;
	/* Makes the verb's arguments of the line's words, for the sandbox `name`. */
	int (*make)(struct arguments *to, const char *name, const struct words *words,
		    struct err *err);
};

/* NULL-ended (by name). */
extern const struct attach_command attach_commands[];

/* NULL if there is none. */
const struct attach_command *attach_command_find(const char *name);

/* What goes on while a verb has the terminal: ready() when fd can be read, until it returns false.
 */
struct attach_idle {
	int fd;
	bool (*ready)(void *arg);
	void *arg;
};

/*
 * Runs a line that begins with ':' for the sandbox called name. idle: stdin and stdout are a
 * terminal, in its usual mode; NULL: they need not be. Prints errors. *status: as of the verb.
 * Returns what is left to do, and then the words, which the caller frees in any case.
 */
enum attach_action attach_command_run(const char *name, const char *line,
				      const struct attach_idle *idle, struct words *words,
				      int *status);

#endif
