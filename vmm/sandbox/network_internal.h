/* SPDX-License-Identifier: Apache-2.0 */
/* What network.c does for network_relay.c and network_tap.c. */
#ifndef CORDON_SANDBOX_NETWORK_INTERNAL_H
#define CORDON_SANDBOX_NETWORK_INTERNAL_H

struct net_card_ops;
struct network;

/* Logs an event that is not a decision, such as "flow-end". */
void network_note(const struct network *network, const char *what, const char *object,
		  const char *detail);

/* Switches the card's link on; ops are its owner's, with arg. */
void network_start_card(const struct network *network, const struct net_card_ops *ops, void *arg);

/* Published ports are open, or failure says why not. Only the first call counts. */
void network_tell_published(struct network *network, const char *failure);

#endif
