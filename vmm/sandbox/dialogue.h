/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of a sandbox and its operators tell each other through the agent: denials, and
 * proposals with their results. Glue between denials.h, proposals.h and the sandbox.
 */
#ifndef CORDON_SANDBOX_DIALOGUE_H
#define CORDON_SANDBOX_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct loop;
struct sandbox;

/* After the guard, approvals and network; nothing without a guard. 0 or -errno with a message. */
int dialogue_open(struct sandbox *sandbox, struct loop *loop, struct err *err);

/*
 * Tells the agent what the policy in force wants of programs, if it does not know yet. 1:
 * requested; 0: nothing to request; or -errno with a message. reply: see
 * agent_channel_exec_rules(); NULL: the machine ends if the agent refuses.
 */
struct agent_reply;
int dialogue_exec_rules(struct sandbox *sandbox, const struct agent_reply *reply, struct err *err);

/* Why the agent has refused that request; a negative errno value. */
int dialogue_exec_failed(int error, struct err *err);

/* Another connection: the agent knows nothing of rules, and checks anew what waits. */
void dialogue_forget(struct sandbox *sandbox);

/* The agent has connected to a sandbox that is ready, or the sandbox has become ready. */
void dialogue_begin(struct sandbox *sandbox);

/* Once no vCPU runs, no thread uses the guard, and the machine is destroyed. */
void dialogue_close(struct sandbox *sandbox);

/* The machine's operations (machine.h); arg is the struct sandbox. */
void dialogue_proposed(void *arg, uint32_t number, const char *rule, size_t rule_length,
		       const char *reason, size_t reason_length);
void dialogue_withdrawn(void *arg, uint32_t number);
struct agent_check;
void dialogue_checked(void *arg, const struct agent_check *check);
void dialogue_gone(void *arg, uint32_t number);
struct agent_event;
void dialogue_happened(void *arg, const struct agent_event *event);

#endif
