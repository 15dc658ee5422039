/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the guest's UDP begin with: a peer, and perhaps a flow to it. */
#ifndef CORDON_TEST_RELAY_DATAGRAM_COMMON_H
#define CORDON_TEST_RELAY_DATAGRAM_COMMON_H

#include "tests/unit/relay_exchange_common.h"

extern struct ip_address target; /* the guest's "host" */
extern uint16_t port;		 /* of the peer */
extern int peer;
extern uint16_t from; /* the relay's port of the exchange */

void begin_with(unsigned family);
/* An exchange that is open: "hello" has reached the peer. */
void open_with(unsigned family);

/* The flow of guest_sends() to the peer, or NULL. */
struct exchange *flow(void);

/* How many this process has open. */
unsigned descriptors(void);

#endif
