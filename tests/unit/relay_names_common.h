/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's resolver in a relay of which only that exists: decisions, the log and the card are
 * fakes. Rules permit *.example.com and "host"; *.ask.example.net is left to a person.
 */
#ifndef CORDON_TEST_RELAY_NAMES_COMMON_H
#define CORDON_TEST_RELAY_NAMES_COMMON_H

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/relay/names_internal.h"

#define SECOND UINT64_C(1000000000)

extern struct relay relay;
extern struct names *names;

/* Guest time stands still. */
void begin_names(void);
void end_names(void);
/* Puts guest time forward as the rate of queries and the caches see it. */
void pass_time(uint64_t ns);

extern bool host_permitted; /* by the relay's copy of the policy */

/* Requests for the monitor's verdict. */
extern int check_result;
extern unsigned checks, checks_waiting;
extern char checked[DNS_NAME_TEXT]; /* the last name; "" */
extern bool checked_host;
void verdict(bool allowed); /* for the one that has waited longest */

/* The log. */
extern unsigned refused, notes;
extern char refused_name[DNS_NAME_TEXT], refused_why[64]; /* "-": NULL */
extern char note_text[8][1024];				  /* "what object: detail" */

/* The host's IPv6. */
extern bool has6;
extern unsigned has6_calls;

/* The last response to the guest. */
struct sent {
	unsigned count;
	struct ip_address source, target;
	uint16_t source_port, target_port;
	uint8_t bytes[2048];
	size_t length;
};
extern struct sent sent;

/* A query of the guest in a datagram, in the family that it uses; edns: 0 for none. */
extern unsigned guest_family;
void ask_edns(const char *name, uint16_t type, uint16_t edns);
void ask(const char *name, uint16_t type);
void ask_bytes(const uint8_t *message, size_t length);

/* Of the last response: its code, the number of its records, the first address. */
unsigned sent_rcode(void);
unsigned sent_records(void);
const uint8_t *sent_address(void);

#endif
