/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the network card: a card, its owner, and a guest that fills rings. */
#ifndef CORDON_TEST_NET_CARD_HOST_H
#define CORDON_TEST_NET_CARD_HOST_H

#include "devices/net/card.h"

#include <errno.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define HEADER	  12
#define F_CSUM	  (UINT64_C(1) << 0)
#define F_GCSUM	  (UINT64_C(1) << 1)
#define F_MRG	  (UINT64_C(1) << 15)
#define F_STATUS  (UINT64_C(1) << 16)
#define F_CTRL	  (UINT64_C(1) << 17)
#define F_MQ	  (UINT64_C(1) << 22)
#define BUFFER	  2048
#define RX	  (&guest.queue[0])
#define TX	  (&guest.queue[1])
#define ALL_BASIC (F_CSUM | F_GCSUM | F_MRG | F_STATUS)

static struct fake_guest guest;
static struct loop *loop;
static struct net_card *card;
static uint64_t buffer[256];

/* The owner. */
static bool has_room;
static unsigned sent, drained, resets, partials;
static uint8_t last[NET_CARD_FRAME_MAX];
static size_t last_length;
static bool answers; /* each frame by itself, at once */

static inline bool owner_room(void *arg)
{
	(void)arg;
	return has_room;
}

static inline void owner_transmit(void *arg, uint8_t *frame, size_t length, bool partial)
{
	(void)arg;
	sent++;
	partials += partial;
	memcpy(last, frame, length);
	last_length = length;
	if (answers)
		net_card_receive(card, last, length);
}

static inline void owner_drained(void *arg)
{
	(void)arg;
	drained++;
}

static inline void owner_reset(void *arg)
{
	(void)arg;
	resets++;
}

static const struct net_card_ops ops = {.room = owner_room,
					.transmit = owner_transmit,
					.drained = owner_drained,
					.reset = owner_reset};

static inline void stop(void *arg)
{
	loop_stop(arg);
}

/* Runs what is deferred, and what that defers, until nothing is. */
static inline void run(void)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, 1000000);
	ck_assert_int_eq(loop_run(loop), 0);
}

static inline void create(unsigned pairs)
{
	struct net_card_config config = {.mac = {2, 0, 0, 0, 0, 2}, .mtu = 65520, .pairs = pairs};

	has_room = true;
	sent = drained = resets = partials = 0;
	answers = false;
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(net_card_create(&card, loop, &config), 0);
	net_card_set_owner(card, &ops, NULL);
	net_card_set_link(card, true);
	fake_guest_init(&guest, MIB(4));
	fake_guest_attach(&guest, net_card_device(card));
}

static inline void begin(uint64_t features)
{
	create(1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_ID), 1);
	ck_assert(fake_guest_bring_up(&guest, features));
}

static inline void end(void)
{
	net_card_destroy(card);
	loop_destroy(loop);
	fake_guest_destroy(&guest);
}

static inline struct net_card_stats stats(void)
{
	struct net_card_stats now;

	net_card_stats(card, &now);
	return now;
}

/* Offers receive buffers of a length. */
static inline void give(unsigned count, uint32_t length)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		buffer[i] = fake_guest_alloc(&guest, length, 16);
		fake_queue_add_one(RX, buffer[i], length, true);
	}
	fake_queue_kick(RX);
}

/* Offers a frame of the guest in two pieces, each byte the low byte of its place. */
static inline void offer(struct fake_queue *queue, size_t length, uint8_t flags, uint8_t gso)
{
	uint64_t at = fake_guest_alloc(&guest, HEADER + length, 16);
	struct fake_piece piece[2] = {{at, HEADER + 10, false},
				      {at + HEADER + 10, (uint32_t)length - 10, false}};
	uint8_t *bytes = fake_guest_at(&guest, at);
	size_t i;

	bytes[0] = flags;
	bytes[1] = gso;
	for (i = 0; i < length; i++)
		bytes[HEADER + i] = (uint8_t)i;
	fake_queue_add(queue, piece, 2);
}

static inline void fill(uint8_t *frame, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		frame[i] = (uint8_t)(i * 7);
}

#endif
