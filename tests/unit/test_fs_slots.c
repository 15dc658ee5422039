/* SPDX-License-Identifier: Apache-2.0 */
/* The file system device: how long a doorbell waits for replies, and the slots of the server. */
#include "tests/unit/fs_common.h"
#include "vmm/base/bytes.h"

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

/* Takes what is used of two queues, until there are so many. */
static void finish(unsigned count)
{
	uint32_t head, written;
	unsigned used = 0, rounds;

	for (rounds = 0; rounds < 1000 && used < count; rounds++) {
		fake_fs_finish_all(fake);
		fake_fs_turn(fake);
		while (fake_queue_take_used(&fake->guest.queue[0], &head, &written) ||
		       fake_queue_take_used(&fake->guest.queue[1], &head, &written))
			used++;
	}
	ck_assert_uint_eq(used, count);
}

START_TEST(requests_wait_for_slots)
{
	struct fake_request *request[200];
	unsigned i;

	begin_with(1, FAKE_F_INDIRECT_DESC);
	fake->stall = true;
	for (i = 0; i < 200; i++)
		request[i] = fake_fs_request(fake, 1, 48, 64);
	fake_fs_ring(fake, 1);
	/* A doorbell handles a part; the loop goes on, with what slots there are. */
	ck_assert_uint_eq(fake->sent, FS_TURN);
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, FS_SLOTS);
	fake_fs_ring(fake, 1);
	/* The device does not poll: only a free slot makes it look again. */
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, FS_SLOTS);
	finish(200);
	for (i = 0; i < 200; i++)
		ck_assert(fake_fs_echoed(fake, request[i]));
	end();
}
END_TEST

/* Of a lane with few slots more wait than there are slots in all, and before all others. */
START_TEST(a_lane_without_slots_holds_up_no_other)
{
	struct fake_request *request[200], *urgent[20], *other;
	unsigned i;

	begin_with(1, FAKE_F_INDIRECT_DESC);
	fake->stall = true;
	fake->lane_slots = 4;
	for (i = 0; i < 200; i++)
		request[i] = fake_fs_request_at(fake, 1, 7);
	for (i = 0; i < 20; i++)
		urgent[i] = fake_fs_request_at(fake, 0, 7);
	fake_fs_ring(fake, 1);
	fake_fs_ring(fake, 0);
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, 4);
	fake->stall = false;
	for (i = 0; i < 20; i++) {
		other = fake_fs_request_at(fake, i % 2, 8 + i % 3);
		fake_fs_ring(fake, i % 2);
		ck_assert(fake_fs_used(fake, i % 2, other, 24));
		ck_assert(fake_fs_echoed(fake, other));
	}
	ck_assert_uint_eq(fake->sent, 24);
	/* They are sent in their order. */
	fake->stall = true;
	fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, request[0]));
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake->sent, 25);
	ck_assert_int_ge(fake_fs_slot(fake, urgent[0]), 0);
	for (i = 0; i < 19; i++)
		fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, urgent[i]));
	ck_assert_int_ge(fake_fs_slot(fake, urgent[19]), 0);
	fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, urgent[19]));
	for (i = 4; i < 50; i++) {
		ck_assert_int_ge(fake_fs_slot(fake, request[i]), 0);
		fake_fs_finish(fake, (unsigned)fake_fs_slot(fake, request[i]));
	}
	finish(220);
	for (i = 0; i < 200; i++)
		ck_assert(fake_fs_echoed(fake, request[i]));
	for (i = 0; i < 20; i++)
		ck_assert(fake_fs_echoed(fake, urgent[i]));
	end();
}
END_TEST

/* One chain that is offered more often than the queue is long. */
START_TEST(pending_requests_are_bounded)
{
	struct fake_queue *queue;
	unsigned i, rounds;

	begin();
	queue = &fake->guest.queue[1];
	fake->stall = true;
	fake->lane_slots = 1;
	fake_fs_request_at(fake, 1, 7);
	for (rounds = 0; rounds < 4; rounds++) {
		for (i = 0; i < FS_QUEUE_SIZE - 1; i++)
			fake_queue_offer(queue, 0);
		fake_fs_ring(fake, 1);
		fake_fs_turn(fake);
	}
	ck_assert_uint_eq(fake->sent, 1);
	/* A reset forgets them. */
	fake_write(&fake->guest, FAKE_REG_STATUS, 0);
	fake_guest_forget(&fake->guest);
	fake_fs_finish_all(fake);
	fake->stall = false;
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	expect_works(1);
	end();
}
END_TEST

START_TEST(many_requests_with_few_slots)
{
	struct fake_request *request[FS_QUEUE_SIZE];
	unsigned i, rounds;

	begin_with(1, FAKE_F_INDIRECT_DESC | FAKE_F_EVENT_IDX);
	fake->slots = 1;
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

/* --- the bytes of a doorbell ------------------------------------------------------------------ */

/* As many requests as there are, after a doorbell and then after each turn of the loop. */
static void expect_turns(unsigned requests, uint32_t length, uint32_t room, unsigned each)
{
	struct fake_request *request[FS_TURN * 2];
	unsigned i, used;

	begin_with(1, FAKE_F_INDIRECT_DESC);
	for (i = 0; i < requests; i++)
		request[i] = fake_fs_request(fake, 1, length, room);
	fake_fs_ring(fake, 1);
	used = fake_queue_used_index(&fake->guest.queue[1]);
	ck_assert_uint_eq(used, each < requests ? each : requests);
	ck_assert_uint_eq(fake->sent, used);
	ck_assert_uint_le(fake->waited_ns, FS_WAIT_NS);
	fake_fs_turn(fake);
	for (i = 0; i < requests; i++) {
		ck_assert(fake_fs_used(fake, 1, request[i], (uint32_t)min_u64(length - 24, room)));
		ck_assert(fake_fs_echoed(fake, request[i]));
	}
	end();
}

START_TEST(a_doorbell_copies_so_many_bytes)
{
	const uint32_t half = FS_TURN_BYTES / 2, eighth = FS_TURN_BYTES / 8;

	/* One request is always taken, with both of its ends. */
	expect_turns(3, FS_REQUEST_MAX, FS_REPLY_MAX, 1);
	expect_turns(3, FS_REQUEST_MAX - 64, 64, 1);
	expect_turns(5, half - 64, 64, 2);
	expect_turns(5, half - 64, 65, 1);
	/* The room for a reply counts like the request: it is copied in the doorbell, too. */
	expect_turns(5, 64, half - 64, 2);
	expect_turns(5, 64, half - 63, 1);
	expect_turns(16, eighth / 2, eighth / 2, 8);
	expect_turns(30, 64, 64, FS_TURN);
}
END_TEST

UNIT_MAIN("fs_slots", a_late_reply_comes_by_interrupt, a_reply_between_the_wait_and_its_end,
	  a_doorbell_waits_for_the_last_request_only, the_loop_does_not_wait,
	  requests_wait_for_slots, a_lane_without_slots_holds_up_no_other,
	  pending_requests_are_bounded, many_requests_with_few_slots,
	  a_doorbell_copies_so_many_bytes)
