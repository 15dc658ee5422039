/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec rules: the guest's kernel stops a process that executes a file or maps it executable, and
 * the guard decides, or an operator where a rule says so. The process stands still until then.
 *
 * Rules hold in the guest (POLICY_GUEST): which file it is about, and which process, is the guest's
 * word. At most AGENT_CHECKS_MAX checks wait for an operator; the guest remembers other verdicts
 * until the policy is replaced, so that a file is logged once and not each time it runs. All calls
 * come from the loop's thread or with the device lock held.
 */
#ifndef CORDON_SANDBOX_PROGRAMS_H
#define CORDON_SANDBOX_PROGRAMS_H

#include "vmm/agent/channel.h"
#include "vmm/policy/guard.h"

struct approvals;
struct programs;

/* Sends a verdict, as agent_channel_verdict() does. */
typedef void programs_send(void *arg, uint32_t number, int error, bool remember, const char *text);

/* guard and questions stay the caller's. 0 or -errno. */
int programs_create(struct programs **out, struct guard *guard, struct approvals *questions,
		    programs_send *send, void *arg);
/* Once no question may be decided any longer. NULL is harmless. */
void programs_destroy(struct programs *programs);

/* A process wants to execute a file; it no longer does. */
void programs_check(struct programs *programs, const struct agent_check *check);
void programs_gone(struct programs *programs, uint32_t number);

/* The agent has connected again: it checks anew whatever waits. NULL is harmless. */
void programs_reset(struct programs *programs);

/* A process has started or ended: for the log. */
void programs_happened(struct programs *programs, const struct agent_event *event);

/* Whether a policy has exec rules; what it wants of the agent: AGENT_EXEC_*. */
bool programs_ruled(const struct policy *policy);
uint32_t programs_wanted(const struct policy *policy);

#endif
