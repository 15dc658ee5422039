/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

#include "vmm/base/bytes.h"

bool signal_is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int signals_take(enum signals which, int flags)
{
	static const int passed_on[] = {SIGINT,	 SIGTERM, SIGHUP,  SIGQUIT,
					SIGUSR1, SIGUSR2, SIGWINCH};
	sigset_t set;
	size_t i;
	int fd;

	sigemptyset(&set);
	if (which == SIGNALS_OF_DAEMON) {
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
	}
	for (i = 0; which == SIGNALS_OF_COMMAND && i < ARRAY_SIZE(passed_on); i++)
		if (!signal_is_ignored(passed_on[i]))
			sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, flags);
	return fd < 0 ? -errno : fd;
}
