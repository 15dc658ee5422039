/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network_checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"

/* How a request that needs an approval came by its verdict. */
struct outcome {
	enum approval_event event; /* ALLOWED, DENIED or UNATTENDED */
	const char *reason;	   /* a constant */
};

static struct policy_request policy_request_of(const struct relay_check *check)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = (enum policy_op)check->op,
		.net = {.protocol = (enum policy_protocol)check->protocol,
			.name = check->has_name ? check->name : NULL,
			.family = check->address.family,
			.port = check->port,
			/* A query for the name "host" is not about the host itself. */
			.host = check->host && check->op != POLICY_RESOLVE,
			.method = check->has_method ? check->method : NULL,
			.path = check->has_method ? check->path : NULL,
			.unclear = check->unclear},
	};

	memcpy(request.net.address, check->address.bytes, sizeof(request.net.address));
	return request;
}

/* An operator's earlier decision that still applies: 1 approval, 0 refusal, -1 none. */
static int recall(const struct network_checks *checks, const struct policy_request *request)
{
	return checks->questions ? approvals_recall(checks->questions, request) : -1;
}

/* Decides and logs; outcome: of the question, if the policy (still) says 'ask'. */
static bool decide(struct network_checks *checks, const struct policy_request *request,
		   const struct outcome *outcome)
{
	bool yes =
		guard_check_asked(checks->guard, request,
				  outcome->event == APPROVAL_ALLOWED ? POLICY_ALLOW : POLICY_DENY,
				  outcome->reason) == POLICY_ALLOW;

	if (checks->questions && request->op == POLICY_CONNECT)
		approvals_count(checks->questions, request,
				yes					? APPROVAL_ALLOWED
				: outcome->event == APPROVAL_UNATTENDED ? APPROVAL_UNATTENDED
									: APPROVAL_DENIED);
	return yes;
}

/* --- approved connections --------------------------------------------------------------------- */

static struct policy_request request_of_approved(const struct network_approved *approved)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = (enum policy_protocol)approved->protocol,
			.name = approved->has_name ? approved->name : NULL,
			.family = approved->address.family,
			.port = approved->port,
			.host = approved->host},
	};

	memcpy(request.net.address, approved->address.bytes, sizeof(request.net.address));
	return request;
}

/* A connection is approved at its SYN: of a request, or by datagram, nothing more is covered. */
static void remember(struct network_checks *checks, const struct policy_request *request)
{
	struct network_approved *approved;
	struct policy_request kept;
	unsigned i;

	if (request->op != POLICY_CONNECT || request->net.method || request->net.port == 0)
		return;
	for (i = 0; i < NETWORK_CHECKS_APPROVED; i++) {
		kept = request_of_approved(&checks->approved[i]);
		if (checks->approved[i].port != 0 && policy_request_same(&kept, request))
			return;
	}
	approved = &checks->approved[checks->next_approved++ % NETWORK_CHECKS_APPROVED];
	*approved = (struct network_approved){.protocol = (uint8_t)request->net.protocol,
					      .host = request->net.host,
					      .has_name = request->net.name != NULL,
					      .port = request->net.port};
	approved->address.family = request->net.family;
	memcpy(approved->address.bytes, request->net.address, sizeof(approved->address.bytes));
	snprintf(approved->name, sizeof(approved->name), "%s",
		 request->net.name ? request->net.name : "");
}

/* Whether a connection for which a person was asked about `kept` may contain a request. */
static bool may_contain(const struct policy_request *kept, const struct policy_request *request)
{
	return kept->net.port == request->net.port && kept->net.family == request->net.family &&
	       memcmp(kept->net.address, request->net.address, sizeof(kept->net.address)) == 0 &&
	       (kept->net.protocol == POLICY_TCP || kept->net.protocol == request->net.protocol) &&
	       (!kept->net.name ||
		(request->net.name && strcmp(kept->net.name, request->net.name) == 0));
}

