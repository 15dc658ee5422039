/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/file_checks.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/files/client.h"
#include "vmm/policy/request.h"
#include "vmm/sandbox/approvals.h"

struct waiting {
	char *strings;	   /* of the request; NULL: the entry is free */
	uint32_t question; /* others may wait for the same one */
	uint64_t policy;   /* that asks */
	struct policy_request request;
};

struct file_checks {
	struct guard *guard;
	struct approvals *questions;
	file_checks_send *send;
	void *arg;
	struct waiting waiting[FILES_SLOTS];
};

static void forget(struct waiting *waiting)
{
	free(waiting->strings);
	*waiting = (struct waiting){.strings = NULL};
}

static bool is_awaited(const struct file_checks *checks, uint32_t question)
{
	unsigned i;

	for (i = 0; i < FILES_SLOTS; i++)
		if (checks->waiting[i].strings && checks->waiting[i].question == question)
			return true;
	return false;
}

/* question 0: none. */
static void take_back_unawaited(struct file_checks *checks, uint32_t question)
{
	if (question && !is_awaited(checks, question))
		approvals_take_back(checks->questions, question);
}

static void settle(struct file_checks *checks, unsigned slot, const struct policy_request *request,
		   bool allowed, const char *reason)
{
	checks->send(checks->arg, slot,
		     guard_check_asked(checks->guard, request, allowed ? POLICY_ALLOW : POLICY_DENY,
				       reason));
}

/* An approval_replied: a question is decided. */
static void decided(void *arg, uint32_t question, enum approval_event outcome, const char *reason)
{
	struct file_checks *checks = arg;
	struct waiting waiting;
	unsigned i;

	for (i = 0; i < FILES_SLOTS; i++) {
		waiting = checks->waiting[i];
		if (!waiting.strings || waiting.question != question)
			continue;
		checks->waiting[i] = (struct waiting){.strings = NULL};
		/* By another policy the server decides anew, and asks again if that says so. */
		if (waiting.policy == guard_version(checks->guard)) {
			approvals_count(checks->questions, &waiting.request, outcome);
			settle(checks, i, &waiting.request, outcome == APPROVAL_ALLOWED, reason);
		}
		free(waiting.strings);
	}
}

/* Why no person is asked. */
static const char *obstacle(int error)
{
	if (error == -ENOENT)
		return "the rule needs an operator's approval, and no operator is attached";
	if (error == -EACCES)
		return "the rule needs an operator's approval, and the policy says on-ask deny";
	if (error == -EINVAL)
		return "the rule needs an operator's approval, and the path is not fit to be shown";
	return "the rule needs an operator's approval, and too many questions are open";
}

static bool keep(struct file_checks *checks, unsigned slot, const struct policy_request *request,
		 uint32_t question)
{
	struct waiting *waiting = &checks->waiting[slot];

	waiting->strings = malloc(POLICY_REQUEST_STRINGS);
	if (!waiting->strings ||
	    policy_request_copy(&waiting->request, waiting->strings, request) < 0) {
		forget(waiting);
		return false;
	}
	waiting->question = question;
	waiting->policy = guard_version(checks->guard);
	return true;
}

static void ask(struct file_checks *checks, unsigned slot, const struct policy_request *request)
{
	int before = checks->questions ? approvals_recall(checks->questions, request) : -1;
	int question = -ENOENT;

	if (before >= 0) {
		settle(checks, slot, request, before,
		       before ? "an operator allowed it earlier, for the sandbox's life"
			      : "an operator refused it earlier, for the sandbox's life");
		return;
	}
	if (checks->questions)
		question = approvals_ask(checks->questions, request);
	if (question >= 0 && keep(checks, slot, request, (uint32_t)question))
		return;
	if (question >= 0)
		take_back_unawaited(checks, (uint32_t)question);
	if (checks->questions)
		approvals_count(checks->questions, request, APPROVAL_UNATTENDED);
	settle(checks, slot, request, false, obstacle(question >= 0 ? -EBUSY : question));
}

void file_checks_ask(struct file_checks *checks, unsigned slot,
		     const struct policy_request *request)
{
	/* Under another policy the same question may be asked: it stays open. */
	uint32_t old = checks->waiting[slot].question;

	forget(&checks->waiting[slot]);
	ask(checks, slot, request);
	take_back_unawaited(checks, old);
}

void file_checks_withdraw(struct file_checks *checks, unsigned slot)
{
	uint32_t question = checks->waiting[slot].question;

	forget(&checks->waiting[slot]);
	take_back_unawaited(checks, question);
}

int file_checks_create(struct file_checks **out, struct guard *guard, struct approvals *questions,
		       file_checks_send *send, void *arg)
{
	struct file_checks *checks = calloc(1, sizeof(*checks));

	*out = checks;
	if (!checks)
		return -ENOMEM;
	checks->guard = guard;
	checks->questions = questions;
	checks->send = send;
	checks->arg = arg;
	if (questions)
		approvals_set_requester(questions, POLICY_FILE, decided, checks);
	return 0;
}

void file_checks_destroy(struct file_checks *checks)
{
	unsigned i;

	for (i = 0; checks && i < FILES_SLOTS; i++)
		forget(&checks->waiting[i]);
	free(checks);
}
