/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the policy that the guest keeps, and the one on output, which the monitor keeps. */
#ifndef CORDON_SANDBOX_LIMITS_H
#define CORDON_SANDBOX_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

struct policy;
struct sandbox;

struct limits {
	struct agent_limits sent; /* as last requested */
	bool known;	/* the guest has these; else it may have others, or the snapshot's */
	bool requested; /* once at least */
};

/*
 * Requests the limits of a policy, which is about to replace the sandbox's, for commands that are
 * started from now on. Only once the sandbox is ready; until then start-up requests the limits of
 * its policy. If the guest refuses them later, reply gets that, or without one the machine ends. 1:
 * a reply follows; 0: none is needed; or -errno with a message.
 */
int sandbox_set_limits(struct sandbox *sandbox, const struct policy *policy,
		       const struct agent_reply *reply, struct err *err);

/* The same with the sandbox's own policy. */
int sandbox_renew_limits(struct sandbox *sandbox, const struct agent_reply *reply, struct err *err);

/* Before requests over a new connection: what was sent over the last one may have been lost. */
void sandbox_forget_limits(struct sandbox *sandbox);

/* The memory of a sandbox that runs, in bytes. */
struct memory_limit {
	uint64_t now, most, least; /* it was started with the most */
	uint64_t given_back;	   /* as the guest says: of most - now */
};

struct memory_limit sandbox_memory_limit(const struct sandbox *sandbox);

/*
 * Limits its memory, from limit.least to limit.most: the guest's kernel gives the rest back, as
 * soon as it can, and the workload has so much less. Only once the sandbox is ready. 0 or -errno
 * with a message.
 */
int sandbox_limit_memory(struct sandbox *sandbox, uint64_t bytes, struct err *err);

/* How many bytes a command may write to stdout and stderr together; 0: any number. */
uint64_t sandbox_output_limit(struct sandbox *sandbox);

#endif
