/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device (virtio 1.2, section 5.1): one to NET_CARD_PAIRS queue pairs, mergeable
 * receive buffers, MTU, link status.
 *
 * It moves frames between the guest's rings and whoever owns it, one copy each way, and looks into
 * them for one thing: with several pairs a flow's frames go to the pair on which the guest has last
 * sent of it (5.1.6.5.6). Nothing is dropped for want of room: what the owner has no room for stays
 * in the guest's ring, and what the guest has no buffers for waits in a bounded queue of its pair,
 * at whose limit the owner stops giving frames. The one exception keeps the pairs apart: one that
 * has had no buffers for NET_CARD_STALL_NS while another had some stops the owner no longer; beyond
 * the limit its frames are dropped, until it has buffers again.
 *
 * Of the offloads only checksums are offered: the guest may leave the transport's to the owner, and
 * is told that those of the frames it gets are right (the owner has checked them). There is no
 * segmentation offload: frames have up to 64 KiB instead.
 *
 * Rates may be limited, each direction by itself: what is over them waits, too.
 *
 * All calls with the device lock held.
 */
#ifndef CORDON_NET_CARD_H
#define CORDON_NET_CARD_H

#include "devices/virtio/device.h"
#include "vmm/base/loop.h"

#define NET_CARD_MAC	   6
#define NET_CARD_FRAME_MIN 14
#define NET_CARD_FRAME_MAX 65534 /* bytes of a frame, either way */
#define NET_CARD_PAIRS	   8
#define NET_CARD_PENDING   (512u << 10) /* bytes that wait for the guest's buffers, of a pair */
#define NET_CARD_STALL_NS  UINT64_C(200000000)

struct net_card;

struct net_card_config {
	uint8_t mac[NET_CARD_MAC];
	uint16_t mtu;	/* largest that the driver may set: 68 to 65520 */
	unsigned pairs; /* 1 to NET_CARD_PAIRS */
};

/* The owner's end. */
struct net_card_ops {
	/*
	 * Whether the owner takes another frame now. If not, the guest's frames stay in their ring
	 * until net_card_resume().
	 */
	bool (*room)(void *arg);
	/* A frame of the guest; partial: its transport checksum is to be filled in. */
	void (*transmit)(void *arg, uint8_t *frame, size_t length, bool partial);
	/* The guest took frames: net_card_has_room() again. */
	void (*drained)(void *arg);
	/* The guest reset the device: frames on their way are gone. */
	void (*reset)(void *arg);
};

struct net_card_stats {
	uint64_t transmitted, received; /* frames */
	uint64_t transmit_bad,
		receive_dropped; /* malformed by the guest; link down, too few buffers */
	size_t pending;		 /* bytes */
	unsigned pairs;		 /* that the driver has switched on */
	struct net_card_pair_stats {
		uint64_t transmitted, received;		    /* frames */
		uint64_t bytes_transmitted, bytes_received; /* of them, as the rates count */
	} pair[NET_CARD_PAIRS];
};

/* The link is down and there is no owner. 0, -EINVAL (pairs, mtu) or -ENOMEM. */
int net_card_create(struct net_card **out, struct loop *loop, const struct net_card_config *config);
struct virtio_device *net_card_device(struct net_card *card);
void net_card_destroy(struct net_card *card);

/* ops NULL: there is no owner (any more); frames of the guest are then dropped. */
void net_card_set_owner(struct net_card *card, const struct net_card_ops *ops, void *arg);

/* Another MAC, for who reads it from now on. */
void net_card_set_mac(struct net_card *card, const uint8_t mac[NET_CARD_MAC]);

/* Tells the guest by a configuration change. Frames pass only while the link is up. */
void net_card_set_link(struct net_card *card, bool up);

/* At most so many bytes and frames a second, each way; 0: no limit. */
void net_card_set_rates(struct net_card *card, uint64_t bytes, uint64_t frames);

/* The owner has room for frames again. */
void net_card_resume(struct net_card *card);

/* Whether net_card_receive() would take frames: ask before frames are fetched from outside. */
bool net_card_has_room(const struct net_card *card);

/*
 * A frame for the guest, with right checksums. Takes it, or drops and counts it: if the link is
 * down, if its length is not one of a frame, or if NET_CARD_PENDING is reached, which does not
 * happen to who asks net_card_has_room() before each NET_CARD_PENDING / 2 bytes, but for pairs that
 * have stalled.
 */
void net_card_receive(struct net_card *card, const uint8_t *frame, size_t length);

void net_card_stats(const struct net_card *card, struct net_card_stats *stats);

#endif
