/* SPDX-License-Identifier: Apache-2.0 */
/* The file system device with queues that take nothing: the event loop has nothing to do then. */
#include <poll.h>

#include "devices/fs/internal.h"
#include "tests/unit/fs_common.h"

/* Whether the loop has nothing to do for the device, and so sleeps. */
static bool loop_sleeps(void)
{
	struct pollfd kick = {.fd = fake->fs->kick.fd, .events = POLLIN};

	fake_fs_turn(fake);
	return poll(&kick, 1, 0) == 0;
}

START_TEST(the_loop_sleeps_while_a_queue_is_not_live)
{
	begin_with(2, 0);
	/* Twin: with queues that are live. */
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	ck_assert(loop_sleeps());
	fake_write(&fake->guest, FAKE_REG_STATUS, 0);
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	ck_assert(loop_sleeps());
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	expect_works(1);
	end();
}
END_TEST

START_TEST(the_loop_sleeps_while_a_queue_with_a_pending_request_is_broken)
{
	begin_with(1, 0);
	fake->stall = true;
	fake->lane_slots = 1;
	fake_fs_request(fake, 1, 100, 200);
	fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 1);
	fake_queue_set_avail_index(&fake->guest.queue[1], 0x4000);
	fake_fs_ring(fake, 1);
	fs_room(fake->fs);
	ck_assert(loop_sleeps());
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	fake_fs_finish_all(fake);
	fake->stall = false;
	expect_works(1);
	end();
}
END_TEST

START_TEST(the_loop_sleeps_while_a_pending_request_is_held)
{
	struct fake_request *request[2];
	unsigned i;

	begin_with(1, 0);
	fake->stall = true;
	fake->lane_slots = 1;
	for (i = 0; i < 2; i++)
		request[i] = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	fs_hold(fake->fs, true);
	fake_fs_finish_all(fake);
	fs_room(fake->fs);
	ck_assert(loop_sleeps());
	ck_assert_uint_eq(fake->sent, 1);
	fake->stall = false;
	fs_hold(fake->fs, false);
	for (i = 0; i < 2; i++)
		ck_assert(fake_fs_used(fake, 1, request[i], 76));
	end();
}
END_TEST

UNIT_MAIN("fs_sleep", the_loop_sleeps_while_a_queue_is_not_live,
	  the_loop_sleeps_while_a_queue_with_a_pending_request_is_broken,
	  the_loop_sleeps_while_a_pending_request_is_held)
