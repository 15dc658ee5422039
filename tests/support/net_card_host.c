/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/net_card_host.h"

struct fake_guest card_guest;
struct loop *loop;
struct net_card *card;
uint64_t buffer[256];
bool has_room;
unsigned sent, drained, resets, starts, partials;
uint8_t last[NET_CARD_FRAME_MAX];
size_t last_length;
struct net_card_offload last_offload;
struct net_card_takes takes_at_start, takes_at_reset;
bool card_offloads;
bool answers; /* the owner replies to each frame at once */

static bool in_turn;

static void owner_turn(void *arg, bool begins)
{
	(void)arg;
	ck_assert(begins != in_turn);
	in_turn = begins;
}

static bool owner_room(void *arg)
{
	(void)arg;
	return has_room;
}

static void owner_transmit(void *arg, uint8_t *frame, size_t length,
			   const struct net_card_offload *offload)
{
	(void)arg;
	ck_assert(in_turn);
	sent++;
	partials += offload->partial;
	last_offload = *offload;
	memcpy(last, frame, length);
	last_length = length;
	if (answers)
		net_card_receive(card, last, length, NULL);
}

static void owner_drained(void *arg)
{
	(void)arg;
	drained++;
}

static void owner_reset(void *arg)
{
	(void)arg;
	resets++;
	takes_at_reset = net_card_takes(card);
}

static void owner_started(void *arg)
{
	(void)arg;
	starts++;
	takes_at_start = net_card_takes(card);
}

const struct net_card_ops card_ops = {.room = owner_room,
				      .transmit = owner_transmit,
				      .turn = owner_turn,
				      .drained = owner_drained,
				      .reset = owner_reset,
				      .started = owner_started};

void card_stop(void *arg)
{
	loop_stop(arg);
}

void card_run(void)
{
	struct loop_timer timer = {.expired = card_stop, .arg = loop};

	loop_timer_start(loop, &timer, 1000000);
	ck_assert_int_eq(loop_run(loop), 0);
}

void card_create(unsigned pairs)
{
	struct net_card_config config = {
		.mac = {2, 0, 0, 0, 0, 2}, .mtu = 65520, .pairs = pairs, .offloads = card_offloads};

	has_room = true;
	sent = drained = resets = starts = partials = 0;
	answers = false;
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(net_card_create(&card, loop, &config), 0);
	net_card_set_owner(card, &card_ops, NULL);
	net_card_set_link(card, true);
	fake_guest_init(&card_guest, MIB(4));
	fake_guest_attach(&card_guest, net_card_device(card));
}

void card_begin(uint64_t features)
{
	card_create(1);
	ck_assert_uint_eq(fake_read(&card_guest, FAKE_REG_DEVICE_ID), 1);
	ck_assert(fake_guest_bring_up(&card_guest, features));
}

void card_end(void)
{
	net_card_destroy(card);
	loop_destroy(loop);
	fake_guest_destroy(&card_guest);
}

struct net_card_stats card_stats(void)
{
	struct net_card_stats now;

	net_card_stats(card, &now);
	return now;
}

void give(unsigned count, uint32_t length)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		buffer[i] = fake_guest_alloc(&card_guest, length, 16);
		fake_queue_add_one(RX, buffer[i], length, true);
	}
	fake_queue_kick(RX);
}

void offer(struct fake_queue *queue, size_t length, uint8_t flags, uint8_t gso)
{
	offer_header(queue, length, (const uint8_t[HEADER]){flags, gso});
}

void offer_header(struct fake_queue *queue, size_t length, const uint8_t *header)
{
	uint64_t at = fake_guest_alloc(&card_guest, HEADER + length, 16);
	struct fake_segment segment[2] = {{at, HEADER + 10, false},
					  {at + HEADER + 10, (uint32_t)length - 10, false}};
	uint8_t *bytes = fake_guest_at(&card_guest, at);
	size_t i;

	memcpy(bytes, header, HEADER);
	for (i = 0; i < length; i++)
		bytes[HEADER + i] = (uint8_t)i;
	fake_queue_add(queue, segment, 2);
}

void card_fill(uint8_t *frame, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		frame[i] = (uint8_t)(i * 7);
}
