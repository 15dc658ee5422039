/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_json.h"

#include <arpa/inet.h>

#include "vmm/policy/explain.h"
#include "vmm/sandbox/proposals.h"

void approval_rule(const struct approval *approval, bool yes, char line[POLICY_REQUEST_RULE])
{
	const struct policy_request *request = &approval->lasting;

	policy_request_rule(
		request,
		yes ? policy_needed_action(request->class, request->op) : POLICY_ACTION_DENY, line);
}

/* What only questions about the network have. */
static void describe_peer(json_t *body, const struct policy_net *net)
{
	const char *name = net->host ? "host" : net->name;
	char address[INET6_ADDRSTRLEN] = "";

	inet_ntop((int)net->family, net->address, address, sizeof(address));
	json_object_set_new(body, "protocol", json_string(policy_protocol_name(net->protocol)));
	if (name)
		json_object_set_new(body, "name", json_string(name));
	json_object_set_new(body, "address", json_string(address));
	json_object_set_new(body, "port", json_integer(net->port));
}

json_t *approval_json(const struct approval *approval)
{
	const struct policy_request *request = &approval->request;
	const struct approval_history *history = &approval->history;
	char object[POLICY_REQUEST_TEXT], always[POLICY_REQUEST_RULE], never[POLICY_REQUEST_RULE];
	json_t *body;

	policy_request_text(request, object);
	approval_rule(approval, true, always);
	approval_rule(approval, false, never);
	body = json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:{s:I,s:I,s:I,s:I},s:{s:s,s:s}}",
			 "question", (json_int_t)approval->number, "text", object, "class",
			 policy_class_name(request->class), "operation",
			 policy_op_name(request->op), "object", object, "rule", approval->rule,
			 "rule_text", approval->rule_text, "asked", (json_int_t)approval->asked,
			 "history", "asked", (json_int_t)history->asked, "allowed",
			 (json_int_t)history->allowed, "denied", (json_int_t)history->denied,
			 "unattended", (json_int_t)history->unattended, "lines", "always", always,
			 "never", never);
	if (approval->until)
		json_object_set_new(body, "until", json_integer((json_int_t)approval->until));
	else
		json_object_set_new(body, "frozen", json_true());
	if (body && approval->pid)
		json_object_set_new(body, "process",
				    json_pack("{s:I,s:I,s:s}", "pid", (json_int_t)approval->pid,
					      "uid", (json_int_t)approval->uid, "program",
					      approval->program));
	if (body && request->class == POLICY_NET)
		describe_peer(body, &request->net);
	return body;
}

json_t *proposal_json(const struct proposal *proposal)
{
	return json_pack(
		"{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:{s:I,s:I,s:I,s:I},s:{s:s}}",
		"question", (json_int_t)proposal->number, "kind", "proposal", "class",
		policy_class_name(proposal->class), "operation", "propose", "object",
		proposal->rule, "text", proposal->rule, "rule", "proposal", "rule_text",
		proposal->rule, "reason", proposal->reason, "adds", proposal->adds, "asked",
		(json_int_t)proposal->proposed, "callers", (json_int_t)proposal->callers, "history",
		"asked", (json_int_t)0, "allowed", (json_int_t)0, "denied", (json_int_t)0,
		"unattended", (json_int_t)0, "lines", "always", proposal->rule);
}
