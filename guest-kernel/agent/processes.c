/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists the processes of the sandbox, as its own /proc shows them.
 *
 * A child of the agent reads /proc: reading a command line takes a lock of that process and its
 * memory, for which a workload could make the reader wait. The child first notes what needs no such
 * lock, then the command lines; when its time is over, a signal ends it, and the agent sends what
 * it has noted by then in shared memory.
 */
#include "guest-kernel/agent/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"

/* Time for the list; so many processes take more on a host that is slow. */
#define LIST_US	   600000
#define LIST_LEAST 24
/* A child that takes longer waits for a process. */
#define HANG_SECONDS 4
#define TICK_US	     10000u /* the unit of times in /proc/PID/stat */
#define PAGE_KIB     4u
/* The positions in /proc before this one are of files that are no process. */
#define FIRST_PROCESS 256

/* --- reading /proc ---------------------------------------------------------------------------- */

/* Reads a file of a process: the bytes read, 0 if there are none or the process has gone. */
static size_t read_file(int proc, uint32_t pid, const char *file, char *to, size_t size)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%u/%s", pid, file);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	n = read(fd, to, size);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

/* The decimal number at *at, which is moved behind it and one space; a sign is skipped. */
static uint64_t number(const char **at)
{
	uint64_t value = 0;

	if (**at == '-')
		++*at;
	for (; **at >= '0' && **at <= '9'; ++*at)
		value = value * 10 + (uint64_t)(**at - '0');
	if (**at == ' ')
		++*at;
	return value & INT64_MAX;
}

/* Takes /proc/PID/stat apart: "12 (name) S 1 ...". The name may hold any characters. */
static bool parse_stat(struct listed *listed, char *text, size_t length)
{
	uint64_t fields[25] = {0};
	const char *name, *at;
	unsigned i;

	text[length] = '\0';
	name = memchr(text, '(', length);
	at = memrchr(text, ')', length);
	if (!name || !at || at < name || at + 3 > text + length || !at[2] ||
	    !strchr(AGENT_PROCESS_STATES, at[2]))
		return false;
	name++;
	listed->state = (uint8_t)at[2];
	listed->flags = AGENT_PROCESS_NAME;
	listed->length = (uint16_t)(at - name < (ssize_t)sizeof(listed->text)
					    ? at - name
					    : (ssize_t)sizeof(listed->text));
	memcpy(listed->text, name, listed->length);
	at += at[3] ? 4 : 3;
	for (i = 4; i < sizeof(fields) / sizeof(fields[0]) && *at; i++)
		fields[i] = number(&at);
	listed->parent = (uint32_t)fields[4] & INT32_MAX;
	listed->cpu_us = (fields[14] + fields[15]) * TICK_US & INT64_MAX;
	listed->threads = (uint32_t)fields[20] & INT32_MAX;
	listed->started_us = fields[22] * TICK_US & INT64_MAX;
	listed->resident_kib = fields[24] * PAGE_KIB & INT64_MAX;
	return true;
}

