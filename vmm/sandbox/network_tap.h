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
#include "vmm/net/resolver.h"

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

/* Adds what the interface offers beyond IPv4, and search domains, which stay the tap's. */
void network_tap_describe(const struct network *network, struct agent_network *config);

/* How the guest resolves names. */
struct network_tap_names {
	uint32_t resolver;     /* IPv4, in host byte order; 0: none */
	uint8_t resolver6[16]; /* IPv6, if there is no IPv4 one; all 0: none */
	char search[RESOLVER_SEARCH_TEXT];
};

/*
 * Reads a resolv.conf: the first nameserver that the guest can reach through an interface, which is
 * an address outside the host's loopback; with ipv6, if none is of IPv4, an IPv6 one that is not
 * link-local. false: there is none.
 */
bool network_tap_read_names(struct network_tap_names *names, const char *text, size_t length,
			    bool ipv6);

#endif
