/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt of `cordon attach`. Either the operator edits a line here, while output of background
 * jobs and questions appear above it; or a program of the shell has the terminal, raw, until the
 * shell's mark says that it waits for a command again.
 */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/ttydefaults.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/signals.h"
#include "vmm/base/text.h"
#include "vmm/cli/attach_commands.h"
#include "vmm/cli/attach_complete.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/attach_repl.h"
#include "vmm/cli/verb.h"
#include "vmm/control/record.h"

#define KEY_DETACH  0x1d /* Ctrl-] */
#define KEY_COMMAND 0x1e /* Ctrl-^ */

/*
 * How long keys such as Ctrl-C wait for the command to start: before that, the shell's line editor
 * would take them for characters. A line that was typed ahead may keep the shell busy, though.
 */
#define START_MS 3000

/* --- events ----------------------------------------------------------------------------------- */

static void size_of_terminal(uint16_t *rows, uint16_t *columns)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row;
	*columns = size.ws_col;
}

static void take_signal(struct repl *repl)
{
	struct signalfd_siginfo info;
	uint16_t rows, columns;

	if (read(repl->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		size_of_terminal(&rows, &columns);
		shell_resize(&repl->shell, rows, columns);
		line_resize(repl->line);
		break;
	case SIGINT:
		line_feed(repl->line, "\003", 1);
		break;
	case SIGTERM:
	case SIGHUP:
		repl->leave = true;
		break;
	default:
		break;
	}
}

/* What is typed before the command starts waits for it, or for the prompt; keys that end a program
 * do not. */
static void take_typed_early(struct repl *repl, const char *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (bytes[i] == KEY_DETACH)
			repl->leave = true;
		else if (bytes[i] == KEY_COMMAND)
			repl->command_line = true;
		else if (bytes[i] == CTRL('C') || bytes[i] == CTRL('Z') || bytes[i] == CTRL('\\'))
			shell_send(&repl->shell, bytes + i, 1);
		else
			line_feed(repl->line, bytes + i, 1);
	}
}

static void take_typed(struct repl *repl)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n > 0 && repl->state == AT_SENT && !repl->command_line)
		take_typed_early(repl, bytes, (size_t)n);
	else if (n > 0)
		line_feed(repl->line, bytes, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		repl->leave = true; /* the terminal is gone */
}

/* Waits for one of everything, and handles it. */
static void wait_for_events(struct repl *repl, bool typed, int timeout_ms)
{
	struct shell *shell = &repl->shell;
	short out = shell_has_input(shell) ? POLLOUT : 0;
	struct pollfd ready[] = {
		{.fd = typed && !line_is_full(repl->line) ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = shell->stream_fd, .events = (short)(POLLIN | out)},
		{.fd = shell->socket_fd, .events = POLLIN},
		{.fd = repl->signal_fd, .events = POLLIN},
	};

	if (poll(ready, ARRAY_SIZE(ready), timeout_ms) <= 0)
		return;
	if (ready[1].revents & POLLOUT)
		shell_flush(shell);
	if (ready[1].revents & (POLLIN | POLLHUP | POLLERR)) {
		shell_read(shell);
		if (repl->state == AT_KEPT && shell->kept == 0)
			repl_end_kept(repl);
	}
	if (ready[2].revents && !repl->failed)
		repl->failed = shell_receive(shell, repl->err);
	if (ready[3].revents)
		take_signal(repl);
	if (ready[0].revents)
		take_typed(repl);
}

static bool is_over(const struct repl *repl)
{
	return repl->leave || repl->failed || (repl->shell.ended && repl->shell.stream_fd < 0);
}

/* --- a line ----------------------------------------------------------------------------------- */

