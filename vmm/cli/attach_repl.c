/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt of `cordon attach`. Either the operator edits a line here, while output of background
 * jobs and questions appear above it; or a program of the shell has the terminal, raw, until the
 * shell's mark says that it waits for a command again.
 */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/signals.h"
#include "vmm/base/text.h"
#include "vmm/cli/attach_commands.h"
#include "vmm/cli/attach_complete.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/attach_input.h"
#include "vmm/cli/attach_repl.h"
#include "vmm/control/record.h"

/*
 * How long keys such as Ctrl-C wait for the command to start: before that, the shell's line editor
 * would take them for characters. A line that was typed ahead may keep the shell busy, though.
 */
#define START_MS 3000

/* --- a line ----------------------------------------------------------------------------------- */

static const char *make_prompt(void *arg)
{
	struct repl *repl = arg;
	char shown[TEXT_ROOM(DIRECTORY_SHOWN)], status[16] = "";
	const char *directory = repl->directory;
	size_t length = strlen(directory);

	if (repl->command_line || (repl->state != AT_PROMPT && repl->state != AT_MORE)) {
		snprintf(repl->prompt, sizeof(repl->prompt),
			 "%s (a program runs): ", repl->options->name);
		return repl->prompt;
	}
	if (repl->state == AT_MORE)
		return "> ";
	if (repl->status)
		snprintf(status, sizeof(status), "[%d] ", repl->status);
	if (length > DIRECTORY_SHOWN)
		directory += length - DIRECTORY_SHOWN;
	text_safe(shown, sizeof(shown), directory, strlen(directory), 0);
	snprintf(repl->prompt, sizeof(repl->prompt), "%s%s:%s%s$ ", status, repl->options->name,
		 length > DIRECTORY_SHOWN ? "..." : "", shown);
	return repl->prompt;
}

static int wait_while_editing(void *arg, int timeout_ms)
{
	struct repl *repl = arg;

	repl_wait(repl, true, timeout_ms);
	return repl_is_over(repl);
}

static void complete(void *arg, const char *text, struct line_candidates *found)
{
	struct repl *repl = arg;

	attach_complete(repl->options->name, repl->pid, text, found);
}

static const struct line_ops line_ops = {make_prompt, wait_while_editing, complete};

/* Sends a line of the operator to the shell. */
static void send_line(struct repl *repl, const char *text, bool more)
{
	bool changed = false;
	const char *clear;
	struct err err;
	int ret;

	free(repl->queue);
	repl->queue = repl->next = NULL;
	if (more)
		ret = encode_more(text, repl->tabs, &repl->queue, &changed, &err);
	else
		ret = encode_command(text, repl->tabs, &repl->queue, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return;
	}
	if (changed)
		repl_notice(repl,
			    "cordon: a tab became spaces: the sandbox's shell completes at tabs");
	repl->next = repl->queue;
	clear = repl->ahead ? encode_clear : encode_clear_end;
	shell_send(&repl->shell, clear, strlen(clear));
	repl->ahead = false;
	repl_send_next(repl);
}

static void switch_shell(struct repl *repl, const struct words *words);

/* Questions are taken while a verb runs, or the monitor would give this operator up. */
static bool take_message(void *arg)
{
	struct repl *repl = arg;

	if (!repl->failed)
		repl->failed = shell_receive(&repl->shell, repl->err);
	return !repl->failed;
}

/* A line that begins with ':'. */
static void run_command(struct repl *repl, const char *text)
{
	const struct attach_idle idle = {repl->shell.socket_fd, take_message, repl};
	enum attach_action action;
	struct words words;

	repl->verb_runs = true;
	action = attach_command_run(repl->options->name, text, &idle, &words, &repl->status);
	repl->verb_runs = false;
	fputs(repl->missed, stdout);
	repl->missed[0] = '\0';
	if (action == ATTACH_DETACH)
		repl->leave = true;
	else if (action == ATTACH_QUIT && repl->command_line)
		repl_notice(repl, "a program runs: end it first, or :detach");
	else if (action == ATTACH_QUIT)
		send_line(repl, "exit", false);
	else if (action == ATTACH_SHELL)
		switch_shell(repl, &words);
	words_free(&words);
}

