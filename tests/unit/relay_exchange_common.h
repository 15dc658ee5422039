/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay for tests of datagrams and published ports: the event loop, the table of flows and the
 * packets are real, and so are the host's sockets; policy, log and the link to the guest are fakes.
 */
#ifndef CORDON_TEST_RELAY_EXCHANGE_COMMON_H
#define CORDON_TEST_RELAY_EXCHANGE_COMMON_H

#include "tests/support/unit.h"
#include "vmm/relay/exchange.h"

#define HOST_FRAMES 256
#define HOST_WAITS  1200
#define GUEST_PORT  4000

struct exchange_host {
	struct relay relay;
	/* what the fakes reply */
	unsigned room; /* frames that the link takes; UINT32_MAX: any number */
	bool may_begin;
	struct relay_choice choice;
	const char *name; /* that the rule is about */
	int check;	  /* what decide_check() returns */
	/* what they were told */
	struct relay_request asked, decided, refused;
	char asked_name[64], decided_name[64];
	const char *why; /* of the last refusal; NULL: by the policy */
	unsigned checks, cancels, refusals, ends, room_asked;
	unsigned rounds; /* of the loop: it must not spin */
	enum relay_end end;
	uint64_t end_out, end_in;
	unsigned errors; /* relay_error() */
	enum packet_error error;
	struct relay_wait *wait[HOST_WAITS];
	unsigned waits;
	/* frames for the guest: the first HOST_FRAMES */
	uint8_t *frame[HOST_FRAMES];
	size_t length[HOST_FRAMES];
	unsigned frames;
	/* clients of published TCP ports; accepts: each becomes a flow */
	bool accepts;
	unsigned clients;
	struct ip_address client;
	uint16_t client_port;
	uint16_t client_guest_port[HOST_FRAMES];
	/* which of the counters above stops the loop, and when */
	const unsigned *awaited;
	unsigned wanted;
};

extern struct exchange_host host;

void host_setup(void);
/* Ends all flows: nothing may be left of them. */
void host_teardown(void);

/* A network of its own for this process, with a loopback alone. False: the host forbids that. */
bool host_own_network(void);
bool host_has_ipv6(void);
/* Prints that a test is left out. */
void host_skip(const char *test, const char *why);

/* Runs the loop until that many frames have come for the guest in all, and no more. */
void host_run(unsigned frames);
/* The same for requests for a verdict, and for clients of TCP ports. */
void host_run_checks(unsigned checks);
void host_run_clients(unsigned clients);
/* Runs it for 30 ms. */
void host_turn(void);
/* The link takes any number of frames again, and says so. */
void host_room(void);

/* The oldest verdict that is outstanding. */
void host_verdict(bool allowed, bool approved);

/* --- the guest -------------------------------------------------------------------------------- */

/* A packet of the guest's with a payload, its target "host" or another address. */
void guest_sends(const struct ip_address *target, uint16_t target_port, const void *payload,
		 size_t length);
void guest_sends_from(uint16_t port, const struct ip_address *target, uint16_t target_port,
		      const void *payload, size_t length);
void guest_pings(const struct ip_address *target, uint16_t id, uint16_t sequence,
		 const void *payload, size_t length);

/* What has come for the guest. */
struct seen {
	struct ip_address source, target;
	uint8_t protocol;
	const uint8_t *data; /* behind the IP header */
	size_t length;
};
struct seen host_seen(unsigned frame);

/* It is a datagram with that payload. */
void host_saw_datagram(unsigned frame, const struct ip_address *source, uint16_t source_port,
		       uint16_t guest_port, const void *payload, size_t length);
/* It is an ICMP or ICMPv6 error about the guest's last packet. */
void host_saw_error(unsigned frame, unsigned family, uint8_t type, uint8_t code);

/* The flow, or NULL. */
struct exchange *host_flow(const struct ip_address *peer, uint16_t guest_port, uint16_t peer_port,
			   uint8_t protocol);

/* --- peers ------------------------------------------------------------------------------------ */

/* A socket of the loopback, bound and with a time-out for reading. */
int peer_open(unsigned family, int type, uint16_t *port);
struct ip_address loopback(unsigned family);
/* Reads a datagram that is expected; returns its length, and the sender's port. */
size_t peer_reads(int fd, void *to, size_t size, uint16_t *from);
void peer_reads_text(int fd, const char *text, uint16_t *from);
void peer_is_silent(int fd);
void peer_sends(int fd, unsigned family, uint16_t port, const void *data, size_t length);

#endif
