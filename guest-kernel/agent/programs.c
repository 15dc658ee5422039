/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes may execute: the kernel stops a process that opens or maps a file for execution,
 * the monitor decides, and the agent carries the messages between /proc/cordon and the link. Only
 * the guest's first process can open that file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

#define READS 16 /* in one round */

/* Commands whose program is being checked: why it was denied goes into the command's report. */
struct checked {
	uint32_t id; /* of the check; 0: the entry is free */
	pid_t pid;
};

static int cordon_fd = -1; /* -1: there are no rules */
static pid_t home;	   /* the process whose mount namespace's paths count, or 0 */
static struct checked checked[AGENT_CHECKS_MAX];

static int open_kernel(void)
{
	cordon_fd = openat(root_proc_fd, "cordon", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return cordon_fd < 0 ? -errno : 0;
}

static int give(uint32_t kind, uint32_t id, uint32_t value, uint32_t flags)
{
	const struct cordon_order order = {.kind = kind, .id = id, .value = value, .flags = flags};

	return write(cordon_fd, &order, sizeof(order)) == sizeof(order) ? 0 : -errno;
}

int programs_own_network(int users)
{
	const bool was_open = cordon_fd >= 0;
	int ret = was_open ? 0 : open_kernel();

	if (ret == 0)
		ret = give(CORDON_NETWORK, 0, (uint32_t)users, 0);
	if (!was_open)
		close_fd(&cordon_fd);
	return ret == -ENOENT ? 0 : ret;
}

/* Tells the kernel whose paths count. 0 or -errno. */
static int set_home(pid_t first)
{
	char path[32];
	int fd, ret;

	snprintf(path, sizeof(path), "%d/ns/mnt", (int)first);
	fd = openat(root_proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = give(CORDON_START, 0, (uint32_t)fd, 0);
	close(fd);
	return ret;
}

int programs_home(pid_t first)
{
	home = first;
	return cordon_fd < 0 ? 0 : set_home(first);
}

/* Opens the kernel's end. 0 or -errno. */
static int begin(void)
{
	int ret = sandbox_enter();

	if (ret < 0 || cordon_fd >= 0)
		return ret;
	ret = open_kernel();
	if (ret < 0)
		return ret == -ENOENT ? -EOPNOTSUPP : ret;
	ret = set_home(home);
	if (ret < 0)
		close_fd(&cordon_fd);
	return ret;
}

uint32_t programs_rules(const struct agent *agent, uint32_t what)
{
	static uint32_t mode;
	int ret;

	if (what & ~(AGENT_EXEC_CHECKS | AGENT_EXEC_EVENTS | AGENT_EXEC_NO_PTRACE))
		return EINVAL;
	/* A workload that could mount as it liked may have given files other paths. */
	if (what & ~mode & AGENT_EXEC_CHECKS && agent->worked)
		return EBUSY;
	if (cordon_fd < 0 && !what)
		return 0;
	what |= mode & AGENT_EXEC_CHECKS;
	ret = begin();
	if (ret == 0)
		ret = give(CORDON_MODE, 0,
			   (what & AGENT_EXEC_CHECKS ? CORDON_CHECKS : 0) |
				   (what & AGENT_EXEC_EVENTS ? CORDON_EVENTS : 0) |
				   (what & AGENT_EXEC_NO_PTRACE ? CORDON_NO_PTRACE : 0),
			   0);
	if (ret == 0) {
		mode = what;
		ret = give(CORDON_FORGET, 0, 0, 0);
	}
	return (uint32_t)-ret;
}

unsigned programs_watch(const struct agent *agent, struct pollfd *fds)
{
	if (cordon_fd < 0 || !agent->link.welcomed || agent->link.out_used >= LINK_OUT_DATA)
		return 0;
	fds[0] = (struct pollfd){.fd = cordon_fd, .events = POLLIN};
	return 1;
}

/* Notes that the check is about a command's program. */
static void note_command(const struct agent *agent, const struct cordon_record *record)
{
	unsigned i, free = 0;

	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		if (agent->commands[i] && agent->commands[i]->pid == (pid_t)record->pid)
			break;
	while (free < AGENT_CHECKS_MAX && checked[free].id)
		free++;
	if (i < AGENT_COMMANDS_MAX && free < AGENT_CHECKS_MAX)
		checked[free] = (struct checked){.id = record->id, .pid = (pid_t)record->pid};
}

/* Takes a note: the command's process, or 0. */
static pid_t take_note(uint32_t id)
{
	unsigned i;
	pid_t pid;

	for (i = 0; i < AGENT_CHECKS_MAX; i++) {
		if (checked[i].id != id)
			continue;
		pid = checked[i].pid;
		checked[i].id = 0;
		return pid;
	}
	return 0;
}

static void check(struct agent *agent, const struct cordon_record *record, const char *paths)
{
	uint32_t length = (uint32_t)record->path_length + record->program_length;
	uint8_t *payload = link_room(&agent->link, AGENT_CHECK_SIZE + length);

	if (!payload) {
		give(CORDON_VERDICT, record->id, EACCES, 0);
		return;
	}
	agent_put32(payload + AGENT_CHECK_AT_PID, record->inner_pid);
	agent_put32(payload + AGENT_CHECK_AT_UID,
		    link_uid(&agent->link, record->uid - SANDBOX_ID_BASE));
	agent_put32(payload + AGENT_CHECK_AT_FLAGS,
		    record->flags & CORDON_NO_PATH ? AGENT_CHECK_NO_PATH : 0);
	agent_put16(payload + AGENT_CHECK_AT_PATH, record->path_length);
	agent_put16(payload + AGENT_CHECK_AT_PROGRAM, record->program_length);
	memcpy(payload + AGENT_CHECK_SIZE, paths, length);
	link_commit(&agent->link, AGENT_EXEC_CHECK, 0, record->id, AGENT_CHECK_SIZE + length);
	note_command(agent, record);
}

/* The kernel's events are the payload of a HAPPENED, but for the user ids. */
static void happened(struct agent *agent, uint8_t *events, uint32_t length)
{
	uint32_t at = 0, uid;

	while (length - at >= AGENT_EVENT_SIZE) {
		uid = agent_get32(events + at + AGENT_EVENT_AT_UID) - SANDBOX_ID_BASE;
		agent_put32(events + at + AGENT_EVENT_AT_UID, link_uid(&agent->link, uid));
		at += AGENT_EVENT_SIZE + agent_get16(events + at + AGENT_EVENT_AT_PATH) +
		      agent_get16(events + at + AGENT_EVENT_AT_ARGUMENTS);
	}
	link_send(&agent->link, AGENT_HAPPENED, 0, 0, events, length);
}

/* Passes one record on. False: there is none. *more: another one is there. */
static bool pass_on(struct agent *agent, bool *more)
{
	static union {
		struct cordon_record record;
		char bytes[CORDON_RECORD_MAX];
	} from;
	struct link *link = &agent->link;
	char *rest = from.bytes + sizeof(from.record);

	*more = false;
	if (read(cordon_fd, &from, sizeof(from)) < (ssize_t)sizeof(from.record))
		return false;
	*more = from.record.flags & CORDON_MORE;
	if (from.record.kind == CORDON_BATCH) {
		if (link->takes_checks)
			happened(agent, (uint8_t *)rest, from.record.id);
	} else if (from.record.kind == CORDON_GONE) {
		take_note(from.record.id);
		link_send(link, AGENT_EXEC_GONE, 0, from.record.id, NULL, 0);
	} else if (link->takes_checks) {
		check(agent, &from.record, rest);
	} else {
		give(CORDON_VERDICT, from.record.id, EACCES, 0);
	}
	return true;
}

void programs_handle(struct agent *agent, const struct pollfd *fds, unsigned count)
{
	bool more = true;
	unsigned i;

	if (count == 0 || !fds[0].revents)
		return;
	for (i = 0; i < READS && agent->link.out_used < LINK_OUT_DATA && more; i++)
		pass_on(agent, &more);
	/* A process stands still: no other frame is worth a wait. */
	link_flush(&agent->link);
}

void programs_flush(struct agent *agent)
{
	bool more;
	unsigned i;

	for (i = 0; i < READS && cordon_fd >= 0 && agent->link.out_used < LINK_OUT_DATA; i++)
		if (!pass_on(agent, &more))
			return;
}

/* Puts the reason of a denial where the command's process finds it. */
static void explain(struct agent *agent, pid_t pid, const uint8_t *text, size_t length)
{
	unsigned i;

	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		struct command *command = agent->commands[i];

		if (!command || command->pid != pid || !command->report || length == 0)
			continue;
		snprintf(command->report->text, sizeof(command->report->text), "%.*s", (int)length,
			 (const char *)text);
		command->report->denied = 1;
	}
}

void programs_verdict(struct agent *agent, struct agent_header header, const uint8_t *payload)
{
	uint32_t error = agent_get32(payload + AGENT_VERDICT_AT_ERRNO);
	pid_t pid = take_note(header.id);

	if (cordon_fd < 0)
		return;
	if (pid && error)
		explain(agent, pid, payload + AGENT_VERDICT_SIZE,
			header.length - AGENT_VERDICT_SIZE);
	give(CORDON_VERDICT, header.id, error ? EACCES : 0,
	     header.flags & AGENT_VERDICT_REMEMBER ? CORDON_REMEMBER : 0);
}

void programs_lost(void)
{
	memset(checked, 0, sizeof(checked));
	if (cordon_fd < 0)
		return;
	/* A copy of the sandbox may have another policy. */
	give(CORDON_FORGET, 0, 0, 0);
	give(CORDON_AGAIN, 0, 0, 0);
}
