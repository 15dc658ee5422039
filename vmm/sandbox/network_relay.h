/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network by way of a relay: what is between the card and the relay's process. For
 * network.c alone; network_relay.c also has the functions of network.h that are about relays only.
 */
#ifndef CORDON_SANDBOX_NETWORK_RELAY_H
#define CORDON_SANDBOX_NETWORK_RELAY_H

#include <stdbool.h>

#include "vmm/base/err.h"

struct agent_network;
struct network;
struct network_relay;
struct relay_config;

/*
 * Starts the relay of a network, as network->relay. The card's link stays down. 0 or -errno with a
 * message.
 */
int network_relay_open(struct network *network, const struct relay_config *config, struct err *err);
void network_relay_close(struct network *network); /* also if there is none */

/*
 * Switches the card's link on, and opens published ports at the first call. false: the relay has
 * ended, which was logged.
 */
bool network_relay_start(struct network *network);

/* Adds what a relay offers beyond IPv4; search: room for domains, of RESOLVER_SEARCH_TEXT bytes. */
void network_relay_describe(struct agent_network *config, char *search);

/* The guest's MAC has been set; its card has its addresses. */
void network_relay_set_mac(struct network *network);
void network_relay_configured(struct network *network);

void network_relay_policy_changed(struct network *network);

#endif
