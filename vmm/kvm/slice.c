/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 50000000ull

/* sched_setattr(2); the C library has no name for it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t utilization_least, utilization_most;
};

void slice_lengthen(void)
{
	struct attributes attributes = {.size = sizeof(attributes)};

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) < 0)
		return;
	/* Whoever has chosen a policy knows better. */
	if (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH)
		return;
	attributes.size = sizeof(attributes);
	attributes.runtime = SLICE_NS;
	(void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
