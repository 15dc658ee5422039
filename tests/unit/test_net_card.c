/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/net_card_host.h"

START_TEST(the_configuration_can_be_read)
{
	card_create(1);
	ck_assert(fake_guest_negotiate(&card_guest, F_STATUS));
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG, 1), 2);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 5, 1), 2);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 6, 2), 1);
	net_card_set_mac(card, (const uint8_t[]){6, 1, 2, 3, 4, 5});
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 5, 1), 5);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 8, 2), 1);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 10, 2), 65520);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 12, 4), 0);
	/* With one pair there is no control queue, nor a feature that needs it. */
	ck_assert(!(net_card_device(card)->features & (F_CTRL | F_MQ)));
	/* Without `offloads` in its configuration, no segmentation of any kind. */
	ck_assert(!(net_card_device(card)->features >> 7 & 0xff));
	card_end();
}
END_TEST

START_TEST(bad_configurations_are_refused)
{
	struct net_card_config config = {.mtu = 1500, .pairs = 0};
	struct net_card *made;

	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(net_card_create(&made, loop, &config), -EINVAL);
	config.pairs = NET_CARD_PAIRS + 1;
	ck_assert_int_eq(net_card_create(&made, loop, &config), -EINVAL);
	config.pairs = 1;
	config.mtu = 67;
	ck_assert_int_eq(net_card_create(&made, loop, &config), -EINVAL);
	config.mtu = 68;
	ck_assert_int_eq(net_card_create(&made, loop, &config), 0);
	net_card_destroy(made);
	net_card_destroy(NULL);
	loop_destroy(loop);
}
END_TEST

START_TEST(a_frame_of_the_guest_comes_whole)
{
	uint32_t head, written;
	size_t i;

	card_begin(ALL_BASIC);
	offer(TX, 100, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(last_length, 100);
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(last[i], i);
	ck_assert(fake_queue_take_used(TX, &head, &written));
	ck_assert_uint_eq(written, 0);
	card_run();
	ck_assert_uint_eq(fake_guest_interrupts(&card_guest), 1);
	offer(TX, NET_CARD_FRAME_MAX, 1, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(last_length, NET_CARD_FRAME_MAX);
	ck_assert_uint_eq(partials, 1);
	card_end();
}
END_TEST

START_TEST(malformed_frames_are_completed_and_counted)
{
	static const struct {
		size_t length;
		uint8_t flags, gso;
	} bad[] = {{13, 0, 0},
		   {NET_CARD_FRAME_MAX + 1, 0, 0},
		   {100, 0, 1},
		   {100, 1, 0x80},
		   {100, 1, 0}};
	uint64_t at;
	size_t i;

	card_begin(F_MRG); /* without CSUM, frames must not request it */
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		offer(TX, bad[i].length, bad[i].flags, bad[i].gso);
	at = fake_guest_alloc(&card_guest, 64, 16);
	fake_queue_add_one(TX, at, 11, false); /* not even a header */
	fake_queue_add_one(TX, at, 64, true);  /* nothing readable */
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 0);
	ck_assert_uint_eq(card_stats().transmit_bad, ARRAY_SIZE(bad) + 2);
	ck_assert_uint_eq(fake_queue_used_index(TX), ARRAY_SIZE(bad) + 2);
	offer(TX, 14, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 1);
	card_end();
}
END_TEST

START_TEST(frames_wait_while_the_owner_has_no_room)
{
	unsigned i;

	card_begin(ALL_BASIC);
	has_room = false;
	for (i = 0; i < 10; i++)
		offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_uint_eq(sent, 0);
	ck_assert_uint_eq(fake_queue_used_index(TX), 0);
	has_room = true;
	net_card_resume(card);
	card_run();
	ck_assert_uint_eq(sent, 10);
	card_end();
}
END_TEST

START_TEST(many_frames_are_taken_in_turns)
{
	unsigned i;

	card_begin(ALL_BASIC);
	for (i = 0; i < 120; i++)
		offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	for (i = 0; i < 10; i++)
		fake_queue_kick(TX);
	ck_assert_uint_lt(sent, 120);
	card_run();
	ck_assert_uint_eq(sent, 120);
	card_end();
}
END_TEST

START_TEST(a_frame_for_the_guest_arrives)
{
	uint8_t frame[200], *got;
	uint32_t head, written;

	card_begin(ALL_BASIC);
	give(2, BUFFER);
	card_fill(frame, sizeof(frame));
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert(fake_queue_take_used(RX, &head, &written));
	ck_assert_uint_eq(written, HEADER + sizeof(frame));
	got = fake_guest_at(&card_guest, buffer[0]);
	ck_assert_mem_eq(got + HEADER, frame, sizeof(frame));
	ck_assert_uint_eq(got[0], 2); /* the checksums are valid */
	ck_assert_uint_eq(got[1], 0);
	ck_assert_uint_eq(load_le16(got + 10), 1);
	card_run();
	ck_assert_uint_eq(fake_guest_interrupts(&card_guest), 1);
	card_end();
	card_begin(F_MRG); /* without GUEST_CSUM the header has no flag */
	give(1, BUFFER);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(*(uint8_t *)fake_guest_at(&card_guest, buffer[0]), 0);
	card_end();
}
END_TEST

START_TEST(a_large_frame_takes_several_buffers)
{
	static uint8_t frame[5000];
	uint32_t head, written[3];
	uint8_t *got;
	unsigned i;

	card_begin(ALL_BASIC);
	card_fill(frame, sizeof(frame));
	give(2, BUFFER);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 0); /* too few buffers: none is used */
	ck_assert_uint_gt(card_stats().pending, 5000);
	buffer[2] = fake_guest_alloc(&card_guest, BUFFER, 16);
	fake_queue_add_one(RX, buffer[2], BUFFER, true);
	fake_queue_kick(RX);
	for (i = 0; i < 3; i++)
		ck_assert(fake_queue_take_used(RX, &head, &written[i]));
	ck_assert_uint_eq(written[0] + written[1] + written[2], HEADER + sizeof(frame));
	got = fake_guest_at(&card_guest, buffer[0]);
	ck_assert_uint_eq(load_le16(got + 10), 3);
	ck_assert_mem_eq(got + HEADER, frame, BUFFER - HEADER);
	ck_assert_mem_eq(fake_guest_at(&card_guest, buffer[1]), frame + BUFFER - HEADER, BUFFER);
	ck_assert_uint_eq(card_stats().pending, 0);
	card_end();
}
END_TEST