/* Finds the approval of the connection that a request is in. `number` is of the rule that asks. */
static bool find_approved(struct network_checks *checks, const struct policy_request *request,
			  unsigned number, struct policy_request *found)
{
	struct policy_decision decision;
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_APPROVED; i++) {
		if (checks->approved[i].port == 0)
			continue;
		*found = request_of_approved(&checks->approved[i]);
		if (may_contain(found, request) &&
		    guard_decide(checks->guard, found, &decision) == POLICY_ASK &&
		    decision.number == number)
			return true;
	}
	return false;
}

/* A request in a connection that was approved: it has its line in the log, but no question. */
static void take_covered(struct network_checks *checks, uint32_t ticket,
			 const struct policy_request *request, unsigned number)
{
	const char *reason = "the approval of its connection is not known any more";
	enum policy_verdict approval = POLICY_DENY;
	struct policy_request connection;
	bool allowed;

	if (find_approved(checks, request, number, &connection)) {
		approval = POLICY_ALLOW;
		reason = recall(checks, &connection) == 1
				 ? "an operator allowed its connection for the sandbox's life"
				 : "an operator allowed its connection once";
	}
	allowed = guard_check_asked(checks->guard, request, approval, reason) == POLICY_ALLOW;
	checks->ops->verdict(checks->arg, ticket, allowed, allowed);
}

/* --- verdicts --------------------------------------------------------------------------------- */

static void settle(struct network_checks *checks, uint32_t ticket,
		   const struct policy_request *request, const struct outcome *outcome)
{
	bool asks = guard_decide(checks->guard, request, NULL) == POLICY_ASK;
	bool allowed = decide(checks, request, outcome);

	if (allowed && asks)
		remember(checks, request);
	checks->ops->verdict(checks->arg, ticket, allowed, allowed && asks);
}

/* --- what waits ------------------------------------------------------------------------------- */

static struct network_check *find_free(struct network_checks *checks)
{
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++)
		if (!checks->waiting[i].request)
			return &checks->waiting[i];
	return NULL;
}

static bool is_shared(const struct network_checks *checks, uint32_t question)
{
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++)
		if (checks->waiting[i].request && checks->waiting[i].question == question)
			return true;
	return false;
}

/* Frees the place; the question stays open. The caller frees the request. */
static struct relay_check *take_out(struct network_checks *checks, struct network_check *check)
{
	struct relay_check *request = check->request;

	*check = (struct network_check){.request = NULL};
	checks->count--;
	return request;
}

/* Withdraws a question for which no other request waits. */
static void take_back(struct network_checks *checks, uint32_t question)
{
	if (!is_shared(checks, question))
		approvals_take_back(checks->questions, question);
}

static void finish(struct network_checks *checks, struct network_check *check,
		   const struct outcome *outcome)
{
	uint32_t ticket = check->ticket;
	struct relay_check *request = take_out(checks, check);
	const struct policy_request about = policy_request_of(request);

	settle(checks, ticket, &about, outcome);
	free(request);
}

void network_checks_drop(struct network_checks *checks, uint32_t ticket)
{
	struct network_check *check;
	uint32_t question;
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++) {
		check = &checks->waiting[i];
		if (!check->request || check->ticket != ticket)
			continue;
		question = check->question;
		free(take_out(checks, check));
		take_back(checks, question);
		return;
	}
}

void network_checks_decided(struct network_checks *checks, uint32_t question,
			    enum approval_event event, const char *reason)
{
	const struct outcome outcome = {.event = event, .reason = reason};
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++)
		if (checks->waiting[i].request && checks->waiting[i].question == question)
			finish(checks, &checks->waiting[i], &outcome);
}

void network_checks_policy_changed(struct network_checks *checks)
{
	/* The policy itself decides: this is not used. */
	const struct outcome none = {.event = APPROVAL_DENIED, .reason = "the policy was changed"};
	struct policy_request request;
	struct network_check *check;
	uint32_t question;
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++) {
		check = &checks->waiting[i];
		if (!check->request)
			continue;
		request = policy_request_of(check->request);
		if (guard_decide(checks->guard, &request, NULL) == POLICY_ASK)
			continue;
		question = check->question;
		finish(checks, check, &none);
		take_back(checks, question);
	}
}

/* --- requests --------------------------------------------------------------------------------- */

