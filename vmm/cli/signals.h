/* SPDX-License-Identifier: Apache-2.0 */
/* The signals that a verb with a command takes itself, to pass them on. */
#ifndef CORDON_CLI_SIGNALS_H
#define CORDON_CLI_SIGNALS_H

#include <stdbool.h>

/* Whether whoever started us had it ignored. */
bool signal_is_ignored(int number);

/*
 * Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH, but for those that are
 * ignored, as nohup does: they stay so. Returns a signalfd(2) for them, made with flags, or -errno.
 */
int signals_take(int flags);

#endif
