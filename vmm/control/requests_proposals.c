/* SPDX-License-Identifier: Apache-2.0 */
/* Proposals of the guest among the questions for operators: listed, announced, decided. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/control/requests.h"
#include "vmm/sandbox/approval_json.h"
#include "vmm/sandbox/proposals.h"

static void on_proposed(void *arg, const struct proposal *proposal)
{
	server_announce(arg, proposal_json(proposal), "asked", NULL);
}

static void on_over(void *arg, const struct proposal *proposal, const char *how)
{
	server_announce(arg, proposal_json(proposal), "over", how);
}

static int on_add(void *arg, const struct proposal *proposal, const char *by, char as[PROPOSAL_AS],
		  struct err *err)
{
	unsigned added;
	int ret = monitor_add_rule(arg, proposal->rule, by, &added, err);

	if (ret == 0)
		snprintf(as, PROPOSAL_AS, "added:%u", added);
	return ret;
}

void monitor_watch_proposals(struct monitor *monitor)
{
	static const struct proposals_ops ops = {
		.proposed = on_proposed, .over = on_over, .add = on_add};

	if (monitor->session.sandbox.proposals)
		proposals_set_ops(monitor->session.sandbox.proposals, &ops, monitor);
}

void describe_proposals(const struct monitor *monitor, json_t *list)
{
	const struct proposals *proposals = monitor->session.sandbox.proposals;
	const struct proposal *proposal;
	unsigned at = 0;

	while (proposals && (proposal = proposals_next(proposals, &at)) != NULL)
		json_array_append_new(list, proposal_json(proposal));
}

static const struct proposal *find(const struct monitor *monitor, uint64_t number)
{
	const struct proposals *proposals = monitor->session.sandbox.proposals;
	const struct proposal *proposal;
	unsigned at = 0;

	while (proposals && (proposal = proposals_next(proposals, &at)) != NULL)
		if (proposal->number == number)
			return proposal;
	return NULL;
}

/* The rule comes into force first: only then is the program told. */
static void approve(struct client *client, uint64_t id, const struct proposal *proposal,
		    const char *by)
{
	struct proposals *proposals = client->monitor->session.sandbox.proposals;
	uint32_t number = proposal->number;
	char as[PROPOSAL_AS], line[sizeof(proposal->rule)];
	unsigned added;
	struct err err = {.text = ""};

	snprintf(line, sizeof(line), "%s", proposal->rule);
	if (monitor_add_rule(client->monitor, line, by, &added, &err) < 0) {
		server_refuse(client, id, err.text);
		return;
	}
	snprintf(as, sizeof(as), "added:%u", added);
	proposals_approve(proposals, number, as, by);
	server_reply(client, id, json_pack("{s:s,s:I}", "line", line, "added", (json_int_t)added));
}

bool answer_proposal(struct client *client, const json_t *request, enum approval_reply reply)
{
	const struct proposal *proposal = find(client->monitor, number_of(request, "question"));
	uint64_t id = request_id(request);
	char by[64];

	if (!proposal)
		return false;
	server_peer(client, by, sizeof(by));
	if (reply == APPROVAL_ALWAYS) {
		approve(client, id, proposal, by);
	} else if (reply == APPROVAL_ONCE || reply == APPROVAL_SESSION) {
		server_refuse(client, id, "a proposal becomes a rule: decide always, or no");
	} else {
		proposals_reject(client->monitor->session.sandbox.proposals, proposal->number,
				 string_of(request, "reason"), by);
		server_reply(client, id, NULL);
	}
	return true;
}
