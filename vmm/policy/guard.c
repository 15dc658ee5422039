/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/policy/audit.h"

struct guard {
	pthread_rwlock_t lock; /* of policy: held while one is used */
	struct policy *policy;
	struct policy *first; /* whose shares are there; may be the same */
	struct audit *audit;
	atomic_bool warned;
};

int guard_create(struct guard **guard, struct policy *policy, struct audit *audit)
{
	struct guard *made = calloc(1, sizeof(*made));

	*guard = made;
	if (!made) {
		policy_free(policy);
		audit_close(audit);
		return -ENOMEM;
	}
	pthread_rwlock_init(&made->lock, NULL);
	made->policy = made->first = policy;
	made->audit = audit;
	return 0;
}

void guard_destroy(struct guard *guard)
{
	if (!guard)
		return;
	audit_close(guard->audit);
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

/* The log can't be written: fail closed where the policy says so, else say it once and go on. */
static void not_logged(struct guard *guard, int code, struct policy_decision *decision)
{
	bool required = policy_audit_required(guard->policy);

	if (!atomic_exchange(&guard->warned, true))
		log_warning("audit log %s: %s: %s", audit_path(guard->audit), strerror(code),
			    required ? "everything is denied until it can be written again"
				     : "what is not logged is counted");
	if (!required)
		return;
	decision->verdict = POLICY_DENY;
	decision->line = 0;
	decision->reason = "the audit log can't be written";
}

static enum policy_verdict check(struct guard *guard, const struct policy_request *request,
				 enum policy_verdict answer, const char *reason,
				 struct policy_decision *decision)
{
	const char *file;
	int ret = 0;

	/* One lock for both: a decision is never logged behind a policy that did not make it. */
	pthread_rwlock_rdlock(&guard->lock);
	policy_decide(guard->policy, request, decision);
	if (decision->verdict == POLICY_ASK) {
		decision->verdict = answer;
		decision->reason = reason;
	}
	file = decision->rule ? decision->rule->file : NULL;
	if (guard->audit)
		ret = audit_decision(guard->audit, request, decision, file);
	if (ret < 0)
		not_logged(guard, -ret, decision);
	else if (guard->audit)
		atomic_store(&guard->warned, false);
	pthread_rwlock_unlock(&guard->lock);
	decision->rule = NULL;
	return decision->verdict;
}

enum policy_verdict guard_grant(struct guard *guard, const struct policy_request *request,
				const char *by)
{
	struct policy_decision decision = {
		.verdict = POLICY_ALLOW,
		.where = POLICY_HOST,
		.reason = "the command line says so",
	};
	int ret;

	pthread_rwlock_rdlock(&guard->lock);
	ret = guard->audit ? audit_decision(guard->audit, request, &decision, by) : 0;
	if (ret < 0)
		not_logged(guard, -ret, &decision);
	pthread_rwlock_unlock(&guard->lock);
	return decision.verdict;
}

enum policy_verdict guard_check(struct guard *guard, const struct policy_request *request,
				struct policy_decision *decision)
{
	struct policy_decision own;

	return check(guard, request, POLICY_DENY, "a rule has an operator asked, and there is none",
		     decision ? decision : &own);
}

enum policy_verdict guard_check_asked(struct guard *guard, const struct policy_request *request,
				      enum policy_verdict answer, const char *reason)
{
	struct policy_decision decision;

	return check(guard, request, answer, reason, &decision);
}

enum policy_verdict guard_note(struct guard *guard, const struct guard_note *note)
{
	struct policy_decision decision = {.verdict = POLICY_ALLOW};
	int ret = guard->audit ? audit_note(guard->audit, note) : 0;

	if (ret < 0) {
		pthread_rwlock_rdlock(&guard->lock);
		not_logged(guard, -ret, &decision);
		pthread_rwlock_unlock(&guard->lock);
	}
	return decision.verdict;
}

void guard_replace(struct guard *guard, struct policy *policy, const char *by)
{
	struct guard_note note = {
		.class = POLICY_CLASSES,
		.what = "policy-set",
		.object = policy_name(policy),
		.detail = by,
	};
	struct policy *old;

	pthread_rwlock_wrlock(&guard->lock);
	old = guard->policy;
	guard->policy = policy;
	/* Before any decision of the new one. */
	if (guard->audit && audit_note(guard->audit, &note) < 0)
		log_warning("audit log %s: that the policy was set could not be logged",
			    audit_path(guard->audit));
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

void guard_with_policy(struct guard *guard, void (*with)(void *arg, const struct policy *policy),
		       void *arg)
{
	pthread_rwlock_rdlock(&guard->lock);
	with(arg, guard->policy);
	pthread_rwlock_unlock(&guard->lock);
}

const char *guard_audit_path(const struct guard *guard)
{
	return guard->audit ? audit_path(guard->audit) : NULL;
}
