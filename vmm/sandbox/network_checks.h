/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdicts that a sandbox's relay requests: the guard decides and logs them, or an operator
 * decides where a rule says `ask`. Such a request waits, and the relay's flow with it; several that
 * are about the same share a question.
 *
 * All calls require the device lock.
 */
#ifndef CORDON_SANDBOX_NETWORK_CHECKS_H
#define CORDON_SANDBOX_NETWORK_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/relay/wire.h"
#include "vmm/sandbox/approval_memory.h"

#define NETWORK_CHECKS_WAITING	32  /* requests that wait for an operator at a time */
#define NETWORK_CHECKS_APPROVED 256 /* connections whose approval is remembered */

struct approvals;
struct guard;

struct network_checks_ops {
	/* The verdict for a ticket, once; approved: by a person, because of an 'ask' rule. */
	void (*verdict)(void *arg, uint32_t ticket, bool allowed, bool approved);
	/* Whether a port of the guest is published, of the host's TCP or UDP. */
	bool (*published)(void *arg, uint16_t guest_port, bool udp);
};

struct network_checks {
	struct guard *guard;
	struct approvals *questions; /* or NULL */
	const struct network_checks_ops *ops;
	void *arg;
	struct network_check {
		uint32_t ticket, question;
		struct relay_check *request; /* NULL: free */
	} waiting[NETWORK_CHECKS_WAITING];
	unsigned count;
	/* Connections that a person has allowed; the oldest is replaced. */
	struct network_approved {
		uint8_t protocol; /* enum policy_protocol */
		uint8_t host, has_name;
		uint16_t port; /* 0: free */
		struct ip_address address;
		char name[DNS_NAME_TEXT];
	} approved[NETWORK_CHECKS_APPROVED];
	unsigned next_approved;
};

/* guard and questions (may be NULL) stay the caller's. A zeroed struct may be closed. */
void network_checks_init(struct network_checks *checks, struct guard *guard,
			 struct approvals *questions, const struct network_checks_ops *ops,
			 void *arg);

/* Withdraws all that wait, without verdicts. */
void network_checks_close(struct network_checks *checks);

/*
 * A request, whose ticket does not wait already: its verdict follows from within this call, or
 * later. Ticket 0: the relay has refused it by its copy of the policy, and it is only logged.
 *
 * What the relay says is covered by the approval of a connection is allowed, and logged, if there
 * was such an approval (`once` too) by the rule that asks; else it is denied.
 */
void network_checks_take(struct network_checks *checks, const struct relay_check *request);

/* The verdict is no longer wanted. No effect if the ticket does not wait. */
void network_checks_drop(struct network_checks *checks, uint32_t ticket);

/* The outcome of a question, as approvals_set_requester() wants it. */
void network_checks_decided(struct network_checks *checks, uint32_t question,
			    enum approval_event outcome, const char *reason);

/* The policy was replaced: decides what waits, unless it still says `ask`. */
void network_checks_policy_changed(struct network_checks *checks);

#endif
