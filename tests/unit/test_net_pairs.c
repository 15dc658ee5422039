/* SPDX-License-Identifier: Apache-2.0 */
/* The network card with several queue pairs: commands, steering, and pairs that stall. */
#include "tests/support/net_card_host.h"
#include "tests/unit/net_pairs_common.h"

#define ERR 1

START_TEST(every_number_of_pairs_comes_up)
{
	unsigned count, i;

	for (count = 2; count <= NET_CARD_PAIRS; count++) {
		begin_with(count);
		ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 8, 2), count);
		ck_assert_uint_eq(card_stats().pairs, 1);
		use_pairs(count);
		for (i = 0; i < count; i++) {
			send_udp(i, (uint16_t)(1000 + i));
			give_to(i, 1);
			receive_udp((uint16_t)(1000 + i));
			ck_assert_uint_eq(got(i), 1);
			ck_assert_uint_eq(card_stats().pair[i].transmitted, 1);
			ck_assert_uint_eq(card_stats().pair[i].received, 1);
		}
		card_end();
	}
}
END_TEST

START_TEST(bad_commands_change_nothing)
{
	static const struct {
		uint8_t class, command;
		uint16_t value;
		uint32_t length;
	} bad[] = {
		{CLASS_MQ, PAIRS_SET, 0, 4}, /* none */
		{CLASS_MQ, PAIRS_SET, 4, 4}, /* more than there are */
		{CLASS_MQ, PAIRS_SET, 0x8000, 4},
		{CLASS_MQ, PAIRS_SET, UINT16_MAX, 4},
		{CLASS_MQ, PAIRS_SET, 0x0300, 4}, /* the other way round */
		{CLASS_MQ, PAIRS_SET, 3, 1},	  /* cut */
		{CLASS_MQ, PAIRS_SET, 3, 2},
		{CLASS_MQ, PAIRS_SET, 3, 3},
		{CLASS_MQ, PAIRS_SET, 3, 5}, /* too long */
		{CLASS_MQ, PAIRS_SET, 3, 8},
		{CLASS_MQ, 1, 3, 4}, /* RSS, hashes: not offered */
		{CLASS_MQ, 2, 3, 4},
		{CLASS_MQ, 255, 3, 4},
		{0, 0, 3, 4}, /* receive modes */
		{1, 0, 3, 4}, /* MAC filters */
		{2, 0, 3, 4}, /* VLANs */
		{3, 0, 3, 4}, /* announcements */
		{5, 0, 3, 4}, /* offloads */
		{6, 0, 3, 4},
		{255, 0, 3, 4},
	};
	size_t i;

	begin_with(3);
	use_pairs(2);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(command(bad[i].class, bad[i].command, bad[i].value, bad[i].length),
				 ERR);
		ck_assert_uint_eq(card_stats().pairs, 2);
	}
	use_pairs(3);
	ck_assert(!(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET));
	card_end();
}
END_TEST

START_TEST(a_command_may_come_in_segments)
{
	unsigned segments;

	begin_with(3);
	for (segments = 1; segments <= 4; segments++) {
		ck_assert_int_eq(command_in(segments, CLASS_MQ, PAIRS_SET, 1 + segments % 3, 4),
				 OK);
		ck_assert_uint_eq(card_stats().pairs, 1 + segments % 3);
		ck_assert_int_eq(command_in(segments, CLASS_MQ, PAIRS_SET, 9, 4), ERR);
		ck_assert_uint_eq(card_stats().pairs, 1 + segments % 3);
	}
	card_end();
}
END_TEST

START_TEST(a_command_without_room_for_a_reply_is_not_done)
{
	uint64_t at;
	uint32_t head, written;
	struct fake_segment backward[2];

	begin_with(3);
	at = fake_guest_alloc(&card_guest, 16, 16);
	((uint8_t *)fake_guest_at(&card_guest, at))[0] = CLASS_MQ;
	((uint8_t *)fake_guest_at(&card_guest, at))[2] = 3;
	fake_queue_add_one(control(), at, 4, false);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 0);
	ck_assert_uint_eq(card_stats().pairs, 1);
	/* Room for a reply, but no command: an error like others. */
	fake_queue_add_one(control(), at + 8, 1, true);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 1);
	ck_assert_uint_eq(((uint8_t *)fake_guest_at(&card_guest, at))[8], ERR);
	use_pairs(3);
	/* The reply's segment first is not a valid chain (2.7.4.2): the device needs a reset. */
	backward[0] = (struct fake_segment){at + 8, 1, true};
	backward[1] = (struct fake_segment){at, 4, false};
	fake_queue_add(control(), backward, 2);
	fake_queue_kick(control());
	ck_assert(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET);
	card_end();
}
END_TEST

START_TEST(many_commands_are_done_in_turns)
{
	uint64_t at;
	struct fake_segment segment[2];
	unsigned i;

	begin_with(2);
	at = fake_guest_alloc(&card_guest, 16, 16);
	((uint8_t *)fake_guest_at(&card_guest, at))[0] = CLASS_MQ;
	((uint8_t *)fake_guest_at(&card_guest, at))[2] = 2;
	segment[0] = (struct fake_segment){at, 4, false};
	segment[1] = (struct fake_segment){at + 8, 1, true};
	for (i = 0; i < 32; i++)
		fake_queue_add(control(), segment, 2);
	fake_queue_kick(control());
	ck_assert_uint_lt(fake_queue_used_index(control()), 32);
	card_run();
	ck_assert_uint_eq(fake_queue_used_index(control()), 32);
	card_end();
}
END_TEST

START_TEST(the_control_queue_moves_without_several_pairs)
{
	pairs = 1; /* that is where it is then */
	card_create(2);
	ck_assert(fake_guest_bring_up(&card_guest, ALL_BASIC | F_CTRL));
	ck_assert_int_eq(command(CLASS_MQ, PAIRS_SET, 2, 4), ERR);
	ck_assert_int_eq(command(CLASS_MQ, PAIRS_SET, 1, 4), ERR);
	offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_uint_eq(sent, 1);
	card_end();
}
END_TEST

UNIT_MAIN("net_pairs", every_number_of_pairs_comes_up, bad_commands_change_nothing,
	  a_command_may_come_in_segments, a_command_without_room_for_a_reply_is_not_done,
	  many_commands_are_done_in_turns, the_control_queue_moves_without_several_pairs)
