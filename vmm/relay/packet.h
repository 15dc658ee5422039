/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet frames of the guest's card, both IP versions: parsed completely and once, and written.
 *
 * Valid are ARP for IPv4 (RFC 826); IPv4 (RFC 791) without options and fragments; IPv6 (RFC 8200)
 * without extension headers; in them TCP (RFC 9293), UDP (RFC 768), ICMP echo (RFC 792) and ICMPv6
 * echo, neighbour and router solicitations (RFC 4443, RFC 4861), with correct lengths and
 * checksums. Everything else is refused with a reason that is counted.
 *
 * Offloads (virtio 1.2, 5.1.6.2): in a frame of the guest the transport checksum may be partial,
 * and its TCP payload longer than a segment (the relay takes a stream, so it never has to be cut).
 * Frames for the guest carry the partial checksum too, if its card takes that.
 *
 * Ports are in host byte order. Pure functions of bytes: no state, no allocation.
 */
#ifndef CORDON_RELAY_PACKET_H
#define CORDON_RELAY_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/relay/ip.h"
#include "vmm/relay/tcp_segment.h"

#define PACKET_MAC	   6
#define PACKET_ETHERNET	   14
#define PACKET_MTU	   65520 /* the largest IP packet that is accepted or written */
#define PACKET_FRAME_MAX   (PACKET_ETHERNET + PACKET_MTU)
#define PACKET_HEADERS_MAX (PACKET_ETHERNET + 40 + 60) /* Ethernet, IPv6, TCP with options */

enum packet_kind {
	PACKET_ARP,	  /* a request for a target */
	PACKET_NEIGHBOUR, /* an ICMPv6 neighbour solicitation for a target */
	PACKET_ROUTER,	  /* an ICMPv6 router solicitation */
	PACKET_TCP,
	PACKET_UDP,
	PACKET_ECHO, /* an ICMP or ICMPv6 echo request */
};

/* Why a frame is refused; PACKET_OK is 0. */
enum packet_verdict {
	PACKET_OK,
	PACKET_IGNORED,	     /* harmless and of no use here: ARP and echo replies, neighbour
				advertisements; MLD, mDNS and the like to multicast groups */
	PACKET_TRUNCATED,    /* shorter than a header, or than a length in a header */
	PACKET_OVERSIZED,    /* longer than PACKET_FRAME_MAX */
	PACKET_ETHERTYPE,    /* neither ARP nor IP */
	PACKET_BAD_ARP,	     /* not for IPv4 on Ethernet, or its sender is not the frame's */
	PACKET_BAD_IP,	     /* version, length, reserved flag, TTL 0 */
	PACKET_OPTIONS,	     /* IPv4 options, IPv6 extension headers other than a fragment's */
	PACKET_FRAGMENT,     /* a first, middle or last one */
	PACKET_PROTOCOL,     /* not TCP, UDP or ICMP */
	PACKET_BAD_ADDRESS,  /* an address that cannot be a source, or must not be a target */
	PACKET_BAD_CHECKSUM, /* of IPv4, TCP, UDP, ICMP */
	PACKET_BAD_TCP,	     /* header length, or port 0 */
	PACKET_BAD_UDP,	     /* length, or port 0 */
	PACKET_BAD_ICMP,     /* not an echo or solicitation, or malformed */
	PACKET_VERDICTS
};

struct packet {
	enum packet_kind kind;
	uint8_t source_mac[PACKET_MAC], target_mac[PACKET_MAC];
	struct ip_address source, target; /* ARP, neighbours: of the sender, asked for */
	uint16_t source_port, target_port;
	const uint8_t *ip;	/* the IP header, for ICMP errors about the packet; ARP: NULL */
	size_t ip_length;	/* header included, without padding of the frame */
	const uint8_t *payload; /* UDP, echo: the data behind the 8 bytes of the header */
	size_t payload_length;
	uint16_t echo_id, echo_sequence;
	struct tcp_segment tcp; /* its data points into the frame */
};

