/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet header (virtio 1.2, section 5.10.6), as bytes in guest memory and as a struct, and the
 * checks that need only the header.
 */
#ifndef CORDON_VSOCK_PACKET_H
#define CORDON_VSOCK_PACKET_H

#include <linux/virtio_vsock.h>
#include <stdint.h>

#define VSOCK_HEADER_BYTES 44
#define VSOCK_OP_COUNT	   (VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1)

/* Flags of a SHUTDOWN: its sender no longer receives (RCV) and sends (SEND). */
#define VSOCK_SHUT_BOTH ((uint32_t)(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND))

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t length; /* of the payload that follows */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt; /* the sender's receive window, see credit.h */
};

void vsock_header_decode(struct vsock_header *header, const uint8_t from[VSOCK_HEADER_BYTES]);
void vsock_header_encode(const struct vsock_header *header, uint8_t to[VSOCK_HEADER_BYTES]);

enum vsock_verdict {
	VSOCK_PACKET_GOOD,
	VSOCK_PACKET_DROP,	/* not from this guest, or a stray RST: no reply */
	VSOCK_PACKET_NO_SOCKET, /* unknown address or type: reply with RST */
	VSOCK_PACKET_BROKEN,	/* unknown operation or wrong length: reset its connection */
};

/* Checks a packet from the guest whose chain has payload bytes after the header. */
enum vsock_verdict vsock_header_check(const struct vsock_header *header, uint64_t guest_cid,
				      uint64_t payload);

#endif
