/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device with requests under way: resets, another server or none, snapshots. What
 * must hold: each request returns once or not at all, and nothing is written into guest memory
 * after a reset.
 */
#include <errno.h>

#include "devices/fs/internal.h"
#include "tests/unit/fs_common.h"

/* --- resets ----------------------------------------------------------------------------------- */

static bool blank(const struct fake_request *request)
{
	static const uint8_t zeros[16];

	return memcmp(fake_guest_at(&fake->guest, request->out), zeros, sizeof(zeros)) == 0;
}

START_TEST(a_reset_forgets_requests)
{
	struct fake_request *request[3];
	unsigned way, i;

	/* Reset by a write of 0, by FAILED, and with the next driver there at once. */
	for (way = 0; way < 3; way++) {
		begin_with(2, 0);
		fake->stall = true;
		for (i = 0; i < 3; i++) {
			request[i] = fake_fs_request(fake, i, 100, 200);
			fake_fs_ring(fake, i);
		}
		if (way == 0)
			fake_write(&fake->guest, FAKE_REG_STATUS, 0);
		else if (way == 1)
			fake_add_status(&fake->guest, FAKE_ST_FAILED);
		else
			ck_assert(fake_guest_bring_up(&fake->guest, 0));
		ck_assert_uint_eq(fake_fs_busy(fake), 3);
		ck_assert(!fs_idle(fake->fs));
		fake_guest_interrupts(&fake->guest);
		fake_fs_finish_all(fake);
		ck_assert(fs_idle(fake->fs));
		ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 0);
		for (i = 0; i < 3; i++) {
			ck_assert(blank(request[i]));
			ck_assert(fake_fs_none_used(fake, i));
		}
		fake->stall = false;
		fake_fs_ring(fake, 1);
		ck_assert(way == 2 || fake_guest_bring_up(&fake->guest, 0));
		expect_works(1);
		end();
	}
}
END_TEST

static void reset_meanwhile(struct fake_fs *server, struct fake_slot *slot)
{
	(void)slot;
	server->reply = NULL;
	fake_write(&server->guest, FAKE_REG_STATUS, 0);
}

START_TEST(a_reset_while_a_doorbell_waits)
{
	struct fake_request *request;

	begin_with(2, 0);
	fake->stall = true;
	fake->early = 1;
	fake->reply = reset_meanwhile;
	request = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert(blank(request));
	ck_assert_uint_eq(fake_status(&fake->guest), 0);
	ck_assert_uint_eq(fake_fs_busy(fake), 0);
	fake->stall = false;
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	expect_works(1);
	end();
}
END_TEST

START_TEST(a_reset_clears_a_broken_queue_before_the_loop_has_seen_it)
{
	begin_with(2, 0);
	fake_queue_set_avail_index(&fake->guest.queue[1], 0x4000);
	fake_fs_ring(fake, 1);
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake_status(&fake->guest) & FAKE_ST_NEEDS_RESET, 0);
	expect_works(1);
	end();
}
END_TEST

START_TEST(doorbells_of_a_device_that_is_not_live)
{
	begin_with(2, 0);
	fake_write(&fake->guest, FAKE_REG_STATUS, 0);
	fake_fs_ring(fake, 1);
	ck_assert(fake_guest_negotiate(&fake->guest, 0));
	fake_guest_set_queue(&fake->guest, 1, 0);
	fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 0);
	/* What is in the ring before DRIVER_OK is served then; a queue that is not set up is not.
	 */
	fake_add_status(&fake->guest, FAKE_ST_DRIVER_OK);
	ck_assert_uint_eq(fake->sent, 1);
	fake_fs_ring(fake, 0);
	fake_fs_ring(fake, 2);
	ck_assert_uint_eq(fake->sent, 1);
	end();
}
END_TEST

/* --- servers ---------------------------------------------------------------------------------- */

static void expect_not_connected(unsigned queue)
{
	struct fake_request *request = fake_fs_request(fake, queue, 100, 200),
			    *silent = fake_fs_request(fake, queue, 100, 0);

	fake_fs_ring(fake, queue);
	ck_assert(fake_fs_used(fake, queue, request, 16));
	ck_assert_int_eq(fake_fs_error(fake, request), -ENOTCONN);
	ck_assert(fake_fs_used(fake, queue, silent, 0));
}

START_TEST(without_a_server_requests_fail)
{
	struct fake_request *request[3];
	unsigned i;

	begin_with(2, 0);
	fs_set_server(fake->fs, NULL, NULL);
	for (i = 0; i < 3; i++)
		expect_not_connected(i);
	request[0] = fake_fs_request_of(fake, 1, 100, 99, 64, 0);
	request[1] = fake_fs_request(fake, 1, 39, 64);
	request[2] = fake_fs_request(fake, 1, FS_REQUEST_MAX + 1, 64);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request[0], 16));
	ck_assert_int_eq(fake_fs_error(fake, request[0]), -EINVAL);
	ck_assert(fake_fs_used(fake, 1, request[1], 0));
	ck_assert(fake_fs_used(fake, 1, request[2], 16));
	ck_assert_int_eq(fake_fs_error(fake, request[2]), -EINVAL);
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	for (i = 0; i < 3; i++)
		expect_works(i);
	end();
}
END_TEST

