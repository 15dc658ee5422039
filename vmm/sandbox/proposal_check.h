/* SPDX-License-Identifier: Apache-2.0 */
/* A proposal of the guest (proposals.h): made of any bytes, and checked against the policy. */
#ifndef CORDON_SANDBOX_PROPOSAL_CHECK_H
#define CORDON_SANDBOX_PROPOSAL_CHECK_H

#include "vmm/sandbox/proposals.h"

/* caller: the guest's number of the program. The caller frees it. NULL: out of memory. */
struct proposal *proposal_create(uint32_t number, uint32_t caller, const char *rule,
				 size_t rule_length, const char *reason, size_t reason_length);

/* The place of a caller in its proposal; -1: it is none of this one's. */
int proposal_find_caller(const struct proposal *proposal, uint32_t id);

/*
 * Finds what the policy would allow with the rule. network: whether rules for the network can take
 * effect. *took_ns: the processor time that it took. 0; -EINVAL: no rule, or one without effect; or
 * another -errno; with a message that tells nothing of the host.
 */
int proposal_check(struct proposal *proposal, struct guard *guard, bool network, uint64_t *took_ns,
		   struct err *err);

#endif
