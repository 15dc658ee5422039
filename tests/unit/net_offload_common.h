/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the network card's offloads share. */
#ifndef CORDON_TEST_NET_OFFLOAD_COMMON_H
#define CORDON_TEST_NET_OFFLOAD_COMMON_H

#include "tests/support/net_card_host.h"

#define LENGTH 1000 /* of most frames */
#define TCP4   1    /* gso_type */
#define TCP6   4

/* The fields of a header. */
struct fields {
	uint8_t flags, gso;
	uint16_t headers, size, start, offset;
};

/* Headers of frames of LENGTH bytes: each bad one is near one that differs in one thing. */
struct header_case {
	struct fields in;
	bool valid;
	struct fields out; /* what is left of a valid one; num_buffers is 0 */
};

extern const struct header_case headers[];
extern const size_t header_count;

void put_header(uint8_t to[HEADER], const struct fields *fields);
struct net_card_offload to_offload(const struct fields *fields);

/* A card that offers everything, and a driver that has taken these features. */
void offload_begin(uint64_t features);
void offload_end(void);
void bring_up_again(uint64_t features);

/* What the guest finds before the frame in a buffer. */
void expect_header(uint64_t at, const struct fields *fields, uint16_t buffers);

#endif