START_TEST(buffers_that_are_too_small_cost_the_frame)
{
	static uint8_t frame[5000];
	uint32_t head, written;

	card_begin(ALL_BASIC);
	card_fill(frame, sizeof(frame));
	give(1, 11); /* no room for a header */
	net_card_receive(card, frame, 100, NULL);
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	card_end();
	card_begin(ALL_BASIC);
	give(100, 12);
	net_card_receive(card, frame, 5000, NULL); /* more buffers than a frame may take */
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	ck_assert_uint_eq(fake_queue_used_index(RX), 0);
	net_card_receive(card, frame, 100, NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 10);
	card_end();
	/* Without merging a frame must fit into one buffer. */
	card_begin(F_STATUS);
	give(2, BUFFER);
	net_card_receive(card, frame, 5000, NULL);
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	net_card_receive(card, frame, 1500, NULL);
	ck_assert(fake_queue_take_used(RX, &head, &written));
	ck_assert_uint_eq(written, HEADER + 1500);
	card_end();
}
END_TEST

START_TEST(without_buffers_frames_wait_in_bounds_and_in_order)
{
	static uint8_t frame[20000];
	unsigned kept = 0, i;
	uint32_t head, written;

	card_begin(ALL_BASIC);
	while (net_card_has_room(card)) {
		memset(frame, (int)kept, sizeof(frame));
		net_card_receive(card, frame, 1000, NULL);
		kept++;
	}
	ck_assert_uint_le(card_stats().pending, NET_CARD_PENDING / 2 + 1016);
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	/*
	 * A sender that does not check for room: beyond the limit frames are dropped, and memory
	 * stays bounded.
	 */
	for (i = 0; i < 1000; i++)
		net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_le(card_stats().pending, NET_CARD_PENDING);
	ck_assert_uint_gt(card_stats().receive_dropped, 0);
	for (i = 0; i < 100; i++) {
		give(1, BUFFER);
		ck_assert(fake_queue_take_used(RX, &head, &written));
		ck_assert_uint_eq(written, HEADER + 1000);
		ck_assert_uint_eq(((uint8_t *)fake_guest_at(&card_guest, buffer[0]))[HEADER + 500],
				  (uint8_t)i);
	}
	card_end();
}
END_TEST

START_TEST(the_owner_is_notified_of_room)
{
	static uint8_t frame[60000];
	unsigned i;

	card_begin(ALL_BASIC);
	while (net_card_has_room(card))
		net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(drained, 0);
	for (i = 0; i < 4; i++)
		give(50, 4096);
	ck_assert_uint_eq(drained, 1);
	ck_assert(net_card_has_room(card));
	card_end();
}
END_TEST

START_TEST(an_immediate_reply_does_not_disturb_the_request)
{
	uint32_t head, written;

	card_begin(ALL_BASIC);
	answers = true;
	give(4, BUFFER);
	offer(TX, 100, 0, 0);
	offer(TX, 200, 0, 0);
	fake_queue_kick(TX);
	ck_assert(fake_queue_take_used(TX, &head, &written));
	ck_assert_uint_eq(head, 0);
	ck_assert(fake_queue_take_used(TX, &head, &written));
	ck_assert_uint_eq(head, 2);
	ck_assert(fake_queue_take_used(RX, &head, &written));
	ck_assert_uint_eq(written, HEADER + 100);
	ck_assert(fake_queue_take_used(RX, &head, &written));
	ck_assert_uint_eq(written, HEADER + 200);
	card_end();
}
END_TEST

UNIT_MAIN("net_card", the_configuration_can_be_read, bad_configurations_are_refused,
	  a_frame_of_the_guest_comes_whole, malformed_frames_are_completed_and_counted,
	  frames_wait_while_the_owner_has_no_room, many_frames_are_taken_in_turns,
	  a_frame_for_the_guest_arrives, a_large_frame_takes_several_buffers,
	  buffers_that_are_too_small_cost_the_frame,
	  without_buffers_frames_wait_in_bounds_and_in_order, the_owner_is_notified_of_room,
	  an_immediate_reply_does_not_disturb_the_request)
