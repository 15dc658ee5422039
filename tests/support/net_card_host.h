/* SPDX-License-Identifier: Apache-2.0 */
/* For the network card's tests: a card, its owner, and a guest that fills rings. */
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
#define F_GTSO4	  (UINT64_C(1) << 7) /* G: of frames for the guest; H: of its own */
#define F_GTSO6	  (UINT64_C(1) << 8)
#define F_HTSO4	  (UINT64_C(1) << 11)
#define F_HTSO6	  (UINT64_C(1) << 12)
#define F_MRG	  (UINT64_C(1) << 15)
#define F_STATUS  (UINT64_C(1) << 16)
#define F_CTRL	  (UINT64_C(1) << 17)
#define F_MQ	  (UINT64_C(1) << 22)
#define BUFFER	  2048
#define RX	  (&card_guest.queue[0])
#define TX	  (&card_guest.queue[1])
#define ALL_BASIC (F_CSUM | F_GCSUM | F_MRG | F_STATUS)
#define ALL_TSO	  (F_GTSO4 | F_GTSO6 | F_HTSO4 | F_HTSO6)

extern struct fake_guest card_guest;
extern struct loop *loop;
extern struct net_card *card;
extern uint64_t buffer[256];

/* The owner. */
extern bool has_room;
extern unsigned sent, drained, resets, starts, partials;
extern uint8_t last[NET_CARD_FRAME_MAX];
extern size_t last_length;
extern struct net_card_offload last_offload;
extern struct net_card_takes takes_at_start, takes_at_reset;
extern bool answers; /* the owner replies to each frame at once */
extern const struct net_card_ops card_ops;

void card_stop(void *arg);

/* Runs the loop until nothing is deferred any more. */
void card_run(void);

extern bool card_offloads; /* of the cards that are created: net_card_config.offloads */
void card_create(unsigned pairs);
void card_begin(uint64_t features);
void card_end(void);
struct net_card_stats card_stats(void);

/* Offers count receive buffers of a length. */
void give(unsigned count, uint32_t length);

/* Offers a frame of the guest in two segments; each byte is the low byte of its offset. */
void offer(struct fake_queue *queue, size_t length, uint8_t flags, uint8_t gso);

/* The same with a whole header, of HEADER bytes. */
void offer_header(struct fake_queue *queue, size_t length, const uint8_t *header);

void card_fill(uint8_t *frame, size_t length);

#endif
