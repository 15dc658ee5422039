/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer of the --on-ask command: what it printed, read as a decision.
 *
 * One line with a JSON object, such as {"answer":"once","reason":"..."}: `answer` is a decision's
 * word; `reason` is optional, and may be null. Other keys are ignored. A text that does not begin
 * with '{' is of the deprecated form: its first word is the decision.
 *
 * About a proposal `answer` is "approve" or "reject", and there is no deprecated form: a command
 * that knows of questions only decides none.
 */
#ifndef CORDON_SANDBOX_APPROVAL_ANSWER_H
#define CORDON_SANDBOX_APPROVAL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/sandbox/approvals.h"

#define APPROVAL_ANSWER_MAX (64u << 10) /* bytes; a longer one is no decision */
#define APPROVAL_REASON_MAX 200		/* bytes for the log; a longer reason is cut */

/* Why there is no decision; the cause may follow. */
#define APPROVAL_UNDECIDED "the command of --on-ask made no decision"

#define APPROVAL_COMMAND "by the command of --on-ask"

struct approval_answer {
	/* enum approval_reply, of a proposal APPROVAL_ALWAYS or APPROVAL_NO; -1: no decision */
	int reply;
	bool is_word;	 /* a decision in the deprecated form */
	const char *why; /* there is no decision: for the log, a constant string */
	char reason[APPROVAL_REASON_MAX + 1]; /* made safe for terminals */
	char by[APPROVAL_BY];		      /* who decided, with the reason */
};

void approval_answer_read(struct approval_answer *answer, const char *text, size_t length);
void approval_answer_to_proposal(struct approval_answer *answer, const char *text, size_t length);

#endif
