/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spare process: a child created before it is needed, which waits for the START of the command
 * that it will become. To create a process is a third of the cost of a short command; this way it
 * happens while no client waits, and for the first command it is part of the template.
 *
 * While it waits it is in the sandbox's process namespace and cgroup, but guest root in the agent's
 * other namespaces: the workload sees a process, and can't signal or trace it. Its only descriptors
 * are its three pipes, the pipe for START, and the pidfd of the sandbox's first process. The agent
 * checks a START before it writes it to the pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"

/* A message: the number of the command's report, the limit on open files, then the START. An empty
 * pipe takes it whole. */
#define MESSAGE_MAX  PIPE_BUF
#define MESSAGE_HEAD 8

/* The longest time that replies wait (less than a second). */
#define HOLD_NS_MAX 500000000u
/* Two grace periods of 3 ticks each, and some more. */
#define SETTLE_NS 80000000

/* The command that a guest runs once before it becomes a template. */
static const char rehearsal_program[] = "true";

static void __attribute__((noreturn))
spare_run(const struct agent *agent, const int theirs[3], const int go[2])
{
	static uint8_t message[MESSAGE_MAX];
	struct report *report;
	struct start start;
	int keep = go[0];
	char here = 0;
	ssize_t n;

	if (child_session(theirs, true) < 0)
		_exit(1);
	sandbox_keep(&keep);
	/* The workload sees it under this name. */
	child_name("spare");
	if (write(1, &here, 1) != 1)
		_exit(1);
	n = read(keep, message, sizeof(message));
	if (n <= MESSAGE_HEAD)
		_exit(0);
	close(keep);
	report = &agent->reports[agent_get32(message)];
	if (start_parse(&start, message + MESSAGE_HEAD, (size_t)n - MESSAGE_HEAD) < 0)
		_exit(EXIT_CORDON);
	start.open_files = agent_get32(message + 4);
	child_become(agent, &start, report);
}

/* Waits until the spare is set up: reads its byte, which is not output of the command. */
static int spare_wait(const struct spare *spare)
{
	ssize_t n;
	char here;

	fcntl(spare->command->out[1].fd, F_SETFL, 0);
	while ((n = read(spare->command->out[1].fd, &here, 1)) < 0 && errno == EINTR)
		;
	fcntl(spare->command->out[1].fd, F_SETFL, O_NONBLOCK);
	return n == 1 ? 0 : -EIO;
}

void spare_make(struct agent *agent)
{
	struct spare *spare = &agent->spare;
	int theirs[3] = {-1, -1, -1}, go[2] = {-1, -1}, ret, i;

	spare->wanted = false;
	if (spare->pid > 0 || !sandbox_there())
		return;
	spare->command = command_new();
	ret = command_pipes(spare->command, theirs);
	if (ret == 0 && pipe2(go, O_CLOEXEC) < 0)
		ret = -errno;
	if (ret == 0) {
		spare->pid = sandbox_fork();
		if (spare->pid == 0)
			spare_run(agent, theirs, go);
		ret = spare->pid < 0 ? -errno : 0;
	}
	for (i = 0; i < 3; i++)
		close_fd(&theirs[i]);
	close_fd(&go[0]);
	spare->go = go[1];
	if (ret == 0)
		ret = spare_wait(spare);
	/* The agent works without a spare. */
	if (ret < 0)
		spare_drop(agent);
}

/* Forgets the spare: its command is the caller's or gone, its process is reaped when it ends. */
static void spare_forget(struct spare *spare)
{
	close_fd(&spare->go);
	spare->command = NULL;
	spare->pid = 0;
}

void spare_drop(struct agent *agent)
{
	struct spare *spare = &agent->spare;

	if (spare->pid > 0) {
		kill(spare->pid, SIGKILL);
		while (waitpid(spare->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (spare->command)
		command_delete(spare->command);
	spare_forget(spare);
}

bool spare_ended(struct agent *agent, pid_t pid)
{
	if (agent->spare.pid <= 0 || pid != agent->spare.pid)
		return false;
	agent->spare.pid = 0;
	spare_drop(agent);
	return true;
}

struct command *spare_take(struct agent *agent, uint32_t report, const uint8_t *payload,
			   size_t length)
{
	struct spare *spare = &agent->spare;
	struct command *command = spare->command;
	uint8_t head[MESSAGE_HEAD];
	const struct iovec message[] = {{head, sizeof(head)}, {(void *)payload, length}};

	if (spare->pid <= 0 || length > MESSAGE_MAX - MESSAGE_HEAD)
		return NULL;
	agent_put32(head, report);
	agent_put32(head + 4, limits_open_files());
	agent->reports[report].status = agent->reports[report].denied = 0;
	command->started_ns = now_ns();
	if (writev(spare->go, message, 2) != (ssize_t)(MESSAGE_HEAD + length)) {
		spare_drop(agent); /* it was killed */
		return NULL;
	}
	command->pid = spare->pid;
	spare_forget(spare);
	return command;
}

/* --- the rehearsal ---------------------------------------------------------------------------- */

uint32_t rehearsal_start(struct agent *agent, uint32_t id)
{
	uint8_t payload[AGENT_START_SIZE + 2 + sizeof(rehearsal_program)] = {0};
	struct rehearsal *rehearsal = &agent->rehearsal;

	agent_put32(payload + AGENT_START_AT_ARGUMENTS, 1);
	memcpy(payload + AGENT_START_SIZE + 2, rehearsal_program, sizeof(rehearsal_program));
	spare_make(agent);
	rehearsal->command = spare_take(agent, AGENT_COMMANDS_MAX, payload, sizeof(payload));
	if (!rehearsal->command)
		return EAGAIN;
	rehearsal->id = id;
	rehearsal->connection = agent->connections;
	return 0;
}

bool rehearsal_ended(struct agent *agent, pid_t pid)
{
	struct rehearsal *rehearsal = &agent->rehearsal;
	const struct timespec settle = {.tv_nsec = SETTLE_NS};
	uint8_t reply[4] = {0};

	if (!rehearsal->command || pid != rehearsal->command->pid)
		return false;
	agent->hold_ns = 2 * (now_ns() - rehearsal->command->started_ns);
	if (agent->hold_ns > HOLD_NS_MAX)
		agent->hold_ns = HOLD_NS_MAX;
	command_delete(rehearsal->command);
	rehearsal->command = NULL;
	spare_make(agent);
	/*
	 * A template is taken next. Most kernel objects of the boot and of the rehearsal are freed
	 * after a grace period, by ticks; whatever were left, each copy would have to free.
	 */
	nanosleep(&settle, NULL);
	/* The connection of the request may have ended. */
	if (rehearsal->connection == agent->connections)
		link_send(&agent->link, AGENT_RESULT, 0, rehearsal->id, reply, sizeof(reply));
	return true;
}
