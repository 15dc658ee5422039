/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the agent channel: the real agent as a process of this machine. */
#ifndef CORDON_TEST_AGENT_REAL_H
#define CORDON_TEST_AGENT_REAL_H

#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/unit.h"

/*
 * Serves one connection, whose other end is *fd, and exits with 0. Without namespaces and mounts;
 * all else is what runs in a guest.
 */
static inline pid_t agent_spawn(int *fd)
{
	static struct agent agent;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0) {
		close(ends[1]);
		*fd = ends[0];
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_DFL); /* check(3) has its own handlers for these two */
	signal(SIGTERM, SIG_DFL);
	close(ends[0]);
	/* What the tests were started with is not the agent's: mark it all to close on exec. */
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	agent.reports = mmap(NULL, AGENT_COMMANDS_MAX * sizeof(*agent.reports),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	serve_hello(&agent, ends[1]);
	serve(&agent);
	_exit(0);
}

/* It ends by itself once its connection is gone. */
static inline void agent_wait(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
