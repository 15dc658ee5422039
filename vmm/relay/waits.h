/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for the monitor's verdict, by ticket. A ticket is used once in 2^22 requests,
 * so a late verdict finds nothing.
 */
#ifndef CORDON_RELAY_WAITS_H
#define CORDON_RELAY_WAITS_H

#include "vmm/relay/relay.h"

struct waits {
	struct relay_wait *wait[RELAY_CHECKS];
	uint32_t ticket[RELAY_CHECKS]; /* of the latest use of each place */
	uint16_t unused[RELAY_CHECKS]; /* places without a wait: the first `spare` */
	unsigned spare;
};

void waits_init(struct waits *waits);

/* Returns a ticket, never 0; or 0: RELAY_CHECKS wait already. */
uint32_t waits_add(struct waits *waits, struct relay_wait *wait);

/* The one that waits with that ticket, which no longer does; or NULL. */
struct relay_wait *waits_take(struct waits *waits, uint32_t ticket);

#endif
