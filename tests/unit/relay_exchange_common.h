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

/* The flow, or NULL. */
struct exchange *host_flow(const struct ip_address *peer, uint16_t guest_port, uint16_t peer_port,
			   uint8_t protocol);

/* 127.0.0.1 or ::1 */
struct ip_address loopback(unsigned family);

#endif
