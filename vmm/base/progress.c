/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/progress.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"

#define FIRST_NS    1000000000ull
#define INTERVAL_NS 250000000ull
#define WHAT_MAX    160 /* bytes: longer ones might not fit into a line */

static struct {
	bool on, shown;
	char what[TEXT_ROOM(WHAT_MAX)];
	uint64_t bytes, next_ns;
} progress;

static bool is_screen(void)
{
	const char *term = getenv("TERM");

	return log_enabled(LOG_LEVEL_WARNING) && isatty(STDERR_FILENO) && term &&
	       strcmp(term, "dumb") != 0;
}

/* Never waits for a terminal that has stopped. */
static bool put(const char *text, size_t length)
{
	struct pollfd waiting = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&waiting, 1, 0) == 1 && write(STDERR_FILENO, text, length) == (ssize_t)length;
}

void progress_begin(const char *fmt, ...)
{
	char raw[WHAT_MAX];
	va_list ap;

	progress_end();
	if (!is_screen())
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	progress.what[text_safe(progress.what, sizeof(progress.what) - 1, raw, strlen(raw), 0)] =
		'\0';
	progress.bytes = 0;
	progress.next_ns = clock_now_ns(CLOCK_MONOTONIC) + FIRST_NS;
	progress.on = true;
}

void progress_add(uint64_t bytes)
{
	char line[sizeof(progress.what) + 64];
	uint64_t now_ns;
	int length;

	if (!progress.on)
		return;
	progress.bytes += bytes;
	now_ns = clock_now_ns(CLOCK_MONOTONIC);
	if (now_ns < progress.next_ns)
		return;
	progress.next_ns = now_ns + INTERVAL_NS;
	length = snprintf(line, sizeof(line), "\rcordon: %s: %lluM\033[K", progress.what,
			  (unsigned long long)(progress.bytes >> 20));
	progress.shown |= put(line, (size_t)length);
}

void progress_hide(void)
{
	static const char erase[] = "\r\033[K";

	if (progress.shown)
		put(erase, strlen(erase));
	progress.shown = false;
}

void progress_end(void)
{
	progress_hide();
	progress.on = false;
}
