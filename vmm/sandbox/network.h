/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network: its card, and behind it a relay (vmm/relay/client.h), for which the
 * sandbox's guard decides; or a tap of the host (network_tap.h), for which nothing decides.
 *
 * If the relay dies or the interface vanishes, the user and the audit log get one line each, and
 * the sandbox goes on with its link down.
 */
#ifndef CORDON_SANDBOX_NETWORK_H
#define CORDON_SANDBOX_NETWORK_H

#include <stdbool.h>

#include "devices/net/card.h"
#include "vmm/agent/channel.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/resolver.h"
#include "vmm/net/tap.h"
#include "vmm/sandbox/network_ports.h"

#define NETWORK_RESOLV_CONF "/etc/resolv.conf" /* the host's */

struct guard;
struct approvals;
struct network_relay;
struct network_tap;
struct relay_client_report;

struct network_config {
	uint64_t bytes_per_second, frames_per_second; /* of the card, each way; 0: no limit */
	bool user;				      /* a relay */
	char tap[TAP_NAME_MAX + 1];  /* the interface, or ""; without relay or tap: no network */
	struct approvals *questions; /* the caller's, for `ask` rules; or NULL */
	unsigned published;
	struct publish publish[PUBLISH_MAX];
};

struct network_ops {
	/*
	 * Published ports are open, or failure says why they are not. Called once after
	 * network_request(), if there are any.
	 */
	void (*published)(void *arg, const char *failure);
};

struct network {
	struct loop *loop;
	struct guard *guard;
	struct network_config config;
	const struct network_ops *ops;
	void *arg;
	uint8_t mac[NET_CARD_MAC]; /* of this sandbox's card, as its guest sees it */
	bool publishing;	   /* ops->published() has yet to be called */
	bool lost;		   /* relay or tap has ended before the sandbox */
	struct net_card *card;	   /* the caller's; NULL: there is no network */
	struct network_relay *relay;
	struct network_tap *tap; /* or relay */
};

/*
 * Starts the relay, or attaches to a tap. 0, or -errno with a message. Call network_close()
 * even after a failure; it works on zeros.
 */
int network_open(struct network *network, struct loop *loop, const struct network_config *config,
		 struct net_card *card, struct guard *guard, const struct network_ops *ops,
		 void *arg, struct err *err);

/* Call it before the card is destroyed, when no vCPU runs. */
void network_close(struct network *network);

/*
 * Once the agent is ready: opens published ports, switches the card's link on, and requests the
 * agent to configure the card. 1: the request is sent; 0: there is
 * no network, and if there should be one the user has got a warning; -errno. If ports are to be
 * published, ops->published() is called later, whatever this returns. May be called again when the
 * agent has connected again.
 */
int network_request(struct network *network, struct agent_channel *channel,
		    const struct agent_reply *reply);

/* The reply to that request has come, whether or not it was a success. */
void network_configured(struct network *network);

/* The policy has changed: ends the flows that it no longer allows. */
void network_policy_changed(struct network *network);

/* The guest stands still, or goes on: times of its connections do, too. */
void network_hold_time(struct network *network, bool held);

/* Whether there is a network, so that rules for it can take effect. */
static inline bool network_exists(const struct network *network)
{
	return network->relay || network->tap;
}

/*
 * Opens a port while the sandbox runs; opened() is called later. Closes all of a number of the
 * host, and their connections. 0 or -errno with a message.
 */
int network_publish(struct network *network, const struct publish *publish,
		    network_port_opened *opened, void *arg, struct err *err);
int network_unpublish(struct network *network, uint16_t host_port, bool udp, struct err *err);

/* Lists the open ports: the next one after *at (0 at first), or NULL at the end. */
const struct publish *network_port_next(const struct network *network, unsigned *at);

/*
 * Requests a report about flows from the relay. reported() is called once, when it has come or the
 * relay has ended; of several requests only for the last. false: there is no relay, or it has
 * ended.
 */
bool network_request_report(struct network *network, void (*reported)(void *arg), void *arg);

/* The last report, valid until the loop runs again; NULL: none has come. There is a relay. */
const struct relay_client_report *network_report(const struct network *network);

/* How many flows wait for an operator. There is a relay. */
unsigned network_waiting(const struct network *network);

#endif
