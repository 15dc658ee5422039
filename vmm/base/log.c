/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bucket.h"
#include "vmm/base/clock.h"
#include "vmm/base/progress.h"
#include "vmm/base/text.h"

#define LINE_MAX_BYTES 1024

/* How long an error waits for a slow reader of stderr. While the reader stays stuck, further errors
 * do not wait. */
#define READER_MS 1000

static enum log_level log_level = LOG_LEVEL_WARNING;

static struct {
	pthread_mutex_t lock;
	struct bucket lines;
	unsigned long dropped;
} guest_rate = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.lines = {.rate = LOG_GUEST_SECOND, .burst = LOG_GUEST_SECOND},
};

void log_set_level(enum log_level level)
{
	log_level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_level;
}

/*
 * Whether stderr takes a line now. The caller may be the event loop, with the device lock held: a
 * reader that has stopped must not stall it.
 */
static bool stderr_ready(enum log_level level)
{
	static atomic_bool stuck;
	struct pollfd waiting = {.fd = STDERR_FILENO, .events = POLLOUT};
	int timeout = level == LOG_LEVEL_ERROR && !atomic_load(&stuck) ? READER_MS : 0, ret;

	do {
		ret = poll(&waiting, 1, timeout);
	} while (ret < 0 && errno == EINTR);
	atomic_store(&stuck, ret == 0);
	return ret != 0;
}

/*
 * Of a full pipe or disk the kernel may take a part. If stderr is gone there is nowhere to report
 * it.
 */
static void write_line(enum log_level level, const char *line, size_t length)
{
	ssize_t n;

	do {
		n = write(STDERR_FILENO, line, length);
		if (n > 0) {
			line += n;
			length -= (size_t)n;
		}
	} while (length > 0 && (n > 0 ? stderr_ready(level) : n < 0 && errno == EINTR));
}

/* One write(2) a line, so that lines of several processes on one stderr do not interleave. */
static void log_line(enum log_level level, const char *prefix, const char *fmt, va_list ap)
{
	static const char name[] = "cordon: ";
	char raw[LINE_MAX_BYTES], line[TEXT_ROOM(LINE_MAX_BYTES)];
	size_t used;

	used = (size_t)snprintf(raw, sizeof(raw), "%s%s", name, prefix);
	vsnprintf(raw + used, sizeof(raw) - used, fmt, ap);
	/* Messages contain file names and other untrusted text. */
	used = text_safe(line, sizeof(line), raw, strlen(raw), TEXT_TABS);
	line[used++] = '\n';
	if (!stderr_ready(level))
		return;
	progress_hide();
	write_line(level, line, used);
}

#define LOG_BODY(level, prefix)                   \
	do {                                      \
		va_list ap;                       \
                                                  \
		if (!log_enabled(level))          \
			return;                   \
		va_start(ap, fmt);                \
		log_line(level, prefix, fmt, ap); \
		va_end(ap);                       \
	} while (0)

void log_error(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_ERROR, "");
}

void log_warning(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_WARNING, "warning: ");
}

void log_info(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_INFO, "");
}

void log_debug(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_DEBUG, "debug: ");
}

void log_progress(const char *fmt, ...)
{
	va_list ap;

	if (!log_enabled(LOG_LEVEL_WARNING) || !isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	log_line(LOG_LEVEL_INFO, "", fmt, ap);
	va_end(ap);
}

/* Whether this line may be shown; *dropped: the lines dropped since the last one shown. */
static bool guest_rate_take(unsigned long *dropped)
{
	bool take;

	*dropped = 0;
	pthread_mutex_lock(&guest_rate.lock);
	take = bucket_try(&guest_rate.lines, clock_now_ns(CLOCK_MONOTONIC));
	if (take) {
		*dropped = guest_rate.dropped;
		guest_rate.dropped = 0;
	} else {
		guest_rate.dropped++;
	}
	pthread_mutex_unlock(&guest_rate.lock);
	return take;
}

void log_guest(const char *fmt, ...)
{
	unsigned long dropped;
	char prefix[64];

	if (!log_enabled(LOG_LEVEL_INFO) || !guest_rate_take(&dropped))
		return;
	if (dropped > 0)
		snprintf(prefix, sizeof(prefix), "guest (%lu lines dropped): ", dropped);
	else
		snprintf(prefix, sizeof(prefix), "guest: ");
	LOG_BODY(LOG_LEVEL_INFO, prefix);
}
