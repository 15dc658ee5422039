/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first process: connects, sends HELLO, sets up the guest, and serves for ever. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

static struct agent agent; /* zero-initialized, to take no space in the program file */

/* Retries at growing intervals, from 10 to 640 ms. */
static int connect_retry(void)
{
	struct timespec pause = {.tv_nsec = 10000000};
	int fd;

	while ((fd = connect_monitor(AGENT_PORT)) < 0) {
		if (pause.tv_nsec == 10000000)
			agent_log("no connection to the monitor: %s", strerror(-fd));
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 500000000)
			pause.tv_nsec *= 2;
	}
	return fd;
}

int main(void)
{
	int ret;

	agent.isolate = true;
	signal(SIGPIPE, SIG_IGN);
	serve_hello(&agent, connect_retry());
	/* The monitor's first frames arrive while the rest is set up. */
	prctl(PR_SET_DUMPABLE, 0);
	agent.reports = mmap(NULL, (AGENT_COMMANDS_MAX + 1) * sizeof(*agent.reports),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	agent.filter = mmap(NULL, sizeof(*agent.filter), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (agent.reports == MAP_FAILED || agent.filter == MAP_FAILED)
		return 1;
	files_prepare();
	root_prepare();
	guest_prepare();
	ret = sandbox_enter();
	if (ret < 0)
		agent_log("namespaces: %s", strerror(-ret));
	agent.spare.go = -1;
	agent.spare.wanted = true;
	for (;;) {
		serve(&agent);
		guest_reconnected();
		serve_hello(&agent, connect_retry());
	}
}
