/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP: a connection of the guest to its resolver ends in the relay. */
#ifndef CORDON_RELAY_STREAM_NAMES_H
#define CORDON_RELAY_STREAM_NAMES_H

struct relay_stream;

/* A new connection to the resolver; it is accepted, or gone. */
void stream_names_open(struct relay_stream *stream);

#endif
