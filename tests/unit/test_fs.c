/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device: what the driver sees of it, requests and replies of every size, and
 * malformed ones.
 */
#include <errno.h>

#include "tests/unit/fs_common.h"

#define NEEDS_RESET FAKE_ST_NEEDS_RESET

/* --- what the driver sees --------------------------------------------------------------------- */

START_TEST(announces_itself)
{
	char tag[36] = "";
	uint64_t features;
	unsigned i;

	begin_with(3, 0);
	ck_assert_uint_eq(fake_read(&fake->guest, FAKE_REG_DEVICE_ID), 26);
	for (i = 0; i < sizeof(tag); i++)
		tag[i] = (char)fake_read_size(&fake->guest, FAKE_REG_CONFIG + i, 1);
	ck_assert_str_eq(tag, "cordon");
	ck_assert_uint_eq(fake_read(&fake->guest, FAKE_REG_CONFIG + 36), 3);
	ck_assert_uint_eq(fake_read(&fake->guest, FAKE_REG_CONFIG + 40), 0);
	fake_write(&fake->guest, FAKE_REG_CONFIG, 0);
	ck_assert_uint_eq((char)fake_read_size(&fake->guest, FAKE_REG_CONFIG, 1), 'c');
	features = fake->guest.device->features;
	ck_assert_uint_eq(features & 0x7ffffff, 0x5f00000);
	for (i = 0; i < 4; i++)
		expect_works(i);
	fake_write(&fake->guest, FAKE_REG_QUEUE_NOTIFY, 4);
	fake_write(&fake->guest, FAKE_REG_QUEUE_NOTIFY, UINT32_MAX);
	end();
}
END_TEST

START_TEST(has_one_to_eight_queues)
{
	struct loop *loop;
	struct fs *fs;

	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(fs_create(&fs, loop, 0), -EINVAL);
	ck_assert_int_eq(fs_create(&fs, loop, FS_QUEUES_MAX + 1), -EINVAL);
	ck_assert_ptr_null(fs);
	fs_destroy(NULL);
	loop_destroy(loop);
	begin_with(FS_QUEUES_MAX, 0);
	expect_works(FS_QUEUES_MAX);
	end();
}
END_TEST

START_TEST(interrupts_unless_the_driver_polls)
{
	begin_with(1, 0);
	fake_guest_interrupts(&fake->guest);
	expect_works(1);
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 1);
	ck_assert_uint_eq(fake_read(&fake->guest, FAKE_REG_INTERRUPT_STATUS), 1);
	fake_queue_set_flags(&fake->guest.queue[1], 1);
	expect_works(1);
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 0);
	end();
	begin_with(1, FAKE_F_EVENT_IDX | UINT64_C(1) << FS_F_SYNC);
	fake_guest_interrupts(&fake->guest);
	fake_queue_set_used_event(&fake->guest.queue[1], 0x8000);
	expect_works(1);
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 0);
	fake_queue_set_used_event(&fake->guest.queue[1], 1);
	expect_works(1);
	ck_assert_uint_eq(fake_guest_interrupts(&fake->guest), 1);
	ck_assert_uint_eq(fake_queue_avail_event(&fake->guest.queue[1]), 2);
	end();
}
END_TEST

/* --- requests --------------------------------------------------------------------------------- */

START_TEST(requests_of_every_size)
{
	static const uint32_t length[] = {40, 41, 48, 4096, 65536, FS_REQUEST_MAX};
	static const uint32_t room[] = {0, 15, 16, 17, 80, 4096, FS_REPLY_MAX, FS_REPLY_MAX + 1};
	struct fake_request *request;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(length); i++)
		for (k = 0; k < ARRAY_SIZE(room); k++) {
			uint32_t whole = 16 + length[i] - 40;
			uint32_t most = room[k] < FS_REPLY_MAX ? room[k] : FS_REPLY_MAX;

			begin();
			request = fake_fs_request(fake, 1, length[i], room[k]);
			fake_fs_ring(fake, 1);
			if (room[k] < 16) {
				ck_assert(fake_fs_used(fake, 1, request, 0));
			} else {
				ck_assert(fake_fs_used(fake, 1, request,
						       whole < most ? whole : most));
				ck_assert(fake_fs_echoed(fake, request));
			}
			end();
		}
}
END_TEST

START_TEST(requests_in_many_segments)
{
	static const uint32_t segment[] = {1, 7, 16, 39, 41, 100};
	struct fake_request *request;
	size_t i;

	begin_with(1, FAKE_F_INDIRECT_DESC);
	for (i = 0; i < ARRAY_SIZE(segment); i++) {
		request = fake_fs_request_of(fake, 1, 65, 65, 60, segment[i]);
		fake_fs_ring(fake, 1);
		ck_assert(fake_fs_used(fake, 1, request, 41));
		ck_assert(fake_fs_echoed(fake, request));
	}
	end();
}
END_TEST

START_TEST(a_length_that_is_not_the_requests_is_refused)
{
	static const uint32_t claim[] = {0, 1, 39, 40, 99, 101, FS_REQUEST_MAX, UINT32_MAX};
	struct fake_request *request;
	struct fs_stats stats;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(claim); i++) {
		request = fake_fs_request_of(fake, 1, 100, claim[i], 64, 0);
		fake_fs_ring(fake, 1);
		ck_assert(fake_fs_used(fake, 1, request, 16));
		ck_assert_int_eq(fake_fs_error(fake, request), -EINVAL);
	}
	ck_assert_uint_eq(fake->sent, 0);
	fs_stats(fake->fs, &stats);
	ck_assert_uint_eq(stats.refused, ARRAY_SIZE(claim));
	ck_assert_uint_eq(stats.requests, 0);
	expect_works(1);
	end();
}
END_TEST

