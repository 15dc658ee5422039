/* SPDX-License-Identifier: Apache-2.0 */
/* The network card: link, reset, snapshot, rates. */
#include "tests/support/net_card_host.h"

START_TEST(while_the_link_is_down_nothing_passes)
{
	uint8_t frame[100] = {0};

	card_begin(ALL_BASIC);
	net_card_set_link(card, false);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 6, 2), 0);
	ck_assert(fake_read(&card_guest, FAKE_REG_INTERRUPT_STATUS) & 2);
	give(1, BUFFER);
	net_card_receive(card, frame, sizeof(frame), NULL);
	offer(TX, 100, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 0);
	ck_assert_uint_eq(fake_queue_used_index(RX), 0);
	ck_assert_uint_eq(fake_queue_used_index(TX), 1); /* taken and dropped */
	fake_write(&card_guest, FAKE_REG_INTERRUPT_ACK, 3);
	net_card_set_link(card, true);
	ck_assert_uint_eq(fake_read_size(&card_guest, FAKE_REG_CONFIG + 6, 2), 1);
	ck_assert(fake_read(&card_guest, FAKE_REG_INTERRUPT_STATUS) & 2);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 1);
	/* The same without an owner. */
	net_card_set_owner(card, NULL, NULL);
	offer(TX, 100, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_uint_eq(sent, 0);
	ck_assert_uint_eq(fake_queue_used_index(TX), 2);
	card_end();
}
END_TEST

START_TEST(a_reset_in_flight_forgets_everything)
{
	uint8_t frame[100] = {0};
	unsigned i;

	card_begin(ALL_BASIC);
	for (i = 0; i < 100; i++)
		offer(TX, 60, 0, 0);
	has_room = false;
	fake_queue_kick(TX);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_gt(card_stats().pending, 0);
	net_card_resume(card);
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(resets, 1);
	ck_assert_uint_eq(card_stats().pending, 0);
	memset(card_guest.ram, 0, card_guest.ram_size);
	has_room = true;
	card_run();
	net_card_receive(card, frame, sizeof(frame), NULL);
	/* All zeros: the first byte is zero, and each byte equals the one before it. */
	ck_assert(card_guest.ram[0] == 0 &&
		  memcmp(card_guest.ram, card_guest.ram + 1, card_guest.ram_size - 1) == 0);
	ck_assert_uint_eq(sent, 0);
	fake_guest_forget(&card_guest);
	ck_assert(fake_guest_bring_up(&card_guest, ALL_BASIC));
	give(1, BUFFER);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 1);
	card_end();
}
END_TEST

START_TEST(a_broken_ring_stops_and_a_reset_heals)
{
	card_begin(ALL_BASIC);
	fake_queue_set_avail_index(TX, 9999);
	fake_queue_kick(TX);
	ck_assert(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET);
	net_card_receive(card, last, 100, NULL);
	card_run();
	fake_guest_forget(&card_guest);
	ck_assert(fake_guest_bring_up(&card_guest, ALL_BASIC));
	offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 1);
	fake_queue_set_avail_index(RX, 9999);
	net_card_receive(card, last, 100, NULL);
	ck_assert(fake_status(&card_guest) & FAKE_ST_NEEDS_RESET);
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	card_end();
}
END_TEST

START_TEST(a_saved_card_goes_on)
{
	struct pack pack = {0};
	struct unpack unpack;
	struct net_card_config config = {.mac = {2, 0, 0, 0, 0, 2}, .mtu = 65520, .pairs = 1};
	struct net_card *second;
	struct virtio_mmio mmio;
	struct irq_line irq;
	struct err err = {""};

	card_begin(ALL_BASIC);
	give(2, BUFFER);
	net_card_receive(card, last, 60, NULL);
	offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 1);
	offer(TX, 70, 0, 0); /* not processed yet */
	virtio_mmio_save(&card_guest.mmio, &pack);
	ck_assert_int_eq(net_card_create(&second, loop, &config), 0);
	ck_assert_int_eq(irq_line_create(&irq, 9), 0);
	virtio_mmio_init(&mmio, net_card_device(second), &card_guest.memory, &irq);
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	ck_assert_int_eq(virtio_mmio_restore(&mmio, &unpack, &err), 0);
	ck_assert(unpack_done(&unpack));
	/* The link is down in the restored card: the waiting frame is dropped. */
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(fake_queue_used_index(TX), 2);
	net_card_set_owner(second, &card_ops, NULL);
	net_card_set_link(second, true);
	net_card_receive(second, last, 60, NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 2);
	offer(TX, 80, 0, 0);
	virtio_mmio_notify(&mmio, 1);
	card_run();
	ck_assert_uint_eq(sent, 2);
	ck_assert_uint_eq(last_length, 80);
	net_card_destroy(second);
	irq_line_destroy(&irq);
	pack_free(&pack);
	card_end();
}
END_TEST

