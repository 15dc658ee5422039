/* SPDX-License-Identifier: Apache-2.0 */
/* Explains a decision: the rule that decides, the nearest one that would allow, the line to add. */
#ifndef CORDON_POLICY_EXPLAIN_H
#define CORDON_POLICY_EXPLAIN_H

#include "vmm/policy/policy.h"
#include "vmm/policy/request.h"

struct policy_explanation {
	struct policy_decision decision;
	/*
	 * If it is denied: the nearest rule that would allow it. matches: it matches, but comes
	 * behind the rule that decides. Otherwise it is for another object, the one with the
	 * longest common beginning of the path. NULL: there is none.
	 */
	const struct policy_rule *nearest;
	bool matches;
	/* The line to add, and the rule above which to add it (NULL: at the end). */
	char line[POLICY_REQUEST_RULE];
	const struct policy_rule *above;
	bool is_protected; /* better not allowed: see policy_protected() */
};

/* For a request with one object. 0 or -ENOMEM. */
int policy_explain(const struct policy *policy, const struct policy_request *request,
		   struct policy_explanation *explanation);

/*
 * Whether writing to a path, or reading a secret there, gives the guest a way into the host:
 * protected.h has the list.
 */
bool policy_protected(const char *path, size_t length, bool write);

/* The lowest action that allows an operation. */
enum policy_action policy_needed_action(enum policy_class class, enum policy_op op);

/* Writes a pattern that matches only this path. Needs room for twice its length and a NUL. */
void policy_quote(const char *path, size_t length, char *pattern);

#endif
