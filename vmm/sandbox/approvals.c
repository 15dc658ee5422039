/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approvals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bucket.h"
#include "vmm/base/text.h"
#include "vmm/policy/explain.h"
#include "vmm/sandbox/approval_command.h"

struct open_question {
	struct approval *public; /* NULL: free */
	bool told;		 /* operators or the command have been notified */
	struct approval_command *command;
};

/* What waits for decisions on operations of a class. */
struct requester {
	approval_replied *answered;
	void *arg;
};

struct approvals {
	struct loop *loop;
	struct guard *guard;
	char *command;
	bool attended;
	struct requester requester[POLICY_CLASSES];
	const struct approvals_ops *ops;
	void *ops_arg;
	struct bucket rate;
	uint32_t last_number;
	struct loop_task tell;
	struct open_question open[APPROVALS_MAX];
	struct approval_memory *memory;
};

/* --- words ------------------------------------------------------------------------------------ */

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

/* --- what a question is about ----------------------------------------------------------------- */

/* What decisions for the sandbox's life hold for: of the network a name with all its addresses. */
static void key_of(const struct policy_request *request, char key[POLICY_REQUEST_RULE])
{
	policy_request_rule(request, policy_needed_action(request->class, request->op), key);
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

static enum policy_verdict verdict_of(struct approvals *questions, struct approval *question)
{
	struct lookup lookup = {.question = question};

	guard_with_policy(questions->guard, look_up, &lookup);
	return lookup.decision.verdict;
}

int approvals_recall(const struct approvals *questions, const struct policy_request *request)
{
	char key[POLICY_REQUEST_RULE];

	key_of(request, key);
	return approval_memory_decision(questions->memory, key);
}

void approvals_count(struct approvals *questions, const struct policy_request *request,
		     bool allowed)
{
	char key[POLICY_REQUEST_RULE];

	key_of(request, key);
	approval_memory_count(questions->memory, key, allowed ? APPROVAL_ALLOWED : APPROVAL_DENIED);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void note(struct approvals *questions, const struct approval *question, const char *what,
		 const char *detail)
{
	char object[POLICY_REQUEST_TEXT];
	const struct guard_note line = {
		.class = question->request.class, .what = what, .object = object, .detail = detail};

	policy_request_text(&question->request, object);
	guard_note(questions->guard, &line);
}

/* Takes a question out of the table, and tells the operators. */
static void close_question(struct approvals *questions, struct open_question *open, const char *how)
{
	struct approval *question = open->public;

	approval_command_end(open->command);
	*open = (struct open_question){.public = NULL};
	if (questions->ops)
		questions->ops->over(questions->ops_arg, question, how);
	free(question);
}

static void reply_to(struct approvals *questions, enum policy_class class, uint32_t number,
		     bool yes, const char *reason)
{
	const struct requester *requester = &questions->requester[class];

	if (requester->answered)
		requester->answered(requester->arg, number, yes, reason);
}

static struct open_question *find(struct approvals *questions, uint32_t number)
{
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public && questions->open[i].public->number == number)
			return &questions->open[i];
	return NULL;
}

/* Refuses without an operator's decision. */
static void refuse(struct approvals *questions, struct open_question *open, const char *why)
{
	enum policy_class class = open->public->request.class;
	uint32_t number = open->public->number;
	char detail[160];

	snprintf(detail, sizeof(detail), "question=%u answer=no: %s", number, why);
	note(questions, open->public, "answer", detail);
	close_question(questions, open, why);
	reply_to(questions, class, number, false, why);
}

static void command_answered(void *arg, uint32_t number, const char *word)
{
	struct approvals *questions = arg;
	struct open_question *open = find(questions, number);
	int answer = approval_reply_of(word);

	if (!open)
		return;
	if (answer >= 0)
		approvals_reply(questions, number, (enum approval_reply)answer, true,
				"by the command of --on-ask");
	else if (!questions->attended)
		refuse(questions, open, "the command of --on-ask made no decision");
	else {
		/* Only operators can decide now; with the last of them the question ends. */
		approval_command_end(open->command);
		open->command = NULL;
	}
}

/* In the loop's thread. */
static void tell(void *arg)
{
	struct approvals *questions = arg;
	struct open_question *open;
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++) {
		open = &questions->open[i];
		if (!open->public || open->told)
			continue;
		open->told = true;
		if (questions->command &&
		    approval_command_start(&open->command, questions->loop, questions->command,
					   open->public, command_answered, questions) < 0 &&
		    !questions->attended) {
			refuse(questions, open, "the command of --on-ask can't be run");
			continue;
		}
		/* Last: it may lose a client, and with the last operator the question ends. */
		if (questions->ops)
			questions->ops->asked(questions->ops_arg, open->public);
	}
}

static struct open_question *find_place(struct approvals *questions)
{
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++)
		if (!questions->open[i].public)
			return &questions->open[i];
	return NULL;
}

static struct approval *make_question(struct approvals *questions,
				      const struct policy_request *request)
{
	struct approval *question = calloc(1, sizeof(*question));
	char key[POLICY_REQUEST_RULE];

	if (!question || policy_request_copy(&question->request, question->strings, request) < 0) {
		free(question);
		return NULL;
	}
	question->asked = time(NULL);
	verdict_of(questions, question);
	key_of(request, key);
	question->history = approval_memory_history(questions->memory, key);
	approval_memory_count(questions->memory, key, APPROVAL_ASKED);
	questions->last_number = questions->last_number % INT32_MAX + 1;
	question->number = questions->last_number;
	return question;
}

