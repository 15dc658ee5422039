/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filter of a sandbox's network may let pass: the guard decides, or an operator where a
 * rule says `ask`. For struct filter_ops and approvals_set_requester(); arg is the network.
 */
#ifndef CORDON_SANDBOX_NETWORK_DECIDE_H
#define CORDON_SANDBOX_NETWORK_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/net/filter.h"
#include "vmm/sandbox/approval_memory.h"

enum filter_verdict network_decide(void *arg, const struct filter_request *request,
				   uint32_t *order);
/* Decides again, and writes the decision into the audit log. */
bool network_check(void *arg, const struct filter_request *request);
void network_note(void *arg, const char *what, const char *object, const char *detail);

/* Opens a question for an operator: its number, or -errno. Withdraws a question. */
int network_ask(void *arg, const struct filter_request *request);
void network_unask(void *arg, uint32_t number);

/* Takes the outcome of a question. */
void network_decided(void *arg, uint32_t number, enum approval_event outcome, const char *reason);

#endif
