/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approvals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bucket.h"
#include "vmm/base/bytes.h"
#include "vmm/sandbox/approval_command.h"

struct open_question {
	struct approval public;
	bool told; /* operators or the command have been notified */
	struct approval_command *command;
};

/* A decision on a name holds for all addresses of that name. */
struct remembered {
	struct policy_net net;
	char name[APPROVAL_NAME];
	bool yes;
};

struct approvals {
	struct loop *loop;
	struct guard *guard;
	char *command;
	bool attended;
	approval_replied *answered;
	void *asker;
	const struct approvals_ops *ops;
	void *ops_arg;
	struct bucket rate;
	uint32_t last_number;
	struct loop_task tell;
	struct open_question open[APPROVALS_MAX]; /* number 0: free */
	struct remembered *remembered;
	unsigned remembered_count, remembered_next;
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

void approval_text(const struct approval *question, char to[APPROVAL_TEXT])
{
	const struct policy_net *net = &question->net;
	char address[INET6_ADDRSTRLEN] = "";

	inet_ntop((int)net->family, net->address, address, sizeof(address));
	snprintf(to, APPROVAL_TEXT, net->port ? "%s %s%s%s:%u" : "%s %s%s%s",
		 policy_protocol_name(net->protocol), question->name, net->name ? " " : "", address,
		 net->port);
}

/* --- what a question is about ----------------------------------------------------------------- */

static void copy_net(struct policy_net *to, char name[APPROVAL_NAME], const struct policy_net *net)
{
	const char *from = net->host ? "host" : net->name;

	*to = *net;
	snprintf(name, APPROVAL_NAME, "%s", from ? from : "");
	to->name = from ? name : NULL;
}

/*
 * The guest chooses the name, which is shown on terminals and passed to a command. The parsers of
 * names let only these characters through; here a name that looks like an option is refused too.
 */
static bool is_plain(const char *name)
{
	return strlen(name) < APPROVAL_NAME && name[0] != '-' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

static bool same_place(const struct policy_net *a, const struct policy_net *b, bool by_name)
{
	const char *name = b->host ? "host" : b->name;

	if (a->protocol != b->protocol || a->port != b->port || a->host != b->host ||
	    !a->name != !name || (name && strcmp(a->name, name) != 0))
		return false;
	return (by_name && name) ||
	       (a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0);
}

struct rule_search {
	const struct policy_net *net;
	char *text;
};

static void find_rule(void *arg, const struct policy *policy)
{
	const struct rule_search *search = arg;
	const struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = *search->net};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	if (decision.rule)
		snprintf(search->text, APPROVAL_RULE, "%.100s:%u", decision.rule->file,
			 decision.rule->line);
}

/* --- remembering ------------------------------------------------------------------------------ */

int approvals_recall(const struct approvals *questions, const struct policy_net *net)
{
	unsigned i;

	/* The last decision counts. */
	for (i = 0; i < questions->remembered_count; i++)
		if (same_place(&questions->remembered[i].net, net, true))
			return questions->remembered[i].yes;
	return -1;
}

static void remember(struct approvals *questions, const struct policy_net *net, bool yes)
{
	struct remembered *slot = NULL;
	unsigned i;

	for (i = 0; i < questions->remembered_count && !slot; i++)
		if (same_place(&questions->remembered[i].net, net, true))
			slot = &questions->remembered[i];
	if (!slot && questions->remembered_count < APPROVALS_REMEMBERED)
		slot = &questions->remembered[questions->remembered_count++];
	if (!slot)
		slot = &questions->remembered[questions->remembered_next++ % APPROVALS_REMEMBERED];
	copy_net(&slot->net, slot->name, net);
	slot->yes = yes;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void note(struct approvals *questions, const struct approval *question, const char *what,
		 const char *detail)
{
	char object[APPROVAL_TEXT];
	const struct guard_note line = {
		.class = POLICY_NET, .what = what, .object = object, .detail = detail};

	approval_text(question, object);
	guard_note(questions->guard, &line);
}

static void close_question(struct approvals *questions, struct open_question *open, const char *how)
{
	struct approval question = open->public;

	if (question.net.name)
		question.net.name = question.name;
	approval_command_end(open->command);
	*open = (struct open_question){.public = {.number = 0}};
	if (questions->ops)
		questions->ops->over(questions->ops_arg, &question, how);
}

static struct open_question *find(struct approvals *questions, uint32_t number)
{
	unsigned i;

	for (i = 0; i < APPROVALS_MAX && number != 0; i++)
		if (questions->open[i].public.number == number)
			return &questions->open[i];
	return NULL;
}

/* Refuses without an operator's decision. */
static void refuse(struct approvals *questions, struct open_question *open, const char *why)
{
	uint32_t number = open->public.number;
	char detail[160];

	snprintf(detail, sizeof(detail), "question=%u answer=no: %s", number, why);
	note(questions, &open->public, "answer", detail);
	close_question(questions, open, why);
	questions->answered(questions->asker, number, false, why);
}

static void command_answered(void *arg, uint32_t number, const char *word)
{
	struct approvals *questions = arg;
	struct open_question *open = find(questions, number);
	int answer = approval_reply_of(word);

	if (!open)
		return;
	if (answer >= 0)
		approvals_reply(questions, number, (enum approval_reply)answer,
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
		if (open->public.number == 0 || open->told)
			continue;
		open->told = true;
		if (questions->command &&
		    approval_command_start(&open->command, questions->loop, questions->command,
					   &open->public, command_answered, questions) < 0 &&
		    !questions->attended) {
			refuse(questions, open, "the command of --on-ask can't be run");
			continue;
		}
		/* Last: it may lose a client, and with the last operator the question ends. */
		if (questions->ops)
			questions->ops->asked(questions->ops_arg, &open->public);
	}
}

int approvals_ask(struct approvals *questions, const struct policy_net *net)
{
	struct open_question *open = NULL;
	struct rule_search search = {.net = net};
	char detail[APPROVAL_RULE + 40];
	unsigned i;

	if (!questions->attended && !questions->command)
		return -ENOENT;
	if (net->name && !is_plain(net->name))
		return -EINVAL;
	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public.number != 0 &&
		    same_place(&questions->open[i].public.net, net, false))
			return (int)questions->open[i].public.number;
	for (i = 0; i < APPROVALS_MAX && !open; i++)
		if (questions->open[i].public.number == 0)
			open = &questions->open[i];
	if (!open || !bucket_try(&questions->rate, loop_now_ns()))
		return -EBUSY;
	*open = (struct open_question){.public = {.asked = time(NULL)}};
	copy_net(&open->public.net, open->public.name, net);
	search.text = open->public.rule;
	guard_with_policy(questions->guard, find_rule, &search);
	questions->last_number = questions->last_number % INT32_MAX + 1;
	open->public.number = questions->last_number;
	snprintf(detail, sizeof(detail), "question=%u rule=%s", open->public.number,
		 open->public.rule);
	note(questions, &open->public, "ask", detail);
	loop_defer(questions->loop, &questions->tell);
	return (int)open->public.number;
}

void approvals_take_back(struct approvals *questions, uint32_t number)
{
	struct open_question *open = find(questions, number);
	char detail[64];

	if (!open)
		return;
	snprintf(detail, sizeof(detail), "question=%u answer=none: no flow waits any longer",
		 number);
	note(questions, &open->public, "answer", detail);
	close_question(questions, open, "no flow waits for it any longer");
}

/* --- decisions -------------------------------------------------------------------------------- */

int approvals_reply(struct approvals *questions, uint32_t number, enum approval_reply answer,
		    const char *by)
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
	char detail[160];