START_TEST(requests_without_a_header_or_too_long)
{
	struct fake_request *request;

	begin();
	request = fake_fs_request(fake, 1, 39, 64);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request, 0));
	request = fake_fs_request(fake, 1, 0, 64);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request, 0));
	request = fake_fs_request(fake, 1, FS_REQUEST_MAX + 1, 64);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request, 16));
	ck_assert_int_eq(fake_fs_error(fake, request), -EINVAL);
	request = fake_fs_request(fake, 1, FS_REQUEST_MAX + 1, 0);
	fake_fs_ring(fake, 1);
	ck_assert(fake_fs_used(fake, 1, request, 0));
	ck_assert_uint_eq(fake->sent, 0);
	expect_works(1);
	end();
}
END_TEST

/* Chains that virtqueue_pop() refuses: the loop then sets NEEDS_RESET. */
START_TEST(a_malformed_ring_needs_a_reset)
{
	static const struct {
		uint64_t address;
		uint32_t length;
		uint16_t flags, next;
	} bad[] = {
		{FAKE_RAM_BASE, 0, 0, 0},
		{FAKE_RAM_BASE + FAKE_FS_RAM - 8, 40, 0, 0},
		{UINT64_MAX - 8, 40, 0, 0},
		{FAKE_RAM_BASE, 40, FAKE_DESC_NEXT, 0},
		{FAKE_RAM_BASE, 40, FAKE_DESC_NEXT, FS_QUEUE_SIZE},
		{FAKE_RAM_BASE, 40, FAKE_DESC_INDIRECT, 0},
	};
	struct fake_queue *queue;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		for (k = 0; k < 2; k++) {
			begin();
			if (k == 1)
				fs_set_server(fake->fs, NULL, NULL);
			queue = &fake->guest.queue[1];
			fake_queue_set(queue, 0, bad[i].address, bad[i].length, bad[i].flags,
				       bad[i].next);
			fake_queue_offer(queue, 0);
			fake_fs_ring(fake, 1);
			fake_fs_turn(fake);
			ck_assert_uint_eq(fake_status(&fake->guest) & NEEDS_RESET, NEEDS_RESET);
			fake_fs_request(fake, 1, 100, 200);
			fake_fs_ring(fake, 1);
			ck_assert(fake_fs_none_used(fake, 1));
			fs_set_server(fake->fs, &fake_fs_ops, fake);
			expect_works(0);
			ck_assert(fake_guest_bring_up(&fake->guest, 0));
			expect_works(1);
			end();
		}
}
END_TEST

START_TEST(an_index_that_jumps_needs_a_reset)
{
	begin();
	fake_queue_set_avail_index(&fake->guest.queue[0], FS_QUEUE_SIZE + 1);
	fake_fs_ring(fake, 0);
	fake_fs_turn(fake);
	ck_assert_uint_eq(fake_status(&fake->guest) & NEEDS_RESET, NEEDS_RESET);
	expect_works(1);
	ck_assert(fake_guest_bring_up(&fake->guest, 0));
	expect_works(0);
	end();
}
END_TEST

/* --- replies ---------------------------------------------------------------------------------- */

static void longer_than_room(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	slot->reply_length = slot->room + 1;
	store_le32(slot->out, (uint32_t)slot->reply_length);
}

static void huge(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	slot->reply_length = SIZE_MAX;
}

static void shorter_than_a_header(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	slot->reply_length = 15;
}

static void of_another_length(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	store_le32(slot->out, (uint32_t)slot->reply_length + 1);
}

static void to_another_request(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	slot->out[8] ^= 1;
}

static void none(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	slot->reply_length = 0;
}

START_TEST(wrong_replies_become_errors)
{
	static const struct {
		void (*reply)(struct fake_fs *server, struct fake_slot *slot);
		int error;
	} wrong[] = {
		{longer_than_room, -EIO},      {huge, -EIO},
		{shorter_than_a_header, -EIO}, {of_another_length, -EIO},
		{to_another_request, -EIO},    {none, -ENOTCONN},
	};
	struct fake_request *request, *silent;
	uint8_t *beyond;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin();
		fake->reply = wrong[i].reply;
		request = fake_fs_request(fake, 1, 100, 72);
		silent = fake_fs_request(fake, 1, 100, 0);
		beyond = fake_guest_at(&fake->guest, request->out + 72);
		fake_fs_ring(fake, 1);
		/* What wants no reply returns first. */
		ck_assert(fake_fs_used(fake, 1, silent, 0));
		ck_assert(fake_fs_used(fake, 1, request, 16));
		ck_assert_int_eq(fake_fs_error(fake, request), wrong[i].error);
		ck_assert_uint_eq(beyond[0], 0);
		fake->reply = NULL;
		expect_works(1);
		end();
	}
}
END_TEST

UNIT_MAIN("fs", announces_itself, has_one_to_eight_queues, interrupts_unless_the_driver_polls,
	  requests_of_every_size, requests_in_many_segments,
	  a_length_that_is_not_the_requests_is_refused, requests_without_a_header_or_too_long,
	  a_malformed_ring_needs_a_reset, an_index_that_jumps_needs_a_reset,
	  wrong_replies_become_errors)
