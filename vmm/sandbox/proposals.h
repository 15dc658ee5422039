/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that programs of the sandbox propose, which wait for an operator to approve or reject them.
 *
 * Everything here is the guest's word: any bytes, at any rate. The number of open proposals, their
 * size and their rate are bounded; a proposal beyond that is refused at once, and so is one that no
 * operator can decide. It waits for its program, and no longer than `on-ask wait` of the policy
 * says; with `on-ask deny` not at all. It never makes the guest stand still. A proposal is never
 * approved but by a decision on it, of an operator or the command of --on-ask. Approved, it becomes
 * an added rule of the policy (vmm/policy/added.h); the caller adds it.
 *
 * The audit log has a line for each proposal that was looked at, and one for its outcome.
 * Everything runs in the loop's thread or under the device lock.
 */
#ifndef CORDON_SANDBOX_PROPOSALS_H
#define CORDON_SANDBOX_PROPOSALS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/agent/wire.h"
#include "vmm/base/loop.h"
#include "vmm/policy/guard.h"
#include "vmm/policy/proposal.h"

#define PROPOSALS_MAX	 AGENT_PROPOSALS_MAX /* open at a time, as are their callers */
#define PROPOSALS_SECOND 1		     /* looked at, with a burst of PROPOSALS_MAX */
/* A look that used more processor time is followed by none for SHARE times as long. */
#define PROPOSALS_LOOK_NS (100u * 1000000u)
#define PROPOSALS_SHARE	  20u
#define PROPOSALS_TIME_S  3600 /* until one without a decision ends */
#define PROPOSAL_REASON	  2048 /* of a reason that was made harmless; more is cut */
#define PROPOSAL_TEXT_MAX 400  /* of an operator's reason */
#define PROPOSAL_AS	  32   /* where an approved rule is: "added:2" */

struct approval_command;

struct proposal {
	uint32_t number;		/* for operators: no question has it */
	uint32_t caller[PROPOSALS_MAX]; /* the guest's numbers of the programs that wait */
	unsigned callers;
	enum policy_class class;
	char rule[AGENT_PROPOSE_RULE_MAX + 1]; /* has been parsed: harmless */
	char reason[PROPOSAL_REASON];	       /* the guest's word, made harmless */
	char adds[POLICY_ADDS];		       /* what the policy would allow with it */
	time_t proposed;
	uint64_t since_ns;		  /* guest time (loop.h) */
	bool command_due;		  /* the command of --on-ask is to be run */
	struct approval_command *command; /* NULL: none runs */
};

struct proposals;
struct approvals;

struct proposals_ops {
	/* A proposal is new; one is over, and how. */
	void (*proposed)(void *arg, const struct proposal *proposal);
	void (*over)(void *arg, const struct proposal *proposal, const char *how);
	/*
	 * The command of --on-ask has approved it: adds the rule, as `as`. by: who approved it. 0,
	 * or -errno with a message. From the loop's thread.
	 */
	int (*add)(void *arg, const struct proposal *proposal, const char *by, char as[PROPOSAL_AS],
		   struct err *err);
};

/* Tells the guest the result. */
typedef void proposals_reply(void *arg, uint32_t id, enum agent_proposed result, const char *text);

/*
 * questions: numbers the proposals, and has the command of --on-ask. network: whether rules for the
 * network can take effect. 0 or -ENOMEM.
 */
int proposals_create(struct proposals **out, struct loop *loop, struct guard *guard,
		     struct approvals *questions, proposals_reply *reply, void *arg);
void proposals_destroy(struct proposals *proposals); /* without replies; NULL is harmless */

void proposals_set_ops(struct proposals *proposals, const struct proposals_ops *ops, void *arg);
void proposals_set_network(struct proposals *proposals, bool network);

/*
 * The operators or the policy have changed, of which the approvals know already: proposals that no
 * operator can decide any longer end.
 */
void proposals_operators_changed(struct proposals *proposals);
void proposals_policy_changed(struct proposals *proposals);

/*
 * A program of the guest proposes; replies at once unless the proposal is open now. A rule that is
 * open already stays one proposal, with one caller more: the decision is for all of them.
 */
void proposals_propose(struct proposals *proposals, uint32_t id, const char *rule,
		       size_t rule_length, const char *reason, size_t reason_length);

/* The program has gone; the connection to the agent is another one. No reply follows. */
void proposals_withdraw(struct proposals *proposals, uint32_t id);
void proposals_reset(struct proposals *proposals); /* NULL is harmless */

/* The open proposals: the next one after *at (0 at first), or NULL at the end. */
const struct proposal *proposals_next(const struct proposals *proposals, unsigned *at);

/*
 * An operator has decided: the rule has been added as `as` ("added:2"); or text says why not, or is
 * NULL. by: who, for the log. -ENOENT: no such proposal is open.
 */
int proposals_approve(struct proposals *proposals, uint32_t number, const char *as, const char *by);
int proposals_reject(struct proposals *proposals, uint32_t number, const char *text,
		     const char *by);

#endif
