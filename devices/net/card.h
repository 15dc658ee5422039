/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device (virtio 1.2, section 5.1): one to NET_CARD_PAIRS queue pairs, mergeable
 * receive buffers, MTU, link status.
 *
 * It moves frames between the guest's rings and the device's owner, with one copy each way. It
 * inspects them only to steer: with several pairs a flow's frames go to the pair on which the guest
 * has last sent a frame of it (5.1.6.5.6). No frame is dropped for lack of room: a frame that the
 * owner has no room for stays in the guest's ring; a frame that the guest has no buffers for waits
 * in a bounded queue of its pair, at whose limit the owner stops giving frames. There is one
 * exception, so that pairs do not stall each other: a pair that has had no buffers for
 * NET_CARD_STALL_NS while another had some no longer stops the owner. Beyond the limit its frames
 * are dropped until it has buffers again.
 *
 * Checksums are the only offload: the guest may leave the transport checksum to the owner, and
 * learns that those of received frames are right (the owner has checked them). There is no
 * segmentation offload: frames have up to 64 KiB instead.
 *
 * Rates may be limited for each direction; frames over the limit wait.
 *
 * All calls require the device lock.
 */
#ifndef CORDON_NET_CARD_H
#define CORDON_NET_CARD_H

#include "devices/virtio/device.h"
#include "vmm/base/loop.h"

#define NET_CARD_MAC	   6
#define NET_CARD_FRAME_MIN 14
#define NET_CARD_FRAME_MAX 65534 /* bytes of a frame, either way */
#define NET_CARD_PAIRS	   8
#define NET_CARD_PENDING   (512u << 10) /* bytes that may wait for the guest's buffers, in a pair */
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
	/* A frame from the guest; partial: the owner must fill in its transport checksum. */
	void (*transmit)(void *arg, uint8_t *frame, size_t length, bool partial);
	/* The guest took frames: net_card_has_room() again. */
	void (*drained)(void *arg);
	/* The guest reset the device: frames in flight are lost. */
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

/* Creates a device with the link down and without an owner. 0, -EINVAL (pairs, mtu) or -ENOMEM. */
int net_card_create(struct net_card **out, struct loop *loop, const struct net_card_config *config);
struct virtio_device *net_card_device(struct net_card *card);
void net_card_destroy(struct net_card *card);

/* ops NULL: no owner (any more); the guest's frames are then dropped. */
void net_card_set_owner(struct net_card *card, const struct net_card_ops *ops, void *arg);

/* Changes the MAC that later reads of the configuration space see. */
void net_card_set_mac(struct net_card *card, const uint8_t mac[NET_CARD_MAC]);

/* Sets the link and raises a configuration interrupt. Frames pass only while the link is up. */
void net_card_set_link(struct net_card *card, bool up);

/* Limits bytes and frames a second, in each direction; 0: no limit. */
void net_card_set_rates(struct net_card *card, uint64_t bytes, uint64_t frames);

/* The owner has room for frames again. */
void net_card_resume(struct net_card *card);

/* Whether net_card_receive() would take frames: check before fetching frames from outside. */
bool net_card_has_room(const struct net_card *card);

/*
 * Passes a frame, with right checksums, to the guest. Drops and counts it if the link is down, if
 * its length is invalid, or if NET_CARD_PENDING is reached. The last can only happen to stalled
 * pairs if the owner checks net_card_has_room() before each NET_CARD_PENDING / 2 bytes.
 */
void net_card_receive(struct net_card *card, const uint8_t *frame, size_t length);

void net_card_stats(const struct net_card *card, struct net_card_stats *stats);

#endif
