/* SPDX-License-Identifier: Apache-2.0 */
/* The network card's offloads: fields of headers, both ways. */
#include "tests/unit/net_offload_common.h"

START_TEST(a_header_is_read_whole)
{
	uint8_t in[HEADER], out[HEADER], expected[HEADER];
	struct net_card_offload offload;
	size_t i;

	for (i = 0; i < header_count; i++) {
		put_header(in, &headers[i].in);
		ck_assert_msg(net_offload_read(&offload, in, LENGTH) == headers[i].valid,
			      "header %zu", i);
		if (!headers[i].valid)
			continue;
		put_header(expected, &headers[i].out);
		store_le16(expected + 10, 0);
		net_offload_write(&offload, out);
		ck_assert_msg(memcmp(out, expected, HEADER) == 0, "header %zu", i);
		/* It is as long as its checksum needs, and not longer. */
		if (offload.partial)
			ck_assert(!net_offload_valid(&offload, offload.start + offload.offset + 1));
	}
	ck_assert_uint_eq(NET_OFFLOAD_HEADER, HEADER);
}
END_TEST

/* --- frames of the guest ---------------------------------------------------------------------- */

START_TEST(segmentation_is_offered_if_the_owner_takes_it)
{
	static const uint64_t other[] = {9, 10, 13, 14, 54, 55, 56}; /* ECN, UFO, USO */
	uint64_t with, without;
	size_t i;

	card_create(1);
	without = net_card_device(card)->features;
	for (i = 0; i < 4; i++) {
		static const uint64_t one[] = {F_GTSO4, F_GTSO6, F_HTSO4, F_HTSO6};

		ck_assert(!fake_guest_negotiate(&card_guest, ALL_BASIC | one[i]));
	}
	ck_assert(fake_guest_negotiate(&card_guest, ALL_BASIC));
	card_end();
	offload_begin(ALL_BASIC | ALL_TSO);
	with = net_card_device(card)->features;
	ck_assert_uint_eq(with, without | ALL_TSO);
	for (i = 0; i < ARRAY_SIZE(other); i++)
		ck_assert(!fake_guest_negotiate(&card_guest, ALL_BASIC | UINT64_C(1) << other[i]));
	offload_end();
}
END_TEST

START_TEST(bad_headers_of_the_guest_cost_the_frame)
{
	uint8_t header[HEADER], seen[HEADER], expected[HEADER];
	unsigned bad = 0, good = 0;
	size_t i;

	offload_begin(ALL_BASIC | ALL_TSO);
	for (i = 0; i < header_count; i++) {
		put_header(header, &headers[i].in);
		offer_header(TX, LENGTH, header);
		fake_queue_kick(TX);
		bad += !headers[i].valid;
		good += headers[i].valid;
		ck_assert_uint_eq(card_stats().transmit_bad, bad);
		ck_assert_uint_eq(sent, good);
		ck_assert_uint_eq(fake_queue_used_index(TX), bad + good);
		if (!headers[i].valid)
			continue;
		put_header(expected, &headers[i].out);
		store_le16(expected + 10, 0);
		net_offload_write(&last_offload, seen);
		ck_assert_mem_eq(seen, expected, HEADER);
		ck_assert_uint_eq(last_length, LENGTH);
		ck_assert_uint_eq(last[999], (uint8_t)999);
	}
	ck_assert(!(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET));
	offload_end();
}
END_TEST

START_TEST(a_frame_uses_only_what_was_negotiated)
{
	static const struct {
		uint64_t features;
		struct fields fields;
		unsigned taken;
	} cases[] = {
		{F_CSUM, {1, 0, 0, 0, 34, 16}, 1},
		{F_GCSUM | ALL_TSO, {1, 0, 0, 0, 34, 16}, 0},
		{F_GCSUM | ALL_TSO, {0, 0, 0, 0, 34, 16}, 1},
		{F_CSUM | F_HTSO4, {1, TCP4, 54, 100, 34, 16}, 1},
		{F_CSUM | F_HTSO4, {1, TCP6, 74, 100, 54, 16}, 0},
		{F_CSUM | F_HTSO6, {1, TCP6, 74, 100, 54, 16}, 1},
		{F_CSUM | F_HTSO6, {1, TCP4, 54, 100, 34, 16}, 0},
		/* The other direction's features do not help. */
		{F_CSUM | F_GCSUM | F_GTSO4 | F_GTSO6, {1, TCP4, 54, 100, 34, 16}, 0},
		{F_CSUM | F_GCSUM | F_GTSO4 | F_GTSO6, {1, TCP6, 74, 100, 54, 16}, 0},
		{F_HTSO4 | F_HTSO6, {1, TCP4, 54, 100, 34, 16}, 0},
		{0, {1, TCP4, 54, 100, 34, 16}, 0},
	};
	uint8_t header[HEADER];
	unsigned before;
	size_t i;

	offload_begin(F_CSUM);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bring_up_again(cases[i].features);
		before = sent;
		put_header(header, &cases[i].fields);
		offer_header(TX, LENGTH, header);
		fake_queue_kick(TX);
		ck_assert_msg(sent == before + cases[i].taken, "case %zu", i);
	}
	offload_end();
}
END_TEST

