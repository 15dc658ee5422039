/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shell in a sandbox that runs lines one after the other, for `cordon attach` without a terminal.
 * It keeps directory, variables and functions between lines. Its commands have an empty standard
 * input and no terminal; their output goes to stdout and stderr of this process unchanged.
 */
#ifndef CORDON_CLI_ATTACH_SCRIPT_H
#define CORDON_CLI_ATTACH_SCRIPT_H

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/cli/attach_marks.h"

/* Standard output or error of the shell. */
struct script_stream {
	struct script *script;
	int from_fd; /* -1: it has ended */
	int to_fd;
	struct marks marks;
	bool marked; /* it has shown the end of the line */
};

struct script {
	const char *name; /* of the sandbox */
	int socket_fd;
	int line_fd; /* to the shell, or -1 */
	struct script_stream stream[2];
	bool more; /* the line was not a whole command */
	bool started, ended;
	int status; /* of the last line */
};

void script_init(struct script *script, const char *name);

/*
 * Runs a line; starts the shell before the first. Returns 0 when it is done, with script->status; 1
 * if the command goes on in the next line; or -errno with a message. Nothing more can be run once
 * script->ended is set: the shell has exited.
 */
int script_run(struct script *script, const char *line, struct err *err);

/* The end of the lines: waits for the shell's end. 0 with script->status, or -errno. */
int script_finish(struct script *script, struct err *err);

/* Ends the shell, if it still runs, and closes all. */
void script_close(struct script *script);

#endif