/* --- rates ------------------------------------------------------------------------------------ */

/* A second's worth may pass at once; a frame may overdraw it, and the next one waits longer. */
START_TEST(frames_over_the_rate_wait_in_the_ring)
{
	unsigned i;

	card_begin(ALL_BASIC);
	net_card_set_rates(card, 60, 0);
	for (i = 0; i < 3; i++)
		offer(TX, 6000, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(fake_queue_used_index(TX), 1);
	/* The other direction has its own budget. */
	give(1, 16384);
	net_card_receive(card, last, 6000, NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 1);
	/* Doorbells do not bypass the limit. */
	fake_queue_kick(TX);
	card_run();
	ck_assert_uint_eq(sent, 1);
	net_card_set_rates(card, 0, 0);
	card_run();
	ck_assert_uint_eq(sent, 3);
	/* A limit on frames alone. */
	net_card_set_rates(card, 0, 1);
	card_run();
	for (i = 0; i < 3; i++)
		offer(TX, 60, 0, 0);
	fake_queue_kick(TX);
	ck_assert_uint_eq(sent, 4);
	net_card_set_rates(card, 0, 0);
	card_run();
	ck_assert_uint_eq(sent, 6);
	card_end();
}
END_TEST

START_TEST(frames_for_the_guest_wait_for_the_rate_in_bounds)
{
	static uint8_t frame[NET_CARD_FRAME_MAX];
	unsigned i;

	card_begin(ALL_BASIC);
	give(250, BUFFER);
	net_card_set_rates(card, 60, 0);
	card_fill(frame, sizeof(frame));
	net_card_receive(card, frame, 6000, NULL);
	ck_assert_uint_eq(card_stats().received, 1);
	/* A sender that checks for room first loses no frame: it waits. */
	for (i = 0; net_card_has_room(card); i++)
		net_card_receive(card, frame, 1500, NULL);
	ck_assert_uint_eq(card_stats().received, 1);
	ck_assert_uint_ge(card_stats().pending, NET_CARD_PENDING / 2);
	card_run();
	fake_queue_kick(RX);
	card_run();
	ck_assert_uint_eq(card_stats().received, 1);
	ck_assert_uint_eq(drained, 0);
	net_card_set_rates(card, 0, 0);
	while (card_stats().received < 1 + i)
		card_run();
	ck_assert_uint_eq(drained, 1);
	ck_assert_uint_eq(card_stats().receive_dropped, 0);
	card_end();
}
END_TEST

START_TEST(a_rate_lets_the_rest_pass_later)
{
	unsigned i;

	card_begin(ALL_BASIC);
	net_card_set_rates(card, 1000000, 1000);
	for (i = 0; i < 20; i++)
		offer(TX, 60000, 0, 0);
	fake_queue_kick(TX);
	while (sent < 20)
		card_run();
	/* A reset stops the timer. */
	net_card_set_rates(card, 60, 0);
	card_run();
	offer(TX, 6000, 0, 0);
	offer(TX, 6000, 0, 0);
	fake_queue_kick(TX);
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	card_run();
	ck_assert_uint_eq(sent, 21);
	card_end();
}
END_TEST

UNIT_MAIN("net_card_life", while_the_link_is_down_nothing_passes,
	  a_reset_in_flight_forgets_everything, a_broken_ring_stops_and_a_reset_heals,
	  a_saved_card_goes_on, frames_over_the_rate_wait_in_the_ring,
	  frames_for_the_guest_wait_for_the_rate_in_bounds, a_rate_lets_the_rest_pass_later)
