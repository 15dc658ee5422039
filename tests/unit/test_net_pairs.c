/* SPDX-License-Identifier: Apache-2.0 */
/* The network card with several queue pairs: commands, steering, and pairs that stall. */
#include "tests/support/net_card_host.h"

#define SEVERAL	   (ALL_BASIC | F_CTRL | F_MQ)
#define CLASS_MQ   4
#define PAIRS_SET  0
#define OK	   0
#define ERR	   1
#define RX_OF(n)   (&card_guest.queue[2 * (n)])
#define TX_OF(n)   (&card_guest.queue[2 * (n) + 1])
#define GUEST_IP   0xc0000202u
#define PEER_IP	   0x01020304u
#define FRAME_UDP  64
#define AT_SOURCE  26
#define AT_TARGET  30
#define AT_PORTS   34
#define PENDING_OF (NET_CARD_PENDING / 2)

static unsigned pairs;

static struct fake_queue *control(void)
{
	return &card_guest.queue[2 * pairs];
}

static void begin_with(unsigned count)
{
	pairs = count;
	card_create(count);
	ck_assert(fake_guest_bring_up(&card_guest, SEVERAL));
}

/* A command of length bytes in so many pieces; its answer, 77: none was written. */
static int command_in(unsigned pieces, uint8_t class, uint8_t cmd, uint16_t value, uint32_t length)
{
	uint64_t at = fake_guest_alloc(&card_guest, 16, 16);
	struct fake_piece piece[5];
	uint8_t *bytes = fake_guest_at(&card_guest, at);
	uint32_t head, written;
	unsigned i;

	bytes[0] = class;
	bytes[1] = cmd;
	store_le16(bytes + 2, value);
	bytes[8] = 77;
	for (i = 0; i < pieces; i++)
		piece[i] = (struct fake_piece){at + i, i + 1 < pieces ? 1 : length - i, false};
	piece[pieces] = (struct fake_piece){at + 8, 1, true};
	fake_queue_add(control(), piece, pieces + 1);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 1);
	return bytes[8];
}

static int command(uint8_t class, uint8_t cmd, uint16_t value, uint32_t length)
{
	return command_in(1, class, cmd, value, length);
}

static void use_pairs(unsigned count)
{
	ck_assert_int_eq(command(CLASS_MQ, PAIRS_SET, (uint16_t)count, 4), OK);
	ck_assert_uint_eq(card_stats().pairs, count);
}

/* A UDP frame between the guest's port and the peer's port 53. */
static void make_udp(uint8_t *frame, bool from_guest, uint16_t port)
{
	memset(frame, 0, FRAME_UDP);
	frame[12] = 8;
	frame[14] = 0x45;
	frame[23] = 17;
	store_be32(frame + AT_SOURCE, from_guest ? GUEST_IP : PEER_IP);
	store_be32(frame + AT_TARGET, from_guest ? PEER_IP : GUEST_IP);
	store_be16(frame + AT_PORTS, from_guest ? port : 53);
	store_be16(frame + AT_PORTS + 2, from_guest ? 53 : port);
}

static void receive_udp(uint16_t port)
{
	uint8_t frame[FRAME_UDP];

	make_udp(frame, false, port);
	net_card_receive(card, frame, sizeof(frame));
}

/* The guest sends of that flow on a pair. */
static void send_udp(unsigned pair, uint16_t port)
{
	uint64_t at = fake_guest_alloc(&card_guest, HEADER + FRAME_UDP, 16);
	uint8_t *bytes = fake_guest_at(&card_guest, at);
	unsigned before = sent;

	memset(bytes, 0, HEADER);
	make_udp(bytes + HEADER, true, port);
	fake_queue_add_one(TX_OF(pair), at, HEADER + FRAME_UDP, false);
	fake_queue_kick(TX_OF(pair));
	ck_assert_uint_eq(sent, before + 1);
}

static void give_to(unsigned pair, unsigned count)
{
	uint64_t at =
		fake_guest_alloc(&card_guest, 4096, 16); /* one buffer for all: it is never read */

	for (; count > 0; count--)
		fake_queue_add_one(RX_OF(pair), at, 4096, true);
	fake_queue_kick(RX_OF(pair));
}

static unsigned got(unsigned pair)
{
	return fake_queue_used_index(RX_OF(pair));
}

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

