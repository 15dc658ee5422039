/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest takes of the network card's offloads: features, reset, snapshot. */
#include "tests/unit/net_offload_common.h"

static void expect_takes(const struct net_card_takes *takes, bool partial, bool tso4, bool tso6)
{
	ck_assert_int_eq(takes->partial, partial);
	ck_assert_int_eq(takes->tso4, tso4);
	ck_assert_int_eq(takes->tso6, tso6);
}

START_TEST(the_guest_gets_only_what_it_takes)
{
	static const struct {
		uint64_t features;
		bool partial, tso4, tso6;
	} cases[] = {
		{0, false, false, false},
		{ALL_BASIC & ~F_GCSUM, false, false, false},
		{F_GCSUM, true, false, false},
		{F_GCSUM | F_GTSO4, true, true, false},
		{F_GCSUM | F_GTSO6, true, false, true},
		{ALL_BASIC | ALL_TSO, true, true, true},
		/* Not without checksums (5.1.3.1), and not by those of the other direction. */
		{F_GTSO4 | F_GTSO6, false, false, false},
		{F_CSUM | F_HTSO4 | F_HTSO6, false, false, false},
	};
	static const struct fields fields[] = {
		{1, 0, 0, 0, 34, 16}, {1, TCP4, 54, 100, 34, 16}, {1, TCP6, 74, 100, 54, 16}};
	static uint8_t frame[LENGTH];
	struct net_card_takes takes;
	struct net_card_offload offload;
	unsigned count;
	size_t i, k;

	offload_begin(0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const bool allowed[] = {cases[i].partial, cases[i].tso4, cases[i].tso6};

		bring_up_again(cases[i].features);
		takes = net_card_takes(card);
		expect_takes(&takes, cases[i].partial, cases[i].tso4, cases[i].tso6);
		expect_takes(&takes_at_start, cases[i].partial, cases[i].tso4, cases[i].tso6);
		for (k = 0, count = 0; k < ARRAY_SIZE(fields); k++) {
			give(1, BUFFER);
			offload = to_offload(&fields[k]);
			net_card_receive(card, frame, sizeof(frame), &offload);
			count += allowed[k];
			ck_assert_uint_eq(fake_queue_used_index(RX), count);
		}
		net_card_receive(card, frame, sizeof(frame), NULL);
		give(1, BUFFER);
		ck_assert_uint_eq(fake_queue_used_index(RX), count + 1);
	}
	offload_end();
}
END_TEST

START_TEST(a_reset_ends_what_the_guest_takes)
{
	const struct net_card_offload offload = {.partial = true, .start = 34, .offset = 16};
	static uint8_t frame[LENGTH];
	struct net_card_takes takes;

	card_offloads = true;
	card_create(1);
	ck_assert(fake_guest_negotiate(&card_guest, ALL_BASIC | ALL_TSO));
	takes = net_card_takes(card); /* not before DRIVER_OK */
	expect_takes(&takes, false, false, false);
	ck_assert_uint_eq(starts, 0);
	bring_up_again(ALL_BASIC | ALL_TSO);
	ck_assert_uint_eq(starts, 1);
	expect_takes(&takes_at_start, true, true, true);
	net_card_receive(card, frame, sizeof(frame), &offload); /* waits for a buffer */
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(resets, 1);
	expect_takes(&takes_at_reset, false, false, false);
	/* The next driver takes less: neither what waited nor what is in flight reaches it. */
	bring_up_again(F_MRG);
	ck_assert_uint_eq(starts, 2);
	expect_takes(&takes_at_start, false, false, false);
	give(2, BUFFER);
	net_card_receive(card, frame, sizeof(frame), &offload);
	card_run();
	ck_assert_uint_eq(fake_queue_used_index(RX), 0);
	ck_assert_uint_eq(card_stats().receive_dropped, 1);
	net_card_receive(card, frame, sizeof(frame), NULL);
	ck_assert_uint_eq(fake_queue_used_index(RX), 1);
	expect_header(buffer[0], &(struct fields){0}, 1);
	/* FAILED stops the device as a reset does. */
	bring_up_again(ALL_BASIC | ALL_TSO);
	fake_add_status(&card_guest, FAKE_ST_FAILED);
	takes = net_card_takes(card);
	expect_takes(&takes, false, false, false);
	/* An owner need not be told. */
	net_card_set_owner(card, NULL, NULL);
	bring_up_again(F_GCSUM);
	takes = net_card_takes(card);
	expect_takes(&takes, true, false, false);
	ck_assert_uint_eq(starts, 3);
	offload_end();
}
END_TEST

/* Restores a saved card into a new one: virtio_mmio_restore()'s result, and what the guest takes.
 */
static int restore_into(bool offloads, const struct pack *pack, struct net_card_takes *takes)
{
	const struct net_card_config config = {.mtu = 65520, .pairs = 1, .offloads = offloads};
	struct unpack unpack = {.data = pack->data, .length = pack->length};
	struct net_card *second;
	struct virtio_mmio mmio;
	struct irq_line irq;
	struct err err = {""};
	int ret;

	ck_assert_int_eq(net_card_create(&second, loop, &config), 0);
	ck_assert_int_eq(irq_line_create(&irq, 9), 0);
	virtio_mmio_init(&mmio, net_card_device(second), &card_guest.memory, &irq);
	ret = virtio_mmio_restore(&mmio, &unpack, &err);
	*takes = net_card_takes(second);
	net_card_destroy(second);
	irq_line_destroy(&irq);
	return ret;
}

START_TEST(a_saved_card_keeps_its_features)
{
	static const struct {
		uint64_t features;
		bool saved_with, restored_with;
		int result;
		bool tso4, tso6;
	} cases[] = {
		{ALL_BASIC | ALL_TSO, true, true, 0, true, true},
		{ALL_BASIC | F_GTSO6, true, true, 0, false, true},
		/* What the new card offers less than the old one, if the driver uses it. */
		{ALL_BASIC | ALL_TSO, true, false, -EINVAL, false, false},
		{ALL_BASIC | F_HTSO4, true, false, -EINVAL, false, false},
		{ALL_BASIC, true, false, 0, false, false},
		/* And what it offers more is not taken. */
		{ALL_BASIC, false, true, 0, false, false},
		{ALL_BASIC, false, false, 0, false, false},
	};
	struct net_card_takes takes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pack pack = {0};

		card_offloads = cases[i].saved_with;
		card_begin(cases[i].features);
		virtio_mmio_save(&card_guest.mmio, &pack);
		ck_assert_int_eq(restore_into(cases[i].restored_with, &pack, &takes),
				 cases[i].result);
		expect_takes(&takes, cases[i].result == 0, cases[i].tso4, cases[i].tso6);
		pack_free(&pack);
		offload_end();
	}
}
END_TEST

UNIT_MAIN("net_offload_life", the_guest_gets_only_what_it_takes, a_reset_ends_what_the_guest_takes,
	  a_saved_card_keeps_its_features)
