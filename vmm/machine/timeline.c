/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/timeline.h"

#include <stdio.h>

#include "vmm/base/loop.h"

static const char *const mark_names[TIMELINE_MARKS] = {
	[TIMELINE_EXEC] = "cordon started",	[TIMELINE_VM] = "machine created",
	[TIMELINE_LOADED] = "kernel loaded",	[TIMELINE_STARTED] = "vCPUs running",
	[TIMELINE_DRIVERS] = "drivers ready",	[TIMELINE_CONNECTED] = "agent connected",
	[TIMELINE_READY] = "agent ready",	[TIMELINE_TEMPLATE] = "template written",
	[TIMELINE_COMMAND] = "command started", [TIMELINE_OUTPUT] = "first output",
	[TIMELINE_EXITED] = "command ended",
};

void timeline_mark(struct timeline *timeline, enum timeline_mark mark)
{
	if (timeline->at[mark] == 0)
		timeline->at[mark] = loop_now_ns();
}

void timeline_print(const struct timeline *timeline)
{
	uint64_t first = timeline->at[TIMELINE_EXEC], before = first;
	unsigned i;

	for (i = 0; i < TIMELINE_MARKS; i++) {
		uint64_t at = timeline->at[i];

		if (at == 0)
			continue;
		fprintf(stderr, "cordon: %10.3f ms  +%9.3f ms  %s\n", (double)(at - first) / 1e6,
			(double)(at - before) / 1e6, mark_names[i]);
		before = at;
	}
}