/* more: when editing began, the shell waited for the rest of a command. */
static void take_line(struct repl *repl, const char *text, bool more)
{
	if (!more)
		line_remember(repl->line, text);
	if (text[0] == ':' && !more && line_was_pasted(repl->line))
		repl_notice(repl, "a pasted line is not run as a command of Cordon: %s", text);
	else if (text[0] == ':' && !more)
		run_command(repl, text);
	else if (!repl->command_line)
		send_line(repl, text, more);
	else if (text[0])
		repl_notice(repl, "a program runs: only lines that begin with ':'");
	repl->command_line = false;
}

static void edit_line(struct repl *repl)
{
	/* As shown to the operator: the guest can change the state while the line is edited. */
	bool more = repl->state == AT_MORE && !repl->command_line;
	const char *text;

	switch (line_read(repl->line, &text)) {
	case LINE_READ:
		take_line(repl, text, more);
		break;
	case LINE_EOF:
		if (!repl->command_line && !more) {
			send_line(repl, "exit", false);
			break;
		}
		/* The rest of a command will not come. */
		__attribute__((fallthrough));
	case LINE_CANCELLED:
		if (more) {
			repl->state = AT_PROGRAM;
			shell_send(&repl->shell, "\003", 1);
		}
		repl->command_line = false;
		break;
	case LINE_DETACHED:
		repl->leave = true;
		break;
	case LINE_STOPPED:
		break;
	}
}

/* --- a program -------------------------------------------------------------------------------- */

/* Sends on what was typed, up to a key of Cordon's own. */
static void pass_typed(struct repl *repl)
{
	char bytes[4096];
	size_t length, i;

	while (!repl->command_line && !repl->leave && !shell_has_input(&repl->shell)) {
		length = line_take(repl->line, repl->program_pastes, bytes, sizeof(bytes));
		if (length == 0)
			return;
		for (i = 0; i < length; i++)
			if (bytes[i] == KEY_DETACH || bytes[i] == KEY_COMMAND)
				break;
		shell_send(&repl->shell, bytes, i);
		repl->ahead |= i > 0;
		if (i == length)
			continue;
		repl->leave = bytes[i] == KEY_DETACH;
		repl->command_line = !repl->leave;
		line_feed(repl->line, bytes + i + 1, length - i - 1);
	}
}

/* The program has left the cursor anywhere: go to the start of a line, unless it is there. */
static void start_line(void)
{
	uint16_t rows, columns;

	terminal_window(&rows, &columns);
	if (columns > 1)
		printf("%*s\r", columns - 1, "");
	fflush(stdout);
}

/* A shell takes seconds to start where the guest is slow. The prompt takes the line's place. */
static void show_start(const struct repl *repl, bool starts)
{
	if (starts)
		printf("starting a shell in %s ...", repl->options->name);
	else
		fputs("\r\033[K", stdout);
	fflush(stdout);
}

/* Until the shell waits for a line again. */
static void run_program(struct repl *repl)
{
	bool waits, shown = false, starts = repl->state == AT_START;

	if (starts)
		show_start(repl, true);
	terminal_enter(&repl->terminal, STDIN_FILENO, STDOUT_FILENO);
	while (!repl_is_over(repl) && !repl->command_line && repl->state != AT_PROMPT &&
	       repl->state != AT_MORE) {
		waits = repl->state == AT_SENT && !repl->started_late;
		repl_wait(repl, !waits, waits ? START_MS : -1);
		if (waits && repl->state == AT_SENT)
			repl->started_late = true;
		shown = shown || repl->state == AT_PROGRAM;
		if (repl->state == AT_PROGRAM)
			pass_typed(repl);
	}
	if (starts)
		show_start(repl, false);
	terminal_leave(&repl->terminal);
	if (shown && repl->state == AT_PROMPT)
		start_line();
}

/* --- sessions --------------------------------------------------------------------------------- */

