/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that the monitor makes itself: ARP and echo replies, datagrams, and the two ways to refuse
 * at once, a TCP reset and an ICMP "communication administratively prohibited" (RFC 1812, 5.2.7.1).
 *
 * Each function writes into a buffer of REPLY_MAX bytes (reply_udp: FRAME_MAX) and returns the
 * frame's length. The frame goes to the sender of the given frame. Checksums are filled in.
 */
#ifndef CORDON_NET_REPLY_H
#define CORDON_NET_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/net/frame.h"

#define REPLY_MAX 128

/* The reply to an ARP request: the target address is at mac. */
size_t reply_arp(const struct frame *request, const uint8_t mac[FRAME_MAC], uint8_t to[REPLY_MAX]);

/*
 * A reset in reply to a TCP segment, as its target would send it (RFC 9293, 3.10.7.1). 0: the
 * segment is itself a reset, which gets no reply.
 */
size_t reply_reset(const struct frame *segment, uint8_t to[REPLY_MAX]);

/*
 * A reset to the segment's target, as the segment's source would send it: tells the other end that
 * the connection has ended.
 */
size_t reply_reset_onwards(const struct frame *segment, uint8_t to[REPLY_MAX]);

/* An acknowledgement of everything before a sequence number, as the segment's target would send it.
 */
size_t reply_acknowledge(const struct frame *segment, uint32_t acknowledged, uint8_t to[REPLY_MAX]);

/*
 * A segment with the headers (options, acknowledgement, window) of another one, but its own
 * sequence number, flags and payload; to has room for FRAME_HEADERS_MAX bytes and the payload.
 */
size_t reply_segment(const struct frame *like, uint32_t sequence, uint8_t flags,
		     const void *payload, size_t length, uint8_t *to);

/* ICMP type 3, code 13, from router's address, with the first bytes of the packet refused. */
size_t reply_prohibited(const struct frame *packet, uint32_t router, uint8_t to[REPLY_MAX]);

/* The reply to an echo request, in place of its target; to has room for the request's length. */
size_t reply_echo(const struct frame *request, uint8_t *to);

/* A datagram from the request's target to its source. length at most 65000. */
size_t reply_udp(const struct frame *request, const void *payload, size_t length,
		 uint8_t to[FRAME_MAX]);

#endif
