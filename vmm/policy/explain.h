/* SPDX-License-Identifier: Apache-2.0 */
/* What a person wants to know of a decision: which rule, what nearly allowed it, what to write. */
#ifndef CORDON_POLICY_EXPLAIN_H
#define CORDON_POLICY_EXPLAIN_H

#include "vmm/policy/policy.h"

struct policy_explanation {
	struct policy_decision decision;
	/*
	 * If it is refused: the rule that would have allowed it, were it not for the one that
	 * decides (matches: it stands behind that), or were it about this object (nearest by the
	 * beginning of the path). NULL: there is none.
	 */
	const struct policy_rule *nearest;
	bool matches;
	/* The line to add, and the rule above which it has to stand (NULL: at the end). */
	char line[2 * POLICY_OBJECT_MAX + 64];
	const struct policy_rule *above;
	bool is_protected; /* what is asked for is better left alone: see policy_protected() */
};

/* For a request with one object. 0 or -ENOMEM. */
int policy_explain(const struct policy *policy, const struct policy_request *request,
		   struct policy_explanation *explanation);

/*
 * Whether writing to a path (or even reading a secret there) hands the host to the guest:
 * protected.h has the list.
 */
bool policy_protected(const char *path, size_t length, bool write);

/* The action that an operation takes. */
enum policy_action policy_needed_action(enum policy_class class, enum policy_op op);

/* A path as a pattern that matches just it. Room for twice its length and a NUL is needed. */
void policy_quote(const char *path, size_t length, char *pattern);

#endif