int approvals_ask(struct approvals *questions, const struct policy_request *request)
{
	struct open_question *open;
	struct approval *question;
	char detail[160];
	unsigned i;

	if (!questions->attended && !questions->command)
		return -ENOENT;
	if (!policy_request_is_plain(request))
		return -EINVAL;
	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public &&
		    policy_request_same(&questions->open[i].public->request, request))
			return (int)questions->open[i].public->number;
	open = find_place(questions);
	if (!open || !bucket_try(&questions->rate, loop_now_ns()))
		return -EBUSY;
	question = make_question(questions, request);
	if (!question)
		return -EBUSY;
	*open = (struct open_question){.public = question};
	snprintf(detail, sizeof(detail), "question=%u rule=%.110s", question->number,
		 question->rule);
	note(questions, question, "ask", detail);
	loop_defer(questions->loop, &questions->tell);
	return (int)question->number;
}

/* How a question without a decision ends: by the policy, or because nothing waits for it. */
static const char *end_of(enum policy_verdict verdict)
{
	if (verdict == POLICY_ASK)
		return "nothing waits for it any longer";
	return verdict == POLICY_ALLOW ? "the policy was changed and allows it"
				       : "the policy was changed and denies it";
}

static enum policy_verdict end_question(struct approvals *questions, struct open_question *open)
{
	enum policy_verdict verdict = verdict_of(questions, open->public);
	const char *how = end_of(verdict);
	char detail[96];

	snprintf(detail, sizeof(detail), "question=%u answer=none: %s", open->public->number, how);
	note(questions, open->public, "answer", detail);
	close_question(questions, open, how);
	return verdict;
}

void approvals_take_back(struct approvals *questions, uint32_t number)
{
	struct open_question *open = find(questions, number);

	if (open)
		end_question(questions, open);
}

void approvals_policy_changed(struct approvals *questions)
{
	struct open_question *open;
	enum policy_verdict verdict;
	enum policy_class class;
	uint32_t number;
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++) {
		open = &questions->open[i];
		/* Where a person is still to decide, the rule may be another one. */
		if (!open->public || verdict_of(questions, open->public) == POLICY_ASK)
			continue;
		class = open->public->request.class;
		number = open->public->number;
		verdict = end_question(questions, open);
		reply_to(questions, class, number, verdict == POLICY_ALLOW, end_of(verdict));
	}
}

/* --- decisions -------------------------------------------------------------------------------- */

int approvals_reply(struct approvals *questions, uint32_t number, enum approval_reply answer,
		    bool remember, const char *by)
{
	static const char *const reason[APPROVAL_REPLIES] = {
		"an operator allowed it",
		"an operator allowed it for the sandbox's life",
		"an operator allowed it always",
		"an operator refused it",
		"an operator refused it for the sandbox's life",
	};
	struct open_question *open = find(questions, number);
	bool yes = answer <= APPROVAL_ALWAYS;
	char detail[160], key[POLICY_REQUEST_RULE];
	enum policy_class class;

	if (!open)
		return -ENOENT;
	snprintf(detail, sizeof(detail), "question=%u answer=%s %s", number, answer_words[answer],
		 by);
	note(questions, open->public, "answer", detail);
	key_of(&open->public->request, key);
	if (remember && answer != APPROVAL_ONCE && answer != APPROVAL_NO)
		approval_memory_decide(questions->memory, key, yes);
	class = open->public->request.class;
	snprintf(detail, sizeof(detail), "%s %s", answer_words[answer], by);
	close_question(questions, open, detail);
	reply_to(questions, class, number, yes,
		 answer == APPROVAL_NEVER && !remember ? "an operator refused it for good"
						       : reason[answer]);
	return 0;
}

void approvals_attend(struct approvals *questions, bool attended)
{
	unsigned i;

	questions->attended = attended;
	if (attended)
		return;
	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public && !questions->open[i].command)
			refuse(questions, &questions->open[i],
			       "the last operator has disconnected");
}

const struct approval *approvals_next(const struct approvals *questions, unsigned *at)
{
	while (*at < APPROVALS_MAX)
		if (questions->open[(*at)++].public)
			return questions->open[*at - 1].public;
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

int approvals_create(struct approvals **out, struct loop *loop, struct guard *guard,
		     const char *command)
{
	struct approvals *questions = calloc(1, sizeof(*questions));

	*out = questions;
	if (!questions)
		return -ENOMEM;
	questions->loop = loop;
	questions->guard = guard;
	bucket_init_burst(&questions->rate, APPROVALS_SECOND, APPROVALS_MAX, loop_now_ns());
	questions->tell = (struct loop_task){.run = tell, .arg = questions};
	questions->command = command ? strdup(command) : NULL;
	questions->memory = approval_memory_create();
	if (questions->memory && (!command || questions->command))
		return 0;
	approvals_destroy(questions);
	*out = NULL;
	return -ENOMEM;
}

void approvals_destroy(struct approvals *questions)
{
	unsigned i;

	if (!questions)
		return;
	loop_cancel(questions->loop, &questions->tell);
	for (i = 0; i < APPROVALS_MAX; i++) {
		approval_command_end(questions->open[i].command);
		free(questions->open[i].public);
	}
	approval_memory_destroy(questions->memory);
	free(questions->command);
	free(questions);
}

void approvals_set_requester(struct approvals *questions, enum policy_class class,
			     approval_replied *answered, void *arg)
{
	questions->requester[class] = (struct requester){answered, arg};
}

void approvals_set_ops(struct approvals *questions, const struct approvals_ops *ops, void *arg)
{
	questions->ops = ops;
	questions->ops_arg = arg;
}
