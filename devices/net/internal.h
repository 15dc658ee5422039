/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the network device share. Nobody else includes this. */
#ifndef CORDON_NET_CARD_INTERNAL_H
#define CORDON_NET_CARD_INTERNAL_H

#include <linux/virtio_net.h>
#include <stddef.h>

#include "devices/net/card.h"
#include "vmm/base/bucket.h"
#include "vmm/base/ring.h"

/* The header of a frame (5.1.6), the same both ways. */
#define NET_HEADER	     sizeof(struct virtio_net_hdr_v1)
#define NET_HEADER_AT(field) offsetof(struct virtio_net_hdr_v1, field)

/* The rates of one direction. */
struct net_rates {
	struct bucket bytes, frames;
	struct loop_timer refill; /* when the next frame may pass */
};

#define NET_STEERING  1024 /* a power of two */
#define NET_UNSTEERED 0xff /* the guest has sent nothing of such a flow */

/* What waits for the buffers of a pair. */
struct net_pair {
	struct ring pending; /* frames, each after its length (4 bytes) */
	bool starved;	     /* the first of them found too few buffers */
	bool moved;	     /* one has found its buffers since the stall timer's last look */
	bool stalled;	     /* the owner does not wait for this pair */
	struct net_card_pair_stats stats;
};

struct net_card {
	struct virtio_device device;
	struct loop *loop;
	struct loop_task transmit, deliver, interrupt;
	struct loop_timer stall; /* looks for pairs that keep the others waiting */
	struct net_card_config config;
	const struct net_card_ops *ops;
	void *arg;
	bool link;
	unsigned pairs_used; /* by the driver's command */
	unsigned next_pair;  /* whose frames are taken next */
	unsigned next_given; /* who is given frames next */
	uint32_t interrupts; /* queues that have something new, a bit each */
	struct net_rates from_guest, to_guest;
	struct net_pair pair[NET_CARD_PAIRS];
	/* By a hash of a flow, the pair on which the guest has last sent of it. Flows that share a
	 * place share a pair: that costs them speed, nothing else. */
	uint8_t steering[NET_STEERING];
	struct net_card_stats stats;
	/* Of a frame that is taken, which may be answered at once, and of one that is placed. */
	struct virtio_chain taken, chain, first;
	uint8_t frame[NET_CARD_FRAME_MAX];
};

static inline bool net_negotiated(const struct net_card *card, unsigned feature)
{
	return card->device.negotiated >> feature & 1;
}

/* An interrupt for the queue, before the loop waits again. */
void net_card_interrupt_later(struct net_card *card, unsigned queue);

/* Whether the rates let another frame pass now; if not, the timer says when. */
bool net_rates_pass(struct net_card *card, struct net_rates *rates);
/* One has passed. */
void net_rates_took(struct net_rates *rates, size_t length);

/* transmit.c: takes what waits in the rings of the guest, a turn's worth. */
void net_card_take(struct net_card *card);

/* receive.c: puts what is pending into the guest's buffers, a turn's worth. */
void net_card_deliver(struct net_card *card);
/* Drops what is pending. */
void net_card_drop_pending(struct net_card *card);
/* The stall timer has expired. */
void net_card_stalled(void *arg);
/* Frames that wait for pairs which are used no longer go to the first, as far as it has room. */
void net_card_gather(struct net_card *card);

/* steer.c: which pair a frame for the guest belongs to; a frame of the guest came on that pair. */
void net_steer_reset(struct net_card *card);
unsigned net_steer_pair(const struct net_card *card, const uint8_t *frame, size_t length);
void net_steer_note(struct net_card *card, const uint8_t *frame, size_t length, unsigned pair);

/* control.c: the queue of commands. */
bool net_control_is(const struct net_card *card, unsigned queue);
/* Does the commands that wait, a turn's worth. */
void net_control_run(struct net_card *card);

#endif
