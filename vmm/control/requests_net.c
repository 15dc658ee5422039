/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about approvals, which the protocol calls questions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/control/requests.h"
#include "vmm/sandbox/approval_json.h"
#include "vmm/sandbox/proposals.h"

static void approval_asked(void *arg, const struct approval *approval)
{
	server_announce(arg, approval_json(approval), "asked", NULL);
}

static void approval_over(void *arg, const struct approval *approval, const char *how)
{
	server_announce(arg, approval_json(approval), "over", how);
}

static void approval_freeze(void *arg, const struct policy_on_ask *on_ask)
{
	struct monitor *monitor = arg;

	freeze_set(&monitor->freeze, on_ask);
}

void monitor_watch_questions(struct monitor *monitor)
{
	static const struct approvals_ops ops = {
		.asked = approval_asked, .over = approval_over, .freeze = approval_freeze};
	struct approvals *approvals = monitor->session.sandbox.questions;

	monitor_watch_proposals(monitor);
	if (!approvals)
		return;
	approvals_set_ops(approvals, &ops, monitor);
	approvals_set_reachable(approvals, monitor->config->lock_fd >= 0, !monitor->config->brief);
}

void monitor_operators_changed(struct monitor *monitor)
{
	const struct client *client;

	for (client = monitor->clients; client && !client->watches; client = client->next)
		;
	if (monitor->session.sandbox.questions)
		approvals_attend(monitor->session.sandbox.questions, client != NULL);
	if (monitor->session.sandbox.proposals)
		proposals_operators_changed(monitor->session.sandbox.proposals);
}

void op_questions(struct client *client, struct message *message)
{
	struct approvals *approvals = client->monitor->session.sandbox.questions;
	json_t *list = json_array();
	const struct approval *approval;
	unsigned at = 0;

	while (approvals && (approval = approvals_next(approvals, &at)) != NULL)
		json_array_append_new(list, approval_json(approval));
	describe_proposals(client->monitor, list);
	/* Before the first event. */
	server_reply(client, request_id(message->body), json_pack("{s:o}", "questions", list));
	if (!flag_of(message->body, "watch"))
		return;
	client->watches = true;
	client->watch_id = request_id(message->body);
	monitor_operators_changed(client->monitor);
}

unsigned count_questions(const struct monitor *monitor)
{
	const struct sandbox *sandbox = &monitor->session.sandbox;
	unsigned at = 0, count = 0;

	while (sandbox->questions && approvals_next(sandbox->questions, &at))
		count++;
	at = 0;
	while (sandbox->proposals && proposals_next(sandbox->proposals, &at))
		count++;
	return count;
}

static const struct approval *find_approval(struct approvals *approvals, uint64_t number)
{
	const struct approval *approval;
	unsigned at = 0;

	while (approvals && (approval = approvals_next(approvals, &at)) != NULL)
		if (approval->number == number)
			return approval;
	return NULL;
}

/* The policy line with the same effect, and the rule above which it belongs. */
static json_t *policy_line(const struct approval *approval, bool yes)
{
	char line[POLICY_REQUEST_RULE];

	approval_rule(approval, yes, line);
	return json_pack("{s:s,s:s}", "line", line, "before", approval->rule);
}

void op_answer(struct client *client, struct message *message)
{
	struct approvals *approvals = client->monitor->session.sandbox.questions;
	const char *name = string_of(message->body, "answer");
	uint64_t id = request_id(message->body), number = number_of(message->body, "question");
	const struct approval *approval = find_approval(approvals, number);
	int reply = name ? approval_reply_of(name) : -1;
	json_t *body = NULL;
	char by[64], why[96 + SANDBOX_NAME_MAX];

	if (reply < 0) {
		snprintf(why, sizeof(why),
			 "unknown decision '%.20s': once, session, always, no or never",
			 name ? name : "");
		server_refuse(client, id, why);
		return;
	}
	if (!approval && answer_proposal(client, message->body, (enum approval_reply)reply))
		return;
	if (!approval) {
		snprintf(why, sizeof(why),
			 "question %" PRIu64 " is not open: 'cordon ask %s' shows the open ones",
			 number, client->monitor->config->name);
		server_refuse(client, id, why);
		return;
	}
	if (string_of(message->body, "reason")) {
		server_refuse(client, id,
			      "only the refusal of a proposal takes a reason: give none");
		return;
	}
	if (reply == APPROVAL_ALWAYS || reply == APPROVAL_NEVER)
		body = policy_line(approval, reply == APPROVAL_ALWAYS);
	server_peer(client, by, sizeof(by));
	approvals_reply(approvals, (uint32_t)number, (enum approval_reply)reply,
			!json_is_false(json_object_get(message->body, "remember")), by);
	server_reply(client, id, body);
}
