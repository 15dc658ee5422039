/* SPDX-License-Identifier: Apache-2.0 */
/* What a question to a person is about, and what the policy in force says of it. */
#ifndef CORDON_SANDBOX_APPROVAL_QUESTION_H
#define CORDON_SANDBOX_APPROVAL_QUESTION_H

#include "vmm/base/bucket.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"

/* What decisions for the sandbox's life hold for: of the network a name with all its addresses. */
void approval_key(const struct policy_request *request, char key[POLICY_REQUEST_RULE]);

/* A question with a copy of the request; memory: of what was before. NULL: out of memory. */
struct approval *approval_create(struct guard *guard, struct approval_memory *memory,
				 const struct policy_request *request);

/* Notes the rule of the policy in force that decides, and returns its verdict. */
enum policy_verdict approval_look_up(struct guard *guard, struct approval *question);

/* What the policy in force says of waiting for a person. */
struct policy_on_ask approval_on_ask(struct guard *guard);

/* Logs the rule that an operator might want, once for each object, as often as rate allows. */
void approval_propose(struct guard *guard, struct approval_memory *memory, struct bucket *rate,
		      const struct policy_request *request);

/* A line of the audit log about a request: "ask", "answer" or "proposal". */
void approval_note(struct guard *guard, const struct policy_request *request, const char *what,
		   const char *detail);

/* How a question without a decision ends: by the policy, or because nothing waits for it. */
const char *approval_end_of(enum policy_verdict verdict);

#endif
