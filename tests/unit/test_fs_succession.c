/* SPDX-License-Identifier: Apache-2.0 */
/* The file system device while another server takes the place of its own. */
#include "tests/unit/fs_common.h"

/* As after a snapshot, but in place: what waits goes to the successor, by its lanes. */
START_TEST(requests_that_wait_go_to_a_successor)
{
	struct fs_server_ops successor = fake_fs_ops;
	struct fake_request *waiting[2], *pending, *later;
	uint32_t head, bytes;
	unsigned i;

	begin_with(2, 0);
	fake->stall = true;
	fake->slots = 2;
	for (i = 0; i < 2; i++) {
		waiting[i] = fake_fs_request(fake, 1 + i, 100, 200);
		fake_fs_ring(fake, 1 + i);
		fake->slot[fake_fs_slot(fake, waiting[i])].waits = true;
	}
	pending = fake_fs_request_at(fake, 1, 3);
	fake_fs_ring(fake, 1);
	fs_succession_begin(fake->fs);
	later = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 2);
	ck_assert(fs_idle(fake->fs));
	/* The same one goes on: nothing is sent again. */
	fs_succession_end(fake->fs, &fake_fs_ops, fake);
	ck_assert_uint_eq(fake->sent, 2);
	fs_succession_begin(fake->fs);
	fake_fs_free_slots(fake);
	fake->slots = FS_SLOTS;
	fake->stall = false;
	/* Another one, as far as the device can tell. */
	fs_succession_end(fake->fs, &successor, fake);
	ck_assert_uint_eq(fake->sent, 6);
	ck_assert(fake_fs_none_used(fake, 0));
	for (i = 0; i < 2; i++)
		ck_assert(fake_fs_echoed(fake, waiting[i]));
	ck_assert(fake_fs_echoed(fake, pending) && fake_fs_echoed(fake, later));
	for (i = 0; fake_queue_take_used(&fake->guest.queue[1], &head, &bytes); i++)
		;
	ck_assert_uint_eq(i, 3);
	ck_assert(fake_fs_used(fake, 2, waiting[1], 76));
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	expect_works(2);
	end();
}
END_TEST

/* A reset meanwhile: what was at the old server does not return, and the new one gets nothing. */
START_TEST(a_reset_meanwhile)
{
	struct fs_server_ops successor = fake_fs_ops;
	struct fake_request *waiting;

	begin_with(2, 0);
	fake->stall = true;
	waiting = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	fake->slot[fake_fs_slot(fake, waiting)].waits = true;
	fs_succession_begin(fake->fs);
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	fake_fs_free_slots(fake);
	fake->stall = false;
	fs_succession_end(fake->fs, &successor, fake);
	ck_assert_uint_eq(fake->sent, 1);
	ck_assert(fake_fs_none_used(fake, 1));
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	expect_works(1);
	end();
}
END_TEST

UNIT_MAIN("fs_succession", requests_that_wait_go_to_a_successor, a_reset_meanwhile)
