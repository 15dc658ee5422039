/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging to stderr, one line a message: "cordon: text".
 *
 * error: what was asked failed. warning: odd but survivable. info: shown with -v. debug: with -vv.
 * What a guest can cause goes through log_guest(), which is rate limited, so that a guest cannot
 * fill a disk or a terminal.
 *
 * Nobody waits for a reader of stderr: a line that it does not take is lost (an error only after a
 * second). What a terminal would obey is spelled out (vmm/base/text.h).
 */
#ifndef CORDON_BASE_LOG_H
#define CORDON_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above this level are dropped. Starts at LOG_LEVEL_WARNING. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A warning that the guest caused (shown at info level): at most 10 a second in the whole process;
 * what was dropped is counted in the next line that is shown.
 */
void log_guest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
