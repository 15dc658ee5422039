/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of proposals share: a sandbox with a policy, a guest and operators. */
#ifndef CORDON_TEST_PROPOSALS_COMMON_H
#define CORDON_TEST_PROPOSALS_COMMON_H

#include "tests/support/on_ask.h"
#include "tests/support/unit.h"
#include "vmm/policy/audit.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/proposals.h"

extern struct loop *loop;
extern struct guard *guard;
extern struct approvals *questions;
extern struct proposals *proposals;
extern struct launcher *launcher; /* starts the command of --on-ask; or NULL */

/* What the guest and the operators were told. */
extern unsigned replies, shown, over;
extern uint32_t reply_id, shown_number;
extern enum agent_proposed result;
extern char reply_text[600], shown_rule[1100], shown_reason[PROPOSAL_REASON],
	shown_adds[POLICY_ADDS], how[600];

/* The rule that the command of --on-ask has approved, and in whose name; whether adding it fails.
 */
extern char added_rule[1100], added_by[APPROVAL_BY];
extern bool add_fails;

/* The operator disconnects when told of a proposal. */
extern bool leaves;

struct policy *parse(const char *text);
struct policy *make_policy(void);

/* on_ask: a statement, or "". */
void replace_policy(const char *on_ask);

/* Whether an operator is attached: one is at first. */
void attend(bool attended);

/* command: of --on-ask, or NULL. */
void begin_with(struct audit *audit, const char *command);
void begin(void);
void end(void);

void propose(uint32_t id, const char *rule, const char *reason);
unsigned count_open(void);

#endif
