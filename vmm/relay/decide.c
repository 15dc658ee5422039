/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/link.h"
#include "vmm/relay/names.h"
#include "vmm/relay/waits.h"

#define WHY_MAX 200

/* --- the relay's copy ------------------------------------------------------------------------- */

static struct policy_request to_policy(const struct relay_request *request)
{
	struct policy_request to = {
		.class = POLICY_NET,
		.op = request->op,
		.net = {.protocol = request->protocol,
			.name = request->name,
			.port = request->port,
			.family = request->address.family,
			/* A query for the name "host" is not about the host itself. */
			.host = request->host && request->op != POLICY_RESOLVE,
			.method = request->method,
			.path = request->path,
			.unclear = request->unclear},
	};

	memcpy(to.net.address, request->address.bytes, sizeof(to.net.address));
	return to;
}

struct relay_choice decide_one(struct relay *relay, const struct relay_request *request)
{
	struct relay_choice choice = {.verdict = POLICY_DENY, .order = UINT32_MAX};
	struct policy_request question = to_policy(request);
	struct policy_decision decision;

	/* The user opens a port with --publish; the policy has no say in it. */
	if (request->op == POLICY_LISTEN)
		return (struct relay_choice){.verdict = POLICY_ALLOW};
	if (!relay->policy)
		return choice;
	policy_decide(relay->policy, &question, &decision);
	choice.verdict = decision.verdict;
	if (decision.number > 0)
		choice.order = decision.number;
	return choice;
}

struct relay_choice decide_flow(struct relay *relay, struct relay_request *request)
{
	struct relay_choice best = {.verdict = POLICY_DENY, .order = UINT32_MAX}, choice;
	const char *name[PIN_NAMES_MAX], *of_best = NULL;
	unsigned i, count;
	bool special = ip_is_special(&request->address);

	count = names_of(relay->names, &request->address, relay_now(relay), name);
	/* If no rule decides, the log shows the name that the guest queried last. */
	if (count > 0)
		of_best = name[0];
	for (i = 0; i <= count; i++) {
		request->name = i < count ? name[i] : NULL;
		choice = decide_one(relay, request);
		if (choice.order >= best.order)
			continue;
		/* A resolver's reply never opens a special address; a rule may deny the name. */
		if (special && request->name && choice.verdict != POLICY_DENY)
			continue;
		best = choice;
		of_best = request->name;
	}
	request->name = of_best;
	return best;
}

/* --- the monitor's verdict -------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static bool send_check(struct relay *relay, uint32_t ticket, const struct relay_request *request)
{
	uint32_t type = RELAY_CHECK;
	struct relay_check check = {
		.ticket = ticket,
		.op = (uint8_t)request->op,
		.protocol = (uint8_t)request->protocol,
		.host = request->host,
		.unclear = request->unclear,
		.has_name = request->name != NULL,
		.has_method = request->method != NULL,
		.covered = request->covered,
		.port = request->port,
		.address = request->address,
	};
	struct iovec part[2] = {{&type, sizeof(type)}, {&check, 0}};

	copy_text(check.name, sizeof(check.name), request->name);
	copy_text(check.method, sizeof(check.method), request->method);
	copy_text(check.path, sizeof(check.path), request->path);
	part[1].iov_len = offsetof(struct relay_check, path) + strlen(check.path) + 1;
	return link_send(relay->messages, part, 2);
}

int decide_check(struct relay *relay, struct relay_wait *wait, const struct relay_request *request)
{
	uint32_t ticket = waits_add(relay->waits, wait);

	if (ticket == 0)
		return -EBUSY;
	wait->ticket = ticket;
	if (send_check(relay, ticket, request)) {
		relay->stats.waiting++;
		return 0;
	}
	waits_take(relay->waits, ticket);
	wait->ticket = 0;
	return -EBUSY;
}

void decide_cancel(struct relay *relay, struct relay_wait *wait)
{
	uint32_t type = RELAY_UNCHECK;
	const struct iovec part[2] = {{&type, sizeof(type)}, {&wait->ticket, sizeof(wait->ticket)}};

	if (wait->ticket == 0)
		return;
	waits_take(relay->waits, wait->ticket);
	relay->stats.waiting--;
	link_send(relay->messages, part, 2);
	wait->ticket = 0;
}

void decide_verdict(struct relay *relay, const struct relay_verdict *verdict)
{
	struct relay_wait *wait = waits_take(relay->waits, verdict->ticket);

	/* It may have been cancelled while the verdict was on its way. */
	if (!wait)
		return;
	relay->stats.waiting--;
	wait->ticket = 0;
	/* A policy that could not be read leaves none, and then nothing may be open. */
	wait->done(wait->arg, verdict->allowed && relay->policy, verdict->approved);
}

/* --- the log ---------------------------------------------------------------------------------- */

/* Events that the monitor does not keep up with are counted only: the rest is for its replies. */
static bool may_log(const struct relay *relay)
{
	return link_waiting(relay->messages) < LINK_QUEUE / 2;
}

void decide_note(struct relay *relay, const char *what, const char *object, const char *detail)
{
	uint32_t type = RELAY_NOTE;
	struct relay_note note = {.what = ""};
	const struct iovec part[2] = {{&type, sizeof(type)}, {&note, sizeof(note)}};

	copy_text(note.what, sizeof(note.what), what);
	copy_text(note.object, sizeof(note.object), object);
	copy_text(note.detail, sizeof(note.detail), detail);
	if (!may_log(relay) || !link_send(relay->messages, part, 2))
		relay->stats.unlogged++;
}

void decide_refused(struct relay *relay, const struct relay_request *request, const char *why)
{
	char object[RELAY_OBJECT_TEXT], text[WHY_MAX];

	relay->stats.refused++;
	if (!bucket_try(&relay->log_rate, relay_now(relay))) {
		relay->stats.unlogged++;
		return;
	}
	if (!why) {
		if (!may_log(relay) || !send_check(relay, 0, request))
			relay->stats.unlogged++;
		return;
	}
	copy_text(text, sizeof(text), why);
	relay_object(policy_protocol_name(request->protocol), &request->address, request->port,
		     request->name, object);
	decide_note(relay, "flow-refused", object, text);
}
