/* SPDX-License-Identifier: Apache-2.0 */
/* Operations as values and as text: kept, compared, shown, and as the rule that matches only them.
 */
#ifndef CORDON_POLICY_REQUEST_H
#define CORDON_POLICY_REQUEST_H

#include "vmm/policy/policy.h"

#define POLICY_REQUEST_STRINGS (2 * POLICY_OBJECT_MAX + 2)   /* for policy_request_copy() */
#define POLICY_REQUEST_TEXT    (2 * POLICY_OBJECT_MAX + 8)   /* for policy_request_text() */
#define POLICY_REQUEST_RULE    (3 * POLICY_OBJECT_MAX + 384) /* for policy_request_rule() */

/*
 * Copies a request without its subject; its strings go to `strings`, and end in NUL. 0; or
 * -ENAMETOOLONG.
 */
int policy_request_copy(struct policy_request *to, char strings[POLICY_REQUEST_STRINGS],
			const struct policy_request *from);

/* Whether two requests are for the same operation on the same object. */
bool policy_request_same(const struct policy_request *a, const struct policy_request *b);

/* The object: "/w/a", "/w/a -> /w/b", "tls api.example.com 93.184.216.34:443",
 * "http api.example.com 93.184.216.34:80 GET /v1/users". */
void policy_request_text(const struct policy_request *request, char to[POLICY_REQUEST_TEXT]);

/*
 * The rule with this verdict that matches the object (of two names the first) and no other; of the
 * network the name with all its addresses: "net allow tls api.example.com:443". Of an HTTP request
 * that is unclear, the whole host.
 */
void policy_request_rule(const struct policy_request *request, enum policy_action action,
			 char to[POLICY_REQUEST_RULE]);

/*
 * The operation that a rule for good is to be about, after a rule has matched this one: of the
 * network only the address, if the rule does not go by names; so that it reaches no further.
 */
struct policy_request policy_request_of_rule(const struct policy_request *request,
					     const struct policy_rule *rule);

/*
 * Whether the object may be shown to a person and passed to a command: the guest chooses it. A name
 * of the network has only a to z, 0 to 9, '-', '_' and '.', and is no option.
 */
bool policy_request_is_plain(const struct policy_request *request);

/* A program that has no path in the sandbox (deleted, in memory): no rule matches it. */
bool policy_request_is_pathless(const struct policy_request *request);

#endif
