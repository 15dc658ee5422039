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

/* --- held until the work is undone ------------------------------------------------------------ */

static const int held[] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[ARRAY_SIZE(held)];
static volatile sig_atomic_t arrived; /* the first one's number, or 0 */

static void note(int number)
{
	if (!arrived)
		arrived = number;
}

void signals_hold(void)
{
	/* Without SA_RESTART: a read of a pipe ends, too. */
	const struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};
	size_t i;

	arrived = 0;
	for (i = 0; i < ARRAY_SIZE(held); i++)
		if (sigaction(held[i], NULL, &before[i]) == 0 && before[i].sa_handler == SIG_DFL)
			sigaction(held[i], &action, NULL);
}

bool signals_arrived(void)
{
	return arrived != 0;
}

void signals_release(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(held); i++)
		if (before[i].sa_handler == SIG_DFL)
			sigaction(held[i], &before[i], NULL);
	if (arrived)
		raise((int)arrived);
	arrived = 0;
}