START_TEST(a_command_may_come_in_pieces)
{
	unsigned pieces;

	begin_with(3);
	for (pieces = 1; pieces <= 4; pieces++) {
		ck_assert_int_eq(command_in(pieces, CLASS_MQ, PAIRS_SET, 1 + pieces % 3, 4), OK);
		ck_assert_uint_eq(card_stats().pairs, 1 + pieces % 3);
		ck_assert_int_eq(command_in(pieces, CLASS_MQ, PAIRS_SET, 9, 4), ERR);
		ck_assert_uint_eq(card_stats().pairs, 1 + pieces % 3);
	}
	card_end();
}
END_TEST

START_TEST(what_can_not_be_answered_is_not_done)
{
	uint64_t at;
	uint32_t head, written;
	struct fake_piece backward[2];

	begin_with(3);
	at = fake_guest_alloc(&card_guest, 16, 16);
	((uint8_t *)fake_guest_at(&card_guest, at))[0] = CLASS_MQ;
	((uint8_t *)fake_guest_at(&card_guest, at))[2] = 3;
	fake_queue_add_one(control(), at, 4, false);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 0);
	ck_assert_uint_eq(card_stats().pairs, 1);
	/* Room for an answer to nothing: that is an error like others. */
	fake_queue_add_one(control(), at + 8, 1, true);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 1);
	ck_assert_uint_eq(((uint8_t *)fake_guest_at(&card_guest, at))[8], ERR);
	use_pairs(3);
	/* The answer first is no chain at all (2.7.4.2): the device asks for a reset. */
	backward[0] = (struct fake_piece){at + 8, 1, true};
	backward[1] = (struct fake_piece){at, 4, false};
	fake_queue_add(control(), backward, 2);
	fake_queue_kick(control());
	ck_assert(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET);
	card_end();
}
END_TEST

