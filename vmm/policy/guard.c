/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/policy/guard_internal.h"

int guard_create(struct guard **guard, struct policy *policy, struct audit *audit)
{
	struct guard *made = calloc(1, sizeof(*made));

	*guard = made;
	if (!made) {
		policy_free(policy);
		audit_close(audit);
		return -ENOMEM;
	}
	pthread_mutex_init(&made->gate, NULL);
	in_force_begin(&made->force, policy, 0);
	made->first = in_force_hold(&made->force);
	made->audit = audit;
	return 0;
}

void guard_destroy(struct guard *guard)
{
	if (!guard)
		return;
	audit_close(guard->audit);
	in_force_end(&guard->force);
	pthread_mutex_destroy(&guard->gate);
	guard_remote_end(guard->remote);
	free(guard);
}

void guard_watch_denials(struct guard *guard, guard_denied *denied, void *arg)
{
	guard->denied = denied;
	guard->denied_arg = arg;
}

struct audit_origin guard_origin(const struct held_policy *held,
				 const struct policy_decision *decision)
{
	return (struct audit_origin){
		.file = decision->rule ? decision->rule->file : NULL,
		.policy = held->number,
		.required = policy_audit_required(held->policy),
	};
}

static void log_hidden(struct guard *guard, const struct policy_request *request,
		       const struct held_policy *held, const struct policy_decision *decision)
{
	const struct audit_origin origin = guard_origin(held, decision);

	audit_hidden(guard->audit, request, decision, &origin);
}

enum policy_verdict guard_decide(struct guard *guard, const struct policy_request *request,
				 struct policy_decision *decision)
{
	struct held_policy held = in_force_hold(&guard->force);
	struct policy_decision own;

	if (!decision)
		decision = &own;
	policy_decide(held.policy, request, decision);
	if (decision->verdict != POLICY_HIDE || request->op != POLICY_LOOKUP)
		;
	else if (guard->audit)
		log_hidden(guard, request, &held, decision);
	else if (guard->remote)
		guard_remote_hidden(guard->remote, request, &held, decision);
	in_force_release(&guard->force, held);
	decision->rule = NULL;
	return decision->verdict;
}

/*
 * Call before logging: a policy that is being set goes first. The mutex of the log is not fair, so
 * other lines could keep that policy's line waiting without end; with the gate at most one line a
 * thread gets ahead of it.
 */
static void pass_gate(struct guard *guard)
{
	if (!atomic_load_explicit(&guard->replacing, memory_order_relaxed))
		return;
	pthread_mutex_lock(&guard->gate);
	pthread_mutex_unlock(&guard->gate);
}

/* Fails closed if the policy requires the log; warns once. */
static void not_logged(struct guard *guard, int code, bool required,
		       struct policy_decision *decision)
{
	bool rate = code == EAGAIN;

	if ((!rate || required) && !atomic_exchange(&guard->warned, true))
		log_warning("audit log %s: %s: %s", audit_path(guard->audit),
			    rate ? "the guest exceeds the log's budget" : strerror(code),
			    rate       ? "operations that cannot be logged are denied"
			    : required ? "all operations are denied until it can be written again"
				       : "unlogged lines are counted");
	/* A hidden object stays hidden. */
	if (!required || decision->verdict != POLICY_ALLOW)
		return;
	decision->verdict = POLICY_DENY;
	decision->line = 0;
	decision->reason =
		rate ? "the policy requires the audit log, and the log's budget is used up"
		     : "the policy requires the audit log, and it can't be written";
}

int guard_log(struct guard *guard, const struct policy_request *request,
	      const struct audit_origin *origin, struct policy_decision *decision)
{
	int ret = audit_decision(guard->audit, request, decision, origin);

	if (ret < 0 && ret != -ESTALE)
		not_logged(guard, -ret, origin->required, decision);
	else if (ret == 0)
		atomic_store_explicit(&guard->warned, false, memory_order_relaxed);
	return ret;
}

void guard_settle(struct policy_decision *decision, enum policy_verdict approval,
		  const char *reason)
{
	if (decision->verdict != POLICY_ASK)
		return;
	decision->verdict = approval;
	decision->reason = reason;
}

static enum policy_verdict check(struct guard *guard, const struct policy_request *request,
				 enum policy_verdict approval, const char *reason,
				 struct policy_decision *decision)
{
	struct audit_origin origin;
	struct held_policy held;
	int ret = 0;

	/* Repeats only if the policy was replaced meanwhile: in the log, a decision comes before
	 * or after the replacement according to the policy that made it. */
	do {
		pass_gate(guard);
		held = in_force_hold(&guard->force);
		policy_decide(held.policy, request, decision);
		if (guard->remote && decision->verdict == POLICY_ASK) {
			ret = guard_remote_ask(guard->remote, request, &held, decision);
			if (ret == 0 || ret == -ESTALE) {
				in_force_release(&guard->force, held);
				continue;
			}
		}
		guard_settle(decision, approval, reason);
		origin = guard_origin(&held, decision);
		if (guard->audit)
			ret = guard_log(guard, request, &origin, decision);
		else if (guard->remote)
			ret = guard_remote_log(guard->remote, request, &held, decision);
		if (guard->denied && ret != -ESTALE && decision->verdict != POLICY_ALLOW)
			guard->denied(guard->denied_arg, held.policy, request, decision);
		in_force_release(&guard->force, held);
	} while (ret == -ESTALE);
	decision->rule = NULL;
	return decision->verdict;
}