/*
 * Parses a frame. partial: the transport checksum is not filled in and not checked. PACKET_OK; or
 * the reason, and *out is undefined.
 *
 * A packet may come from no address at all (0.0.0.0, ::) only if it asks whether an address is
 * free: an ARP probe, or a neighbour solicitation (RFC 5227, RFC 4862). The guest asks so about its
 * own addresses, and takes any reply as a conflict.
 */
enum packet_verdict packet_parse(const uint8_t *data, size_t length, bool partial,
				 struct packet *out);

/* "fragment" */
const char *packet_verdict_text(enum packet_verdict verdict);

/* --- frames for the guest --------------------------------------------------------------------- */

/* What the frames' headers say of the two ends of the wire. */
struct packet_ends {
	uint8_t guest_mac[PACKET_MAC], router_mac[PACKET_MAC];
	bool partial; /* the guest's card takes partial checksums (GUEST_CSUM) */
};

/* The offload fields of a written frame, as struct virtio_net_hdr has them; all 0: none. */
struct packet_offload {
	bool partial;		/* the checksum is partial: start and offset say where */
	uint16_t start, offset; /* VIRTIO_NET_HDR_F_NEEDS_CSUM: csum_start, csum_offset */
	uint16_t headers;	/* hdr_len */
	uint16_t gso_size;	/* 0: no segmentation */
	bool gso6;		/* VIRTIO_NET_HDR_GSO_TCPV6 rather than TCPV4 */
};

/*
 * Each writes a frame's headers into `to` and returns their length; the payload follows them in
 * memory of the caller's (it is summed unless the checksum is partial). Returns 0, and *offload is
 * undefined, if the packet would be longer than PACKET_MTU. Both addresses are of one family.
 */

/*
 * A TCP segment from one end to the other; at most PACKET_HEADERS_MAX bytes. If it is to be cut
 * (segment->gso_size), its checksum is partial in any case.
 */
size_t packet_write_tcp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const struct tcp_segment *segment, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload);

/* A datagram of length bytes, at most PACKET_MTU with all headers. */
size_t packet_write_udp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload);

/* An echo reply (ICMP or ICMPv6 by the family), with a whole checksum. */
size_t packet_write_echo(const struct packet_ends *ends, const struct ip_address *source,
			 const struct ip_address *target, uint16_t id, uint16_t sequence,
			 const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX]);

#define PACKET_REPLY_MAX 1300 /* the longest of the whole frames below */

/* Whole frames in reply to a packet; each returns the length. */

/*
 * The reply to ARP, or the neighbour advertisement: the address asked for is at the router's MAC. 0
 * for other kinds.
 */
size_t packet_write_neighbour(const struct packet_ends *ends, const struct packet *request,
			      uint8_t to[PACKET_REPLY_MAX]);

/* Why a packet gets an ICMP or ICMPv6 error. */
enum packet_error {
	PACKET_PROHIBITED,	 /* type 3 code 13; ICMPv6 type 1 code 1 (RFC 1812, RFC 4443) */
	PACKET_NET_UNREACHABLE,	 /* 3/0; 1/0 (no route) */
	PACKET_HOST_UNREACHABLE, /* 3/1; 1/3 */
	PACKET_PORT_UNREACHABLE, /* 3/3; 1/4 */
	PACKET_TOO_BIG,		 /* 3/4 with mtu; ICMPv6 type 2 */
};

/*
 * An error about a packet of the guest, from the router's address, with the packet's first bytes
 * (at most 576 bytes in all, or 1280 in IPv6). ip, ip_length: the offending packet. mtu: for
 * PACKET_TOO_BIG. 0: it gets none (RFC 1122, 3.2.2, and RFC 4443, 2.4: an ICMP error, a multicast
 * target, a later fragment, or bytes that are no packet).
 */
size_t packet_write_error(const struct packet_ends *ends, enum packet_error error, uint16_t mtu,
			  const uint8_t *ip, size_t ip_length, uint8_t to[PACKET_REPLY_MAX]);

/*
 * The Internet checksum (RFC 1071) over length bytes, from an earlier sum (of an even number of
 * bytes); and its folded end.
 */
uint32_t packet_sum(uint32_t sum, const uint8_t *data, size_t length);
uint16_t packet_fold(uint32_t sum);

#endif
