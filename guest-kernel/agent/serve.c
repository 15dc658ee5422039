/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO, and the poll loop. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

_Static_assert(sizeof(CORDON_VERSION) <= AGENT_BUILD_MAX, "the version goes into the greeting");

/* A first process that sleeps for this many milliseconds is not about to die. */
#define ENDING_CALM 20

static volatile sig_atomic_t child_ended;

static void on_child(int number)
{
	(void)number;
	child_ended = 1;
}

void serve_hello(struct agent *agent, int fd)
{
	uint8_t payload[AGENT_HELLO_SIZE + AGENT_BUILD_MAX] = {0};
	const char build[] = CORDON_VERSION;
	struct link *link = &agent->link;

	link->fd = fd;
	link->lost = link->welcomed = link->takes_proposals = link->takes_memory =
		link->takes_checks = false;
	link->in_used = link->out_head = link->out_used = 0;
	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put16(payload + AGENT_HELLO_AT_MINOR, AGENT_VERSION_MINOR);
	agent_put32(payload + AGENT_HELLO_AT_CONNECTIONS, ++agent->connections);
	agent_put32(payload + AGENT_HELLO_AT_FEATURES,
		    AGENT_FEATURE_VIRTIOFS | AGENT_FEATURE_NETWORK | AGENT_FEATURE_LIMITS |
			    AGENT_FEATURE_FORWARD | AGENT_FEATURE_REHEARSE | AGENT_FEATURE_MAC |
			    AGENT_FEATURE_PROCESSES | AGENT_FEATURE_DENIALS |
			    AGENT_FEATURE_FILES_CPU | AGENT_FEATURE_FILTER | AGENT_FEATURE_EXEC |
			    AGENT_FEATURE_IPV6 | AGENT_FEATURE_USERS | AGENT_FEATURE_MEMORY |
			    AGENT_FEATURE_UNMOUNT | AGENT_FEATURE_SEAL);
	memcpy(payload + AGENT_HELLO_SIZE, build, sizeof(build) - 1);
	link_send(link, AGENT_HELLO, 0, 0, payload, AGENT_HELLO_SIZE + sizeof(build) - 1);
	link_flush(link);
}

/* Reaps all ended children. True if one of them was a command. */
static bool reap_all(struct agent *agent)
{
	bool commands = false;
	struct rusage usage;
	int status;
	unsigned i;
	pid_t pid;
	uint32_t kind;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		for (i = 0; i < AGENT_COMMANDS_MAX; i++)
			if (agent->commands[i] && agent->commands[i]->pid == pid)
				break;
		if (i < AGENT_COMMANDS_MAX) {
			command_ended(agent->commands[i], status, &usage);
			commands = true;
		} else if (spare_ended(agent, pid) || rehearsal_ended(agent, pid)) {
			continue;
		} else if (pid == agent->mount_pid) {
			mount_ended(agent, status);
		} else if (forward_ended(pid) || processes_ended(agent, pid) ||
			   files_ended(agent, pid, status)) {
			continue;
		} else if (agent->isolate && sandbox_died(pid, status, &kind) && kind) {
			frames_power(agent, kind);
		}
	}
	return commands;
}

/*
 * The command that has powered off the sandbox must not look like one that has simply ended. The
 * first process sleeps now and then while it dies, so one look is not enough.
 */
static void reap(struct agent *agent)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	unsigned calm = 0;

	if (!reap_all(agent) || !agent->isolate || !sandbox_ending())
		return;
	while (calm < ENDING_CALM) {
		nanosleep(&pause, NULL);
		reap_all(agent);
		calm = sandbox_ending() ? 0 : calm + 1;
	}
}

#define POLL_MAX (1 + 3 * AGENT_COMMANDS_MAX)

/* The descriptors of one poll, and the command slot and stream that each belongs to. */
struct watch {
	struct pollfd fds[POLL_MAX + 1 + PROPOSALS_WATCHED];
	struct {
		uint8_t slot, what;
	} of[POLL_MAX];
	nfds_t count;
	unsigned programs, proposals; /* of them, the last ones */
};

static void watch_add(struct watch *watch, int fd, short events, unsigned slot, unsigned what)
{
	watch->of[watch->count].slot = (uint8_t)slot;
	watch->of[watch->count].what = (uint8_t)what;
	watch->fds[watch->count++] = (struct pollfd){.fd = fd, .events = events};
}

