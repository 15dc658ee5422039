/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on files that `ask` rules leave to an operator: what requests of the file server
 * (vmm/files/client.h) wait for. Each decision is logged here, by the sandbox's guard.
 */
#ifndef CORDON_SANDBOX_FILE_CHECKS_H
#define CORDON_SANDBOX_FILE_CHECKS_H

#include "vmm/policy/guard.h"

struct approvals;
struct file_checks;

/* Tells the server what has become of the question of a slot. */
typedef void file_checks_send(void *arg, unsigned slot, enum policy_verdict verdict);

/* questions NULL: there are no operators. 0 or -ENOMEM. */
int file_checks_create(struct file_checks **out, struct guard *guard, struct approvals *questions,
		       file_checks_send *send, void *arg);
/* questions may be gone by then. */
void file_checks_destroy(struct file_checks *checks);

/*
 * The request in a slot waits for a decision, and for no other that it has waited for before. May
 * call send() at once. request is used during the call only.
 */
void file_checks_ask(struct file_checks *checks, unsigned slot,
		     const struct policy_request *request);

/* The request does not wait any more: it was interrupted, or the policy decides. */
void file_checks_withdraw(struct file_checks *checks, unsigned slot);

#endif
