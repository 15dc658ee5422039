/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/policy/explain.h"

static const char *const answer_words[APPROVAL_REPLIES] = {"once", "session", "always", "no",
							   "never"};

const char *approval_reply_word(enum approval_reply answer)
{
	return answer_words[answer];
}

int approval_reply_of(const char *word)
{
	int i;

	for (i = 0; i < APPROVAL_REPLIES; i++)
		if (strcmp(answer_words[i], word) == 0)
			return i;
	return -1;
}

void approval_key(const struct policy_request *request, char key[POLICY_REQUEST_RULE])
{
	size_t used;

	policy_request_rule(request, policy_needed_action(request->class, request->op), key);
	used = strlen(key);
	/* No rule has two names: a decision about both says nothing of other pairs. */
	if (request->class == POLICY_FILE && request->other)
		snprintf(key + used, POLICY_REQUEST_RULE - used, " -> %.*s",
			 (int)request->other_length, request->other);
}

const char *approval_reason(enum approval_reply answer, bool remembered)
{
	static const char *const reason[APPROVAL_REPLIES] = {
		"an operator allowed it",
		"an operator allowed it for the sandbox's life",
		"an operator allowed it always",
		"an operator refused it",
		"an operator refused it for the sandbox's life",
	};
	if (answer == APPROVAL_NEVER && !remembered)
		return "an operator refused it for good";
	return reason[answer];
}

int approval_recall(const struct approval_memory *memory, const struct policy_request *request)
{
	char key[POLICY_REQUEST_RULE];

	approval_key(request, key);
	return approval_memory_decision(memory, key);
}

void approval_count(struct approval_memory *memory, const struct policy_request *request,
		    enum approval_event event)
{
	char key[POLICY_REQUEST_RULE];

	approval_key(request, key);
	approval_memory_count(memory, key, event);
}

/* Decides about a question by the policy in force, and notes the rule. */
struct lookup {
	struct approval *question;
	struct policy_decision decision;
};

static void look_up(void *arg, const struct policy *policy)
{
	struct lookup *lookup = arg;
	struct approval *question = lookup->question;
	const struct policy_rule *rule;
	size_t length;

	policy_decide(policy, &question->request, &lookup->decision);
	rule = lookup->decision.rule;
	question->lasting = policy_request_of_rule(&question->request, rule);
	question->rule[0] = question->rule_text[0] = '\0';
	if (!rule)
		return;
	length = text_safe(question->rule, PATH_MAX, rule->file, strlen(rule->file), 0);
	snprintf(question->rule + length, APPROVAL_RULE - length, ":%u", rule->line);
	text_safe(question->rule_text, APPROVAL_TEXT, rule->text, strlen(rule->text), 0);
}

enum policy_verdict approval_look_up(struct guard *guard, struct approval *question)
{
	struct lookup lookup = {.question = question};

	guard_with_policy(guard, look_up, &lookup);
	return lookup.decision.verdict;
}

static void read_on_ask(void *arg, const struct policy *policy)
{
	struct policy_on_ask *on_ask = arg;

	*on_ask = *policy_on_ask(policy);
}

struct policy_on_ask approval_on_ask(struct guard *guard)
{
	struct policy_on_ask on_ask = {.way = POLICY_ON_ASK_DENY};

	guard_with_policy(guard, read_on_ask, &on_ask);
	return on_ask;
}

bool approval_is_awaited(const struct approval_operators *operators,
			 const struct policy_on_ask *on_ask)
{
	if (on_ask->way == POLICY_ON_ASK_FREEZE)
		return operators->reachable;
	return on_ask->way == POLICY_ON_ASK_WAIT && operators->stays;
}

/* The first of those that may wait for the same decision. */
static void note_process(struct approval *question, const struct policy_subject *subject)
{
	if (!subject)
		return;
	question->pid = subject->pid;
	question->uid = subject->uid;
	if (subject->executable)
		text_safe(question->program, APPROVAL_TEXT, subject->executable,
			  strlen(subject->executable), 0);
}

struct approval *approval_create(struct guard *guard, struct approval_memory *memory,
				 const struct policy_request *request)
{
	struct approval *question = calloc(1, sizeof(*question));
	char key[POLICY_REQUEST_RULE];

	if (!question || policy_request_copy(&question->request, question->strings, request) < 0) {
		free(question);
		return NULL;
	}
	note_process(question, request->subject);
	question->asked = time(NULL);
	approval_look_up(guard, question);
	approval_key(request, key);
	question->history = approval_memory_history(memory, key);
	approval_memory_count(memory, key, APPROVAL_ASKED);
	return question;
}

void approval_note(struct guard *guard, const struct policy_request *request, const char *what,
		   const char *detail)
{
	char object[POLICY_REQUEST_TEXT];
	const struct guard_note line = {
		.class = request->class, .what = what, .object = object, .detail = detail};

	policy_request_text(request, object);
	guard_note(guard, &line);
}

void approval_propose(struct guard *guard, struct approval_memory *memory, struct bucket *rate,
		      const struct policy_request *request)
{
	char key[POLICY_REQUEST_RULE], detail[POLICY_REQUEST_RULE + 16];

	if (!policy_request_is_plain(request))
		return;
	approval_key(request, key);
	if (approval_memory_history(memory, key).proposed > 0 || !bucket_try(rate, loop_now_ns()))
		return;
	approval_memory_count(memory, key, APPROVAL_PROPOSED);
	snprintf(detail, sizeof(detail), "rule=%s", key);
	approval_note(guard, request, "proposal", detail);
}

const char *approval_end_of(enum policy_verdict verdict)
{
	if (verdict == POLICY_ASK)
		return "nothing waits for it any longer";
	return verdict == POLICY_ALLOW ? "the policy was changed and allows it"
				       : "the policy was changed and denies it";
}

void approval_note_answer(struct guard *guard, const struct approval *question, const char *word,
			  const char *by)
{
	char detail[APPROVAL_BY + 64];

	snprintf(detail, sizeof(detail), "question=%u answer=%s %s", question->number, word, by);
	approval_note(guard, &question->request, "answer", detail);
}
