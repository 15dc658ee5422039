/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of system calls that the policy leaves open, sent to the agent as a filter for the
 * commands that it starts from then on. Commands that run keep theirs: a filter can't be replaced.
 */
#ifndef CORDON_SANDBOX_SYSTEM_CALLS_H
#define CORDON_SANDBOX_SYSTEM_CALLS_H

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

struct policy;
struct sandbox;

struct system_calls {
	uint32_t open; /* as last requested: a bit for each enum policy_group */
	bool known;    /* the agent has that filter, or will when it gets to the request */
};

/*
 * Requests the filter of a policy (NULL: the one in force), unless the agent has it. 1: requested;
 * 0: nothing to request, and reply is not used; or -errno with a message. reply NULL: the machine
 * ends if the agent fails.
 */
int system_calls_request(struct sandbox *sandbox, const struct policy *policy,
			 const struct agent_reply *reply, struct err *err);

/*
 * For the rehearsal: the filter of a policy without rules. A guest's kernel knows the program then,
 * and takes less time when a command gets the same. Errors do not matter: before a command runs,
 * system_calls_request() follows.
 */
void system_calls_rehearse(struct sandbox *sandbox);

/*
 * A policy is about to be in force: requests its filter, if start-up has got as far as that. 0; or
 * -errno with a message, and then the policy must not be put in force.
 */
int system_calls_follow(struct sandbox *sandbox, const struct policy *policy, struct err *err);

/* Logs which groups are open, if that is not what they are by default. */
void system_calls_note(struct sandbox *sandbox);

#endif
