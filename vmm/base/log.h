/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging to stderr, one line a message: "cordon: text".
 *
 * error: the operation failed. warning: odd but survivable. info: shown with --verbose, debug when
 * it is given twice. Messages that a guest can cause go through log_guest(), which is rate limited,
 * so that a guest cannot fill a disk or a terminal.
 *
 * A slow reader of stderr cannot stall the monitor: a line that the reader does not take is dropped
 * (an error after a wait of one second). Control characters are escaped (vmm/base/text.h).
 */
#ifndef CORDON_BASE_LOG_H
#define CORDON_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Drops messages above this level. Initially LOG_LEVEL_WARNING. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Says on a terminal what takes a while, unless warnings are off. Without a terminal there is
 * nothing to see: output of scripts stays as it is.
 */
void log_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define LOG_GUEST_SECOND 10

/*
 * A warning that the guest caused, shown at info level: LOG_GUEST_SECOND at most in the whole
 * process. The next line shown tells how many were dropped before it.
 */
void log_guest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
