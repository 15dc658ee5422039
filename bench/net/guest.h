/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without a machine: a TCP client that sends and receives Ethernet frames in this process,
 * with the relay's own TCP endpoint in the place of a guest's kernel. What remains of a figure is
 * what stands between the frames and the server. Any error ends the process with a message.
 */
#ifndef CORDON_BENCH_GUEST_H
#define CORDON_BENCH_GUEST_H

#include "bench/net/card.h"
#include "bench/net/measures.h"
#include "vmm/base/loop.h"

void guest_create(struct loop *loop, const struct card *card);

extern const struct card_user guest_user;

/* As measure() does. Runs the loop meanwhile. */
struct outcome guest_measure(enum measure what, double seconds);

#endif