START_TEST(a_full_queue_without_a_server_is_emptied_in_turns)
{
	unsigned i, used = 0;
	uint32_t head, written;

	begin_with(2, 0);
	fs_set_server(fake->fs, NULL, NULL);
	for (i = 0; i < FS_QUEUE_SIZE / 2; i++)
		fake_fs_request(fake, 1, 48, 64);
	fake_fs_ring(fake, 1);
	ck_assert_uint_lt(fake_queue_used_index(&fake->guest.queue[1]), FS_QUEUE_SIZE / 2);
	fake_fs_turn(fake);
	while (fake_queue_take_used(&fake->guest.queue[1], &head, &written))
		used++;
	ck_assert_uint_eq(used, FS_QUEUE_SIZE / 2);
	end();
}
END_TEST

START_TEST(requests_at_a_server_that_goes_fail)
{
	struct fake_request *request, *waiting;
	unsigned i;

	begin_with(2, 0);
	fake->stall = true;
	fake->slots = 1;
	request = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	waiting = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_none_used(fake, 1));
	fs_set_server(fake->fs, NULL, NULL);
	ck_assert(fs_idle(fake->fs));
	ck_assert(fake_fs_used(fake, 1, request, 16));
	ck_assert_int_eq(fake_fs_error(fake, request), -ENOTCONN);
	ck_assert(fake_fs_used(fake, 1, waiting, 16));
	ck_assert_int_eq(fake_fs_error(fake, waiting), -ENOTCONN);
	for (i = 0; i < FS_SLOTS; i++)
		fs_done(fake->fs, i);
	fake_fs_free_slots(fake);
	fake->stall = false;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	expect_works(1);
	end();
}
END_TEST

/* --- snapshots -------------------------------------------------------------------------------- */

START_TEST(held_it_takes_nothing)
{
	struct fake_request *request[3], *before;
	unsigned i;

	begin_with(2, 0);
	fake->stall = true;
	before = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	fs_hold(fake->fs, true);
	ck_assert(!fs_idle(fake->fs));
	for (i = 0; i < 3; i++) {
		request[i] = fake_fs_request(fake, i, 100, 200);
		fake_fs_ring(fake, i);
	}
	/* A server that is connected or has room meanwhile changes nothing. */
	fs_room(fake->fs);
	fake_fs_finish_all(fake);
	ck_assert(fake_fs_used(fake, 1, before, 76));
	ck_assert(fs_idle(fake->fs));
	fake->stall = false;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	ck_assert_uint_eq(fake->sent, 1);
	fs_hold(fake->fs, false);
	for (i = 0; i < 3; i++)
		ck_assert(fake_fs_used(fake, i, request[i], 76));
	end();
}
END_TEST

/* Saves the device and puts a new one into its place, before the same memory. */
static int save_and_restore(struct pack *pack, struct err *err)
{
	struct unpack unpack = {.data = pack->data, .length = pack->length};
	struct fs *fs;
	int ret;

	ck_assert_int_eq(fs_create(&fs, fake->loop, 2), 0);
	fs_destroy(fake->fs);
	fake->fs = fs;
	fake_guest_attach(&fake->guest, fs_device(fs));
	ret = virtio_mmio_restore(&fake->guest.mmio, &unpack, err);
	if (ret == 0)
		ck_assert(unpack_done(&unpack));
	return ret;
}

static void save(struct pack *pack)
{
	fs_hold(fake->fs, true);
	ck_assert(fs_idle(fake->fs));
	virtio_mmio_save(&fake->guest.mmio, pack);
}

START_TEST(requests_that_wait_are_sent_again)
{
	struct fake_request *waiting[3], *later;
	struct pack pack = {.data = NULL};
	struct err err = {""};
	unsigned i;

	begin_with(2, 0);
	fake->stall = true;
	for (i = 0; i < 3; i++) {
		waiting[i] = fake_fs_request(fake, 1 + i % 2, 100, 200);
		fake_fs_ring(fake, 1 + i % 2);
		fake->slot[fake_fs_slot(fake, waiting[i])].waits = true;
	}
	fs_hold(fake->fs, true);
	later = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	save(&pack);
	fake_fs_free_slots(fake);
	ck_assert_int_eq(save_and_restore(&pack, &err), 0);
	ck_assert_uint_eq(fake->sent, 3);
	fake->stall = false;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	ck_assert_uint_eq(fake->sent, 3);
	/* Saved again before it went on: nothing is lost. */
	pack_free(&pack);
	save(&pack);
	ck_assert_int_eq(save_and_restore(&pack, &err), 0);
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	fs_hold(fake->fs, false);
	ck_assert_uint_eq(fake->sent, 7);
	ck_assert(fake_fs_used(fake, 1, waiting[0], 76));
	ck_assert(fake_fs_used(fake, 1, waiting[2], 76));
	ck_assert(fake_fs_used(fake, 1, later, 76));
	ck_assert(fake_fs_used(fake, 2, waiting[1], 76));
	for (i = 0; i < 3; i++)
		ck_assert(fake_fs_echoed(fake, waiting[i]));
	expect_works(1);
	pack_free(&pack);
	end();
}
END_TEST