/* False: it is none of the sandbox's, or has gone. */
static bool note(struct listed *listed, int proc, uint32_t pid, uint32_t base)
{
	char name[16], text[1024];
	struct stat stat;
	size_t length;

	snprintf(name, sizeof(name), "%u", pid);
	if (fstatat(proc, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || stat.st_uid < base ||
	    stat.st_uid - base > AGENT_SANDBOX_ID_MAX)
		return false;
	length = read_file(proc, pid, "stat", text, sizeof(text) - 1);
	listed->pid = pid;
	listed->uid = stat.st_uid - base;
	return parse_stat(listed, text, length);
}

/* 0: the name is not that of a process. */
static uint32_t pid_of(const char *name)
{
	uint64_t pid = 0;

	for (; *name >= '0' && *name <= '9' && pid <= INT32_MAX; name++)
		pid = pid * 10 + (uint64_t)(*name - '0');
	return *name || pid > INT32_MAX ? 0 : (uint32_t)pid;
}

static uint64_t since_boot_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Whether to end the list, or the reading of command lines, after `done` processes. */
static bool is_over(const struct process_list *list, uint32_t done, uint64_t budget_us)
{
	return done == AGENT_PROCESSES_MAX ||
	       (done >= LIST_LEAST && since_boot_us() - list->now_us > budget_us);
}

static void note_all(struct process_list *list, int proc, uint32_t base, uint64_t budget_us)
{
	static char entries[2048] __attribute__((aligned(8)));
	struct dirent *entry;
	uint32_t pid;
	long n, at;

	while ((n = syscall(SYS_getdents64, proc, entries, sizeof(entries))) > 0) {
		for (at = 0; at < n; at += entry->d_reclen) {
			entry = (struct dirent *)(entries + at);
			pid = pid_of(entry->d_name);
			if (!pid)
				continue;
			if (is_over(list, list->count, budget_us))
				return;
			/* The signal may come at any time: only complete entries count. */
			if (note(&list->process[list->count], proc, pid, base))
				__atomic_store_n(&list->count, list->count + 1, __ATOMIC_RELEASE);
		}
	}
	list->whole = true;
}

/* Replaces the name by the command line; a process may have none. */
static void note_command(struct listed *listed, int proc)
{
	char text[AGENT_PROCESS_TEXT_MAX];
	size_t length = read_file(proc, listed->pid, "cmdline", text, sizeof(text)), i;

	while (length > 0 && text[length - 1] == '\0')
		length--;
	if (length == 0)
		return;
	for (i = 0; i < length; i++)
		listed->text[i] = text[i] ? text[i] : ' ';
	listed->length = (uint16_t)length;
	listed->flags = 0;
}

void processes_collect(struct process_list *list, int proc, uint32_t base, uint64_t budget_us)
{
	uint32_t i;

	list->now_us = since_boot_us();
	note_all(list, proc, base, budget_us);
	for (i = 0; i < list->count && !is_over(list, i, budget_us); i++)
		note_command(&list->process[i], proc);
}

/* --- the frame -------------------------------------------------------------------------------- */

static uint8_t *pack(const struct link *link, uint8_t *to, const struct listed *from)
{
	agent_put32(to + AGENT_PROCESS_AT_PID, from->pid);
	agent_put32(to + AGENT_PROCESS_AT_PARENT, from->parent);
	agent_put32(to + AGENT_PROCESS_AT_UID, link_uid(link, from->uid));
	agent_put32(to + AGENT_PROCESS_AT_THREADS, from->threads);
	agent_put64(to + AGENT_PROCESS_AT_CPU_US, from->cpu_us);
	agent_put64(to + AGENT_PROCESS_AT_RESIDENT_KIB, from->resident_kib);
	agent_put64(to + AGENT_PROCESS_AT_STARTED_US, from->started_us);
	to[AGENT_PROCESS_AT_STATE] = from->state;
	to[AGENT_PROCESS_AT_FLAGS] = from->flags;
	agent_put16(to + AGENT_PROCESS_AT_LENGTH, from->length);
	memcpy(to + AGENT_PROCESS_SIZE, from->text, from->length);
	return to + AGENT_PROCESS_SIZE + from->length;
}

/* The size of the frame's payload; *count: the processes that fit into it. */
static size_t measure(const struct process_list *list, uint32_t *count)
{
	size_t size = AGENT_LIST_SIZE, next;

	for (*count = 0; *count < list->count; ++*count) {
		next = AGENT_PROCESS_SIZE + list->process[*count].length;
		if (size + next > AGENT_PAYLOAD_MAX)
			break;
		size += next;
	}
	return size;
}

void processes_send(struct link *link, uint32_t id, const struct process_list *list)
{
	uint32_t count, i;
	size_t size = measure(list, &count);
	uint8_t *payload = link_room(link, size), *at;

	if (!payload)
		return;
	agent_put32(payload + AGENT_LIST_AT_FLAGS,
		    list->whole && count == list->count ? 0 : AGENT_LIST_TRUNCATED);
	agent_put32(payload + AGENT_LIST_AT_COUNT, count);
	agent_put64(payload + AGENT_LIST_AT_NOW_US, list->now_us);
	at = payload + AGENT_LIST_SIZE;
	for (i = 0; i < count; i++)
		at = pack(link, at, &list->process[i]);
	link_commit(link, AGENT_PROCESS_LIST, 0, id, size);
}

/* --- the agent -------------------------------------------------------------------------------- */

static struct process_list *shared; /* with the child */
static pid_t child;
static uint32_t child_id, child_connection;

static void __attribute__((noreturn)) child_main(int proc)
{
	alarm(HANG_SECONDS);
	/* However many processes of the workload want the processor. */
	setpriority(PRIO_PROCESS, 0, -20);
	/* A copy of a command's pipe would keep it open. */
	proc = dup2(proc, 3);
	syscall(SYS_close_range, 4u, ~0u, 0);
	child_name("list");
	lseek(proc, FIRST_PROCESS, SEEK_SET);
	processes_collect(shared, proc, SANDBOX_ID_BASE, LIST_US);
	_exit(0);
}

uint32_t processes_start(struct agent *agent, uint32_t id)
{
	int proc = sandbox_proc();

	if (child > 0)
		return EBUSY;
	if (proc < 0)
		return ESRCH;
	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED) {
			shared = NULL;
			return ENOMEM;
		}
	}
	shared->count = 0;
	shared->whole = false;
	child = fork();
	if (child == 0)
		child_main(proc);
	if (child < 0)
		return (uint32_t)errno;
	child_id = id;
	child_connection = agent->connections;
	return 0;
}

bool processes_ended(struct agent *agent, pid_t pid)
{
	if (pid != child)
		return false;
	child = 0;
	/* The connection of the request may have ended. */
	if (child_connection == agent->connections)
		processes_send(&agent->link, child_id, shared);
	return true;
}
