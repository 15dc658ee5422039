/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/agent_real.h"

pid_t agent_spawn(int *fd)
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
	signal(SIGINT, SIG_DFL); /* the check library has its own handlers for these two */
	signal(SIGTERM, SIG_DFL);
	close(ends[0]);
	/* The agent must not inherit the tests' descriptors: mark all of them close-on-exec. */
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	agent.reports = mmap(NULL, (AGENT_COMMANDS_MAX + 1) * sizeof(*agent.reports),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	agent.filter = mmap(NULL, sizeof(*agent.filter), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	serve_hello(&agent, ends[1]);
	serve(&agent);
	_exit(0);
}

void agent_wait(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