	if (!open)
		return -ENOENT;
	snprintf(detail, sizeof(detail), "question=%u answer=%s %s", number, answer_words[answer],
		 by);
	note(questions, &open->public, "answer", detail);
	if (answer != APPROVAL_ONCE && answer != APPROVAL_NO)
		remember(questions, &open->public.net, yes);
	snprintf(detail, sizeof(detail), "%s %s", answer_words[answer], by);
	close_question(questions, open, detail);
	questions->answered(questions->asker, number, yes, reason[answer]);
	return 0;
}

void approvals_attend(struct approvals *questions, bool attended)
{
	unsigned i;

	questions->attended = attended;
	if (attended)
		return;
	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public.number != 0 && !questions->open[i].command)
			refuse(questions, &questions->open[i],
			       "the last operator has disconnected");
}

const struct approval *approvals_next(const struct approvals *questions, unsigned *at)
{
	while (*at < APPROVALS_MAX)
		if (questions->open[(*at)++].public.number != 0)
			return &questions->open[*at - 1].public;
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static void drop_reply(void *arg, uint32_t number, bool yes, const char *reason)
{
	(void)arg;
	(void)number;
	(void)yes;
	(void)reason;
}

int approvals_create(struct approvals **out, struct loop *loop, struct guard *guard,
		     const char *command)
{
	struct approvals *questions = calloc(1, sizeof(*questions));

	*out = questions;
	if (!questions)
		return -ENOMEM;
	questions->loop = loop;
	questions->guard = guard;
	questions->answered = drop_reply;
	bucket_init_burst(&questions->rate, APPROVALS_SECOND, APPROVALS_MAX, loop_now_ns());
	questions->tell = (struct loop_task){.run = tell, .arg = questions};
	questions->command = command ? strdup(command) : NULL;
	questions->remembered = calloc(APPROVALS_REMEMBERED, sizeof(*questions->remembered));
	if (questions->remembered && (!command || questions->command))
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
	for (i = 0; i < APPROVALS_MAX; i++)
		approval_command_end(questions->open[i].command);
	free(questions->remembered);
	free(questions->command);
	free(questions);
}

void approvals_set_requester(struct approvals *questions, approval_replied *answered, void *arg)
{
	questions->answered = answered ? answered : drop_reply;
	questions->asker = arg;
}

void approvals_set_ops(struct approvals *questions, const struct approvals_ops *ops, void *arg)
{
	questions->ops = ops;
	questions->ops_arg = arg;
}