START_TEST(segments_are_as_long_as_frames)
{
	static uint8_t frame[NET_CARD_FRAME_MAX + 1];
	const struct net_card_offload offload = {.partial = true,
						 .start = 34,
						 .offset = 16,
						 .gso_type = TCP4,
						 .gso_size = 1448,
						 .headers = 54};
	uint8_t header[HEADER];
	uint32_t head, written;

	offload_begin(ALL_BASIC | ALL_TSO);
	net_offload_write(&offload, header);
	offer_header(TX, NET_CARD_FRAME_MAX, header);
	offer_header(TX, NET_CARD_FRAME_MAX + 1, header);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(last_length, NET_CARD_FRAME_MAX);
	ck_assert_uint_eq(card_stats().transmit_bad, 1);
	give(1, HEADER + NET_CARD_FRAME_MAX + 1);
	net_card_receive(card, frame, NET_CARD_FRAME_MAX + 1, &offload);
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	net_card_receive(card, frame, NET_CARD_FRAME_MAX, &offload);
	ck_assert(fake_queue_take_used(RX, &head, &written));
	ck_assert_uint_eq(written, HEADER + NET_CARD_FRAME_MAX);
	offload_end();
}
END_TEST

/* --- frames for the guest --------------------------------------------------------------------- */

START_TEST(the_guest_gets_valid_fields_only)
{
	static uint8_t frame[LENGTH];
	struct net_card_offload offload;
	struct fields expected;
	unsigned bad = 0, good = 0;
	size_t i;

	offload_begin(ALL_BASIC | ALL_TSO);
	for (i = 0; i < header_count; i++) {
		give(1, BUFFER);
		offload = to_offload(&headers[i].in);
		net_card_receive(card, frame, sizeof(frame), &offload);
		bad += !headers[i].valid;
		good += headers[i].valid;
		ck_assert_uint_eq(card_stats().receive_dropped, bad);
		ck_assert_uint_eq(fake_queue_used_index(RX), good);
		if (!headers[i].valid) {
			/* The buffer is there for a frame without them. */
			net_card_receive(card, frame, sizeof(frame), NULL);
			ck_assert_uint_eq(fake_queue_used_index(RX), ++good);
			expect_header(buffer[0], &(struct fields){.flags = 2}, 1);
			continue;
		}
		expected = headers[i].out;
		if (!(expected.flags & 1))
			expected.flags = 2; /* the checksums are right */
		expect_header(buffer[0], &expected, 1);
	}
	offload_end();
}
END_TEST

START_TEST(fields_wait_with_their_frames)
{
	static const struct fields fields[] = {{1, TCP4, 54, 1000, 34, 16},
					       {2, 0, 0, 0, 0, 0},
					       {1, TCP6, 74, 3000, 54, 16},
					       {1, 0, 0, 0, 34, 6}};
	static uint8_t frame[5000];
	struct net_card_offload offload;
	size_t i;

	offload_begin(ALL_BASIC | ALL_TSO);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		card_fill(frame, sizeof(frame));
		frame[0] = (uint8_t)i;
		offload = to_offload(&fields[i]);
		net_card_receive(card, frame, sizeof(frame), &offload);
	}
	ck_assert_uint_eq(fake_queue_used_index(RX), 0);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		give(3, BUFFER);
		ck_assert_uint_eq(fake_queue_used_index(RX), 3 * (i + 1));
		expect_header(buffer[0], &fields[i], 3);
		ck_assert_uint_eq(((uint8_t *)fake_guest_at(&card_guest, buffer[0]))[HEADER], i);
		ck_assert_mem_eq(fake_guest_at(&card_guest, buffer[1]), frame + BUFFER - HEADER,
				 BUFFER);
	}
	ck_assert_uint_eq(card_stats().pending, 0);
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	offload_end();
}
END_TEST

/* Frames with fields that wait for a pair that the driver switches off move to the first one. */
START_TEST(fields_move_with_their_frames)
{
	const struct fields fields = {1, TCP6, 74, 500, 54, 16};
	const struct net_card_offload offload = to_offload(&fields);
	static uint8_t frame[LENGTH];
	struct fake_queue *control;
	uint8_t *bytes;
	uint64_t at;
	unsigned i;

	card_offloads = true;
	card_create(2);
	ck_assert(fake_guest_bring_up(&card_guest, ALL_BASIC | ALL_TSO | F_CTRL | F_MQ));
	control = &card_guest.queue[4];
	at = fake_guest_alloc(&card_guest, 16, 16);
	bytes = fake_guest_at(&card_guest, at);
	bytes[0] = 4;
	for (i = 2; i >= 1; i--) {
		struct fake_segment segment[] = {{at, 4, false}, {at + 8, 1, true}};

		store_le16(bytes + 2, (uint16_t)i);
		fake_queue_add(control, segment, 2);
		fake_queue_kick(control);
		ck_assert_uint_eq(card_stats().pairs, i);
		/* Of IPv4 with ports that lead to the second pair. */
		store_be16(frame + 12, 0x0800);
		frame[23] = 6;
		for (frame[35] = 0; i == 2 && !card_stats().pending; frame[35]++) {
			give(1, BUFFER); /* to the first one */
			net_card_receive(card, frame, sizeof(frame), &offload);
		}
	}
	card_run();
	ck_assert_uint_eq(card_stats().pending, 0);
	expect_header(buffer[0], &fields, 1);
	offload_end();
}
END_TEST

UNIT_MAIN("net_offload", a_header_is_read_whole, segmentation_is_offered_if_the_owner_takes_it,
	  bad_headers_of_the_guest_cost_the_frame, a_frame_uses_only_what_was_negotiated,
	  segments_are_as_long_as_frames, the_guest_gets_valid_fields_only,
	  fields_wait_with_their_frames, fields_move_with_their_frames)