#define NEEDS "the rule needs an operator's approval, and "

static const char *why_not_asked(int error)
{
	switch (error) {
	case -ENOENT:
		return NEEDS "no operator is attached";
	case -EACCES:
		return NEEDS "the policy says on-ask deny";
	case -EINVAL:
		return NEEDS "the object cannot be shown to one";
	default:
		return NEEDS "too many questions are open";
	}
}

/* Opens a question, or joins an open one. False: *outcome says why that failed. */
static bool ask(struct network_checks *checks, const struct relay_check *request,
		const struct policy_request *about, struct outcome *outcome)
{
	struct network_check *check = find_free(checks);
	struct relay_check *copy = check ? malloc(sizeof(*copy)) : NULL;
	int question = -EBUSY;

	if (!checks->questions)
		question = -ENOENT;
	else if (copy)
		question = approvals_ask(checks->questions, about);
	if (question > 0) {
		*copy = *request;
		*check = (struct network_check){request->ticket, (uint32_t)question, copy};
		checks->count++;
		return true;
	}
	free(copy);
	outcome->event = APPROVAL_UNATTENDED;
	outcome->reason = why_not_asked(question);
	return false;
}

static void take_connect(struct network_checks *checks, const struct relay_check *request)
{
	const struct policy_request about = policy_request_of(request);
	struct outcome outcome = {.event = APPROVAL_DENIED};
	struct policy_decision decision;

	if (guard_decide(checks->guard, &about, &decision) == POLICY_ASK) {
		if (request->covered) {
			take_covered(checks, request->ticket, &about, decision.number);
			return;
		}
		switch (recall(checks, &about)) {
		case 1:
			outcome.event = APPROVAL_ALLOWED;
			outcome.reason = "an operator allowed it earlier, for the sandbox's life";
			break;
		case 0:
			outcome.reason = "an operator refused it earlier, for the sandbox's life";
			break;
		default:
			if (ask(checks, request, &about, &outcome))
				return;
		}
	}
	settle(checks, request->ticket, &about, &outcome);
}

/* The user opens a port with --publish; the policy has no say in it. */
static void take_listen(struct network_checks *checks, const struct relay_check *request)
{
	const struct policy_request about = policy_request_of(request);
	bool allowed = checks->ops->published(checks->arg, request->port,
					      request->protocol == POLICY_UDP) &&
		       guard_grant(checks->guard, &about, "--publish") == POLICY_ALLOW;

	checks->ops->verdict(checks->arg, request->ticket, allowed, false);
}

/* The relay denied it by its copy of the policy, which may have been replaced meanwhile. */
static void log_refused(struct network_checks *checks, const struct relay_check *request)
{
	const struct policy_request about = policy_request_of(request);
	char text[POLICY_REQUEST_TEXT];
	const struct guard_note note = {.class = POLICY_NET,
					.what = "flow-refused",
					.object = text,
					.detail = "by the policy before the one in force"};
	struct outcome none = {.event = APPROVAL_DENIED, .reason = note.detail};

	if (guard_decide(checks->guard, &about, NULL) == POLICY_DENY) {
		decide(checks, &about, &none);
		return;
	}
	policy_request_text(&about, text);
	guard_note(checks->guard, &note);
}

void network_checks_take(struct network_checks *checks, const struct relay_check *request)
{
	if (request->ticket == 0)
		log_refused(checks, request);
	else if (request->op == POLICY_LISTEN)
		take_listen(checks, request);
	else
		take_connect(checks, request);
}

/* --- life ------------------------------------------------------------------------------------- */

void network_checks_init(struct network_checks *checks, struct guard *guard,
			 struct approvals *questions, const struct network_checks_ops *ops,
			 void *arg)
{
	*checks = (struct network_checks){
		.guard = guard, .questions = questions, .ops = ops, .arg = arg};
}

void network_checks_close(struct network_checks *checks)
{
	unsigned i;

	for (i = 0; i < NETWORK_CHECKS_WAITING; i++)
		if (checks->waiting[i].request)
			network_checks_drop(checks, checks->waiting[i].ticket);
}
