/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor does with the reports of a file server. */
#include <errno.h>

#include "vmm/policy/guard_internal.h"
#include "vmm/policy/report.h"

void guard_expect_reports(struct guard *guard, void (*follow)(void *arg), void *arg)
{
	guard->follow = follow;
	guard->follow_arg = arg;
}

enum guard_reports guard_reports_wanted(const struct guard *guard)
{
	return guard->audit ? GUARD_REPORTS_ALL : GUARD_REPORTS_DENIALS;
}

/* Decides once more, by the policy that the server names. -EPROTO: the report can't be true. */
static int decide_again(const struct policy_report *report, const struct held_policy *held,
			struct policy_decision *decision)
{
	if (held->number != report->policy)
		return -EPROTO;
	policy_decide(held->policy, &report->request, decision);
	guard_settle(decision, POLICY_DENY, GUARD_NOT_APPROVED);
	return decision->verdict == report->verdict &&
			       (decision->rule ? decision->rule->number + 1 : 0) == report->rule
		       ? 0
		       : -EPROTO;
}

/* Logs it as the monitor logs its own decisions. */
static enum policy_verdict log_it(struct guard *guard, const struct policy_report *report,
				  const struct held_policy *held, struct policy_decision *decision)
{
	const struct audit_origin origin = guard_origin(held, decision);

	if (report->request.op == POLICY_LOOKUP) {
		if (guard->audit)
			audit_hidden(guard->audit, &report->request, decision, &origin);
		return decision->verdict;
	}
	if (guard->audit)
		guard_log(guard, &report->request, &origin, decision);
	if (guard->denied && decision->verdict != POLICY_ALLOW)
		guard->denied(guard->denied_arg, held->policy, &report->request, decision);
	return decision->verdict;
}

int guard_question(struct guard *guard, const void *bytes, size_t length,
		   struct policy_request *request)
{
	struct policy_decision decision;
	struct policy_report report;
	struct held_policy held;
	int ret = policy_report_parse(bytes, length, &report);

	if (ret < 0 || report.kind != POLICY_REPORT_QUESTION)
		return -EINVAL;
	held = in_force_hold(&guard->force);
	policy_decide(held.policy, &report.request, &decision);
	if (held.number != report.policy)
		ret = -ESTALE;
	else if (decision.verdict != POLICY_ASK)
		ret = -EPROTO;
	in_force_release(&guard->force, held);
	*request = report.request;
	return ret;
}

int guard_report(struct guard *guard, const void *bytes, size_t length,
		 enum policy_verdict *verdict)
{
	struct policy_decision decision;
	struct policy_report report;
	const struct leaving *leaving;
	struct held_policy held;
	int ret = policy_report_parse(bytes, length, &report);

	*verdict = POLICY_DENY;
	if (ret < 0)
		return ret;
	if (report.kind == POLICY_REPORT_QUESTION)
		return -EINVAL;
	if (report.kind == POLICY_REPORT_NOTE) {
		*verdict = guard_log_note(guard, &report.note);
		return 0;
	}
	/* Reports come in order: the first of the new policy is behind all of the old one. */
	if (guard->leaving && report.policy == in_force_number(&guard->force))
		guard_leave(guard);
	leaving = guard->leaving;
	held = leaving ? leaving->held : in_force_hold(&guard->force);
	ret = decide_again(&report, &held, &decision);
	if (ret == 0)
		*verdict = log_it(guard, &report, &held, &decision);
	if (!leaving)
		in_force_release(&guard->force, held);
	return ret;
}
