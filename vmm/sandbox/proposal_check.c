/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/proposal_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/clock.h"
#include "vmm/base/text.h"

struct proposal *proposal_create(uint32_t number, uint32_t caller, const char *rule,
				 size_t rule_length, const char *reason, size_t reason_length)
{
	struct proposal *proposal = calloc(1, sizeof(*proposal));

	if (!proposal)
		return NULL;
	proposal->number = number;
	proposal->caller[proposal->callers++] = caller;
	proposal->class = POLICY_CLASSES;
	memcpy(proposal->rule, rule, rule_length);
	/* For a person a cut rule is another rule: a NUL makes it invalid as a whole. */
	if (memchr(rule, '\0', rule_length))
		memset(proposal->rule, '?', rule_length);
	text_safe(proposal->reason, sizeof(proposal->reason), reason, reason_length, 0);
	proposal->proposed = time(NULL);
	return proposal;
}

int proposal_find_caller(const struct proposal *proposal, uint32_t id)
{
	unsigned i;

	for (i = 0; i < proposal->callers; i++)
		if (proposal->caller[i] == id)
			return (int)i;
	return -1;
}

struct check {
	struct proposal *proposal;
	bool network;
	struct err *err;
	int ret;
};

static void check_rule(void *arg, const struct policy *policy)
{
	struct check *check = arg;
	struct proposal *proposal = check->proposal;

	check->ret = policy_check_proposal(policy, proposal->rule, proposal->adds, &proposal->class,
					   check->err);
	if (check->ret == 0 && proposal->class == POLICY_NET && !check->network)
		check->ret =
			err_set(check->err, EINVAL, "the sandbox was started without a network");
}

int proposal_check(struct proposal *proposal, struct guard *guard, bool network, uint64_t *took_ns,
		   struct err *err)
{
	struct check check = {.proposal = proposal, .network = network, .err = err};
	/* Of this thread: a busy host is not the guest's doing. */
	uint64_t before_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);

	guard_with_policy(guard, check_rule, &check);
	*took_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	return check.ret;
}
