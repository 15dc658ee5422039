/* SPDX-License-Identifier: Apache-2.0 */
/* Several queue pairs of a network card: flows, stalls, reset, snapshot, rates. */
#include "tests/support/net_card_host.h"
#include "tests/unit/net_pairs_common.h"

#define PENDING_OF (NET_CARD_PENDING / 2)

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

/* A frame of IPv6 between the guest's port and the peer's; `to`: of an address with that byte. */
static void make_udp6(uint8_t frame[FRAME_UDP], bool from_guest, uint8_t peer, uint16_t port)
{
	const unsigned guest_at = from_guest ? 22 : 38, peer_at = from_guest ? 38 : 22;

	memset(frame, 0, FRAME_UDP);
	store_be16(frame + 12, 0x86dd);
	frame[14] = 0x60;
	frame[20] = 17;
	memset(frame + guest_at, 2, 16);
	memset(frame + peer_at, peer, 16);
	store_be16(frame + (from_guest ? 54 : 56), port);
	store_be16(frame + (from_guest ? 56 : 54), 53);
}

START_TEST(a_flow_of_ipv6_too)
{
	uint8_t frame[FRAME_UDP];
	uint64_t at;
	unsigned i, pair;

	begin_with(4);
	use_pairs(4);
	for (pair = 0; pair < 4; pair++)
		give_to(pair, 100);
	at = fake_guest_alloc(&card_guest, HEADER + FRAME_UDP, 16);
	make_udp6((uint8_t *)fake_guest_at(&card_guest, at) + HEADER, true, 9, 4000);
	for (pair = 4; pair-- > 0;) {
		fake_queue_add_one(&card_guest.queue[2 * pair + 1], at, HEADER + FRAME_UDP, false);
		fake_queue_kick(&card_guest.queue[2 * pair + 1]);
		make_udp6(frame, false, 9, 4000);
		net_card_receive(card, frame, sizeof(frame), NULL);
		ck_assert_uint_eq(got(pair), 1);
	}
	/* Flows to other addresses, and from other ports, are spread. */
	for (i = 0; i < 64; i++) {
		make_udp6(frame, false, (uint8_t)(10 + i % 8), (uint16_t)(i / 8));
		net_card_receive(card, frame, sizeof(frame), NULL);
	}
	for (pair = 0; pair < 4; pair++)
		ck_assert_uint_gt(got(pair), 1);
	/* One that ends before its ports has no place of its own. */
	net_card_receive(card, frame, 57, NULL);
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

/* Sends to the pair of a flow on that port for as long as there is room. */
static unsigned fill_pair(unsigned pair, uint16_t port)
{
	static uint8_t frame[60000];
	unsigned count = 0;

	send_udp(pair, port);
	make_udp(frame, false, port);
	for (; net_card_has_room(card); count++)
		net_card_receive(card, frame, sizeof(frame), NULL);
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
		net_card_receive(card, frame, sizeof(frame), NULL);
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

UNIT_MAIN("net_pairs_flows", a_flow_comes_where_the_guest_sent_it, a_flow_of_ipv6_too,
	  until_the_command_one_pair_gets_everything,
	  fewer_pairs_in_the_midst_of_traffic_lose_nothing,
	  a_pair_without_buffers_does_not_stop_the_others,
	  a_guest_that_takes_nothing_at_all_loses_nothing, one_pair_waits_as_long_as_it_takes,
	  a_reset_forgets_pairs_and_steering, a_saved_card_keeps_its_pairs,
	  a_rate_is_shared_by_the_pairs)
