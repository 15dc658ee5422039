/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of Ethernet frames between what stands for a guest and what stands for its network: any
 * guest (guest.h, tap.h) can have any card (passt.h, relay_card.h). A frame has a header of its
 * own, struct virtio_net_hdr_v1; where nothing is offloaded its bytes are 0.
 */
#ifndef CORDON_BENCH_CARD_H
#define CORDON_BENCH_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARD_HEADER 12
#define CARD_MTU    65520
#define CARD_FRAME  (CARD_MTU + 14)

struct card {
	bool (*room)(void); /* whether a frame will be taken */
	void (*send)(const uint8_t header[CARD_HEADER], const uint8_t *frame, size_t length);
	void (*turn)(bool begins); /* several frames follow, or have been sent; may be NULL */
	bool offload;		   /* it takes partial checksums, and segments that are to be cut */
};

/* What the card calls. */
struct card_user {
	void (*frame)(const uint8_t header[CARD_HEADER], const uint8_t *frame, size_t length);
	void (*drained)(void); /* there is room again */
};

/* Of the guest, 192.0.2.2, and of all that is not. */
#define CARD_GUEST_MAC                             \
	{                                          \
		0x02, 0x00, 0x5e, 0x00, 0x00, 0x02 \
	}
#define CARD_ROUTER_MAC                            \
	{                                          \
		0x02, 0x00, 0x5e, 0x00, 0x00, 0x04 \
	}

#endif
