/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/request.h"
#include "vmm/sandbox/approvals.h"

/* What stands for the path of a file that has none, so that no rule matches it. */
#define NO_PATH "no path: "

#define DETAIL_MAX 512 /* bytes of a note's detail; the log cuts what is longer */

/* A check that waits for an operator. */
struct waiting {
	uint32_t number;   /* of the check; 0: the entry is free */
	uint32_t question; /* others may wait for the same one */
	struct policy_request request;
	struct policy_subject subject;
	char *strings; /* of the request and the subject */
};

struct programs {
	struct guard *guard;
	struct approvals *questions;
	programs_send *send;
	void *arg;
	struct waiting waiting[AGENT_CHECKS_MAX];
};

/* --- verdicts --------------------------------------------------------------------------------- */

/* Why an operation is denied, as the command's message says it. */
struct explanation {
	const struct policy_request *request;
	char *text;
};

static void explain(void *arg, const struct policy *policy)
{
	const struct explanation *explanation = arg;
	const struct policy_request *request = explanation->request;
	struct policy_decision decision;

	policy_decide(policy, request, &decision);
	snprintf(explanation->text, AGENT_MESSAGE_MAX, "%.*s is denied by the policy: %.200s%s",
		 (int)(request->length < 250 ? request->length : 250), request->object,
		 decision.rule ? decision.rule->text : decision.reason,
		 decision.verdict == POLICY_ASK ? " (no operator approved it)" : "");
}

static void reply(struct programs *programs, const struct policy_request *request, uint32_t number,
		  bool allowed, bool remember)
{
	char text[AGENT_MESSAGE_MAX] = "";
	struct explanation explanation = {request, text};

	if (!allowed)
		guard_with_policy(programs->guard, explain, &explanation);
	programs->send(programs->arg, number, allowed ? 0 : EACCES, remember, text);
}

/* --- operators -------------------------------------------------------------------------------- */

static void forget(struct waiting *waiting)
{
	free(waiting->strings);
	*waiting = (struct waiting){.number = 0};
}

static struct waiting *find(struct programs *programs, uint32_t number)
{
	unsigned i;

	for (i = 0; i < AGENT_CHECKS_MAX; i++)
		if (programs->waiting[i].number == number)
			return &programs->waiting[i];
	return NULL;
}

/* Keeps a check until its question is decided. False: there is no room. */
static bool keep(struct programs *programs, const struct policy_request *request, uint32_t number,
		 uint32_t question)
{
	const char *program = request->subject->executable;
	size_t length = strlen(program) + 1;
	struct waiting *waiting = find(programs, 0);
	char *strings = waiting ? malloc(POLICY_REQUEST_STRINGS + length) : NULL;

	if (!strings || policy_request_copy(&waiting->request, strings, request) < 0) {
		free(strings);
		return false;
	}
	waiting->number = number;
	waiting->question = question;
	waiting->strings = strings;
	waiting->subject = *request->subject;
	waiting->subject.executable = memcpy(strings + POLICY_REQUEST_STRINGS, program, length);
	waiting->request.subject = &waiting->subject;
	return true;
}

static bool awaited(const struct programs *programs, uint32_t question)
{
	unsigned i;

	for (i = 0; i < AGENT_CHECKS_MAX; i++)
		if (programs->waiting[i].number && programs->waiting[i].question == question)
			return true;
	return false;
}

/* An approval_replied: a question is decided. */
static void decided(void *arg, uint32_t question, enum approval_event outcome, const char *reason)
{
	struct programs *programs = arg;
	struct waiting *waiting;
	bool allowed;
	unsigned i;

	for (i = 0; i < AGENT_CHECKS_MAX; i++) {
		waiting = &programs->waiting[i];
		if (!waiting->number || waiting->question != question)
			continue;
		allowed =
			guard_check_asked(programs->guard, &waiting->request,
					  outcome == APPROVAL_ALLOWED ? POLICY_ALLOW : POLICY_DENY,
					  reason) == POLICY_ALLOW;
		approvals_count(programs->questions, &waiting->request,
				allowed			      ? APPROVAL_ALLOWED
				: outcome == APPROVAL_ALLOWED ? APPROVAL_DENIED
							      : outcome);
		reply(programs, &waiting->request, waiting->number, allowed, false);
		forget(waiting);
	}
}