static const char *make_prompt(void *arg)
{
	struct repl *repl = arg;
	char shown[TEXT_ROOM(DIRECTORY_SHOWN)], status[16] = "";
	const char *directory = repl->directory;
	size_t length = strlen(directory);

	if (repl->state == AT_PROGRAM || repl->state == AT_SENT) {
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

	wait_for_events(repl, true, timeout_ms);
	return is_over(repl);
}

static void complete(void *arg, const char *text, struct line_candidates *found)
{
	struct repl *repl = arg;

	attach_complete(repl->options->name, repl->pid, text, found);
}

static const struct line_ops line_ops = {make_prompt, wait_while_editing, complete};

/* Sends a line of the operator to the shell. */
static void send_line(struct repl *repl, const char *text)
{
	bool changed = false;
	struct err err;
	int ret;

	if (repl->state == AT_MORE)
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
	/* What was typed ahead without its end must not become part of this line. */
	if (repl->state == AT_PROMPT)
		shell_send(&repl->shell, "\025", 1);
	repl_send_next(repl);
}

static void switch_shell(struct repl *repl, const struct words *words);

/* A line that begins with ':'. */
static void run_command(struct repl *repl, const char *text)
{
	struct words words;
	enum attach_action action =
		attach_command_run(repl->options->name, text, true, &words, &repl->status);

	if (action == ATTACH_DETACH)
		repl->leave = true;
	else if (action == ATTACH_QUIT)
		send_line(repl, "exit");
	else if (action == ATTACH_SHELL)
		switch_shell(repl, &words);
	words_free(&words);
}

static void take_line(struct repl *repl, const char *text)
{
	if (repl->state != AT_MORE)
		line_remember(repl->line, text);
	if (text[0] == ':' && repl->state != AT_MORE)
		run_command(repl, text);
	else if (!repl->command_line)
		send_line(repl, text);
	else if (text[0])
		repl_notice(repl, "a program runs: only lines that begin with ':'");
	repl->command_line = false;
}

static void edit_line(struct repl *repl)
{
	const char *text;

	switch (line_read(repl->line, &text)) {
	case LINE_READ:
		take_line(repl, text);
		break;
	case LINE_EOF:
		if (repl->command_line)
			repl->command_line = false;
		else
			send_line(repl, "exit");
		break;
	case LINE_CANCELLED:
		if (repl->state == AT_MORE) {
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
		length = line_take(repl->line, bytes, sizeof(bytes));
		if (length == 0)
			return;
		for (i = 0; i < length; i++)
			if (bytes[i] == KEY_DETACH || bytes[i] == KEY_COMMAND)
				break;
		shell_send(&repl->shell, bytes, i);
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

	size_of_terminal(&rows, &columns);
	if (columns > 1)
		printf("%*s\r", columns - 1, "");
	fflush(stdout);
}

/* Until the shell waits for a line again. */
static void run_program(struct repl *repl)
{
	bool waits, shown = false;

	terminal_enter(&repl->terminal, STDIN_FILENO, STDOUT_FILENO);
	while (!is_over(repl) && !repl->command_line && repl->state != AT_PROMPT &&
	       repl->state != AT_MORE) {
		waits = repl->state == AT_SENT && !repl->started_late;
		wait_for_events(repl, !waits, waits ? START_MS : -1);
		if (waits && repl->state == AT_SENT)
			repl->started_late = true;
		shown = shown || repl->state == AT_PROGRAM;
		if (repl->state == AT_PROGRAM)
			pass_typed(repl);
	}
	terminal_leave(&repl->terminal);
	if (shown && repl->state == AT_PROMPT)
		start_line();
}

/* --- sessions --------------------------------------------------------------------------------- */

static int open_shell(struct repl *repl, unsigned number, bool fresh)
{
	uint16_t rows, columns;
	int ret = 0;

	size_of_terminal(&rows, &columns);
	repl->held_length = 0;
	repl->tabs = true;
	repl->state = AT_KEPT;
	repl->kept_state = AT_PROGRAM;
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
	while (!is_over(repl)) {
		if (repl->state == AT_PROMPT || repl->state == AT_MORE || repl->command_line)
			edit_line(repl);
		else
			run_program(repl);
	}
}

static int end_repl(struct repl *repl)
{
	int ret = repl->failed;

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
	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
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
