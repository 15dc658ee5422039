/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over TCP (RFC 7766): the guest's side of a connection to the resolver, as a consumer of its
 * byte stream. Messages have a length of two bytes in front; queries may be pipelined, and each
 * response leaves when it is known, in any order.
 *
 * Bounded: NAMES_STREAM_WAITING queries wait at a time, and a query is taken only if the response
 * has room. Until then the bytes are the owner's to keep, so the guest's window closes. Nothing is
 * buffered here.
 */
#ifndef CORDON_RELAY_NAMES_STREAM_H
#define CORDON_RELAY_NAMES_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/relay/names.h"

#define NAMES_STREAM_WAITING 16
#define NAMES_STREAM_PREFIX  2
#define NAMES_STREAM_QUERY   4096 /* bytes of a query; padding (RFC 7830) makes some long */
#define NAMES_STREAM_HELD    (NAMES_STREAM_PREFIX + NAMES_STREAM_QUERY) /* the owner must hold */
#define NAMES_STREAM_OUTPUT  (NAMES_STREAM_PREFIX + DNS_EDNS_MAX)	/* bytes of a response */

struct names_stream;

struct names_stream_ops {
	/* How many bytes output() takes now. */
	size_t (*room)(void *arg);
	/*
	 * Bytes for the guest, at most NAMES_STREAM_OUTPUT; never more than there was room for when
	 * their query was taken: an owner that cannot take them all the same (no memory) resets the
	 * connection. Called from names_stream_input(), or later from the loop. Must not call
	 * functions of this header: the owner lets input follow later.
	 */
	void (*output)(void *arg, const uint8_t *bytes, size_t length);
};

/* ops must outlive the stream. 0 or -ENOMEM. */
int names_stream_create(struct names_stream **out, struct names *names,
			const struct names_stream_ops *ops, void *arg);

/* Drops the queries that wait: output() is not called any more. NULL is harmless. */
void names_stream_destroy(struct names_stream *stream);

/*
 * Takes bytes of the guest, beginning with the first one that was not consumed. Returns how many it
 * consumes: whole messages only. The owner calls again with the rest when there are more bytes,
 * after output(), and when room() has grown; what then remains behind the guest's FIN is not a
 * whole query. -EPROTO: this is no DNS, and the connection is to be reset.
 */
ssize_t names_stream_input(struct names_stream *stream, const uint8_t *bytes, size_t length);

/* How many queries wait. Once the guest has sent its FIN and none waits, the connection may end. */
unsigned names_stream_waiting(const struct names_stream *stream);

#endif
