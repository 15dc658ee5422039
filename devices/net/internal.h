/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the network device. */
#ifndef CORDON_NET_CARD_INTERNAL_H
#define CORDON_NET_CARD_INTERNAL_H

#include <linux/virtio_net.h>
#include <stddef.h>

#include "devices/net/card.h"
#include "vmm/base/bucket.h"
#include "vmm/base/ring.h"

/* The header of a frame (5.1.6), the same both ways. */
/* Limits of one turn, of frames of the guest and of frames for it; then other devices have theirs.
 */
#define NET_TURN_CHAINS	  64
#define NET_TURN_BYTES	  (256u << 10)
#define NET_TURN_FRAMES	  64
#define NET_TURN_COMMANDS 16

#define NET_HEADER	     sizeof(struct virtio_net_hdr_v1)
#define NET_HEADER_AT(field) offsetof(struct virtio_net_hdr_v1, field)

/* The rates of one direction. */
struct net_rates {
	struct bucket bytes, frames;
	struct loop_timer refill; /* when the next frame may pass */
};

#define NET_STEERING  1024 /* a power of two */
#define NET_UNSTEERED 0xff /* the guest has sent nothing of such a flow */

/* A queue pair, with frames that wait for its buffers. */
struct net_pair {
	struct ring pending; /* frames, each after its length (4 bytes) and its header */
	bool starved;	     /* the first of them found too few buffers */
	bool moved;	     /* one has found its buffers since the stall timer last expired */
	bool stalled;	     /* the owner does not wait for this pair */
	struct net_card_pair_stats stats;
};

struct net_card {
	struct virtio_device device;
	struct loop *loop;
	struct loop_task transmit, deliver, interrupt;
	struct loop_timer stall; /* detects pairs that keep the others waiting */
	struct net_card_config config;
	const struct net_card_ops *ops;
	void *arg;
	bool link;
	struct net_card_takes takes; /* by the driver's features; nothing while it is not ready */
	unsigned pairs_used;	     /* by the driver's command */
	unsigned next_pair;	     /* the pair to take frames from next */
	unsigned next_given;	     /* the pair to give frames to next */
	uint32_t interrupts;	     /* bitmap of queues that have used elements */
	struct net_rates from_guest, to_guest;
	struct net_pair pair[NET_CARD_PAIRS];
	/* The pair on which the guest has last sent a frame of a flow, by the flow's hash. Flows
	 * with the same hash share a pair, which costs only speed. */
	uint8_t steering[NET_STEERING];
	struct net_card_stats stats;
	/* The frame being taken, to which the owner may reply at once, and the one being placed. */
	struct virtio_chain taken, chain, first;
	uint8_t frame[NET_CARD_FRAME_MAX];
};

static inline bool net_negotiated(const struct net_card *card, unsigned feature)
{
	return card->device.negotiated >> feature & 1;
}

/* An interrupt for the queue, before the loop waits again. */
void net_card_interrupt_later(struct net_card *card, unsigned queue);

/* Whether the rates let another frame pass now; if not, starts the timer. */
bool net_rates_pass(struct net_card *card, struct net_rates *rates);
/* Accounts for a frame that has passed. */
void net_rates_took(struct net_rates *rates, size_t length);

/* transmit.c: takes frames from the guest's rings, up to a turn. */
void net_card_take(struct net_card *card);

/* receive.c: puts pending frames into the guest's buffers, up to a turn. */
void net_card_deliver(struct net_card *card);
/* Drops all pending frames. */
void net_card_drop_pending(struct net_card *card);
/* The stall timer has expired. */
void net_card_stalled(void *arg);
/* Moves frames that wait for pairs no longer in use to the first pair, as far as it has room. */
void net_card_gather(struct net_card *card);

/* steer.c: the pair for a frame to the guest, and a note of the pair that the guest has used. */
void net_steer_reset(struct net_card *card);
unsigned net_steer_pair(const struct net_card *card, const uint8_t *frame, size_t length);
void net_steer_note(struct net_card *card, const uint8_t *frame, size_t length, unsigned pair);

/* control.c: the queue of commands. */
bool net_control_is(const struct net_card *card, unsigned queue);
/* Executes waiting commands, up to a turn. */
void net_control_run(struct net_card *card);

#endif
