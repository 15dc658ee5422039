/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/base/signals.h"
#include "vmm/cli/print.h"

#define INTERVAL_MIN_NS 100000000ull

#define CTRL_C 3
#define CTRL_D 4

/* --- the screen ------------------------------------------------------------------------------- */

/* As many lines as the screen has, so that nothing of the last page stays. */
static void draw(struct live *live)
{
	uint16_t rows, columns;
	struct top_size size;
	char *text, *line, *rest;
	unsigned i;

	if (!live->shown)
		return;
	terminal_window(&rows, &columns);
	size = (struct top_size){.rows = rows, .columns = columns};
	text = live->page(live->shown, size);
	fputs("\033[H", stdout);
	for (i = 0, rest = text; i < size.rows; i++) {
		line = rest ? strsep(&rest, "\n") : NULL;
		printf("%s\033[K%s", i > 0 ? "\r\n" : "", line ? line : "");
	}
	fflush(stdout);
	free(text);
}

/* Handles what the user or a signal wants. -EINTR: the end. */
static int take_input(struct live *live, bool signalled, bool typed)
{
	struct signalfd_siginfo info;
	char keys[64];
	ssize_t n, i;

	if (signalled && read(live->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH) {
			live->ended_by = (int)info.ssi_signo;
			return -EINTR;
		}
		draw(live);
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
	struct live *live = arg;
	struct pollfd ready[3] = {
		{.fd = fd, .events = POLLIN},
		{.fd = live->on_screen ? live->signal_fd : -1, .events = POLLIN},
		{.fd = live->on_screen ? STDIN_FILENO : -1, .events = POLLIN},
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
		ret = n > 0 ? take_input(live, ready[1].revents, ready[2].revents) : 0;
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
static bool show(struct live *live, json_t *data)
{
	char *text;

	json_decref(live->shown);
	live->shown = json_incref(data);
	if (live->json) {
		print_json(data, JSON_COMPACT | JSON_REAL_PRECISION(6));
	} else if (live->on_screen) {
		draw(live);
	} else {
		text = live->page(data, (struct top_size){.rows = 0});
		fputs(text ? text : "", stdout);
		free(text);
	}
	return fflush(stdout) == 0;
}

static int show_pages(struct live *live, struct err *err)
{
	uint64_t next_ns;
	json_t *data;
	int ret;

	for (;;) {
		next_ns = loop_now_ns() + live->interval_ns;
		ret = top_view_read(&live->view, &data, err);
		if (ret < 0)
			return ret;
		ret = show(live, data) ? 0 : -EINTR;
		json_decref(data);
		if (ret == 0 && !live->once)
			ret = wait_for(live, -1, next_ns);
		if (ret < 0 || live->once)
			return ret;
	}
}

static int run_on_screen(struct live *live, struct err *err)
{
	sigset_t before;
	int ret;

	sigprocmask(SIG_SETMASK, NULL, &before);
	live->signal_fd = signals_take(SIGNALS_OF_COMMAND, SFD_CLOEXEC);
	if (live->signal_fd < 0)
		return err_code(err, -live->signal_fd, "signalfd");
	terminal_enter(&live->terminal, STDIN_FILENO, STDOUT_FILENO);
	ret = show_pages(live, err);
	terminal_leave(&live->terminal);
	if (live->shown)
		putchar('\n');
	fflush(stdout);
	fd_close(&live->signal_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int live_run(struct live *live, const char *verb, struct err *err)
{
	int ret;

	if (live->interval_ns < INTERVAL_MIN_NS)
		return err_set(err, EINVAL, "%s: --interval is at least 100ms", verb);
	live->signal_fd = -1;
	live->on_screen = !live->once && !live->json && terminal_is_screen();
	live->once |= !live->on_screen && !live->json;
	live->view.wait = wait_for;
	live->view.arg = live;
	ret = top_view_open(&live->view, err);
	if (ret == 0)
		ret = live->on_screen ? run_on_screen(live, err) : show_pages(live, err);
	top_view_close(&live->view);
	json_decref(live->shown);
	live->shown = NULL;
	if (ret == -EPIPE && live->on_screen) {
		printf("%s has ended\n", live->view.name);
		return 0;
	}
	if (ret == -EINTR)
		return exit_status(0, live->ended_by);
	return ret;
}
