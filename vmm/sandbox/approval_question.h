/* SPDX-License-Identifier: Apache-2.0 */
/* What a question to a person is about, and what the policy in force says of it. */
#ifndef CORDON_SANDBOX_APPROVAL_QUESTION_H
#define CORDON_SANDBOX_APPROVAL_QUESTION_H

#include "vmm/base/bucket.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"

/* What decisions for the sandbox's life hold for: of the network a name with all its addresses. */
void approval_key(const struct policy_request *request, char key[POLICY_REQUEST_RULE]);

/* For the log: how a question was decided. A constant string. */
const char *approval_reason(enum approval_reply answer, bool remembered);

/* approval_memory_decision() and approval_memory_count() for the request's object. */
int approval_recall(const struct approval_memory *memory, const struct policy_request *request);
void approval_count(struct approval_memory *memory, const struct policy_request *request,
		    enum approval_event event);

/* A question with a copy of the request; memory: of what was before. NULL: out of memory. */
struct approval *approval_create(struct guard *guard, struct approval_memory *memory,
				 const struct policy_request *request);

/* Notes the rule of the policy in force that decides, and returns its verdict. */
enum policy_verdict approval_look_up(struct guard *guard, struct approval *question);

/* What the policy in force says of waiting for a person. */
struct policy_on_ask approval_on_ask(struct guard *guard);

/* Whether what needs a decision may wait for an operator who is not attached yet. */
bool approval_is_awaited(const struct approval_operators *operators,
			 const struct policy_on_ask *on_ask);

/* Logs the rule that an operator might want, once for each object, as often as rate allows. */
void approval_propose(struct guard *guard, struct approval_memory *memory, struct bucket *rate,
		      const struct policy_request *request);

/* A line of the audit log about a request: "ask", "answer" or "proposal". */
void approval_note(struct guard *guard, const struct policy_request *request, const char *what,
		   const char *detail);

/* How a question without a decision ends: by the policy, or because nothing waits for it. */
const char *approval_end_of(enum policy_verdict verdict);

/* The line "answer" about a question: a word, and who or what decided, or why. */
void approval_note_answer(struct guard *guard, const struct approval *question, const char *word,
			  const char *by);

#endif
