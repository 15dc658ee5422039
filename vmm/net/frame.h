/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet frames, parsed completely and once: struct frame has all that the filter bases its
 * decisions on.
 *
 * Valid are ARP for IPv4 (RFC 826), and IPv4 (RFC 791) without options and fragments that carries
 * TCP (RFC 9293), UDP (RFC 768) or an ICMP echo (RFC 792), with correct lengths and checksums.
 * Everything else is refused with a reason that is counted: all IPv6 (the guest gets no IPv6
 * address), VLAN tags, other protocols, options (they can reroute), fragments (they can hide their
 * contents).
 *
 * Addresses and ports are in host byte order. Pure functions of bytes: no state, no allocation.
 */
#ifndef CORDON_NET_FRAME_H
#define CORDON_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAC	  6
#define FRAME_ETHERNET	  14 /* bytes of an Ethernet header */
#define FRAME_IPV4	  20 /* of an IPv4 header, which never has options here */
#define FRAME_TRANSPORT	  34 /* where the header of TCP, UDP or ICMP starts */
#define FRAME_TCP	  20 /* of a TCP header without options */
#define FRAME_UDP	  8  /* of a UDP header */
#define FRAME_HEADERS_MAX (FRAME_TRANSPORT + 60) /* all headers of a TCP segment, with options */
#define FRAME_ICMP	  8			 /* of an ICMP header */
#define FRAME_ARP	  28			 /* of an ARP message for IPv4 on Ethernet */
#define FRAME_MTU	  65520			 /* the largest IPv4 packet that is accepted */
#define FRAME_MAX	  (FRAME_ETHERNET + FRAME_MTU)

enum frame_kind { FRAME_IS_ARP, FRAME_IS_TCP, FRAME_IS_UDP, FRAME_IS_ECHO };

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

#define ICMP_ECHO_REPLY	  0
#define ICMP_UNREACHABLE  3
#define ICMP_ECHO_REQUEST 8

#define ARP_REQUEST 1
#define ARP_REPLY   2

/* Why a frame is refused; FRAME_OK is 0. See frame_verdict_text(). */
enum frame_verdict {
	FRAME_OK,
	FRAME_TRUNCATED,    /* shorter than a header, or than a length in a header */
	FRAME_OVERSIZED,    /* longer than FRAME_MAX */
	FRAME_ETHERTYPE,    /* neither ARP nor IPv4 */
	FRAME_IPV6,	    /* all IPv6 is refused */
	FRAME_BAD_ARP,	    /* not a request or reply for IPv4 on Ethernet */
	FRAME_BAD_IP,	    /* version, length, reserved flag, TTL 0 */
	FRAME_IP_OPTIONS,   /* a header with options */
	FRAME_FRAGMENT,	    /* a first, middle or last one */
	FRAME_PROTOCOL,	    /* not TCP, UDP or ICMP */
	FRAME_BAD_ADDRESS,  /* an address that cannot be a source, or must not be a target */
	FRAME_BAD_CHECKSUM, /* of IPv4, TCP, UDP or ICMP */
	FRAME_BAD_TCP,	    /* header length, or flags that no TCP sends */
	FRAME_BAD_UDP,	    /* length, or port 0 */
	FRAME_BAD_ICMP,	    /* not an echo, or with a code */
	FRAME_VERDICTS
};

struct frame {
	enum frame_kind kind;
	const uint8_t *data; /* the whole frame, as passed to frame_parse() */
	size_t length;	     /* without padding behind the IPv4 packet */
	uint8_t source_mac[FRAME_MAC], target_mac[FRAME_MAC];
	uint32_t source, target; /* IPv4; ARP: of the sender and the target */
	uint16_t source_port, target_port;
	size_t payload, payload_length; /* TCP, UDP, ICMP echo: offset into data, bytes */
	uint8_t tcp_flags;
	uint32_t sequence, acknowledged; /* TCP */
	uint8_t icmp_type;
	uint16_t icmp_id;	       /* echo */
	uint16_t arp_operation;	       /* ARP_REQUEST or ARP_REPLY */
	uint8_t arp_sender[FRAME_MAC]; /* the MAC within the message */
};

/*
 * Parses length bytes. partial: the transport checksum is not filled in yet (virtio 1.2, 5.1.6.2)
 * and is not checked; frame_complete() fills it in. FRAME_OK; or the reason, and *out is undefined.
 */
enum frame_verdict frame_parse(const uint8_t *data, size_t length, bool partial, struct frame *out);

/* A short text for people: "fragment". */
const char *frame_verdict_text(enum frame_verdict verdict);

/* Fills in the checksums of a parsed frame; bytes: the same memory as frame->data. */
void frame_complete(const struct frame *frame, uint8_t *bytes);

/* The Internet checksum (RFC 1071) over length bytes, starting from an earlier sum. */
uint32_t frame_sum(uint32_t sum, const uint8_t *data, size_t length);
uint16_t frame_fold(uint32_t sum);

/*
 * The checksum of a TCP, UDP or ICMP message of length bytes at FRAME_TRANSPORT of frame, with the
 * pseudo header if the protocol has one. 0 if the message's checksum field is correct; if the field
 * is 0, the value for it.
 */
uint16_t frame_transport_checksum(const uint8_t *frame, uint8_t protocol, size_t length);

#define IP_ICMP 1
#define IP_TCP	6
#define IP_UDP	17

#endif
