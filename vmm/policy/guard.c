/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct guard {
	pthread_rwlock_t lock;
	struct policy *policy;
	struct policy *first; /* whose shares are there; may be the same */
};

int guard_create(struct guard **guard, struct policy *policy, struct audit *audit)
{
	struct guard *made = calloc(1, sizeof(*made));

	(void)audit;
	*guard = made;
	if (!made) {
		policy_free(policy);
		return -ENOMEM;
	}
	pthread_rwlock_init(&made->lock, NULL);
	made->policy = made->first = policy;
	return 0;
}

void guard_destroy(struct guard *guard)
{
	if (!guard)
		return;
	if (guard->first != guard->policy)
		policy_free(guard->first);
	policy_free(guard->policy);
	pthread_rwlock_destroy(&guard->lock);
	free(guard);
}

enum policy_verdict guard_decide(struct guard *guard, const struct policy_request *request,
				 struct policy_decision *decision)
{
	struct policy_decision own;

	if (!decision)
		decision = &own;
	pthread_rwlock_rdlock(&guard->lock);
	policy_decide(guard->policy, request, decision);
	pthread_rwlock_unlock(&guard->lock);
	decision->rule = NULL;
	return decision->verdict;
}

enum policy_verdict guard_check(struct guard *guard, const struct policy_request *request,
				struct policy_decision *decision)
{
	struct policy_decision own;

	if (!decision)
		decision = &own;
	guard_decide(guard, request, decision);
	if (decision->verdict == POLICY_ASK) {
		decision->verdict = POLICY_DENY;
		decision->reason = "a rule has an operator asked, and there is none";
	}
	return decision->verdict;
}

void guard_note(struct guard *guard, const struct guard_note *note)
{
	(void)guard;
	(void)note;
}

void guard_replace(struct guard *guard, struct policy *policy, const char *by)
{
	struct policy *old;

	(void)by;
	pthread_rwlock_wrlock(&guard->lock);
	old = guard->policy;
	guard->policy = policy;
	pthread_rwlock_unlock(&guard->lock);
	if (old != guard->first)
		policy_free(old);
}

void guard_each_share(struct guard *guard,
		      void (*each)(void *arg, const struct policy_share *share), void *arg)
{
	size_t i;

	for (i = 0; i < policy_share_count(guard->first); i++)
		each(arg, policy_share(guard->first, i));
}

static char *copy_of(struct guard *guard, const char *(*what)(const struct policy *))
{
	char *copy;

	pthread_rwlock_rdlock(&guard->lock);
	copy = strdup(what(guard->policy));
	pthread_rwlock_unlock(&guard->lock);
	return copy;
}

char *guard_policy_text(struct guard *guard)
{
	return copy_of(guard, policy_text);
}

char *guard_policy_name(struct guard *guard)
{
	return copy_of(guard, policy_name);
}
