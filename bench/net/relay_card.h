/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay at the other end of a guest's frames, which may reach the servers. Any error ends the
 * process with a message.
 */
#ifndef CORDON_BENCH_RELAY_CARD_H
#define CORDON_BENCH_RELAY_CARD_H

#include <sys/types.h>

#include "bench/net/card.h"
#include "vmm/base/loop.h"

/* Starts a relay, and waits until it is ready; returns its process, which the caller kills. */
pid_t relay_start(struct loop *loop, const struct card_user *user);

/* A guest's frames go to it. */
extern const struct card relay_card;

#endif
