/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network_decide.h"

#include <errno.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network.h"

static struct policy_request to_policy(const struct filter_request *request)
{
	static const enum policy_op op[] = {[FILTER_CONNECT] = POLICY_CONNECT,
					    [FILTER_RESOLVE] = POLICY_RESOLVE,
					    [FILTER_LISTEN] = POLICY_LISTEN};
	static const enum policy_protocol protocol[] = {
		[FILTER_TCP] = POLICY_TCP,   [FILTER_UDP] = POLICY_UDP,	  [FILTER_TLS] = POLICY_TLS,
		[FILTER_HTTP] = POLICY_HTTP, [FILTER_ICMP] = POLICY_ICMP, [FILTER_DNS] = POLICY_DNS,
	};
	struct policy_request to = {
		.class = POLICY_NET,
		.op = op[request->op],
		.net = {.protocol = protocol[request->protocol],
			.name = request->name,
			.port = request->port,
			/* A query for the name "host" is not about the host itself. */
			.host = request->host && request->op != FILTER_RESOLVE},
	};

	if (request->op != FILTER_RESOLVE) {
		to.net.family = AF_INET;
		store_be32(to.net.address, request->address);
	}
	return to;
}

/* An operator's earlier decision that still applies: 1 approval, 0 refusal, -1 none. */
static int recall(const struct network *network, const struct policy_request *question)
{
	const struct approvals *questions = network->config.questions;

	return questions ? approvals_recall(questions, question) : -1;
}

enum filter_verdict network_decide(void *arg, const struct filter_request *request, uint32_t *order)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);
	struct policy_decision decision;

	/* The user opens a port with --publish; the policy has no say in it. */
	if (request->op == FILTER_LISTEN) {
		*order = 0;
		return FILTER_ALLOW;
	}
	guard_decide(network->guard, &question, &decision);
	*order = decision.number > 0 ? decision.number - 1 : FILTER_NO_RULE;
	if (decision.verdict != POLICY_ASK)
		return decision.verdict == POLICY_ALLOW ? FILTER_ALLOW : FILTER_DENY;
	switch (recall(network, &question)) {
	case 1:
		return FILTER_ALLOW;
	case 0:
		return FILTER_DENY;
	default:
		return FILTER_ASK;
	}
}

void network_note(void *arg, const char *what, const char *object, const char *detail)
{
	struct network *network = arg;
	const struct guard_note note = {
		.class = POLICY_NET, .what = what, .object = object, .detail = detail};

	guard_note(network->guard, &note);
}

static enum approval_event outcome_of(const struct network *network, enum filter_answer answer,
				      bool allowed)
{
	if (allowed)
		return APPROVAL_ALLOWED;
	if (answer == FILTER_UNATTENDED || answer == FILTER_UNASKABLE ||
	    answer == FILTER_OVERASKED || (answer == FILTER_DECLINED && network->undecided))
		return APPROVAL_UNATTENDED;
	return APPROVAL_DENIED;
}

/* The policy's verdict, or, where that is `ask`, the outcome of the question. */
static bool check_asked(struct network *network, enum filter_answer answer,
			const struct policy_request *question)
{
	static const char *const reason[] = {
		[FILTER_APPROVED] = "an operator allowed it",
		[FILTER_DECLINED] = "an operator refused it",
		[FILTER_UNATTENDED] =
			"the rule needs an operator's approval, and no operator is attached",
		[FILTER_UNASKABLE] =
			"the rule needs an operator's approval, and the policy says on-ask deny",
		[FILTER_OVERASKED] =
			"the rule needs an operator's approval, and too many questions are open",
	};
	int before = answer == FILTER_UNASKED ? recall(network, question) : -1;
	bool yes = answer == FILTER_APPROVED || before == 1;
	const char *why = reason[FILTER_UNATTENDED];

	if (before >= 0)
		why = yes ? "an operator allowed it earlier, for the sandbox's life"
			  : "an operator refused it earlier, for the sandbox's life";
	else if (network->reason && (answer == FILTER_APPROVED || answer == FILTER_DECLINED))
		why = network->reason;
	else if (answer != FILTER_UNASKED)
		why = reason[answer];
	yes = guard_check_asked(network->guard, question, yes ? POLICY_ALLOW : POLICY_DENY, why) ==
	      POLICY_ALLOW;
	if (network->config.questions && question->op == POLICY_CONNECT)
		approvals_count(network->config.questions, question,
				outcome_of(network, answer, yes));
	return yes;
}

bool network_check(void *arg, const struct filter_request *request)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);

	if (request->op == FILTER_LISTEN)
		return guard_grant(network->guard, &question, "--publish") == POLICY_ALLOW;
	return check_asked(network, request->answer, &question);
}

int network_ask(void *arg, const struct filter_request *request)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);

	if (!network->config.questions)
		return -ENOENT;
	return approvals_ask(network->config.questions, &question);
}

void network_unask(void *arg, uint32_t number)
{
	struct network *network = arg;

	approvals_take_back(network->config.questions, number);
}

void network_decided(void *arg, uint32_t number, enum approval_event outcome, const char *reason)
{
	struct network *network = arg;

	network->reason = reason;
	network->undecided = outcome == APPROVAL_UNATTENDED;
	filter_answered(network->filter, number,
			outcome == APPROVAL_ALLOWED ? FILTER_APPROVED : FILTER_DECLINED,
			loop_guest_now_ns(network->loop));
	network->reason = NULL;
	network->undecided = false;
}