/* Without a decision of an operator. reason: a constant string. */
static void refuse(struct programs *programs, const struct policy_request *request, uint32_t number,
		   const char *reason)
{
	guard_check_asked(programs->guard, request, POLICY_DENY, reason);
	approvals_count(programs->questions, request, APPROVAL_UNATTENDED);
	reply(programs, request, number, false, false);
}

static void ask(struct programs *programs, const struct policy_request *request, uint32_t number)
{
	static const char unattended[] =
		"the rule needs an operator's approval, and no operator is attached";
	static const char too_many[] =
		"the rule needs an operator's approval, and too many questions are open";
	int before = approvals_recall(programs->questions, request), question;

	if (before >= 0) {
		const char *reason =
			before ? "an operator allowed it earlier, for the sandbox's life"
			       : "an operator refused it earlier, for the sandbox's life";
		bool allowed = guard_check_asked(programs->guard, request,
						 before ? POLICY_ALLOW : POLICY_DENY,
						 reason) == POLICY_ALLOW;

		reply(programs, request, number, allowed, allowed == (before == 1));
		return;
	}
	question = approvals_ask(programs->questions, request);
	if (question == -ENOENT)
		refuse(programs, request, number, unattended);
	else if (question == -EACCES)
		refuse(programs, request, number,
		       "the rule needs an operator's approval, and the policy says on-ask deny");
	else if (question == -EINVAL)
		refuse(programs, request, number,
		       "the rule needs an operator's approval, and the path is not fit to be "
		       "shown");
	else if (question < 0)
		refuse(programs, request, number, too_many);
	else if (!keep(programs, request, number, (uint32_t)question)) {
		if (!awaited(programs, (uint32_t)question))
			approvals_take_back(programs->questions, (uint32_t)question);
		refuse(programs, request, number, too_many);
	}
}

/* --- checks ----------------------------------------------------------------------------------- */

/* Decides by the rules. The guest remembers what the rules say, not what the log made of it. */
static void decide(struct programs *programs, const struct policy_request *request, uint32_t number)
{
	enum policy_verdict ruled = guard_decide(programs->guard, request, NULL), verdict;

	if (ruled == POLICY_ASK) {
		ask(programs, request, number);
		return;
	}
	verdict = guard_check(programs->guard, request, NULL);
	reply(programs, request, number, verdict == POLICY_ALLOW, verdict == ruled);
}

void programs_check(struct programs *programs, const struct agent_check *check)
{
	static const char no_path[] = NO_PATH;
	size_t prefix = check->no_path ? sizeof(no_path) - 1 : 0;
	char *object = malloc(prefix + check->length + check->program_length + 2), *program;
	struct policy_subject subject = {.pid = check->pid, .uid = check->uid};
	struct policy_request request = {
		.class = POLICY_EXEC,
		.op = POLICY_RUN,
		.object = object,
		.length = prefix + check->length,
		.subject = &subject,
	};
	struct waiting *old = find(programs, check->number);

	/* A number that is in use: the guest breaks its own rules, and its older check is lost. */
	if (old)
		programs_gone(programs, check->number);
	if (!object) {
		programs->send(programs->arg, check->number, EACCES, false, "out of memory");
		return;
	}
	memcpy(object, no_path, prefix);
	memcpy(object + prefix, check->path, check->length);
	object[prefix + check->length] = '\0';
	program = object + prefix + check->length + 1;
	memcpy(program, check->program, check->program_length);
	program[check->program_length] = '\0';
	subject.executable = program;
	decide(programs, &request, check->number);
	free(object);
}

void programs_gone(struct programs *programs, uint32_t number)
{
	struct waiting *waiting = find(programs, number);
	uint32_t question;

	if (!waiting)
		return;
	question = waiting->question;
	forget(waiting);
	if (!awaited(programs, question))
		approvals_take_back(programs->questions, question);
}

