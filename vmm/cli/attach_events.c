/* SPDX-License-Identifier: Apache-2.0 */
/* What happens at the prompt of `cordon attach`: keys, signals, the shell's output, messages. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/ttydefaults.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/attach_input.h"
#include "vmm/cli/attach_repl.h"

static void take_signal(struct repl *repl)
{
	struct signalfd_siginfo info;
	uint16_t rows, columns;

	if (read(repl->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		terminal_window(&rows, &columns);
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

/* Ctrl-C is also for the pasted lines that wait, as for what a terminal has typed ahead. */
static void drop_pasted(struct repl *repl)
{
	size_t dropped = line_drop_pasted(repl->line);

	if (dropped > 0)
		repl_notice(repl, "cordon: pasted text is dropped (%zu bytes)", dropped);
}

/* A new shell that is interrupted before it has its marks would never have them. */
static void interrupt(struct repl *repl, char key)
{
	if (repl->state != AT_START)
		shell_send(&repl->shell, &key, 1);
}

/* Takes a key that does not wait for its turn. Returns false if it is none. */
static bool take_key(struct repl *repl, char key, bool early, bool stuck)
{
	if (key == CTRL('C'))
		drop_pasted(repl);
	/* A program that takes no input cannot keep the operator. */
	if (key == KEY_DETACH && (early || stuck))
		repl->leave = true;
	else if (early && key == KEY_COMMAND)
		repl->command_line = true;
	else if (early && (key == CTRL('C') || key == CTRL('Z') || key == CTRL('\\')))
		interrupt(repl, key);
	else
		return false;
	return true;
}

/* What is typed before the command starts waits for it, or for the prompt; keys that end a program
 * do not. */
static void take_typed(struct repl *repl)
{
	bool early = !repl->command_line &&
		     (repl->state == AT_SENT || repl->state == AT_START || repl->state == AT_KEPT);
	bool stuck = line_is_full(repl->line) || shell_has_input(&repl->shell);
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes)), i;

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		repl->leave = true; /* the terminal is gone */
	for (i = 0; i < n; i++)
		if (line_is_pasting(repl->line) || !take_key(repl, bytes[i], early, stuck))
			line_feed(repl->line, bytes + i, 1);
	if (line_has_overflowed(repl->line))
		repl_notice(repl, "cordon: pasted text is dropped: more than %u bytes of it wait",
			    INPUT_MAX);
}

void repl_wait(struct repl *repl, bool typed, int timeout_ms)
{
	struct shell *shell = &repl->shell;
	short out = shell_has_input(shell) ? POLLOUT : 0;
	struct pollfd ready[] = {
		{.fd = typed ? STDIN_FILENO : -1, .events = POLLIN},
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

bool repl_is_over(const struct repl *repl)
{
	return repl->leave || repl->failed || (repl->shell.ended && repl->shell.stream_fd < 0);
}