/* Streams are 1 and 2 for output, 0 for input. Slots take turns to be first. */
static void watch_build(struct agent *agent, struct watch *watch, bool stuck)
{
	struct link *link = &agent->link;
	unsigned i, slot, stream;

	watch->count = 0;
	watch_add(watch, link->fd,
		  (short)((link->in_used < LINK_IN_SIZE && link->out_used < LINK_OUT_FRAMES ? POLLIN
											    : 0) |
			  (stuck ? POLLOUT : 0)),
		  0, 0);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		struct command *command =
			agent->commands[slot = (agent->turn + i) % AGENT_COMMANDS_MAX];

		if (!command)
			continue;
		for (stream = 1; stream <= 2; stream++)
			if (pump_wants_output(agent, command, stream))
				watch_add(watch, command->out[stream].fd, POLLIN, slot, stream);
		/* Without events poll still reports that the pipe's reader has gone. */
		if (command->in >= 0 && (command->buffer_used || !command->terminal))
			watch_add(watch, command->in, command->buffer_used ? POLLOUT : 0, slot, 0);
	}
	agent->turn = (agent->turn + 1) % AGENT_COMMANDS_MAX;
	watch->programs = programs_watch(agent, watch->fds + watch->count);
	watch->count += watch->programs;
	watch->proposals = proposals_watch(agent, watch->fds + watch->count);
	watch->count += watch->proposals;
}

static void watch_handle(struct agent *agent, struct watch *watch)
{
	nfds_t i, others = watch->count - watch->proposals - watch->programs;
	struct command *command;

	/* First: processes stand still for them. */
	programs_handle(agent, watch->fds + others, watch->programs);
	for (i = 1; i < others; i++) {
		command = agent->commands[watch->of[i].slot];
		if (!watch->fds[i].revents || !command)
			continue;
		if (watch->of[i].what)
			pump_output(agent, command, watch->of[i].what);
		else if (watch->fds[i].revents & (POLLERR | POLLHUP))
			pump_input_close(agent, command);
		else
			pump_input(agent, command);
	}
	proposals_handle(agent, watch->fds + watch->count - watch->proposals, watch->proposals);
}

static void finish(struct agent *agent)
{
	unsigned i;

	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		if (agent->commands[i])
			pump_finish(agent, agent->commands[i]);
}

/* While a command runs, replies wait until nothing else happens, so that all frames of a short
 * command go in one packet. They wait for no more rounds or bytes than this. If all of them are
 * LINK_LATER, nothing else happens once agent->hold_ns have passed. */
#define HOLD_ROUNDS 6
#define HOLD_BYTES  4096

struct hold {
	size_t stuck; /* bytes that the socket has not taken */
	unsigned rounds;
	uint64_t until_ns; /* LINK_LATER frames wait; 0: there were none */
};

static bool any_command(const struct agent *agent)
{
	unsigned i = 0;

	while (i < AGENT_COMMANDS_MAX && !agent->commands[i])
		i++;
	return i < AGENT_COMMANDS_MAX;
}

/* Not while a command runs: the spare would count as one of the workload's processes. */
static bool wants_spare(const struct agent *agent)
{
	return agent->spare.wanted && !any_command(agent);
}

/* How long to wait for something to happen while replies wait. */
static struct timespec patience(const struct agent *agent, struct hold *hold)
{
	uint64_t now;

	if (agent->link.wanted != LINK_LATER || !any_command(agent))
		return (struct timespec){0};
	now = now_ns();
	if (!hold->until_ns)
		hold->until_ns = now + agent->hold_ns;
	return (struct timespec){.tv_nsec =
					 hold->until_ns > now ? (long)(hold->until_ns - now) : 0};
}

static void send_replies(struct agent *agent, struct hold *hold, bool quiet)
{
	struct link *link = &agent->link;

	if (!quiet && link->wanted != LINK_NOW && link->out_used > hold->stuck &&
	    link->out_used < HOLD_BYTES && hold->rounds < HOLD_ROUNDS && any_command(agent)) {
		hold->rounds++;
		return;
	}
	link_flush(link);
	hold->stuck = link->out_used;
	hold->rounds = 0;
	hold->until_ns = 0;
	if (quiet && wants_spare(agent))
		spare_make(agent);
}

void serve(struct agent *agent)
{
	static struct watch watch;
	struct sigaction action = {.sa_handler = on_child};
	struct link *link = &agent->link;
	struct timespec wait = {0};
	struct hold hold = {0};
	sigset_t blocked, open;
	bool hurry;
	unsigned i;
	int ready;

	sigemptyset(&open);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGCHLD, &action, NULL);
	while (!link->lost) {
		watch_build(agent, &watch, link->out_used && link->out_used == hold.stuck);
		hurry = link->out_used > hold.stuck || wants_spare(agent);
		if (hurry)
			wait = patience(agent, &hold);
		ready = ppoll(watch.fds, watch.count, hurry ? &wait : NULL, &open);
		if (ready < 0)
			watch.count = 0;
		if (watch.count && watch.fds[0].revents & ~POLLOUT) {
			link_fill(link);
			frames_parse(agent);
		}
		if (watch.count)
			watch_handle(agent, &watch);
		if (child_ended) {
			child_ended = 0;
			reap(agent);
		}
		finish(agent);
		send_replies(agent, &hold, ready == 0);
		/* Handle frames that had to wait for room. */
		frames_parse(agent);
	}
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		if (agent->commands[i])
			command_drop(agent, agent->commands[i]);
	proposals_lost();
	programs_lost();
	free(agent->parts);
	agent->parts = NULL;
	agent->parts_used = 0;
	close_fd(&link->fd);
}
