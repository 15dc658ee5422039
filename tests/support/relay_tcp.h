/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wire that records what a TCP endpoint of the relay sends, a guest that types single segments,
 * and a model of the stream: a reassembler in which the first byte of each sequence number wins,
 * written without a look at the endpoint. Random hostile runs check one against the other.
 */
#ifndef CORDON_TEST_RELAY_TCP_H
#define CORDON_TEST_RELAY_TCP_H

#include "vmm/relay/tcp.h"

#define WIRE_SEGMENTS 512
#define WIRE_BYTES    (1u << 20)
#define MODEL_BYTES   (1u << 18)

struct wire {
	struct tcp_segment sent[WIRE_SEGMENTS]; /* data points into bytes */
	unsigned count;				/* since wire_clear() */
	uint8_t bytes[WIRE_BYTES];
	size_t used;
	unsigned overflowed;
	/* of all segments ever */
	unsigned total, resets;
	bool seen;	       /* any segment with an ACK */
	uint32_t acknowledged; /* of the last one */
	uint32_t edge;	       /* the highest right edge of a window that was offered */
	uint8_t scale;	       /* of the endpoint's windows */
};

void wire_clear(struct wire *wire);
void wire_output(void *wire, const struct tcp_segment *segment); /* for struct tcp_config */

/* The last segment since wire_clear(); a zeroed one if there is none. */
const struct tcp_segment *wire_last(const struct wire *wire);

/* --- the model --- */

struct model {
	uint32_t next; /* the sequence number behind all that was acknowledged */
	bool fin;
	uint8_t stream[MODEL_BYTES];
	size_t length, read;
};

/* What a receiver with that window would acknowledge after a segment, byte by byte. */
uint32_t model_expect(const struct model *model, const struct tcp_segment *in, uint32_t edge);

/*
 * The endpoint acknowledges everything before that number, after a segment (NULL: after none), when
 * edge was the right edge of its window. NULL, or what is wrong with that.
 */
const char *model_acknowledged(struct model *model, const struct tcp_segment *in,
			       uint32_t acknowledged, uint32_t edge);

/* The owner has read these bytes. NULL, or what is wrong with that. */
const char *model_read(struct model *model, const uint8_t *bytes, size_t length);

/* --- random hostile runs --- */

/* Where random numbers come from: a number below limit. */
struct source {
	unsigned (*below)(void *arg, unsigned limit);
	bool (*ended)(void *arg); /* stops the run early */
	void *arg;
};

/*
 * A connection in either direction with a hostile guest and an owner that does anything at any
 * time. NULL, or the promise that was broken.
 */
const char *relay_tcp_hostile(const struct source *source, unsigned steps);

#endif
