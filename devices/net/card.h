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
 * Offloads (devices/net/offload.h): the guest may leave the transport checksum to the owner. Frames
 * for it may have partial checksums too; it learns that others are right, unless the owner says
 * that nothing has checked them. If the owner's configuration says so, either side may leave it to
 * the other to cut a TCP segment of up to 64 KiB (TSO, IPv4 and IPv6). Fields of a header are
 * checked whole, in both directions, and are allowed as far as the guest's driver has negotiated
 * their features.
 *
 * Rates may be limited for each direction; frames over the limit wait.
 *
 * All calls require the device lock.
 */
#ifndef CORDON_NET_CARD_H
#define CORDON_NET_CARD_H

#include "devices/net/offload.h"
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
	bool offloads;	/* offer TSO both ways: the owner takes such frames */
};

/* The offloads that the guest takes in frames for it. */
struct net_card_takes {
	bool partial;	 /* partial checksums */
	bool tso4, tso6; /* VIRTIO_NET_HDR_GSO_TCPV4, _TCPV6; only with partial */
};

/* The owner's end. */
struct net_card_ops {
	/*
	 * Whether the owner takes another frame now. If not, the guest's frames stay in their ring
	 * until net_card_resume().
	 */
	bool (*room)(void *arg);
	/*
	 * A frame from the guest. Its offload fields are valid and negotiated; nothing is known of
	 * the frame itself but its length. Both are the owner's until it returns.
	 */
	void (*transmit)(void *arg, uint8_t *frame, size_t length,
			 const struct net_card_offload *offload);
	/*
	 * transmit() may be called from now on until the turn ends, so that the owner can pass on
	 * several frames at a time. May be NULL.
	 */
	void (*turn)(void *arg, bool begins);
	/* The guest took frames: net_card_has_room() again. */
	void (*drained)(void *arg);
	/* The guest reset the device: frames in flight are lost, and it takes no offloads. */
	void (*reset)(void *arg);
	/* The guest's driver is ready, perhaps with other features: see net_card_takes(). May be
	 * NULL. */
	void (*started)(void *arg);
};

struct net_card_stats {
	uint64_t transmitted, received;		/* frames */
	uint64_t transmit_bad, receive_dropped; /* malformed by the guest; link down, too few
						   buffers, offloads that it does not take */
	size_t pending;				/* bytes */
	unsigned pairs;				/* that the driver has switched on */
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

/*
 * What the guest takes: nothing until its driver is ready (DRIVER_OK), then the same until the
 * device is reset. A card that is restored from a snapshot has no owner yet, so the owner asks when
 * it is set, and after that in started and reset.
 */
struct net_card_takes net_card_takes(const struct net_card *card);

/* Whether net_card_receive() would take frames: check before fetching frames from outside. */
bool net_card_has_room(const struct net_card *card);

/*
 * Passes a frame to the guest. offload: its fields; NULL: none. Unless it is partial or unchecked,
 * all checksums of the frame are right. Drops and counts it if the link is down, if its length or
 * the fields are invalid, if they need what net_card_takes() does not say, or if NET_CARD_PENDING
 * is reached. The last can only happen to stalled pairs if the owner checks net_card_has_room()
 * before each NET_CARD_PENDING / 2 bytes.
 */
void net_card_receive(struct net_card *card, const uint8_t *frame, size_t length,
		      const struct net_card_offload *offload);

void net_card_stats(const struct net_card *card, struct net_card_stats *stats);

#endif
