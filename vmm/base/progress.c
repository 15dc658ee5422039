/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/progress.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/base/utf8.h"

#define FIRST_NS    1000000000ull
#define INTERVAL_NS 250000000ull

#define COLUMNS_MAX 200
#define FRAME	    32 /* columns for what stands around the name of the operation */

/* Other threads write lines, too, and hide it first. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	atomic_bool on; /* read without the lock: mostly there is nothing to do */
	char what[COLUMNS_MAX];
	uint64_t bytes, next_ns;
	int columns; /* that the line takes, or more; 0: it is not shown */
} progress;

/* Never waits for a terminal that has stopped. */
static bool put(const char *text, int length)
{
	struct pollfd waiting = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&waiting, 1, 0) == 1 && write(STDERR_FILENO, text, (size_t)length) == length;
}

/* A longer line than the terminal has columns could not be erased. */
static void set_what(const char *raw)
{
	char safe[TEXT_ROOM(COLUMNS_MAX)];
	struct winsize window = {.ws_col = 0};
	size_t length = text_safe(safe, sizeof(safe), raw, strlen(raw), 0), at = 0, taken, room;

	ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
	room = window.ws_col > 0 ? min_u64(window.ws_col, COLUMNS_MAX) : 80;
	room = room > FRAME ? room - FRAME : 0;
	/* A character takes no more columns than bytes. */
	while (at < length && (taken = utf8_length(safe + at, length - at)) > 0 &&
	       at + taken <= room)
		at += taken;
	memcpy(progress.what, safe, at);
	progress.what[at] = '\0';
}

static void hide(void)
{
	char blanks[COLUMNS_MAX + FRAME + 4];
	int length;

	if (progress.columns > 0) {
		length = snprintf(blanks, sizeof(blanks), "\r%*s\r", progress.columns, "");
		put(blanks, length);
	}
	progress.columns = 0;
}

void progress_begin(const char *fmt, ...)
{
	char raw[COLUMNS_MAX];
	va_list ap;

	progress_end();
	if (!log_enabled(LOG_LEVEL_WARNING) || !isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	set_what(raw);
	progress.bytes = 0;
	progress.next_ns = clock_now_ns(CLOCK_MONOTONIC) + FIRST_NS;
	progress.on = true;
	pthread_mutex_unlock(&lock);
}

static void show(void)
{
	char line[COLUMNS_MAX + FRAME + 1];
	uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
	int length;

	if (now_ns < progress.next_ns)
		return;
	progress.next_ns = now_ns + INTERVAL_NS;
	length = snprintf(line, sizeof(line), "\rcordon: %s: %llu MiB", progress.what,
			  (unsigned long long)(progress.bytes >> 20));
	if (put(line, length))
		progress.columns = length - 1;
}

void progress_add(uint64_t bytes)
{
	if (!atomic_load(&progress.on))
		return;
	pthread_mutex_lock(&lock);
	progress.bytes += bytes;
	show();
	pthread_mutex_unlock(&lock);
}

void progress_hide(void)
{
	if (!atomic_load(&progress.on))
		return;
	pthread_mutex_lock(&lock);
	hide();
	pthread_mutex_unlock(&lock);
}

void progress_end(void)
{
	pthread_mutex_lock(&lock);
	hide();
	progress.on = false;
	pthread_mutex_unlock(&lock);
}
