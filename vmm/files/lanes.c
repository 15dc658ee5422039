/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/lanes.h"

_Static_assert(FILES_SLOTS == FILES_LANES + FILES_WAITING_MAX + FILES_SLOTS_SHARED,
	       "no lane waits for another one's slot");
_Static_assert(FILES_SLOTS <= UINT8_MAX, "counts fit");

/* Slots of the shared ones that the lane has. */
static unsigned part(const struct files_lanes *lanes, unsigned lane)
{
	return lanes->held[lane] > 0 ? lanes->held[lane] - 1u : 0;
}

bool files_lane_may_take(const struct files_lanes *lanes, unsigned lane)
{
	return lanes->held[lane] == 0 || part(lanes, lane) < FILES_SLOTS_SHARED - lanes->shared;
}

void files_lane_take(struct files_lanes *lanes, unsigned lane)
{
	if (lanes->held[lane]++ > 0)
		lanes->shared++;
}

static void leave(struct files_lanes *lanes, unsigned lane)
{
	if (--lanes->held[lane] > 0)
		lanes->shared--;
}

bool files_lane_wait(struct files_lanes *lanes, unsigned lane)
{
	if (lanes->waiting == FILES_WAITING_MAX)
		return false;
	leave(lanes, lane);
	lanes->waiting++;
	return true;
}

void files_lane_give(struct files_lanes *lanes, unsigned lane, bool waited)
{
	if (waited)
		lanes->waiting--;
	else
		leave(lanes, lane);
}
