/* SPDX-License-Identifier: Apache-2.0 */
/* cordon top: what a sandbox does, or all of them, refreshed in place. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/base/signals.h"
#include "vmm/cli/print.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/top_page.h"
#include "vmm/cli/top_view.h"
#include "vmm/cli/verb.h"

#define INTERVAL_NS	1000000000ull
#define INTERVAL_MIN_NS 100000000ull

#define CTRL_C 3
#define CTRL_D 4

struct top {
	bool once, json;
	uint64_t interval_ns;
	struct top_view view;
	/* On a terminal: */
	bool live;
	struct terminal terminal;
	int signal_fd;
	json_t *shown;
	int ended_by; /* a signal, or 0 */
};

static const struct option_entry entries[] = {
	{"once", 0, OPTION_FLAG, NULL, "print one page and end",
	 .offset = offsetof(struct top, once)},
	{"json", 0, OPTION_FLAG, NULL, "print a JSON object for each page",
	 .offset = offsetof(struct top, json)},
	{"interval", 0, OPTION_DURATION, "TIME", "time between pages (default: 1s)",
	 .offset = offsetof(struct top, interval_ns)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* --- the screen ------------------------------------------------------------------------------- */

/* As many lines as the screen has, so that nothing of the last page stays. */
static void draw(struct top *top)
{
	uint16_t rows, columns;
	struct top_size size;
	char *text, *line, *rest;
	unsigned i;

	if (!top->shown)
		return;
	terminal_window(&rows, &columns);
	size = (struct top_size){.rows = rows, .columns = columns};
	text = top_page(top->shown, size);
	fputs("\033[H", stdout);
	for (i = 0, rest = text; i < size.rows; i++) {
		line = rest ? strsep(&rest, "\n") : NULL;
		printf("%s\033[K%s", i > 0 ? "\r\n" : "", line ? line : "");
	}
	fflush(stdout);
	free(text);
}

/* Handles what the user or a signal wants. -EINTR: the end. */
static int take_input(struct top *top, bool signalled, bool typed)
{
	struct signalfd_siginfo info;
	char keys[64];
	ssize_t n, i;

	if (signalled && read(top->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH) {
			top->ended_by = (int)info.ssi_signo;
			return -EINTR;
		}
		draw(top);
	}
	if (!typed)
		return 0;
	n = read(STDIN_FILENO, keys, sizeof(keys));
	/* The terminal is gone. */
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		return -EINTR;
	for (i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == CTRL_C || keys[i] == CTRL_D)
			return -EINTR;
	return 0;
}

/* As in struct top_view. */
static int wait_for(void *arg, int fd, uint64_t deadline_ns)
{
	struct top *top = arg;
	struct pollfd ready[3] = {
		{.fd = fd, .events = POLLIN},
		{.fd = top->live ? top->signal_fd : -1, .events = POLLIN},
		{.fd = top->live ? STDIN_FILENO : -1, .events = POLLIN},
	};
	uint64_t now_ns;
	int left_ms, n, ret;

	for (;;) {
		now_ns = loop_now_ns();
		left_ms =
			deadline_ns > now_ns ? (int)((deadline_ns - now_ns + 999999) / 1000000) : 0;
		n = poll(ready, ARRAY_SIZE(ready), left_ms);
		if (n < 0 && errno != EINTR)
			return -EINTR;
		ret = n > 0 ? take_input(top, ready[1].revents, ready[2].revents) : 0;
		if (ret < 0)
			return ret;
		if (n > 0 && ready[0].revents)
			return 1;
		if (n == 0)
			return 0;
	}
}

/* --- pages ------------------------------------------------------------------------------------ */

/* Shows the data. False: the reader of stdout is gone. */
static bool show(struct top *top, json_t *data)
{
	char *text;

	json_decref(top->shown);
	top->shown = json_incref(data);
	if (top->json) {
		print_json(data, JSON_COMPACT | JSON_REAL_PRECISION(6));
	} else if (top->live) {
		draw(top);
	} else {
		text = top_page(data, (struct top_size){.rows = 0});
		fputs(text ? text : "", stdout);
		free(text);
	}
	return fflush(stdout) == 0;
}

static int show_pages(struct top *top, struct err *err)
{
	uint64_t next_ns;
	json_t *data;
	int ret;

	for (;;) {
		next_ns = loop_now_ns() + top->interval_ns;
		ret = top_view_read(&top->view, &data, err);
		if (ret < 0)
			return ret;
		ret = show(top, data) ? 0 : -EINTR;
		json_decref(data);
		if (ret == 0 && !top->once)
			ret = wait_for(top, -1, next_ns);
		if (ret < 0 || top->once)
			return ret;
	}
}

static int run_live(struct top *top, struct err *err)
{
	sigset_t before;
	int ret;

	sigprocmask(SIG_SETMASK, NULL, &before);
	top->signal_fd = signals_take(SIGNALS_OF_COMMAND, SFD_CLOEXEC);
	if (top->signal_fd < 0)
		return err_code(err, -top->signal_fd, "signalfd");
	terminal_enter(&top->terminal, STDIN_FILENO, STDOUT_FILENO);
	ret = show_pages(top, err);
	terminal_leave(&top->terminal);
	if (top->shown)
		putchar('\n');
	fflush(stdout);
	fd_close(&top->signal_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct top top;
	const struct option_set set = {&table, &top};
	static const struct verb_words words = {.verb = &verb_top, .most = 1};
	int ret;

	top = (struct top){.interval_ns = INTERVAL_NS, .signal_fd = -1};
	ret = verb_words(&words, &set, 1, argc, argv, err);
	if (ret < 0)
		return ret;
	top.view.name = ret > 0 ? argv[1] : NULL;
	if (top.interval_ns < INTERVAL_MIN_NS)
		return err_set(err, EINVAL, "top: --interval is at least 100ms");
	top.live = !top.once && !top.json && terminal_is_screen();
	top.once |= !top.live && !top.json;
	top.view.wait = wait_for;
	top.view.arg = &top;
	ret = top_view_open(&top.view, err);
	if (ret == 0)
		ret = top.live ? run_live(&top, err) : show_pages(&top, err);
	top_view_close(&top.view);
	json_decref(top.shown);
	if (ret == -EPIPE && top.live) {
		printf("%s has ended\n", top.view.name);
		return 0;
	}
	if (ret == -EINTR)
		return exit_status(0, top.ended_by);
	return ret;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_top = {
	.name = "top",
	.group = VERB_SANDBOXES,
	.usage = "[--once] [--json] [--interval TIME] [NAME]",
	.summary = "show what a sandbox does, or all of them, refreshed in place",
	.description =
		"Shows of the sandbox NAME its processes, sorted by processor time since the last "
		"page, its last denials with the rule, its live flows, and the files touched last. "
		"Without NAME: a line for each sandbox. `q` or Ctrl-C ends it.\n"
		"\n"
		"The list of processes is the guest's word: a guest can hide processes, and a "
		"process can call itself anything. Memory and processor time of the sandbox, "
		"denials, flows and files are what the monitor knows.",
	.options = tables,
	.notes =
		"The percentages of the first page are since the start of the sandbox and of each "
		"process. `age` of a flow, `TIME` and the like are as in `cordon stats` and top(1)."
		"\n\n"
		"Without a terminal, or with one that is `dumb`, it prints one page, as with "
		"`--once`, whose lines are not cut.",
	.see_also = "ps stats audit",
	.run = run,
};
