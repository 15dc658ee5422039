/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that a process takes through a descriptor, or that wait until it has cleaned up. */
#ifndef CORDON_BASE_SIGNALS_H
#define CORDON_BASE_SIGNALS_H

#include <stdbool.h>

/* Whether the process that started this one has left it ignored, as nohup does. */
bool signal_is_ignored(int number);

enum signals {
	/* SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH, to be passed on to a
	 * command; but for those that are ignored: they stay so. */
	SIGNALS_OF_COMMAND,
	SIGNALS_OF_DAEMON, /* SIGTERM and SIGINT, ignored or not */
};

/* Blocks these and returns a signalfd(2) for them, made with flags, or -errno. */
int signals_take(enum signals which, int flags);

/*
 * Between hold and release, the first SIGINT, SIGTERM or SIGHUP does not end the process at once:
 * work that would leave files behind looks at signals_arrived(), and undoes itself.
 * signals_release() then delivers the signal. A second one of the same kind ends the process at
 * once; those that are ignored or handled stay so. Calls do not nest.
 */
void signals_hold(void);
bool signals_arrived(void);
void signals_release(void);

#endif
