/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the prompt of `cordon attach`: attach_repl.c takes input, attach_output.c shows. */
#ifndef CORDON_CLI_ATTACH_REPL_H
#define CORDON_CLI_ATTACH_REPL_H

#include "vmm/cli/attach.h"
#include "vmm/cli/attach_line.h"
#include "vmm/cli/attach_shell.h"
#include "vmm/cli/terminal.h"
#include "vmm/control/registry.h"

/* Keys of Cordon's own while a program runs. */
#define KEY_DETACH  0x1d /* Ctrl-] */
#define KEY_COMMAND 0x1e /* Ctrl-^ */

#define DIRECTORY_SHOWN 40
#define KEPT_MAX	65536

enum state {
	AT_START,   /* a new shell: its set-up is not done */
	AT_KEPT,    /* earlier output comes */
	AT_PROMPT,  /* the shell waits for a command */
	AT_MORE,    /* it waits for the rest of one */
	AT_SENT,    /* a line was sent; the command has not started */
	AT_PROGRAM, /* the command runs */
};

struct repl {
	const struct attach_options *options;
	struct shell shell;
	struct line *line;
	struct terminal terminal;
	int signal_fd;
	enum state state, kept_state;
	bool command_line;   /* a line for Cordon is edited while a program runs */
	bool leave, tabs;    /* tabs: the shell takes them unchanged */
	bool program_pastes; /* the program has requested bracketed paste itself */
	bool alternate;	     /* the program shows the terminal's other screen */
	bool ahead;	     /* keys were sent that no program may have read */
	bool started_late;   /* the command takes long to start: keys go through */
	char *queue;	     /* lines that are sent one after the other, or NULL */
	char *next;	     /* of them */
	char held[KEPT_MAX]; /* output before the first mark, or since a line was sent */
	size_t held_length;
	bool verb_runs;	   /* a verb has the terminal: notices wait */
	char missed[4096]; /* they */
	size_t query;	   /* bytes of a question to the terminal that have come */
	int status;	   /* of the last line */
	unsigned pid;	   /* the shell's */
	char directory[MARKS_DIRECTORY_MAX + 1];
	char prompt[SANDBOX_NAME_MAX + 6 * DIRECTORY_SHOWN + 32];
	struct err *err;
	int failed; /* -errno, with a message in err */
};

/* Output of the shell and questions of the policy, for shell_connect(); the argument is a repl. */
extern const struct shell_ops repl_ops;

/* Waits at most timeout_ms (-1: any time) for one of all events, and handles it; typed: keys too.
 */
void repl_wait(struct repl *repl, bool typed, int timeout_ms);

/* Whether the operator leaves, or there is nothing left to be attached to. */
bool repl_is_over(const struct repl *repl);

/* A line of Cordon's own, wherever the cursor is. */
void repl_notice(struct repl *repl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends the next line of the queue, which is not empty. */
void repl_send_next(struct repl *repl);

/* All earlier output is there: what the program that runs has printed is shown again. */
void repl_end_kept(struct repl *repl);

#endif
