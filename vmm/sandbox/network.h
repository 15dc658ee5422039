/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network: its card, the filter behind it, passt or a tap behind that, and the host's
 * resolvers.
 *
 * The sandbox's guard decides for the filter. If passt can't be started or dies, that is one
 * line for the user and one in the audit log, and the sandbox goes on with its link down.
 */
#ifndef CORDON_SANDBOX_NETWORK_H
#define CORDON_SANDBOX_NETWORK_H

#include <stdbool.h>

#include "devices/net/card.h"
#include "vmm/agent/channel.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/filter.h"
#include "vmm/net/passt.h"
#include "vmm/net/resolver.h"
#include "vmm/net/tap.h"

struct guard;
struct approvals;

struct network_config {
	uint64_t bytes_per_second, frames_per_second; /* of the card, each way; 0: no limit */
	bool user;				      /* passt */
	char tap[TAP_NAME_MAX + 1];  /* the interface, or ""; neither: there is no network */
	struct approvals *questions; /* not ours: of 'ask' rules; or NULL */
	unsigned published;
	struct publish publish[PUBLISH_MAX];
};

struct network_ops {
	/*
	 * Published ports are open; or failure says why they are not. Once, later than
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
	bool publishing;	   /* ops->published() is to come */
	bool configured;	   /* the guest's card is: frames for it are let in */
	struct net_card *card;	   /* not ours; NULL: there is no network */
	struct filter *filter;
	struct passt *passt;
	struct tap *tap; /* or passt */
	struct resolver *resolver;
	struct loop_timer tick;
	const char *reason; /* of the operator's decision at hand, for the log */
};

/* Makes it ready: a tap is attached to. 0, or -errno with a message. network_close() also after a
 * failure, and on zeros.
 */
int network_open(struct network *network, struct loop *loop, const struct network_config *config,
		 struct net_card *card, struct guard *guard, const struct network_ops *ops,
		 void *arg, struct err *err);

/* Before the card is destroyed, when no vCPU runs. */
void network_close(struct network *network);

/*
 * The agent is ready: starts passt (published ports are open from then on), switches the card's
 * link on, and sends the agent the request to configure it. 1; 0: there is no network, and if there
 * should be one the user has got a warning; -errno. Where ports are published ops->published() is
 * called later, whatever this returns. May be called again when the agent has connected again.
 */
int network_request(struct network *network, struct agent_channel *channel,
		    const struct agent_reply *reply);

/* The reply to that request has come, whatever it says. */
void network_configured(struct network *network);

/* The policy has changed: what it does not allow any more ends. */
void network_policy_changed(struct network *network);

#endif
