/* SPDX-License-Identifier: Apache-2.0 */
/* What the workload may use, so that the agent and the kernel always have something left. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "guest-kernel/agent/root.h"

#define PROCESSES_MOST 4096
#define PERIOD_US      100000u /* in which the share of processor time is used up */

static unsigned long long processes_most = PROCESSES_MOST;
static int top_fd = -1;	   /* the top of the cgroups */
static int events_fd = -1; /* memory.events of the sandbox's cgroup */
static bool cpu_enabled;
static uint32_t open_files;
static unsigned long long memory_most; /* bytes for the workload; 0: unknown */
static uint32_t memory_without;	       /* MiB of them that it has to do without */

static int write_limit(const char *file, const char *text)
{
	return root_cgroup_fd < 0 ? -ENOTSUP : root_write(root_cgroup_fd, file, text);
}

static int set_processes(uint32_t processes)
{
	unsigned long long most = processes_most;
	char text[32];

	/* One more, for the sandbox's first process, which is not the workload's. */
	if (processes > 0 && processes + 1ull < most)
		most = processes + 1ull;
	snprintf(text, sizeof(text), "%llu", most);
	return write_limit("pids.max", text);
}

/*
 * The controller is switched on by the first limit only: with it each wakeup goes through one more
 * level of the scheduler.
 */
static int set_cpu(uint32_t millis)
{
	char text[32];
	int ret = 0;

	if (!millis && !cpu_enabled)
		return 0;
	if (!cpu_enabled)
		ret = top_fd < 0 ? -ENOTSUP : root_write(top_fd, "cgroup.subtree_control", "+cpu");
	if (ret < 0)
		return ret;
	cpu_enabled = true;
	if (millis)
		snprintf(text, sizeof(text), "%llu %u", millis * (PERIOD_US / 1000ull), PERIOD_US);
	else
		snprintf(text, sizeof(text), "max %u", PERIOD_US);
	return write_limit("cpu.max", text);
}

/*
 * The kernel first takes back what it can, such as cached files, and then ends commands until the
 * rest fits.
 */
static int set_memory(uint32_t without)
{
	unsigned long long bytes = memory_most, less = (unsigned long long)without << 20;
	char text[32];
	int ret;

	if (without == memory_without)
		return 0;
	if (!memory_most)
		return -ENOTSUP;
	bytes = bytes > less + AGENT_MEMORY_LEAST ? bytes - less : AGENT_MEMORY_LEAST;
	snprintf(text, sizeof(text), "%llu", bytes);
	ret = write_limit("memory.max", text);
	if (ret == 0)
		memory_without = without;
	return ret;
}

uint32_t limits_set(const uint8_t *payload, uint32_t length)
{
	bool most = length == AGENT_LIMITS_SIZE_MOST;
	bool more = most || length == AGENT_LIMITS_SIZE_MORE;
	uint32_t files = more ? agent_get32(payload + AGENT_LIMITS_AT_FILES) : 0;
	uint32_t millis = more ? agent_get32(payload + AGENT_LIMITS_AT_CPU) : 0;
	int ret;

	if ((length != AGENT_LIMITS_SIZE && !more) || files > AGENT_FILES_MAX ||
	    millis > AGENT_CPU_MAX)
		return EINVAL;
	ret = set_processes(agent_get32(payload + AGENT_LIMITS_AT_PROCESSES));
	if (ret == 0)
		ret = set_cpu(millis);
	if (ret == 0)
		open_files = files;
	if (ret == 0)
		ret = set_memory(most ? agent_get32(payload + AGENT_LIMITS_AT_MEMORY) : 0);
	return (uint32_t)-ret;
}

uint32_t limits_open_files(void)
{
	return open_files;
}

uint64_t limits_memory_kills(void)
{
	static const char name[] = "\noom_kill ";
	char text[256], *at;
	ssize_t n = events_fd < 0 ? 0 : pread(events_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, name);
	return at ? strtoull(at + sizeof(name) - 1, NULL, 10) : 0;
}

void limits_prepare(int top)
{
	struct sysinfo info;
	char text[32];

	top_fd = top;
	events_fd = openat(root_cgroup_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	if (sysinfo(&info) < 0)
		return;
	/* One process for 256 KiB; the kernel's own limit is one for 128 KiB. */
	processes_most = (unsigned long long)info.totalram * info.mem_unit / (256u << 10);
	if (processes_most > PROCESSES_MOST)
		processes_most = PROCESSES_MOST;
	if (set_processes(0) < 0)
		agent_log("the number of processes is not limited");
	/* Leave something for memory that the kernel does not charge to the sandbox. */
	memory_most = (unsigned long long)info.freeram * info.mem_unit;
	memory_most -= memory_most / 32 + (memory_most > (64u << 20) ? 8u << 20 : memory_most / 8);
	snprintf(text, sizeof(text), "%llu", memory_most);
	if (write_limit("memory.max", text) < 0)
		agent_log("memory is not limited");
}
