/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offload fields of a frame (virtio 1.2, 5.1.6), as struct virtio_net_hdr_v1 has them: a
 * checksum that is left to the receiver, and a TCP segment that stands for several.
 *
 * Pure functions of bytes. They know a header and the length of its frame, but neither the frame
 * nor what was negotiated: net_card_receive() and the card's transmit side check that.
 */
#ifndef CORDON_NET_OFFLOAD_H
#define CORDON_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_OFFLOAD_HEADER 12 /* bytes of struct virtio_net_hdr_v1 */

/* All 0: none. */
struct net_card_offload {
	/* The transport checksum is partial: it has the sum of the pseudo-header only. The sum from
	 * start to the end of the frame belongs at start + offset. */
	bool partial;
	uint16_t start, offset;
	/* The TCP payload is to be cut into segments of gso_size bytes. */
	uint8_t gso_type;  /* VIRTIO_NET_HDR_GSO_NONE, _TCPV4 or _TCPV6 */
	uint16_t gso_size; /* not 0 unless gso_type is NONE */
	uint16_t headers;  /* hdr_len: all headers together, a hint for the receiver */
	/* Of a frame for the guest: its checksum is complete, and nothing has checked it. It is no
	 * field of a header: net_card_receive() alone uses it. */
	bool unchecked;
};

/*
 * Whether the fields can belong to a frame of length bytes: the checksum lies within it, and
 * segmentation is of a known type, has a size, a partial checksum (5.1.6.2.1) and headers that are
 * no longer than the frame. UFO, USO and ECN (which has a feature of its own) are of no known type.
 */
bool net_offload_valid(const struct net_card_offload *offload, size_t length);

/*
 * Reads a header of NET_OFFLOAD_HEADER bytes. Fields that its flags and its type do not use are
 * ignored and read as 0, flags that are not known too (5.1.6.2.2). Returns net_offload_valid();
 * if false, *offload must not be used.
 */
bool net_offload_read(struct net_card_offload *offload, const uint8_t *header, size_t length);

/* Writes a header, with num_buffers 0. Fields that are not in use are written as 0. */
void net_offload_write(const struct net_card_offload *offload, uint8_t *header);

#endif
