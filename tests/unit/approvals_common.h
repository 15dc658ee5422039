/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of approvals share: a sandbox's questions, an operator, and what waits for them.
 */
#ifndef CORDON_TEST_APPROVALS_COMMON_H
#define CORDON_TEST_APPROVALS_COMMON_H

#include "tests/support/on_ask.h"
#include "tests/support/unit.h"
#include "vmm/sandbox/approvals.h"

extern struct loop *loop;
extern struct guard *guard;
extern struct approvals *questions;

/* What the operator saw, and what the caller of approvals_ask() was told. */
extern unsigned asked, over, answered;
extern char how[512], shown[POLICY_REQUEST_TEXT], rule[APPROVAL_RULE];
extern struct approval_history history;
extern uint32_t answered_number;
extern bool answered_yes;
extern enum approval_event answered_outcome;
extern char answered_why[160];

/* Whether the guest is to stand still, how often that changed, and how. */
extern bool frozen;
extern unsigned freezes;
extern struct policy_on_ask frozen_how;

void on_over(void *arg, const struct approval *question, const char *why);
void on_answered(void *arg, uint32_t number, enum approval_event outcome, const char *reason);

/* The policy p: a.test:1 is allowed, all else of TCP is asked about. command: of --on-ask. */
void begin(const char *command);

/* Starts the command of --on-ask; or NULL. */
extern struct launcher *launcher;

/* The same with another policy. */
void begin_with(const char *text, const char *command);

/* Replaces the policy, and tells the approvals. */
void replace_policy(const char *text);
void end(void);

struct policy_net to(const char *name, const char *address, uint16_t port);
int ask_about(const struct policy_net *net);
int recall(const struct policy_net *net);

/* Lets deferred work be done. */
void turn(void);

#endif
