/* SPDX-License-Identifier: Apache-2.0 */
/* Which call fails. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fault/fault.h"

static struct {
	enum fault_kind kind;
	uint32_t at;
	pid_t runner;	   /* check's own process, which runs no test */
	atomic_uint calls; /* of the kind, in this test */
	_Atomic uint32_t *most;
} fault;

/* check(3) forks for each test; what a test itself forks goes on counting. */
static void in_child(void)
{
	if (getppid() == fault.runner)
		atomic_store(&fault.calls, 0);
}

__attribute__((constructor)) static void read_environment(void)
{
	static const char *const names[] = {"none", "alloc", "fd", "disk", "eintr", "short"};
	const char *kind = getenv("CORDON_FAULT"), *at = getenv("CORDON_FAULT_AT");
	const char *count = getenv("CORDON_FAULT_COUNT");
	unsigned i;
	int fd = kind && count ? open(count, O_RDWR | O_CLOEXEC) : -1;

	for (i = 0; kind && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(kind, names[i]) == 0)
			fault.kind = (enum fault_kind)i;
	fault.at = at ? (uint32_t)strtoul(at, NULL, 10) : 0;
	fault.runner = getpid();
	if (fd >= 0) {
		fault.most =
			mmap(NULL, sizeof(*fault.most), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fault.most == MAP_FAILED)
			abort();
		close(fd);
	}
	pthread_atfork(NULL, NULL, in_child);
}

bool fault_is_due(enum fault_kind kind)
{
	uint32_t calls, most;

	if (kind != fault.kind || getpid() == fault.runner)
		return false;
	calls = atomic_fetch_add(&fault.calls, 1) + 1;
	if (fault.most) {
		most = atomic_load(fault.most);
		while (most < calls && !atomic_compare_exchange_weak(fault.most, &most, calls))
			;
	}
	return calls == fault.at;
}
