/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay in this process, and what is around it: a monitor that decides by the same policy, a
 * guest whose frames are made here, and servers on loopback. All on one event loop.
 *
 * The guest has honest connections (relay_world_connect(), by vmm/relay/tcp.h as Linux would
 * behave) and sends any other segment by relay_world_segment().
 */
#ifndef CORDON_TEST_RELAY_WORLD_H
#define CORDON_TEST_RELAY_WORLD_H

#include "vmm/relay/relay.h"

#define WORLD_CONNECTIONS 2048
#define WORLD_NOTES	  64
#define WORLD_SERVER_MAX  (16u << 20)

/* A connection of the guest's own TCP. */
struct world_connection {
	struct relay_world *world;
	struct tcp *tcp; /* NULL: unused */
	struct ip_address peer;
	uint16_t guest_port, peer_port;
	const uint8_t *to_send; /* what it still sends */
	size_t left;
	bool end_after; /* then it ends its side */
	bool deaf;	/* it reads nothing */
	uint8_t *got;	/* all that it received */
	size_t got_length, got_size;
	bool got_end; /* the peer has ended its side */
	bool shut;
	int icmp_code; /* of an ICMP error about it; -1: none */
};

/* A client of a server on loopback, as the server sees it. */
struct world_client {
	struct loop_source source;
	struct world_server *server;
	uint8_t *got;
	size_t got_length, got_size, echoed;
	bool ended, reset;
};

enum world_service {
	WORLD_SINK,   /* reads all */
	WORLD_ECHO,   /* sends it back */
	WORLD_SOURCE, /* sends `script` at once, then reads; ends its side if end_script */
	WORLD_DEAF,   /* never reads */
};

struct world_server {
	struct relay_world *world;
	struct loop_source source;
	uint16_t port;
	enum world_service service;
	const uint8_t *script;
	size_t script_length;
	bool end_script;
	struct world_client client[64];
	unsigned clients;
};

struct relay_world {
	struct loop *loop;
	struct relay *relay;
	struct link *frames, *messages; /* the monitor's ends */
	struct policy *policy;
	struct tcp_config tcp4, tcp6;
	struct relay_memory memory;
	struct packet_ends ends; /* as seen from the guest */
	struct world_connection connection[WORLD_CONNECTIONS];
	unsigned connections;
	uint16_t next_port;
	struct world_server server[8];
	unsigned servers;
	/* the monitor */
	bool ready;
	bool mute;			       /* it leaves checks without a verdict */
	int person;			       /* verdict of 'ask': 1, 0, or -1: none yet */
	struct relay_check check[WORLD_NOTES]; /* the first ones */
	unsigned checks;
	struct relay_note note[WORLD_NOTES];
	unsigned notes;
	/* what the relay sent to no connection of the guest */
	struct packet last;
	uint8_t last_frame[PACKET_FRAME_MAX];
	size_t last_length;
	unsigned strays, resets; /* segments without a connection; resets among all segments */
	uint64_t frames_got;
	/* Before relay_world_begin(): the port of a resolver on the loopback; 0: there is none. */
	uint16_t dns_port;
	void (*on_frame)(struct relay_world *world, const uint8_t *frame, size_t length);
};

/* rules: of the policy, without its first line ("net allow tcp host:*\n" ...). */
void relay_world_begin(struct relay_world *world, const char *rules);
void relay_world_end(struct relay_world *world);
void relay_world_set_policy(struct relay_world *world, const char *rules);
/* The relay's resolver is at that port of the loopback from now on. */
void relay_world_set_resolver(struct relay_world *world, uint16_t port);

/* Runs the loop for a time, or until a condition holds: false if it does not within a minute. */
void relay_world_run(struct relay_world *world, uint64_t ns);
bool relay_world_until(struct relay_world *world, bool (*done)(void *arg), void *arg);

/* A server on the loopback of a family; its port is server->port. */
struct world_server *relay_world_serve(struct relay_world *world, unsigned family,
				       enum world_service service);

/* A connection of the guest to an address and port; its SYN leaves. */
struct world_connection *relay_world_connect(struct relay_world *world,
					     const struct ip_address *peer, uint16_t port);
/* What it is to send, and whether it then ends its side. The bytes stay the caller's. */
void world_send(struct world_connection *connection, const void *bytes, size_t length, bool end);
void world_abort(struct world_connection *connection);

/* Conditions for relay_world_until(): arg is the connection. */
bool world_is_open(void *connection);	/* its handshake is complete */
bool world_has_ended(void *connection); /* the peer has ended its side */
bool world_is_closed(void *connection);
bool world_is_open_or_closed(void *connection);

/* Any segment, from a port of the guest to an address and port. */
void relay_world_segment(struct relay_world *world, uint16_t guest_port,
			 const struct ip_address *peer, uint16_t peer_port,
			 const struct tcp_segment *segment);
/* Any frame, with an offload header of zeros. */
void relay_world_frame(struct relay_world *world, const uint8_t *frame, size_t length);

/* "192.0.2.4" of a family: the host as the guest knows it. */
static inline struct ip_address world_host(unsigned family)
{
	return ip_own(family, IP_OWN_HOST);
}

/* Whether the monitor got a note of that kind whose object or detail has that text. */
bool relay_world_noted(const struct relay_world *world, const char *what, const char *text);

#endif