void programs_reset(struct programs *programs)
{
	unsigned i;

	for (i = 0; programs && i < AGENT_CHECKS_MAX; i++)
		if (programs->waiting[i].number)
			programs_gone(programs, programs->waiting[i].number);
}

bool programs_ruled(const struct policy *policy)
{
	return policy_rule_count(policy, POLICY_EXEC) > 0;
}

uint32_t programs_wanted(const struct policy *policy)
{
	struct policy_decision ptrace;

	policy_decide_group(policy, POLICY_PTRACE, &ptrace);
	return (programs_ruled(policy) ? AGENT_EXEC_CHECKS : 0) |
	       (policy_audit_processes(policy) ? AGENT_EXEC_EVENTS : 0) |
	       (ptrace.verdict == POLICY_ALLOW ? 0 : AGENT_EXEC_NO_PTRACE);
}

/* --- events ----------------------------------------------------------------------------------- */

/* "signal=9 cpu_us=1200 peak_kib=80" */
static void describe_end(const struct agent_event *event, char *to, size_t size)
{
	bool killed = event->status & 0x7f;

	snprintf(to, size, "parent=%u %s=%u cpu_us=%llu peak_kib=%llu", event->parent,
		 killed ? "signal" : "status",
		 killed ? event->status & 0x7f : event->status >> 8 & 0xff,
		 (unsigned long long)event->cpu_us, (unsigned long long)event->peak_kib);
}

/* "parent=1 argv=ls -l": an argument's end shows as a blank. */
static void describe_start(const struct agent_event *event, char *to, size_t size)
{
	size_t used = (size_t)snprintf(to, size, "parent=%u argv=", event->parent), i;
	size_t room = size - used - sizeof("..."), length = event->arguments_length;
	bool cut = event->cut || length > room;

	for (i = 0; i < length && i < room; i++)
		to[used++] = event->arguments[i] ? event->arguments[i] : ' ';
	if (length > 0 && to[used - 1] == ' ' && !cut)
		used--;
	snprintf(to + used, size - used, "%s", cut ? "..." : "");
}

void programs_happened(struct programs *programs, const struct agent_event *event)
{
	static const char *const what[] = {[AGENT_EVENT_START] = "process-start",
					   [AGENT_EVENT_END] = "process-end",
					   [AGENT_EVENT_LOST] = "process-lost",
					   [AGENT_EVENT_DENIED] = "process-denied"};
	const struct policy_subject subject = {.pid = event->pid, .uid = event->uid};
	char detail[DETAIL_MAX + 1], path[AGENT_CHECK_PATH_MAX + 1];
	struct guard_note note = {
		.class = POLICY_EXEC,
		.what = what[event->kind],
		.detail = detail,
		.subject = event->kind == AGENT_EVENT_LOST ? NULL : &subject,
	};

	memcpy(path, event->path, event->length);
	path[event->length] = '\0';
	if (event->kind == AGENT_EVENT_LOST)
		snprintf(detail, sizeof(detail), "count=%u", event->status);
	else if (event->kind == AGENT_EVENT_END)
		describe_end(event, detail, sizeof(detail));
	else if (event->kind == AGENT_EVENT_DENIED)
		snprintf(detail, sizeof(detail), "parent=%u", event->parent);
	else
		describe_start(event, detail, sizeof(detail));
	if (event->kind == AGENT_EVENT_START || event->kind == AGENT_EVENT_DENIED)
		note.object = path;
	guard_note(programs->guard, &note);
}

/* --- life ------------------------------------------------------------------------------------- */

int programs_create(struct programs **out, struct guard *guard, struct approvals *questions,
		    programs_send *send, void *arg)
{
	struct programs *programs = calloc(1, sizeof(*programs));

	*out = programs;
	if (!programs)
		return -ENOMEM;
	programs->guard = guard;
	programs->questions = questions;
	programs->send = send;
	programs->arg = arg;
	approvals_set_requester(questions, POLICY_EXEC, decided, programs);
	return 0;
}

void programs_destroy(struct programs *programs)
{
	unsigned i;

	if (!programs)
		return;
	for (i = 0; i < AGENT_CHECKS_MAX; i++)
		forget(&programs->waiting[i]);
	free(programs);
}
