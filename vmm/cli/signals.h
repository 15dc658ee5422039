/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that run and exec pass on to the command. */
#ifndef CORDON_CLI_SIGNALS_H
#define CORDON_CLI_SIGNALS_H

#include <stdbool.h>

/* Whether the parent process had the signal ignored. */
bool signal_is_ignored(int number);

/*
 * Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH and returns a signalfd(2)
 * for them, made with flags, or -errno. Signals that were ignored (by nohup) stay ignored.
 */
int signals_take(int flags);

#endif
