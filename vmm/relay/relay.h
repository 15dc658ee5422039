/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's process: what its parts share. Everything runs in one thread, on one event loop.
 */
#ifndef CORDON_RELAY_RELAY_H
#define CORDON_RELAY_RELAY_H

#include <stddef.h>

#include "vmm/base/bucket.h"
#include "vmm/base/loop.h"
#include "vmm/relay/datagram.h"
#include "vmm/relay/decide.h"
#include "vmm/relay/flows.h"
#include "vmm/relay/packet.h"
#include "vmm/relay/tcp.h"
#include "vmm/relay/wire.h"

#define RELAY_MEMORY	    (256u << 20) /* bytes in the buffers of all connections */
#define RELAY_FLOWS_SECOND  1000	 /* new flows, with a burst of RELAY_FLOWS_BURST */
#define RELAY_FLOWS_BURST   2000
#define RELAY_CLIENTS	    (RELAY_FLOWS / 2) /* TCP connections of published ports */
#define RELAY_LOGGED_SECOND 50		      /* refusals that are logged, with a burst of 500 */

struct link;	   /* vmm/relay/link.h */
struct names;	   /* vmm/relay/names.h */
struct publishing; /* vmm/relay/listen.h */

struct relay {
	struct loop *loop;
	struct link *frames, *messages;
	struct relay_config config;
	struct relay_card card;
	struct packet_ends ends;
	struct policy *policy; /* the copy; NULL until RELAY_POLICY */
	struct relay_flows flows;
	struct names *names;
	struct publishing *publishing;
	struct datagrams datagrams;
	struct relay_memory memory;
	struct tcp_config tcp4, tcp6; /* of all connections, by family */
	struct bucket flow_rate, client_rate, echo_rate, log_rate;
	unsigned clients; /* of published TCP ports */
	struct relay_stats stats;
	struct waits *waits; /* decide.c */
	struct loop_timer second, deadline;
	struct loop_task streams; /* stream.c: those with work to do */
	struct loop_task flush;	  /* sends the short frames of this round */
	struct relay_stream *first_ready, *last_ready;
	uint64_t timer_ns; /* when `deadline` expires; RELAY_NEVER: not */
	int failed;	   /* why the process ends by itself: 0 or -errno */
};

/* Guest time, which stands still while the guest does. */
static inline uint64_t relay_now(const struct relay *relay)
{
	return loop_guest_now_ns(relay->loop);
}

/*
 * Sends a frame to the guest: headers, then payload. Short ones of one round of the loop leave
 * together at its end. Frames that the link has no room for are dropped (and counted), so senders
 * of data check link_has_room(relay->frames) first.
 */
void relay_to_guest(struct relay *relay, const uint8_t *headers, size_t header_length,
		    const uint8_t *payload, size_t length, const struct packet_offload *offload);

/* The same for a whole frame without offloads. */
void relay_frame_to_guest(struct relay *relay, const uint8_t *frame, size_t length);

/* Sends the guest an ICMP error about a packet. */
void relay_error(struct relay *relay, const struct packet *packet, enum packet_error error);

/*
 * Whether the sandbox may have one more new flow now, by the rate; counts it if not. Clients of
 * published ports have a rate of their own: a flood of theirs does not stop the guest.
 */
bool relay_may_begin(struct relay *relay, bool inbound);

/* The peer of a flow as the host's sockets know it: the guest's "host" is the loopback. */
struct ip_address relay_outside(const struct ip_address *peer);
/* And back: how the guest sees a client of a published port. */
struct ip_address relay_inside(const struct ip_address *client);

/* The link to the guest has room again: streams with work go on. */
void relay_streams_resume(struct relay *relay);

/* TCP, UDP or ICMP: what carries a flow, whatever is spoken in it. */
enum policy_protocol relay_protocol(const struct relay_flow *flow);

/* "tcp 198.51.100.7:443 example.com" of a flow, for the log. */
#define RELAY_OBJECT_TEXT (DNS_NAME_TEXT + 80)
const char *relay_object(const char *protocol, const struct ip_address *address, uint16_t port,
			 const char *name, char to[RELAY_OBJECT_TEXT]);

/* Logs the end of a flow: bytes, seconds, and why. */
void relay_log_end(struct relay *relay, const struct relay_flow *flow, enum relay_end why);

/* Starts the timer for the earliest deadline of a flow, if it is not early enough. */
void relay_set_timer(struct relay *relay);

/* What the guest's card takes, and its MAC. */
void relay_set_card(struct relay *relay, const struct relay_card *card);

/* --- the protocols: one file each --------------------------------------------------------------
 */

/* stream.c */
void stream_packet(struct relay *relay, const struct packet *packet); /* a segment of the guest */
/* A client of a published port. Takes the socket. */
void stream_accept(struct relay *relay, int fd, const struct ip_address *client,
		   uint16_t client_port, uint16_t guest_port);
void stream_tasks(void *relay);
void stream_output(void *ends, const struct tcp_segment *segment);   /* tcp_config.output */
size_t stream_pass(void *ends, const uint8_t *bytes, size_t length); /* tcp_config.pass */

/* datagram.c */
void datagram_packet(struct relay *relay, const struct packet *packet); /* UDP */
void echo_packet(struct relay *relay, const struct packet *packet);

/*
 * Takes both descriptors, also on failure. 0 or -errno; relay_destroy() also after a failure (NULL
 * is harmless).
 */
int relay_create(struct relay **out, struct loop *loop, int frames_fd, int messages_fd);
void relay_destroy(struct relay *relay);

/* The process: runs until the monitor closes its end. Returns an exit status. */
int relay_main(int frames_fd, int messages_fd);

#endif
