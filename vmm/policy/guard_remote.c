/* SPDX-License-Identifier: Apache-2.0 */
/* A remote guard: what a file server reports to the monitor. */
#include "vmm/policy/guard_remote.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/loop.h"
#include "vmm/policy/guard_internal.h"
#include "vmm/policy/hidden.h"
#include "vmm/policy/report.h"

struct remote {
	struct guard_remote ops;
	/*
	 * Held while a report is sent and while a policy is replaced, so that reports of a policy
	 * end where it does.
	 */
	pthread_mutex_t mutex;
	uint64_t number; /* of the policy whose decisions are reported */
	_Atomic enum guard_reports wanted;
	struct hidden_names hidden;
};

/* --- sending ---------------------------------------------------------------------------------- */

/* Sends a report of a decision only if its policy is still in force (-ESTALE). */
static int send(struct remote *remote, const struct policy_report *report, bool required,
		uint64_t *ticket)
{
	struct pack pack = {.limit = POLICY_REPORT_MAX};
	int ret = policy_report_pack(&pack, report);

	if (ret == 0) {
		pthread_mutex_lock(&remote->mutex);
		if (report->kind == POLICY_REPORT_DECISION && report->policy != remote->number)
			ret = -ESTALE;
		else
			ret = remote->ops.send(remote->ops.arg, pack.data, pack.length, required,
					       ticket);
		pthread_mutex_unlock(&remote->mutex);
	}
	pack_free(&pack);
	return ret;
}

/* The request as it is reported: subjects are not, and what is cut is denied like the whole. */
static void describe(struct policy_report *report, const struct policy_request *request,
		     const struct held_policy *held, const struct policy_decision *decision)
{
	report->kind = POLICY_REPORT_DECISION;
	report->policy = held->number;
	report->verdict = decision->verdict;
	report->rule = decision->rule ? decision->rule->number + 1 : 0;
	report->request = *request;
	report->request.subject = NULL;
	report->request.length = min_u64(request->length, POLICY_OBJECT_MAX + 1);
	report->request.other_length = min_u64(request->other_length, POLICY_OBJECT_MAX + 1);
}

int guard_remote_log(struct remote *remote, const struct policy_request *request,
		     const struct held_policy *held, struct policy_decision *decision)
{
	enum guard_reports wanted = atomic_load_explicit(&remote->wanted, memory_order_relaxed);
	bool allowed = decision->verdict == POLICY_ALLOW, required;
	struct policy_report report;
	uint64_t ticket = 0;
	int ret;

	if (allowed && wanted != GUARD_REPORTS_ALL)
		return 0;
	/* A denial stands, logged or not. */
	required = allowed && policy_audit_required(held->policy);
	describe(&report, request, held, decision);
	ret = send(remote, &report, required, &ticket);
	if (!required || ret == -ESTALE)
		return ret;
	if (ret == 0)
		decision->verdict = remote->ops.wait(remote->ops.arg, ticket);
	if (ret == 0 && decision->verdict == POLICY_ALLOW)
		return 0;
	decision->verdict = POLICY_DENY;
	decision->line = 0;
	decision->reason = "the policy requires the audit log, and it does not have this operation";
	return ret;
}

int guard_remote_ask(struct remote *remote, const struct policy_request *request,
		     const struct held_policy *held, struct policy_decision *decision)
{
	struct pack pack = {.limit = POLICY_REPORT_MAX};
	enum policy_verdict verdict = POLICY_DENY;
	struct policy_report report;
	int ret = remote->ops.ask ? 0 : -ENOTSUP;

	describe(&report, request, held, decision);
	report.kind = POLICY_REPORT_QUESTION;
	if (ret == 0)
		ret = policy_report_pack(&pack, &report);
	if (ret == 0) {
		pthread_mutex_lock(&remote->mutex);
		ret = held->number != remote->number
			      ? -ESTALE
			      : remote->ops.ask(remote->ops.arg, held->number, pack.data,
						pack.length, &verdict);
		pthread_mutex_unlock(&remote->mutex);
	}
	pack_free(&pack);
	if (ret < 0)
		return ret;
	decision->verdict = verdict;
	decision->approved = verdict == POLICY_ALLOW;
	return 0;
}

void guard_remote_hidden(struct remote *remote, const struct policy_request *request,
			 const struct held_policy *held, const struct policy_decision *decision)
{
	struct policy_report report;
	uint64_t ticket;
	unsigned place;

	if (atomic_load_explicit(&remote->wanted, memory_order_relaxed) != GUARD_REPORTS_ALL ||
	    hidden_is_known(&remote->hidden, request->object, request->length, remote->ops.now(),
			    &place))
		return;
	describe(&report, request, held, decision);
	if (send(remote, &report, false, &ticket) < 0)
		hidden_forget(&remote->hidden, place);
}

enum policy_verdict guard_remote_note(struct remote *remote, const struct guard_note *note,
				      bool required)
{
	const struct policy_report report = {.kind = POLICY_REPORT_NOTE, .note = *note};
	uint64_t ticket;
	int ret;

	if (atomic_load_explicit(&remote->wanted, memory_order_relaxed) != GUARD_REPORTS_ALL)
		return POLICY_ALLOW;
	ret = send(remote, &report, required, &ticket);
	if (!required)
		return POLICY_ALLOW;
	return ret == 0 ? remote->ops.wait(remote->ops.arg, ticket) : POLICY_DENY;
}

/* --- the guard -------------------------------------------------------------------------------- */

void guard_remote_end(struct remote *remote)
{
	if (!remote)
		return;
	pthread_mutex_destroy(&remote->mutex);
	free(remote);
}

int guard_create_remote(struct guard **guard, struct policy *policy, uint64_t number,
			enum guard_reports wanted, const struct guard_remote *remote)
{
	struct remote *made = calloc(1, sizeof(*made));

	*guard = made ? calloc(1, sizeof(**guard)) : NULL;
	if (!*guard) {
		policy_free(policy);
		free(made);
		return -ENOMEM;
	}
	made->ops = *remote;
	if (!made->ops.now)
		made->ops.now = loop_now_ns;
	made->number = number;
	atomic_init(&made->wanted, wanted);
	pthread_mutex_init(&made->mutex, NULL);
	hidden_begin(&made->hidden, made->ops.now());
	pthread_mutex_init(&(*guard)->gate, NULL);
	(*guard)->remote = made;
	in_force_begin(&(*guard)->force, policy, number);
	(*guard)->first = in_force_hold(&(*guard)->force);
	return 0;
}

int guard_replace_remote(struct guard *guard, struct policy *policy, uint64_t number,
			 enum guard_reports wanted)
{
	int slot = in_force_prepare(&guard->force);

	if (!guard->remote || number <= in_force_number(&guard->force))
		slot = -EINVAL;
	if (slot < 0) {
		policy_free(policy);
		return slot;
	}
	/* What the old policy decided and is not reported yet is decided again, by the new one. */
	pthread_mutex_lock(&guard->remote->mutex);
	in_force_set(&guard->force, slot, policy, number);
	guard->remote->number = number;
	atomic_store_explicit(&guard->remote->wanted, wanted, memory_order_relaxed);
	pthread_mutex_unlock(&guard->remote->mutex);
	return 0;
}
