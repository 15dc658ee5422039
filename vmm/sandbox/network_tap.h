/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network by way of a tap (vmm/net/tap.h): frames pass between the card and the host's
 * kernel unfiltered and unchanged. Only for a policy that begins its net rules with `net allow any`
 * (policy_allows_any()). For network.c alone.
 */
#ifndef CORDON_SANDBOX_NETWORK_TAP_H
#define CORDON_SANDBOX_NETWORK_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct agent_network;
struct network;
struct network_tap;
struct tap_wire;

/*
 * Attaches to the interface of network->config, as network->tap, and tells user and audit log that
 * it is not filtered; network->mac becomes the guest's. The card's link stays down. 0 or -errno
 * with a message: the policy does not say `net allow any`, or why the interface can't be used. Call
 * network_tap_close() even after a failure.
 */
int network_tap_open(struct network *network, struct err *err);

/* The same with a descriptor of an interface, which it takes also on failure. */
int network_tap_attach(struct network *network, int fd, const struct tap_wire *wire,
		       struct err *err);

void network_tap_close(struct network *network); /* also if there is none */

/*
 * Switches the card's link on, and sets what the agent is to configure but the MAC. false: the link
 * has ended, which was logged. May be called again.
 */
bool network_tap_start(struct network *network, struct agent_network *config);

/* Ends the link if the policy does not say `net allow any` any more. */
void network_tap_policy_changed(struct network *network);

/*
 * The first nameserver of a resolv.conf that the guest can reach through an interface: an IPv4
 * address outside the host's loopback. 0: there is none.
 */
uint32_t network_tap_resolver(const char *text, size_t length);

#endif
