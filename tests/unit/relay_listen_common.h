/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of published ports, in a network of the test's own where the host permits that. */
#ifndef CORDON_TEST_RELAY_LISTEN_COMMON_H
#define CORDON_TEST_RELAY_LISTEN_COMMON_H

#include "tests/unit/relay_exchange_common.h"
#include "vmm/relay/listen.h"

#define GUEST 80 /* the port of the guest that ports of the host lead to */

extern struct ip_address host4, host6; /* clients of the loopback, as the guest sees them */
extern const struct ip_address any;    /* all addresses of both families */

void setup(void);
void teardown(void);

/* A port of the host that is available; the same, open. */
struct relay_publish port_at(struct ip_address address, bool udp);
struct relay_publish opened(struct ip_address address, bool udp);

/* A socket that is connected to an address of this host, and its port; -1: that is refused. */
int client(int type, const struct ip_address *to, uint16_t port, uint16_t *own);
/* To 127.0.0.1, which must accept it. */
int client4(int type, uint16_t port, uint16_t *own);

#endif
