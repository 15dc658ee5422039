/* SPDX-License-Identifier: Apache-2.0 */
/* A guest without a machine: what guest.c (its program) and guest_frames.c (its kernel) share. */
#ifndef CORDON_BENCH_GUEST_INTERNAL_H
#define CORDON_BENCH_GUEST_INTERNAL_H

#include "bench/net/guest.h"
#include "vmm/relay/tcp.h"

#define SLOTS	    64 /* frames that wait for the card, as in a virtqueue */
#define SLOTS_SPARE 16 /* more than a flush sends */
#define FIRST_PORT  20000

struct slot {
	uint8_t header[CARD_HEADER];
	uint8_t frame[CARD_FRAME];
	size_t length;
};

struct guest {
	struct loop *loop;
	const struct card *card;
	struct loop_task work;
	struct loop_timer timer, patience;
	struct relay_memory memory;
	struct tcp_config config;
	struct slot slot[SLOTS];
	unsigned first, waiting;
	uint32_t server; /* in host byte order */

	/* the connection */
	struct tcp *tcp;
	enum port port;
	uint16_t local_port;

	/* the measurement */
	enum measure what;
	uint64_t began_ns, length_ns;
	double total; /* bytes, datagrams, connections or round trips */
	bool ending, done;
	uint64_t counter;
};

extern struct guest guest;

/* Passes the frames that wait to the card, as far as it takes them. */
void guest_pump(void);

static inline bool guest_has_slots(void)
{
	return guest.waiting <= SLOTS - SLOTS_SPARE;
}

/* Puts the endpoint's segment, or a datagram for COUNTER, into a slot. */
void guest_output(void *arg, const struct tcp_segment *segment);
void guest_datagram(void);

#endif