START_TEST(a_restored_chain_is_checked_again)
{
	struct pack pack = {.data = NULL};
	struct fake_request *waiting;
	struct err err = {""};

	begin_with(2, 0);
	fake->stall = true;
	waiting = fake_fs_request(fake, 1, 100, 200);
	fake_fs_ring(fake, 1);
	fake->slot[fake_fs_slot(fake, waiting)].waits = true;
	save(&pack);
	fake_fs_free_slots(fake);
	ck_assert_int_eq(save_and_restore(&pack, &err), 0);
	fake_queue_set(&fake->guest.queue[1], waiting->head, UINT64_MAX, 100, 0, 0);
	fake->stall = false;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	fs_hold(fake->fs, false);
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake_status(&fake->guest) & FAKE_ST_NEEDS_RESET, FAKE_ST_NEEDS_RESET);
	ck_assert_uint_eq(fake->sent, 1);
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	expect_works(1);
	pack_free(&pack);
	end();
}
END_TEST

/* The lists are the last bytes: of each queue a count, and so many numbers. */
START_TEST(a_saved_list_is_checked)
{
	static const struct {
		uint16_t number[4];
		unsigned count;
		bool right;
	} lists[] = {
		{{0, 0, 0}, 3, true},
		{{0, 1, FS_QUEUE_SIZE - 1, 0}, 4, true},
		{{0, 1, FS_QUEUE_SIZE, 0}, 4, false},
		{{0, 1, 0xffff, 0}, 4, false},
		{{0, 2, 5, 5}, 4, false}, /* the last count is missing */
		{{0, 0, 1}, 3, false},
		{{0xffff, 0, 0}, 3, false},
		{{0, FS_QUEUE_SIZE + FS_SLOTS + 1, 0}, 3, false},
		{{0, 0}, 2, false},
		{{0}, 0, false},
	};
	struct pack pack = {.data = NULL};
	struct err err = {""};
	size_t i, k, whole;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		begin_with(2, 0);
		save(&pack);
		whole = pack.length - 6;
		pack.length = whole;
		for (k = 0; k < lists[i].count; k++)
			pack_u16(&pack, lists[i].number[k]);
		ck_assert_int_eq(save_and_restore(&pack, &err), lists[i].right ? 0 : -EINVAL);
		pack_free(&pack);
		fake_fs_end(fake);
	}
}
END_TEST

/* A guest may offer a chain twice; that is no reason for a snapshot that is refused. */
START_TEST(a_chain_offered_twice_is_sent_again_once)
{
	struct pack pack = {.data = NULL};
	struct fake_request *request;
	struct err err = {""};

	begin_with(2, 0);
	fake->stall = true;
	request = fake_fs_request(fake, 1, 100, 200);
	fake_queue_offer(&fake->guest.queue[1], request->head);
	fake_fs_ring(fake, 1);
	ck_assert_uint_eq(fake->sent, 2);
	fake->slot[0].waits = fake->slot[1].waits = true;
	save(&pack);
	fake_fs_free_slots(fake);
	ck_assert_int_eq(save_and_restore(&pack, &err), 0);
	fake->stall = false;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	fs_hold(fake->fs, false);
	ck_assert_uint_eq(fake->sent, 3);
	ck_assert(fake_fs_used(fake, 1, request, 76));
	ck_assert(fake_fs_none_used(fake, 1));
	pack_free(&pack);
	end();
}
END_TEST

UNIT_MAIN("fs_life", a_reset_forgets_requests, a_reset_while_a_doorbell_waits,
	  a_reset_clears_a_broken_queue_before_the_loop_has_seen_it,
	  doorbells_of_a_device_that_is_not_live, without_a_server_requests_fail,
	  a_full_queue_without_a_server_is_emptied_in_turns, requests_at_a_server_that_goes_fail,
	  held_it_takes_nothing, requests_that_wait_are_sent_again,
	  a_restored_chain_is_checked_again, a_saved_list_is_checked,
	  a_chain_offered_twice_is_sent_again_once)
