/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp program under which commands run. The monitor makes it of its policy. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

#define MEMFD_NOEXEC "sys/vm/memfd_noexec" /* 1: not executable unless MFD_EXEC is given */

uint32_t filter_set(struct agent *agent, const uint8_t *payload, uint32_t length)
{
	uint32_t flags = agent_get32(payload + AGENT_FILTER_AT_FLAGS), version;
	struct filter *filter = agent->filter;
	static uint32_t noexec; /* as the sysctl is now */
	int ret = 0;

	length -= AGENT_FILTER_SIZE;
	if (length % AGENT_FILTER_CODE || flags & ~AGENT_FILTER_MEMFD_NOEXEC)
		return EINVAL;
	/* Of the agent's process namespace, and so also of all below it. */
	if (agent->isolate && flags != noexec)
		ret = root_write(root_proc_fd, MEMFD_NOEXEC, flags ? "1" : "0");
	if (ret < 0)
		return (uint32_t)-ret;
	noexec = flags;
	version = filter->version;
	__atomic_store_n(&filter->version, version + 1, __ATOMIC_SEQ_CST);
	memcpy(filter->code, payload + AGENT_FILTER_SIZE, length);
	filter->count = length / AGENT_FILTER_CODE;
	__atomic_store_n(&filter->version, version + 2, __ATOMIC_SEQ_CST);
	return 0;
}

int filter_install(const struct filter *filter)
{
	static uint8_t code[sizeof(filter->code)]; /* in the byte order of the kernel's struct */
	struct filter_program program = {.code = code};
	uint32_t version;

	do {
		while ((version = __atomic_load_n(&filter->version, __ATOMIC_SEQ_CST)) & 1)
			sched_yield();
		program.count = (uint16_t)filter->count;
		memcpy(code, filter->code, program.count * AGENT_FILTER_CODE);
	} while (__atomic_load_n(&filter->version, __ATOMIC_SEQ_CST) != version);
	if (program.count == 0)
		return 0;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