START_TEST(many_commands_are_done_in_turns)
{
	uint64_t at;
	struct fake_piece piece[2];
	unsigned i;

	begin_with(2);
	at = fake_guest_alloc(&card_guest, 16, 16);
	((uint8_t *)fake_guest_at(&card_guest, at))[0] = CLASS_MQ;
	((uint8_t *)fake_guest_at(&card_guest, at))[2] = 2;
	piece[0] = (struct fake_piece){at, 4, false};
	piece[1] = (struct fake_piece){at + 8, 1, true};
	for (i = 0; i < 32; i++)
		fake_queue_add(control(), piece, 2);
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

START_TEST(a_flow_comes_where_the_guest_sent_it)
{
	unsigned port;

	begin_with(4);
	use_pairs(4);
	give_to(0, 100);
	give_to(1, 100);
	give_to(2, 100);
	give_to(3, 100);
	send_udp(3, 4000);
	receive_udp(4000);
	receive_udp(4000);
	ck_assert_uint_eq(got(3), 2);
	/* It moves with the guest's program. */
	send_udp(1, 4000);
	receive_udp(4000);
	ck_assert_uint_eq(got(1), 1);
	ck_assert_uint_eq(got(3), 2);
	/* Of what the guest has not sent anything, each flow has its place. */
	for (port = 0; port < 64; port++)
		receive_udp((uint16_t)port);
	ck_assert_uint_eq(got(0) + got(1) + got(2) + got(3), 67);
	ck_assert_uint_gt(got(0), 0);
	ck_assert_uint_gt(got(1), 1);
	ck_assert_uint_gt(got(2), 0);
	ck_assert_uint_gt(got(3), 2);
	card_end();
}
END_TEST

START_TEST(until_the_command_one_pair_gets_everything)
{
	unsigned port;

	begin_with(3);
	give_to(0, 100);
	give_to(1, 100);
	give_to(2, 100);
	send_udp(1, 4000);
	receive_udp(4000);
	for (port = 0; port < 30; port++)
		receive_udp((uint16_t)port);
	ck_assert_uint_eq(got(0), 31);
	ck_assert_uint_eq(got(1) + got(2), 0);
	card_end();
}
END_TEST

START_TEST(fewer_pairs_in_the_midst_of_traffic_lose_nothing)
{
	unsigned i;

	begin_with(3);
	use_pairs(3);
	send_udp(2, 4000);
	for (i = 0; i < 50; i++) /* it has no buffers */
		receive_udp(4000);
	ck_assert_uint_gt(card_stats().pending, 50 * FRAME_UDP);
	give_to(0, 60);
	use_pairs(2);
	card_run();
	ck_assert_uint_eq(got(0), 50);
	ck_assert_uint_eq(card_stats().pending, 0);
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	/* The pair that is off has buffers, and gets nothing in them; what it sent is taken. */
	give_to(2, 10);
	give_to(1, 10);
	receive_udp(4000);
	card_run();
	ck_assert_uint_eq(got(2), 0);
	ck_assert_uint_eq(got(0) + got(1), 51);
	send_udp(2, 4000);
	receive_udp(4000);
	ck_assert_uint_eq(got(2), 0);
	use_pairs(3);
	receive_udp(4000);
	ck_assert_uint_eq(got(2), 1);
	card_end();
}
END_TEST

/* Fills what may wait for a pair whose flow is on that port; as who asks for room. */
static unsigned fill_pair(unsigned pair, uint16_t port)
{
	static uint8_t frame[60000];
	unsigned count = 0;

	send_udp(pair, port);
	make_udp(frame, false, port);
	for (; net_card_has_room(card); count++)
		net_card_receive(card, frame, sizeof(frame));
	return count;
}

static void wait_for_stall(void)
{
	struct loop_timer timer = {.expired = card_stop, .arg = loop};

	loop_timer_start(loop, &timer, NET_CARD_STALL_NS + 1000000);
	ck_assert_int_eq(loop_run(loop), 0);
}

START_TEST(a_pair_without_buffers_does_not_stop_the_others)
{
	static uint8_t frame[60000];
	uint64_t dropped;
	unsigned i, kept;

	begin_with(2);
	use_pairs(2);
	give_to(0, 200);
	kept = fill_pair(1, 4000);
	ck_assert_uint_gt(kept, PENDING_OF / sizeof(frame));
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	ck_assert_uint_eq(drained, 0);
	wait_for_stall();
	/* Once, and the others go on. */
	ck_assert_uint_eq(drained, 1);
	ck_assert(net_card_has_room(card));
	send_udp(0, 5000);
	receive_udp(5000);
	ck_assert_uint_eq(got(0), 1);
	/* Its own are dropped, beyond the limit; never the others'. */
	make_udp(frame, false, 4000);
	for (i = 0; i < 20; i++)
		net_card_receive(card, frame, sizeof(frame));
	ck_assert_uint_le(card_stats().pending, NET_CARD_PENDING);
	ck_assert_uint_gt(card_stats().receive_dropped, 0);
	ck_assert(net_card_has_room(card));
	receive_udp(5000);
	ck_assert_uint_eq(got(0), 2);
	/* With buffers it gets what was kept, and is as before. */
	dropped = card_stats().receive_dropped;
	give_to(1, 200);
	card_run();
	ck_assert_uint_eq(card_stats().pending, 0);
	ck_assert_uint_eq(card_stats().receive_dropped, dropped);
	ck_assert_uint_gt(card_stats().pair[1].received, kept);
	fill_pair(1, 4000);
	ck_assert(!net_card_has_room(card));
	card_end();
}
END_TEST

START_TEST(a_guest_that_takes_nothing_at_all_loses_nothing)
{
	begin_with(2);
	use_pairs(2);
	fill_pair(1, 4000);
	wait_for_stall();
	/* No pair has buffers: this one keeps no other waiting. */
	ck_assert(!net_card_has_room(card));
	ck_assert_uint_eq(drained, 0);
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	give_to(0, 4);
	wait_for_stall();
	ck_assert(net_card_has_room(card));
	ck_assert_uint_eq(drained, 1);
	card_end();
}
END_TEST

START_TEST(one_pair_waits_as_long_as_it_takes)
{
	card_begin(ALL_BASIC);
	pairs = 1;
	fill_pair(0, 4000);
	wait_for_stall();
	ck_assert(!net_card_has_room(card));
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	card_end();
}
END_TEST

START_TEST(a_reset_forgets_pairs_and_steering)
{
	begin_with(3);
	use_pairs(3);
	give_to(0, 2);
	fill_pair(2, 4000);
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(card_stats().pending, 0);
	ck_assert_uint_eq(card_stats().pairs, 0);
	ck_assert_uint_eq(resets, 1);
	wait_for_stall(); /* its timer is no more */
	fake_guest_forget(&card_guest);
	ck_assert(fake_guest_bring_up(&card_guest, SEVERAL));
	ck_assert_uint_eq(card_stats().pairs, 1);
	give_to(0, 2);
	receive_udp(4000);
	ck_assert_uint_eq(got(0), 1);
	card_end();
}
END_TEST

/* Restores what is packed into a card of so many pairs: virtio_mmio_restore()'s result. */
static int restore_into(unsigned count, const struct pack *pack, struct net_card **out,
			struct virtio_mmio *mmio, struct irq_line *irq)
{
	struct net_card_config config = {.mac = {2, 0, 0, 0, 0, 2}, .mtu = 65520, .pairs = count};
	struct unpack unpack = {.data = pack->data, .length = pack->length};
	struct err err = {""};

	ck_assert_int_eq(net_card_create(out, loop, &config), 0);
	ck_assert_int_eq(irq_line_create(irq, 9), 0);
	virtio_mmio_init(mmio, net_card_device(*out), &card_guest.memory, irq);
	return virtio_mmio_restore(mmio, &unpack, &err);
}

START_TEST(a_saved_card_keeps_its_pairs)
{
	static const struct {
		uint32_t saved;
		int result;
	} as[] = {{2, 0},	{1, 0},		{3, 0},		 {0, -EINVAL},
		  {4, -EINVAL}, {-1u, -EINVAL}, {0x200, -EINVAL}};
	struct pack pack = {0};
	struct net_card *second;
	struct net_card_stats now;
	struct virtio_mmio mmio;
	struct irq_line irq;
	size_t i;

	begin_with(3);
	use_pairs(2);
	virtio_mmio_save(&card_guest.mmio, &pack);
	ck_assert_uint_eq(load_le32(pack.data + pack.length - 4), 2);
	for (i = 0; i < ARRAY_SIZE(as); i++) {
		store_le32(pack.data + pack.length - 4, as[i].saved);
		ck_assert_int_eq(restore_into(3, &pack, &second, &mmio, &irq), as[i].result);
		net_card_stats(second, &now);
		if (as[i].result == 0)
			ck_assert_uint_eq(now.pairs, as[i].saved);
		net_card_destroy(second);
		irq_line_destroy(&irq);
	}
	/* Cut; and for a card with fewer. */
	pack.length--;
	ck_assert_int_eq(restore_into(3, &pack, &second, &mmio, &irq), -EINVAL);
	net_card_destroy(second);
	irq_line_destroy(&irq);
	pack.length++;
	ck_assert_int_eq(restore_into(2, &pack, &second, &mmio, &irq), -EINVAL);
	net_card_destroy(second);
	irq_line_destroy(&irq);
	pack_free(&pack);
	card_end();
}
END_TEST

START_TEST(a_rate_is_shared_by_the_pairs)
{
	unsigned i;

	begin_with(2);
	use_pairs(2);
	give_to(0, 100);
	give_to(1, 100);
	send_udp(0, 4000);
	send_udp(1, 5000);
	net_card_set_rates(card, 0, 1);
	receive_udp(4000); /* the burst */
	for (i = 0; i < 20; i++) {
		receive_udp(4000);
		receive_udp(5000);
	}
	card_run();
	ck_assert_uint_eq(got(0) + got(1), 1);
	/* As the rate comes, both get some of it. */
	net_card_set_rates(card, 0, 500);
	while (got(0) + got(1) < 21)
		card_run();
	ck_assert_uint_gt(got(0), 5);
	ck_assert_uint_gt(got(1), 5);
	net_card_set_rates(card, 0, 0);
	card_run();
	ck_assert_uint_eq(got(0) + got(1), 41);
	card_end();
}
END_TEST

UNIT_MAIN("net_pairs", every_number_of_pairs_comes_up, bad_commands_change_nothing,
	  a_command_may_come_in_pieces, what_can_not_be_answered_is_not_done,
	  many_commands_are_done_in_turns, the_control_queue_moves_without_several_pairs,
	  a_flow_comes_where_the_guest_sent_it, until_the_command_one_pair_gets_everything,
	  fewer_pairs_in_the_midst_of_traffic_lose_nothing,
	  a_pair_without_buffers_does_not_stop_the_others,
	  a_guest_that_takes_nothing_at_all_loses_nothing, one_pair_waits_as_long_as_it_takes,
	  a_reset_forgets_pairs_and_steering, a_saved_card_keeps_its_pairs,
	  a_rate_is_shared_by_the_pairs)
