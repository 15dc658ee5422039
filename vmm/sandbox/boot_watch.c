/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/boot_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "vmm/base/clock.h"
#include "vmm/base/fd.h"

#define IDLE_NS	     UINT64_C(20000000000)
#define IDLE_PERCENT 1 /* of one processor */
/* A vCPU that gets no processor waits nearly all the time; the thread that checks, briefly. */
#define BUSY_PERCENT 20
/* How long a host may be too busy, in all: a guest can look like that on purpose. */
#define BUSY_NS UINT64_C(3600000000000)

/* The second field of a thread's schedstat; 0 if the kernel does not count. */
static uint64_t thread_waited_ns(int tasks, const char *thread)
{
	char path[280], text[96] = "";
	const char *second;
	int fd;

	snprintf(path, sizeof(path), "%s/schedstat", thread);
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fd_read_full(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	fd_close(&fd);
	second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) : 0;
}

static uint64_t all_waited_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *thread;
	uint64_t sum = 0;

	while (tasks && (thread = readdir(tasks)))
		if (thread->d_name[0] != '.')
			sum += thread_waited_ns(dirfd(tasks), thread->d_name);
	if (tasks)
		closedir(tasks);
	return sum;
}

struct boot_use boot_use_now(void)
{
	struct rusage usage = {.ru_majflt = 0};

	getrusage(RUSAGE_SELF, &usage);
	return (struct boot_use){
		.cpu_ns = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID),
		.waited_ns = all_waited_ns(),
		.faults = (uint64_t)usage.ru_majflt,
	};
}

void boot_watch_begin(struct boot_watch *watch, const struct boot_use *now, uint64_t max_ns)
{
	*watch = (struct boot_watch){.start = *now, .last = *now, .max_ns = max_ns};
}

bool boot_watch_check(struct boot_watch *watch, const struct boot_use *now, uint64_t passed_ns)
{
	uint64_t used_ns = now->cpu_ns - watch->last.cpu_ns, waited_ns = 0;
	bool is_idle = used_ns < passed_ns / 100 * IDLE_PERCENT, is_busy;

	/* A thread that has ended takes its count along. */
	if (now->waited_ns > watch->last.waited_ns)
		waited_ns = now->waited_ns - watch->last.waited_ns;
	is_busy = waited_ns >= passed_ns / 100 * BUSY_PERCENT || now->faults != watch->last.faults;
	if (is_idle && is_busy && watch->busy_ns < BUSY_NS) {
		watch->busy_ns += passed_ns;
		is_idle = false;
	}
	watch->idle_ns = is_idle ? watch->idle_ns + passed_ns : 0;
	watch->last = *now;
	return now->cpu_ns - watch->start.cpu_ns < watch->max_ns && watch->idle_ns < IDLE_NS;
}
