/* SPDX-License-Identifier: Apache-2.0 */
/* A tap device whose other end is a guest: the host's own stack (traffic.h). */
#ifndef CORDON_BENCH_TAP_H
#define CORDON_BENCH_TAP_H

#include "bench/net/card.h"
#include "vmm/base/loop.h"

/* Passes frames from now on; the tap has headers if the card has offloads. */
void tap_create(struct loop *loop, const struct card *card, int tap_fd);

extern const struct card_user tap_user;

#endif
