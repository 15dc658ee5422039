/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of the relay, and a guest that types single segments. */
#ifndef CORDON_TEST_RELAY_TCP_COMMON_H
#define CORDON_TEST_RELAY_TCP_COMMON_H

#include "tests/support/relay_tcp.h"
#include "tests/support/unit.h"

#define S1  1000u /* the guest's initial sequence number */
#define ISN 5000u /* the endpoint's */

/* Sequence numbers of the n-th byte of each direction. */
#define GUEST(n) (S1 + 1 + (n))
#define OURS(n)	 (ISN + 1 + (n))

#define MS UINT64_C(1000000)

struct talk {
	struct tcp_config config;
	struct relay_memory memory;
	struct tcp *tcp;
	uint64_t now_ns;
	uint16_t window; /* of the guest's segments */
};

extern struct talk talk;
extern struct wire wire;

/* Before each test: an MSS of 1000 both ways, no window scaling, large windows. */
void talk_setup(void);

/* A SYN of the guest with the sequence number S1; it is not answered. */
void talk_syn(void);

/* A connection that the guest has opened, in ESTABLISHED; nothing is on the wire. */
void talk_open(void);

/* A segment of the guest. What the endpoint sends in reply, after a flush, is on the wire. */
bool talk_in(const struct tcp_segment *segment);
bool talk_bare(uint8_t flags, uint32_t sequence, uint32_t acknowledged);
void talk_text(uint32_t sequence, const char *text);
void talk_acknowledge(uint32_t acknowledged);

/* length bytes of a pattern from the guest, from offset on; for the guest: what was taken. */
void talk_bulk(uint32_t offset, size_t length);
size_t talk_write(size_t length);

/* Lets time pass until the timer is due, and calls tcp_tick(). */
void talk_tick(void);

/* The owner reads all there is, which must be that text. */
void talk_reads(const char *text);

/* Exactly one segment is on the wire, with these flags and numbers; clears the wire. */
void talk_sent(uint8_t flags, uint32_t sequence, uint32_t acknowledged);

/* Nothing is on the wire. */
void talk_silent(void);

#endif
