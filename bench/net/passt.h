/* SPDX-License-Identifier: Apache-2.0 */
/* passt at the other end of a guest's frames. Any error ends the process with a message. */
#ifndef CORDON_BENCH_PASST_H
#define CORDON_BENCH_PASST_H

#include <sys/types.h>

#include "bench/net/card.h"
#include "vmm/base/loop.h"

/* Starts passt; returns its process, which the caller kills. */
pid_t passt_start(struct loop *loop, const struct card_user *user);

/* A guest's frames go to it. */
extern const struct card passt_card;

#endif