static int open_shell(struct repl *repl, unsigned number, bool fresh)
{
	uint16_t rows, columns;
	int ret = 0;

	terminal_window(&rows, &columns);
	repl->held_length = 0;
	repl->tabs = true;
	repl->state = AT_KEPT;
	repl->kept_state = AT_PROGRAM;
	repl->ahead = true; /* perhaps by the client before */
	if (number || !fresh)
		ret = shell_attach(&repl->shell, number, rows, columns, repl->err);
	if (ret > 0) {
		repl_notice(repl, "attached to shell %u of %s", repl->shell.number,
			    repl->options->name);
		if (repl->shell.kept == 0)
			repl_end_kept(repl);
		return 0;
	}
	repl->state = AT_START;
	repl->ahead = false;
	return ret < 0 ? ret : shell_start(&repl->shell, rows, columns, repl->err);
}

static void switch_shell(struct repl *repl, const struct words *words)
{
	unsigned number = words->count > 1 ? (unsigned)strtoul(words->word[1], NULL, 10) : 0;

	if (words->count > 2 || (words->count == 2 && number == 0)) {
		log_error(":shell takes the number of a job, see :jobs");
		return;
	}
	repl_notice(repl, "shell %u goes on", repl->shell.number);
	shell_detach(&repl->shell);
	if (open_shell(repl, number, number == 0) == 0)
		return;
	/* Back to where the operator was. */
	log_error("%s", repl->err->text);
	repl->failed = open_shell(repl, repl->shell.number, false);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_repl(struct repl *repl)
{
	char history[PATH_MAX];
	bool kept = record_file(repl->options->name, "history", history, repl->err) == 0;
	int ret = line_open(&repl->line, &line_ops, repl, kept ? history : NULL, repl->err);

	if (ret == 0)
		ret = shell_connect(&repl->shell, repl->options->name, &repl_ops, repl, repl->err);
	if (ret == 0) {
		repl->signal_fd = signals_take(SIGNALS_OF_COMMAND, SFD_CLOEXEC);
		if (repl->signal_fd < 0)
			ret = err_code(repl->err, -repl->signal_fd, "signals");
	}
	if (ret == 0)
		ret = open_shell(repl, repl->options->session, repl->options->fresh);
	return ret;
}

static void run_repl(struct repl *repl)
{
	while (!repl_is_over(repl)) {
		if (repl->state == AT_PROMPT || repl->state == AT_MORE || repl->command_line)
			edit_line(repl);
		else
			run_program(repl);
	}
}

/* What a program that still runs may have set. */
static void reset_terminal(const struct repl *repl)
{
	if (repl->alternate)
		fputs("\033[?1049l", stdout);
	/* Mouse reports, focus reports, cursor keys, a hidden cursor, colours. */
	fputs("\033[?1000l\033[?1002l\033[?1003l\033[?1004l\033[?1006l" PASTE_OFF
	      "\033[?1l\033[?25h\033[0m",
	      stdout);
	/* Before any message about the end, which the other screen would take with it. */
	fflush(stdout);
}

static int end_repl(struct repl *repl)
{
	int ret = repl->failed;

	reset_terminal(repl);
	if (repl->shell.ended && ret == 0)
		ret = repl->shell.status;
	else if (ret == 0)
		repl_notice(repl, "detached: shell %u of %s goes on", repl->shell.number,
			    repl->options->name);
	/* Why a new shell has no prompt. */
	if (repl->state == AT_START && repl->held_length > 0)
		text_write(stdout, repl->held, repl->held_length, TEXT_LINES);
	return ret;
}

int attach_interactive(const struct attach_options *options, struct err *err)
{
	static struct repl repl;
	int ret;

	repl = (struct repl){.options = options, .signal_fd = -1, .err = err};
	repl.shell.socket_fd = repl.shell.stream_fd = -1;
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGTSTP, SIG_IGN);
	ret = open_repl(&repl);
	if (ret == 0) {
		run_repl(&repl);
		ret = end_repl(&repl);
	}
	shell_close(&repl.shell);
	line_close(repl.line);
	fd_close(&repl.signal_fd);
	free(repl.queue);
	return ret;
}
