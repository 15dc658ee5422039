/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, from START to their end. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct command *command_find(struct agent *agent, uint32_t id)
{
	unsigned i;

	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		if (agent->commands[i] && agent->commands[i]->id == id)
			return agent->commands[i];
	return NULL;
}

static void __attribute__((format(printf, 4, 5)))
send_failed(struct link *link, uint32_t id, int error, const char *fmt, ...)
{
	uint8_t payload[AGENT_FAILED_SIZE + AGENT_MESSAGE_MAX];
	va_list args;
	int n;

	agent_put32(payload + AGENT_FAILED_AT_STATUS, EXIT_CORDON);
	agent_put32(payload + AGENT_FAILED_AT_ERRNO, (uint32_t)error);
	va_start(args, fmt);
	n = vsnprintf((char *)payload + AGENT_FAILED_SIZE, AGENT_MESSAGE_MAX, fmt, args);
	va_end(args);
	if (n >= (int)AGENT_MESSAGE_MAX)
		n = AGENT_MESSAGE_MAX - 1;
	link_send(link, AGENT_FAILED, 0, id, payload, AGENT_FAILED_SIZE + (size_t)n);
}

/* Makes a pipe whose end `ours` (0 or 1) is non-blocking; both ends close on exec. 0 or -errno. */
static int make_pipe(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[ours], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int command_pipes(struct command *command, int theirs[3])
{
	int fds[2], ret, i;

	for (i = 0; i < 3; i++) {
		fds[0] = fds[1] = -1;
		ret = make_pipe(fds, i == 0);
		theirs[i] = fds[i != 0];
		if (i == 0)
			command->in = fds[1];
		else
			command->out[i].fd = fds[0];
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int make_terminal(struct agent *agent, struct command *command, const struct start *start,
			 int theirs[3])
{
	int ret = sandbox_terminal(agent->isolate, &command->in, &theirs[0]);

	command->out[1].fd = command->in;
	command->out[2].eof_sent = true;
	if (ret < 0)
		return ret;
	command_resize(command, start->rows, start->columns);
	return 0;
}

/* A static array, as malloc() would map and unmap memory for a single command; unused entries take
 * no memory. The spare and the rehearsal have one entry each. */
static struct command pool[AGENT_COMMANDS_MAX + 2];

struct command *command_new(void)
{
	struct command *command = pool;

	while (command->used)
		command++;
	*command = (struct command){
		.used = true,
		.pid = -1,
		.in = -1,
		.out[0] = {.fd = -1},
		.out[1] = {.fd = -1, .credit = AGENT_WINDOW_OUTPUT},
		.out[2] = {.fd = -1, .credit = AGENT_WINDOW_OUTPUT},
		/* For the spare this is read while no client waits. */
		.memory_kills = limits_memory_kills(),
	};
	return command;
}

void command_delete(struct command *command)
{
	if (command->terminal)
		command->in = -1;
	close_fd(&command->in);
	close_fd(&command->out[1].fd);
	close_fd(&command->out[2].fd);
	free(command->buffer);
	command->used = false;
}

static void command_free(struct agent *agent, unsigned slot)
{
	command_delete(agent->commands[slot]);
	agent->commands[slot] = NULL;
	agent->spare.wanted = agent->isolate;
}

void command_forget(struct agent *agent, struct command *command)
{
	unsigned slot = 0;

	while (agent->commands[slot] != command)
		slot++;
	command_free(agent, slot);
}

/* Creates streams and process. 0, or -errno and in *what the part that failed. */
static int launch(struct agent *agent, struct command *command, struct report *report,
		  const struct start *start, const char **what)
{
	int theirs[3] = {-1, -1, -1}, ret, i;

	*what = command->terminal ? "a terminal" : "pipes";
	ret = command->terminal ? make_terminal(agent, command, start, theirs)
				: command_pipes(command, theirs);
	if (ret == 0) {
		*what = "a process";
		report->status = report->denied = 0;
		command->started_ns = now_ns();
		command->pid = agent->isolate ? sandbox_fork() : fork();
		if (command->pid == 0)
			child_run(agent, start, report, theirs);
		if (command->pid < 0)
			ret = -errno;
	}
	for (i = 0; i < 3; i++)
		close_fd(&theirs[i]);
	return ret;
}

/* Takes the spare process or creates a new one. NULL: a FAILED with the reason is queued. */
static struct command *make(struct agent *agent, uint32_t id, unsigned slot,
			    const struct start *start, const uint8_t *payload, size_t length)
{
	bool terminal = start->flags & AGENT_START_TERMINAL;
	struct command *command = terminal ? NULL : spare_take(agent, slot, payload, length);
	const char *what;
	int ret;

	if (command)
		return command;
	command = command_new();
	command->terminal = terminal;
	ret = launch(agent, command, &agent->reports[slot], start, &what);
	if (ret == 0)
		return command;
	send_failed(&agent->link, id, -ret, "cannot create %s in the sandbox: %s", what,
		    strerror(-ret));
	command_delete(command);
	return NULL;
}

void command_start(struct agent *agent, uint32_t id, uint8_t *payload, size_t length)
{
	struct command *command = NULL;
	struct start start;
	uint8_t pid[4];
	unsigned slot = 0;
	int ret = start_parse(&start, payload, length);

	if (ret == -EINVAL) {
		link_bad(&agent->link, "malformed START");
		return;
	}
	while (slot < AGENT_COMMANDS_MAX && agent->commands[slot])
		slot++;
	agent->worked = true;
	start.open_files = limits_open_files();
	if (ret < 0 || slot == AGENT_COMMANDS_MAX)
		send_failed(&agent->link, id, ENOMEM, "too many commands for the sandbox");
	else if (agent->isolate && (ret = sandbox_enter()) < 0)
		send_failed(&agent->link, id, -ret, "cannot create the sandbox's namespaces: %s",
			    strerror(-ret));
	else
		command = make(agent, id, slot, &start, payload, length);
	start_free(&start);
	if (!command)
		return;
	command->id = id;
	command->report = &agent->reports[slot];
	agent->commands[slot] = command;
	agent_put32(pid, (uint32_t)command->pid);
	link_send(&agent->link, AGENT_STARTED, 0, id, pid, sizeof(pid));
}

void command_signal(struct command *command, int number)
{
	if (command->dead)
		return;
	/* Before setsid() the child has no process group of its own. */
	if (kill(-command->pid, number) < 0 && errno == ESRCH)
		kill(command->pid, number);
}

void command_resize(struct command *command, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	if (command->terminal && command->out[1].fd >= 0)
		ioctl(command->out[1].fd, TIOCSWINSZ, &size);
}

void command_close(struct command *command)
{
	command_signal(command, SIGKILL);
	if (command->terminal)
		command->in = -1;
	close_fd(&command->in);
	close_fd(&command->out[1].fd);
	close_fd(&command->out[2].fd);
	free(command->buffer);
	command->buffer = NULL;
	command->buffer_used = 0;
}

void command_drop(struct agent *agent, struct command *command)
{
	command_signal(command, SIGKILL);
	command_forget(agent, command);
}

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

static void exited_fill(uint8_t *to, int status, const struct rusage *usage, uint64_t real_us)
{
	agent_put32(to + AGENT_EXITED_AT_CODE,
		    WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0);
	agent_put32(to + AGENT_EXITED_AT_SIGNAL,
		    WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0);
	agent_put64(to + AGENT_EXITED_AT_REAL_US, real_us);
	agent_put64(to + AGENT_EXITED_AT_USER_US, microseconds(&usage->ru_utime));
	agent_put64(to + AGENT_EXITED_AT_SYSTEM_US, microseconds(&usage->ru_stime));
	agent_put64(to + AGENT_EXITED_AT_MAX_RSS_KIB, (uint64_t)usage->ru_maxrss);
	agent_put64(to + AGENT_EXITED_AT_MINOR_FAULTS, (uint64_t)usage->ru_minflt);
	agent_put64(to + AGENT_EXITED_AT_MAJOR_FAULTS, (uint64_t)usage->ru_majflt);
	agent_put64(to + AGENT_EXITED_AT_BLOCKS_IN, (uint64_t)usage->ru_inblock);
	agent_put64(to + AGENT_EXITED_AT_BLOCKS_OUT, (uint64_t)usage->ru_oublock);
	agent_put64(to + AGENT_EXITED_AT_VOLUNTARY, (uint64_t)usage->ru_nvcsw);
	agent_put64(to + AGENT_EXITED_AT_INVOLUNTARY, (uint64_t)usage->ru_nivcsw);
}

static bool killed(int status)
{
	return WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
				   : WEXITSTATUS(status) == exit_status(0, SIGKILL);
}

/* Output written so far is still sent; other processes may keep the pipes open, without effect. */
void command_ended(struct command *command, int status, const struct rusage *usage)
{
	int waiting;
	unsigned i;

	command->dead = true;
	/* The kernel kills one process; a shell that waited for it often passes its status on. */
	command->out_of_memory = (killed(status) && limits_memory_kills() > command->memory_kills);
	exited_fill(command->exited, status, usage, (now_ns() - command->started_ns) / 1000);
	for (i = 1; i <= 2; i++) {
		if (command->out[i].fd < 0)
			continue;
		waiting = 0;
		if (command->terminal)
			waiting = AGENT_WINDOW_OUTPUT; /* its length is unknown */
		else
			ioctl(command->out[i].fd, FIONREAD, &waiting);
		command->out[i].left = (uint32_t)waiting;
	}
	if (command->terminal)
		command->in = -1;
	close_fd(&command->in);
	command->buffer_used = 0;
}
