/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segments: headers parsed and written (RFC 9293, 3.1), and comparison of sequence numbers.
 * IP headers, addresses and checksums are the caller's. Pure functions of bytes.
 */
#ifndef CORDON_RELAY_TCP_SEGMENT_H
#define CORDON_RELAY_TCP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* struct tcp_segment, flags */
#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

#define TCP_SEGMENT_HEADER_MAX 28 /* what tcp_segment_header() writes at most */

struct tcp_segment {
	uint32_t sequence, acknowledged;
	uint16_t window; /* as in the header: not scaled */
	uint8_t flags;
	/* options, of a SYN only */
	bool has_scale;
	uint8_t scale; /* may exceed 14 in a parsed segment */
	uint16_t mss;  /* 0: no option */
	/* sent segments: bytes in each packet that the card has to cut this one into; 0: it need
	 * not */
	uint16_t gso_size;
	const uint8_t *data; /* the payload */
	size_t length;
};

/*
 * Parses a segment of length bytes, header first. Options other than MSS and window scale are
 * skipped; a malformed option ends the list. The urgent pointer is ignored: urgent bytes are
 * ordinary bytes of the stream, in their place (as RFC 6093 recommends). out->data points into
 * bytes. 0 or -EINVAL (the header does not fit).
 */
int tcp_segment_parse(const uint8_t *bytes, size_t length, struct tcp_segment *out);

/*
 * Writes the header, at most TCP_SEGMENT_HEADER_MAX bytes, with the checksum field 0. Returns the
 * number of bytes.
 */
size_t tcp_segment_header(const struct tcp_segment *segment, uint16_t source_port,
			  uint16_t target_port, uint8_t *to);

/* Whether sequence number a comes before b (RFC 9293, 3.4: modulo 2^32). */
static inline bool tcp_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Sequence numbers that a segment occupies: payload, SYN and FIN. */
static inline uint32_t tcp_segment_span(const struct tcp_segment *segment)
{
	return (uint32_t)segment->length + !!(segment->flags & TCP_SYN) +
	       !!(segment->flags & TCP_FIN);
}

#endif
