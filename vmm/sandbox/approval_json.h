/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question as JSON: operators get it over the control socket, the command of --on-ask on stdin.
 * docs/control-protocol.md has the fields.
 */
#ifndef CORDON_SANDBOX_APPROVAL_JSON_H
#define CORDON_SANDBOX_APPROVAL_JSON_H

#include <jansson.h>

#include "vmm/sandbox/approvals.h"

struct proposal;

/* An object without `id` and `event`. NULL: out of memory. */
json_t *approval_json(const struct approval *approval);

/*
 * A proposal as a question of its own kind, so that a client that knows only questions can show it.
 */
json_t *proposal_json(const struct proposal *proposal);

/* The rule that allows (yes) or denies a question's operation for good. */
void approval_rule(const struct approval *approval, bool yes, char line[POLICY_REQUEST_RULE]);

#endif
