/* SPDX-License-Identifier: Apache-2.0 */
/* The file system device: how long a doorbell waits for replies, and the slots of the server. */
#include "tests/unit/fs_common.h"

/* --- waiting ---------------------------------------------------------------------------------- */

START_TEST(a_late_reply_comes_by_interrupt)
{
	struct fake_request *request;
	struct fs_stats stats;

	begin();
	fake_guest_interrupts(&fake->guest);
	fake->stall = true;
	request = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->waited_ns, FS_WAIT_NS);
	ck_assert(fake_fs_none_used(fake, 1));
	ck_assert(!fs_idle(fake->fs));
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 0);
	fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, request));
	ck_assert(fake_fs_used(fake, 1, request, 76));
	ck_assert(fake_fs_echoed(fake, request));
	ck_assert(fs_idle(fake->fs));
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 1);
	fs_stats(fake->fs, &stats);
	ck_assert_uint_eq(stats.requests, 1);
	ck_assert_uint_eq(stats.prompt, 0);
	end();
}
END_TEST

START_TEST(a_reply_between_the_wait_and_its_end)
{
	struct fake_request *request;

	begin();
	fake->stall = true;
	fake->early = 1;
	request = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request, 76));
	ck_assert(fake_fs_echoed(fake, request));
	/* Reports of slots that are not at the server are ignored. */
	fs_done(fake->fs, 0);
	fs_done(fake->fs, FS_SLOTS);
	fs_done(fake->fs, UINT32_MAX);
	end();
}
END_TEST

START_TEST(a_doorbell_waits_for_the_last_request_only)
{
	struct fake_request *request[8];
	unsigned i;

	begin();
	fake->stall = true;
	for (i = 0; i < 8; i++)
		request[i] = fake_fs_request(fake, 1, 100, i == 7 ? 0 : 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 8);
	ck_assert_uint_eq(fake->waited_ns, FS_WAIT_NS);
	/* What wants no reply does not wait for the server. */
	ck_assert(fake_fs_used(fake, 1, request[7], 0));
	for (i = 7; i-- > 0;) {
		fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, request[i]));
		ck_assert(fake_fs_used(fake, 1, request[i], 76));
		ck_assert(fake_fs_echoed(fake, request[i]));
	}
	fake_fs_finish_all(fake);
	end();
}
END_TEST

START_TEST(the_loop_does_not_wait)
{
	struct fake_request *request;

	begin();
	fake->stall = true;
	fs_hold(fake->fs, true);
	request = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 0);
	fs_hold(fake->fs, false);
	ck_assert_uint_eq(fake->sent, 1);
	ck_assert_uint_eq(fake->waited_ns, 0);
	fake_fs_finish_all(fake);
	ck_assert(fake_fs_used(fake, 1, request, 76));
	end();
}
END_TEST

/* --- slots ------------------------------------------------------------------------------------ */

START_TEST(requests_wait_for_slots_and_urgent_ones_have_their_own)
{
	struct fake_request *request[80], *urgent[6];
	unsigned i, used = 0;

	begin_with(1, FAKE_F_INDIRECT_DESC);
	fake->stall = true;
	for (i = 0; i < 80; i++)
		request[i] = fake_fs_request(fake, 1, 48, 64);
	fake_fs_ring(fake, 1);
	/* A doorbell handles a part; the loop goes on, with what slots there are. */
	ck_assert_uint_lt(fake->sent, FS_SLOTS - FS_SLOTS_URGENT);
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, FS_SLOTS - FS_SLOTS_URGENT);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, FS_SLOTS - FS_SLOTS_URGENT);
	for (i = 0; i < 6; i++)
		urgent[i] = fake_fs_request(fake, 0, 48, 64);
	fake_fs_ring(fake, 0);
	ck_assert_uint_eq(fake->sent, FS_SLOTS);
	ck_assert_uint_eq(fake->urgent, FS_SLOTS_URGENT);
	/* The device does not poll: only a free slot makes it look again. */
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, FS_SLOTS);
	while (used < 86) {
		uint32_t head, written;

		fake_fs_finish_all(fake);
		fake_fs_turn(fake);
		while (fake_queue_take_used(&fake->guest.queue[0], &head, &written) ||
		       fake_queue_take_used(&fake->guest.queue[1], &head, &written))
			used++;
	}
	for (i = 0; i < 80; i++)
		ck_assert(fake_fs_echoed(fake, request[i]));
	for (i = 0; i < 6; i++)
		ck_assert(fake_fs_echoed(fake, urgent[i]));
	end();
}
END_TEST

START_TEST(many_requests_with_few_slots)
{
	struct fake_request *request[FS_QUEUE_SIZE];
	unsigned i, rounds;

	begin_with(1, FAKE_F_INDIRECT_DESC | FAKE_F_EVENT_IDX);
	fake->slots = FS_SLOTS_URGENT + 1;
	for (rounds = 0; rounds < 3; rounds++) {
		for (i = 0; i < FS_QUEUE_SIZE; i++)
			request[i] = fake_fs_request(fake, 1, 48, 64);
		fake_fs_ring(fake, 1);
		for (i = 0; i < FS_QUEUE_SIZE; i++) {
			fs_room(fake->fs);
			ck_assert(fake_fs_used(fake, 1, request[i], 24));
			ck_assert(fake_fs_echoed(fake, request[i]));
		}
	}
	end();
}
END_TEST

UNIT_MAIN("fs_slots", a_late_reply_comes_by_interrupt, a_reply_between_the_wait_and_its_end,
	  a_doorbell_waits_for_the_last_request_only, the_loop_does_not_wait,
	  requests_wait_for_slots_and_urgent_ones_have_their_own, many_requests_with_few_slots)
