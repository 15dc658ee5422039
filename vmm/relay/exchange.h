/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges of datagrams: what UDP flows, echo flows and clients of published UDP ports have in
 * common. Private to datagram.c, echo.c and listen*.c.
 *
 * An exchange is a flow in the table from its first packet on. It waits for the monitor's verdict,
 * then is open until the table ends it; errors of its socket end no open exchange. A refused one
 * ends with an ICMP error to the guest.
 */
#ifndef CORDON_RELAY_EXCHANGE_H
#define CORDON_RELAY_EXCHANGE_H

#include <netinet/in.h>

#include "vmm/relay/relay.h"

#define EXCHANGE_HEADER 48 /* bytes of an IP header and the 8 of UDP or ICMP behind it, at most */

struct publication; /* listen_internal.h */

struct datagram {
	const uint8_t *data; /* payload */
	size_t length;
	uint16_t sequence; /* echo */
};

/* A way of exchanging datagrams. */
struct exchange_ops {
	enum policy_op op;
	enum policy_protocol protocol;
	enum relay_class class; /* of a flow that both ends use */
	/* The verdict is in favour. 0 or -errno: the exchange ends. NULL: nothing to open. */
	int (*open)(struct exchange *exchange);
	/* A datagram of the guest's, to the outside. */
	void (*send)(struct exchange *exchange, const struct datagram *datagram);
	/* Reads one datagram of the socket. False: there is none. NULL: it has no socket. */
	bool (*receive)(struct exchange *exchange);
};

/* A socket address of either family; smaller than struct sockaddr_storage. */
union exchange_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

struct exchange {
	struct relay_flow flow; /* first: flows of UDP and ICMP are exchanges */
	struct relay *relay;
	const struct exchange_ops *ops;
	struct relay_wait wait;
	bool allowed; /* the verdict has come */
	bool keeps;   /* datagrams that come before it are kept */
	struct kept *first_kept, *last_kept;
	unsigned kept;
	struct loop_source socket; /* fd -1: none of its own */
	bool paused;
	struct exchange *next_paused, *previous_paused;
	uint8_t header[EXCHANGE_HEADER]; /* of the guest's last packet, for ICMP errors */
	size_t header_length;
	/* a client of a published port */
	struct publication *publication;
	bool replied;			      /* by the guest */
	union exchange_address client, local; /* as the port's socket knows the two ends */
};

static inline struct exchange *exchange_of(struct relay_flow *flow)
{
	return (struct exchange *)flow;
}

/*
 * Decides about the first packet of a flow of the guest by rate and policy; request->name is valid
 * until the next packet. False: refused, logged, and the guest has been told.
 */
bool exchange_permitted(struct relay *relay, const struct packet *packet,
			struct relay_request *request, struct relay_choice *choice);

/* Not in the table yet: free it with exchange_destroy(). NULL: out of memory (counted). */
struct exchange *exchange_create(struct relay *relay, const struct exchange_ops *ops,
				 const struct relay_key *key);
void exchange_destroy(struct exchange *exchange);

/*
 * Adds the flow and requests the verdict. choice NULL: by no rule. False: the exchange is gone (no
 * room in the table, too many requests wait; counted).
 */
bool exchange_begin(struct exchange *exchange, const struct relay_request *request,
		    const struct relay_choice *choice);

/* Ends the flow, and frees it. */
void exchange_end(struct exchange *exchange, enum relay_end why);

/* Keeps a datagram until the verdict, within the bounds; the rest is dropped and counted. */
void exchange_keep(struct exchange *exchange, const struct datagram *datagram);

/* A packet of the guest's: its headers are remembered. */
void exchange_remember(struct exchange *exchange, const struct packet *packet);

/* A packet of the guest's on a flow that exists: sent, kept or dropped. */
void exchange_from_guest(struct exchange *exchange, const struct packet *packet,
			 const struct datagram *datagram);

/* The flow has had a datagram from one side. */
void exchange_seen(struct exchange *exchange);

/* Tells the guest what has become of its last packet. mtu: 0 if unknown. */
void exchange_failed(struct exchange *exchange, int error, uint32_t mtu);

/* The ICMP error that an errno value stands for. */
enum packet_error exchange_error(int error);

/* --- exchange_socket.c ------------------------------------------------------------------------ */

/* 0 or -errno. */
int exchange_socket(struct exchange *exchange, int protocol);
/* Connects it to the peer, and watches it. 0 or -errno. */
int exchange_connect(struct exchange *exchange);

/* Sends a datagram. False: it was dropped, and the guest told if that has a reason. */
bool exchange_send(struct exchange *exchange, const void *data, size_t length);

/* A read has failed, as errno says. True: there may be more to read. */
bool exchange_read_failed(struct exchange *exchange);

/*
 * Reads a batch. Without room for it the exchange gets into the list of those that are paused, at
 * its end; exchange_unpause() takes it out.
 */
void exchange_read(struct exchange *exchange);
void exchange_unpause(struct exchange *exchange);

/* --- datagram.c ------------------------------------------------------------------------------- */

/* A datagram of the peer's, to the guest. */
void datagram_to_guest(struct exchange *exchange, const struct datagram *datagram);

#endif