static bool is_required(struct guard *guard)
{
	struct held_policy held = in_force_hold(&guard->force);
	bool required = policy_audit_required(held.policy);

	in_force_release(&guard->force, held);
	return required;
}

enum policy_verdict guard_grant(struct guard *guard, const struct policy_request *request,
				const char *by)
{
	struct policy_decision decision = {
		.verdict = POLICY_ALLOW,
		.enforced_by = POLICY_HOST,
		.reason = "the command line grants it",
	};
	struct audit_origin origin = {.file = by, .policy = AUDIT_ANY_POLICY};

	if (guard->remote)
		return POLICY_DENY;
	if (!guard->audit)
		return decision.verdict;
	pass_gate(guard);
	origin.required = is_required(guard);
	guard_log(guard, request, &origin, &decision);
	return decision.verdict;
}

enum policy_verdict guard_check(struct guard *guard, const struct policy_request *request,
				struct policy_decision *decision)
{
	struct policy_decision own;

	return check(guard, request, POLICY_DENY, GUARD_NOT_APPROVED, decision ? decision : &own);
}

enum policy_verdict guard_check_asked(struct guard *guard, const struct policy_request *request,
				      enum policy_verdict approval, const char *reason)
{
	struct policy_decision decision;

	if (guard->remote)
		return guard_check(guard, request, NULL);
	return check(guard, request, approval, reason, &decision);
}

enum policy_verdict guard_log_note(struct guard *guard, const struct guard_note *note)
{
	struct policy_decision decision = {.verdict = POLICY_ALLOW};
	bool required;
	int ret;

	if (!guard->audit)
		return decision.verdict;
	required = is_required(guard);
	ret = audit_note(guard->audit, note, required);
	if (ret < 0)
		not_logged(guard, -ret, required, &decision);
	return decision.verdict;
}

enum policy_verdict guard_note(struct guard *guard, const struct guard_note *note)
{
	if (guard->remote)
		return guard_remote_note(guard->remote, note, is_required(guard));
	if (guard->audit)
		pass_gate(guard);
	return guard_log_note(guard, note);
}

/* The line comes before any decision of the new policy; none of the old one is logged after it. */
static void log_set(struct guard *guard, const struct guard_note *note, uint64_t number)
{
	if (guard->audit && audit_policy_set(guard->audit, note, number) < 0)
		log_warning("audit log %s: could not log that the policy was set",
			    audit_path(guard->audit));
}

void guard_leave(struct guard *guard)
{
	struct leaving *leaving = guard->leaving;

	if (!leaving)
		return;
	guard->leaving = NULL;
	log_set(guard, leaving->note, in_force_number(&guard->force));
	in_force_release(&guard->force, leaving->held);
}

/* The log still takes decisions of the old policy, which guard_report() needs. */
static void replace_followed(struct guard *guard, int slot, struct policy *policy, uint64_t number,
			     const struct guard_note *note)
{
	struct leaving leaving = {.held = in_force_hold(&guard->force), .note = note};

	/* cppcheck-suppress autoVariables; guard_leave() forgets it */
	guard->leaving = &leaving;
	in_force_set(&guard->force, slot, policy, number);
	guard->follow(guard->follow_arg);
	guard_leave(guard);
}

int guard_replace(struct guard *guard, struct policy *policy, const char *by)
{
	const struct guard_note note = {
		.class = POLICY_CLASSES,
		.what = "policy-set",
		.object = policy_name(policy),
		.detail = by,
	};
	uint64_t number;
	int slot;

	pthread_mutex_lock(&guard->gate);
	atomic_store_explicit(&guard->replacing, true, memory_order_relaxed);
	number = in_force_number(&guard->force) + 1;
	slot = guard->remote ? -EINVAL : in_force_prepare(&guard->force);
	if (slot >= 0 && guard->follow) {
		replace_followed(guard, slot, policy, number, &note);
	} else if (slot >= 0) {
		log_set(guard, &note, number);
		in_force_set(&guard->force, slot, policy, number);
	} else {
		policy_free(policy);
	}
	atomic_store_explicit(&guard->replacing, false, memory_order_relaxed);
	pthread_mutex_unlock(&guard->gate);
	return slot < 0 ? slot : 0;
}

void guard_each_share(struct guard *guard,
		      void (*each)(void *arg, const struct policy_share *share), void *arg)
{
	size_t i;

	for (i = 0; i < policy_share_count(guard->first.policy); i++)
		each(arg, policy_share(guard->first.policy, i));
}

void guard_with_policy(struct guard *guard, void (*with)(void *arg, const struct policy *policy),
		       void *arg)
{
	struct held_policy held = in_force_hold(&guard->force);

	with(arg, held.policy);
	in_force_release(&guard->force, held);
}

uint64_t guard_version(const struct guard *guard)
{
	return in_force_number(&guard->force);
}

uint64_t guard_uses(const struct guard *guard)
{
	return in_force_uses(&guard->force);
}

const char *guard_audit_path(const struct guard *guard)
{
	return guard->audit ? audit_path(guard->audit) : NULL;
}
