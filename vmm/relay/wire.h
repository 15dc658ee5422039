/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor and the relay say to each other, over two SOCK_SEQPACKET socket pairs: one for
 * frames, one for messages. Both ends are the same program, so fields are in host byte order.
 *
 * The monitor takes the relay for hostile, since it parses what the guest and the network send: it
 * checks each message whole. The relay trusts the monitor, but checks lengths.
 *
 * A message is a uint32_t, its enum relay_message_type, and the struct that the type names (of
 * struct relay_check only the bytes up to the NUL of its path).
 *
 * A frame is struct virtio_net_hdr_v1 (12 bytes) and 14 to PACKET_FRAME_MAX bytes, whose number is
 * num_buffers; or 0, if they are all that is left of the message. Short frames share a message.
 * From the guest VIRTIO_NET_HDR_F_NEEDS_CSUM says that its checksum is partial; gso_type may be
 * TCPV4, TCPV6.
 */
#ifndef CORDON_RELAY_WIRE_H
#define CORDON_RELAY_WIRE_H

#include "vmm/net/dns.h"
#include "vmm/net/resolver.h"
#include "vmm/policy/policy.h"
#include "vmm/relay/ip.h"
#include "vmm/relay/packet.h"

#define RELAY_FD_FRAMES	  3 /* descriptors of the relay's process */
#define RELAY_FD_MESSAGES 4

/* Bytes of the longest message, its type included. */
#define RELAY_MESSAGE_MAX (4u + (unsigned)sizeof(struct relay_check))

#define RELAY_PATH_MAX	  4097 /* bytes of a request's path, with NUL */
#define RELAY_METHOD	  32
#define RELAY_NOTE_TEXT	  512
#define RELAY_CHECKS	  1024 /* requests for verdicts that wait in the monitor */
#define RELAY_FLOWS_SHOWN 128  /* in reply to RELAY_STATS */
#define RELAY_PUBLISHED	  64   /* published ports of a sandbox */

enum relay_message_type {
	/* monitor to relay */
	RELAY_CONFIG = 1, /* struct relay_config: the first message */
	RELAY_POLICY,	  /* a descriptor follows: vmm/policy/policy_copy.h */
	RELAY_CARD,	  /* struct relay_card: the guest's card has changed, or was reset */
	RELAY_PUBLISH,	 /* struct relay_publish: open a port; the reply is RELAY_PUBLISHED_REPLY */
	RELAY_UNPUBLISH, /* struct relay_publish: close it and its connections */
	RELAY_VERDICT,	 /* struct relay_verdict: the reply to RELAY_CHECK */
	RELAY_FORGET,	 /* the guest is another one: end all flows, forget names */
	RELAY_STATS,	 /* wants struct relay_stats, then RELAY_FLOW for each flow */
	RELAY_GUEST_TIME, /* uint8_t: guest time stands still (1) or goes on (0) */
	RELAY_RESOLVERS,  /* struct resolver_servers: of the host, before the first verdict about a
			   * name, and when they have changed */

	/* relay to monitor */
	RELAY_READY = 64,      /* the first: it is confined and has the policy */
	RELAY_CHECK,	       /* struct relay_check */
	RELAY_UNCHECK,	       /* uint32_t ticket: nothing waits for that verdict any more */
	RELAY_NOTE,	       /* struct relay_note */
	RELAY_PUBLISHED_REPLY, /* struct relay_published */
	RELAY_STATS_REPLY,     /* struct relay_stats */
	RELAY_FLOW,	       /* struct relay_flow_info; the last has flow_count 0 left */
};

struct relay_card {
	uint8_t mac[PACKET_MAC];
	uint8_t configured; /* the guest has its addresses: inbound connections are let in */
	uint8_t partial;    /* it takes partial checksums */
	uint8_t tso4, tso6; /* and segments to be cut */
	uint16_t mtu;
};

struct relay_config {
	uint8_t router_mac[PACKET_MAC];
	struct relay_card card;
};

struct relay_publish {
	struct ip_address address; /* of the host; family 0: all of both families */
	uint16_t host_port, guest_port;
	uint8_t udp;
};

static inline bool relay_publish_same(const struct relay_publish *a, const struct relay_publish *b)
{
	return ip_same(&a->address, &b->address) && a->host_port == b->host_port &&
	       a->guest_port == b->guest_port && a->udp == b->udp;
}

struct relay_published {
	struct relay_publish which;
	int32_t error; /* 0 or errno */
};

/*
 * A request for the monitor's verdict, which is logged. ticket 0: only to be logged; no reply.
 * Otherwise the one RELAY_VERDICT with that ticket comes when the policy, or a person, has decided.
 */
struct relay_check {
	uint32_t ticket;
	uint8_t op, protocol; /* enum policy_op: CONNECT, RESOLVE or LISTEN; enum policy_protocol */
	uint8_t host, unclear, has_name, has_method;
	uint8_t covered; /* by the approval of its connection: a person is not asked again */
	uint16_t port;
	struct ip_address address; /* family 0 with POLICY_RESOLVE */
	char name[DNS_NAME_TEXT];
	char method[RELAY_METHOD];
	char path[RELAY_PATH_MAX]; /* only up to its NUL is sent */
};

struct relay_verdict {
	uint32_t ticket;
	uint8_t allowed;
	uint8_t approved; /* by a person, because of an 'ask' rule */
};

/* An event that is not a decision: "flow-end", "dns-answer", "flow-refused". */
struct relay_note {
	char what[32], object[RELAY_NOTE_TEXT], detail[RELAY_NOTE_TEXT];
};

/* Counters since the start of the relay, each below 2^63, and what there is now. */
struct relay_stats {
	uint64_t guest_frames, guest_bytes, peer_frames,
		peer_bytes;	      /* taken from it, given to it */
	uint64_t questions, answered; /* DNS */
	uint64_t refused;  /* flows, requests and queries, by the relay's copy of the policy */
	uint64_t flooded;  /* the same, beyond their rates */
	uint64_t dropped;  /* frames, datagrams and clients for which there was no room */
	uint64_t unlogged; /* events beyond the log's rate */
	uint64_t drop[PACKET_VERDICTS]; /* the guest's frames: [PACKET_OK] is 0 */
	uint64_t memory;		/* bytes in the buffers of connections */
	uint32_t flows, pins, waiting;
};

struct relay_flow_info {
	uint32_t left;	  /* flows that follow this one */
	uint8_t protocol; /* enum policy_protocol: TCP, UDP or ICMP */
	uint8_t inbound, host;
	uint16_t guest_port, peer_port;
	struct ip_address peer;
	uint64_t bytes_out, bytes_in; /* payload from, to the guest */
	uint64_t age_ns;
	uint32_t rule; /* its number in the policy, from 1; 0: none */
	char name[DNS_NAME_TEXT];
};

#endif
