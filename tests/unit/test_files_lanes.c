/* SPDX-License-Identifier: Apache-2.0 */
/* How the lanes of a file server share its slots. */
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/files/lanes.h"

static struct files_lanes lanes;
static unsigned used;

/* Takes what the lane may have: how many. */
static unsigned fill(unsigned lane)
{
	unsigned count = 0;

	for (; files_lane_may_take(&lanes, lane); count++, used++) {
		ck_assert_uint_lt(used, FILES_SLOTS);
		files_lane_take(&lanes, lane);
	}
	return count;
}

static void begin(void)
{
	memset(&lanes, 0, sizeof(lanes));
	used = 0;
}

START_TEST(each_lane_finds_a_slot)
{
	unsigned first, lane;

	for (first = 0; first < FILES_LANES; first++) {
		begin();
		ck_assert_uint_eq(fill(first), 16);
		ck_assert_uint_eq(fill((first + 1) % FILES_LANES), 8);
		for (lane = 0; lane < FILES_LANES; lane++)
			ck_assert(fill(lane) > 0 || lane == first ||
				  lane == (first + 1) % FILES_LANES);
		ck_assert_uint_eq(used, FILES_LANES + FILES_SLOTS_SHARED);
	}
}
END_TEST

START_TEST(those_that_wait_do_not_count)
{
	unsigned lane, i;

	begin();
	for (i = 0; i < FILES_WAITING_MAX; i++) {
		ck_assert_uint_gt(fill(5), 0);
		ck_assert(files_lane_wait(&lanes, 5));
	}
	/* One more that waits is an ordinary one. */
	ck_assert_uint_eq(fill(5), 1);
	ck_assert(!files_lane_wait(&lanes, 5));
	ck_assert_uint_eq(used, FILES_WAITING_MAX + 16);
	for (lane = 0; lane < FILES_LANES; lane++)
		ck_assert(fill(lane) > 0 || lane == 5);
	ck_assert_uint_eq(used, FILES_SLOTS);
	/* What waited and is done makes room for another that waits, and for nothing else. */
	files_lane_give(&lanes, 5, true);
	used--;
	for (lane = 0; lane < FILES_LANES; lane++)
		ck_assert_uint_eq(fill(lane), 0);
	ck_assert(files_lane_wait(&lanes, 9));
	ck_assert_uint_eq(fill(9), 1);
}
END_TEST

START_TEST(all_come_back)
{
	static const struct files_lanes none;
	uint32_t random = 1, waited[FILES_LANES] = {0};
	unsigned lane, i;

	begin();
	for (i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		lane = (random >> 8) % FILES_LANES;
		switch (random >> 28 & 3) {
		case 0:
			if (waited[lane] > 0) {
				files_lane_give(&lanes, lane, true);
				waited[lane]--;
				used--;
			}
			break;
		case 1:
			if (lanes.held[lane] > 0 && files_lane_wait(&lanes, lane))
				waited[lane]++;
			break;
		default:
			if (random >> 30 && lanes.held[lane] > 0) {
				files_lane_give(&lanes, lane, false);
				used--;
			} else if (files_lane_may_take(&lanes, lane)) {
				files_lane_take(&lanes, lane);
				used++;
			}
		}
		if (used > FILES_SLOTS)
			ck_abort_msg("more slots than there are");
	}
	for (lane = 0; lane < FILES_LANES; lane++) {
		for (; waited[lane] > 0; waited[lane]--)
			files_lane_give(&lanes, lane, true);
		while (lanes.held[lane] > 0)
			files_lane_give(&lanes, lane, false);
	}
	ck_assert_mem_eq(&lanes, &none, sizeof(none));
}
END_TEST

UNIT_MAIN("files_lanes", each_lane_finds_a_slot, those_that_wait_do_not_count, all_come_back)
