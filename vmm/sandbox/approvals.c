/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approvals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bucket.h"
#include "vmm/base/bytes.h"
#include "vmm/sandbox/approval_command.h"
#include "vmm/sandbox/approval_question.h"

struct open_question {
	struct approval *public; /* NULL: free */
	bool told;		 /* operators or the command have been notified */
	uint64_t since_ns;	 /* it waits for a bounded time since then, on both clocks */
	time_t since;
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
	struct launcher *launcher; /* starts the command of --on-ask; NULL: there is none */
	struct approval_operators operators;
	struct policy_on_ask on_ask; /* of the policy in force */
	bool frozen;		     /* ops->freeze() was told so, with this time */
	uint64_t frozen_spill_ns;
	struct loop_timer timer; /* the next question's time is over */
	struct requester requester[POLICY_CLASSES];
	const struct approvals_ops *ops;
	void *ops_arg;
	struct bucket rate;
	uint32_t last_number;
	struct loop_task tell;
	struct open_question open[APPROVALS_MAX];
	struct approval_memory *memory;
};

int approvals_recall(const struct approvals *questions, const struct policy_request *request)
{
	return approval_recall(questions->memory, request);
}

void approvals_count(struct approvals *questions, const struct policy_request *request,
		     enum approval_event outcome)
{
	approval_count(questions->memory, request, outcome);
}

/* Takes a question out of the table, and tells the operators. */
static void close_question(struct approvals *questions, struct open_question *open, const char *how)
{
	struct approval *question = open->public;

	approval_command_end(open->command);
	*open = (struct open_question){.public = NULL};
	loop_defer(questions->loop, &questions->tell);
	if (questions->ops)
		questions->ops->over(questions->ops_arg, question, how);
	free(question);
}

static void reply_to(struct approvals *questions, enum policy_class class, uint32_t number,
		     enum approval_event outcome, const char *reason)
{
	const struct requester *requester = &questions->requester[class];

	if (requester->answered)
		requester->answered(requester->arg, number, outcome, reason);
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

	approval_note_answer(questions->guard, open->public, "no:", why);
	close_question(questions, open, why);
	reply_to(questions, class, number, APPROVAL_UNATTENDED, why);
}

/* Whether a question without a running command may still get a decision. */
static bool may_be_decided(const struct approvals *questions)
{
	return questions->operators.attended ||
	       (questions->on_ask.given &&
		approval_is_awaited(&questions->operators, &questions->on_ask));
}

static void command_answered(void *arg, uint32_t number, const struct approval_answer *answer)
{
	struct approvals *questions = arg;
	struct open_question *open = find(questions, number);

	if (!open)
		return;
	if (answer->reply >= 0)
		approvals_reply(questions, number, (enum approval_reply)answer->reply, true,
				answer->by);
	else if (!may_be_decided(questions))
		refuse(questions, open, answer->why);
	else {
		/* Only operators can decide now. */
		approval_command_end(open->command);
		open->command = NULL;
	}
}

/* Tells whether the guest must stand still: while a question is open, if the policy says freeze. */
static void tell_frozen(struct approvals *questions)
{
	unsigned at = 0;
	bool frozen = questions->on_ask.way == POLICY_ON_ASK_FREEZE &&
		      approvals_next(questions, &at) != NULL;
	uint64_t spill_ns = frozen ? questions->on_ask.spill_ns : 0;

	if ((frozen == questions->frozen && spill_ns == questions->frozen_spill_ns) ||
	    !questions->ops || !questions->ops->freeze)
		return;
	questions->frozen = frozen;
	questions->frozen_spill_ns = spill_ns;
	questions->ops->freeze(questions->ops_arg, frozen ? &questions->on_ask : NULL);
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
		if (questions->launcher &&
		    approval_command_start(&open->command, questions->loop, questions->launcher,
					   open->public, command_answered, questions) < 0 &&
		    !may_be_decided(questions)) {
			refuse(questions, open, "the command of --on-ask can't be run");
			continue;
		}
		/* Last: it may lose a client, and with the last operator the question ends. */
		if (questions->ops)
			questions->ops->asked(questions->ops_arg, open->public);
	}
	tell_frozen(questions);
}

struct launcher *approvals_launcher(const struct approvals *questions)
{
	return questions->launcher;
}

uint32_t approvals_take_number(struct approvals *questions)
{
	questions->last_number = questions->last_number % INT32_MAX + 1;
	return questions->last_number;
}

static struct open_question *find_place(struct approvals *questions)
{
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++)
		if (!questions->open[i].public)
			return &questions->open[i];
	return NULL;
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t deadline_of(const struct approvals *questions, const struct open_question *open)
{
	return open->since_ns + questions->on_ask.wait_ns;
}

static void wait_from_now(struct open_question *open)
{
	open->since_ns = loop_now_ns();
	open->since = time(NULL);
}

/* Notes how long questions wait, and arms the timer for the one whose time is over first. */
static void set_timer(struct approvals *questions)
{
	uint64_t first = UINT64_MAX, now = loop_now_ns();
	unsigned i;

	loop_timer_stop(questions->loop, &questions->timer);
	for (i = 0; i < APPROVALS_MAX; i++) {
		struct approval *question = questions->open[i].public;

		if (!question)
			continue;
		question->until = 0;
		if (questions->on_ask.way != POLICY_ON_ASK_WAIT)
			continue;
		question->until =
			questions->open[i].since + (time_t)(questions->on_ask.wait_ns / 1000000000);
		first = min_u64(first, deadline_of(questions, &questions->open[i]));
	}
	if (first != UINT64_MAX)
		loop_timer_start(questions->loop, &questions->timer, first > now ? first - now : 0);
}

static void time_is_over(void *arg)
{
	struct approvals *questions = arg;
	uint64_t now = loop_now_ns();
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++)
		if (questions->open[i].public && now >= deadline_of(questions, &questions->open[i]))
			refuse(questions, &questions->open[i], "no operator decided in time");
	set_timer(questions);
}

/* --- asking ----------------------------------------------------------------------------------- */

int approvals_ask(struct approvals *questions, const struct policy_request *request)
{
	struct open_question *open;
	struct approval *question;
	char detail[160];
	unsigned i;

	questions->on_ask = approval_on_ask(questions->guard);
	if (questions->on_ask.way == POLICY_ON_ASK_DENY) {
		approval_propose(questions->guard, questions->memory, &questions->rate, request);
		return -EACCES;
	}
	if (!may_be_decided(questions) && !questions->launcher)
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
	question = approval_create(questions->guard, questions->memory, request);
	if (!question)
		return -EBUSY;
	question->number = approvals_take_number(questions);
	*open = (struct open_question){.public = question};
	wait_from_now(open);
	snprintf(detail, sizeof(detail), "question=%u rule=%.110s", question->number,
		 question->rule);
	approval_note(questions->guard, request, "ask", detail);
	loop_defer(questions->loop, &questions->tell);
	set_timer(questions);
	return (int)question->number;
}

static enum policy_verdict end_question(struct approvals *questions, struct open_question *open)
{
	enum policy_verdict verdict = approval_look_up(questions->guard, open->public);
	const char *how = approval_end_of(verdict);

	approval_note_answer(questions->guard, open->public, "none:", how);
	close_question(questions, open, how);
	return verdict;
}

void approvals_take_back(struct approvals *questions, uint32_t number)
{
	struct open_question *open = find(questions, number);

	if (open)
		end_question(questions, open);
}

/* Refuses what no operator can decide any longer, and no command that runs. */
static void refuse_undecidable(struct approvals *questions, const char *why)
{
	unsigned i;

	for (i = 0; i < APPROVALS_MAX && !may_be_decided(questions); i++)
		if (questions->open[i].public && !questions->open[i].command)
			refuse(questions, &questions->open[i], why);
}

/* The new policy asks in another way, or no longer. was: the way before. */
static void change_way(struct approvals *questions, enum policy_on_ask_way was)
{
	struct open_question *open;
	unsigned i;

	for (i = 0; i < APPROVALS_MAX; i++) {
		open = &questions->open[i];
		if (open->public && questions->on_ask.way == POLICY_ON_ASK_DENY)
			refuse(questions, open, "the policy was changed and says on-ask deny");
		else if (open->public && was != POLICY_ON_ASK_WAIT)
			wait_from_now(open);
	}
	refuse_undecidable(questions, "the policy was changed, and no operator is attached");
	set_timer(questions);
	loop_defer(questions->loop, &questions->tell);
}

void approvals_policy_changed(struct approvals *questions)
{
	struct open_question *open;
	enum policy_verdict verdict;
	enum policy_class class;
	enum policy_on_ask_way was = questions->on_ask.way;
	uint32_t number;
	unsigned i;

	questions->on_ask = approval_on_ask(questions->guard);
	for (i = 0; i < APPROVALS_MAX; i++) {
		open = &questions->open[i];
		/* Where a person is still to decide, the rule may be another one. */
		if (!open->public || approval_look_up(questions->guard, open->public) == POLICY_ASK)
			continue;
		class = open->public->request.class;
		number = open->public->number;
		verdict = end_question(questions, open);
		reply_to(questions, class, number,
			 verdict == POLICY_ALLOW ? APPROVAL_ALLOWED : APPROVAL_DENIED,
			 approval_end_of(verdict));
	}
	change_way(questions, was);
}

/* --- decisions -------------------------------------------------------------------------------- */

int approvals_reply(struct approvals *questions, uint32_t number, enum approval_reply answer,
		    bool remember, const char *by)
{
	struct open_question *open = find(questions, number);
	bool yes = answer <= APPROVAL_ALWAYS;
	char detail[APPROVAL_BY + 48], key[POLICY_REQUEST_RULE];
	enum policy_class class;

	if (!open)
		return -ENOENT;
	approval_note_answer(questions->guard, open->public, approval_reply_word(answer), by);
	approval_key(&open->public->request, key);
	if (remember && answer != APPROVAL_ONCE && answer != APPROVAL_NO)
		approval_memory_decide(questions->memory, key, yes);
	class = open->public->request.class;
	snprintf(detail, sizeof(detail), "%s %s", approval_reply_word(answer), by);
	close_question(questions, open, detail);
	reply_to(questions, class, number, yes ? APPROVAL_ALLOWED : APPROVAL_DENIED,
		 approval_reason(answer, remember));
	return 0;
}

void approvals_attend(struct approvals *questions, bool attended)
{
	questions->operators.attended = attended;
	refuse_undecidable(questions, "the last operator has disconnected");
}

void approvals_set_reachable(struct approvals *questions, bool reachable, bool stays)
{
	questions->operators.reachable = reachable;
	questions->operators.stays = reachable && stays;
}

const struct approval_operators *approvals_operators(const struct approvals *questions)
{
	return &questions->operators;
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
		     struct launcher *launcher)
{
	struct approvals *questions = calloc(1, sizeof(*questions));

	*out = questions;
	if (!questions)
		return -ENOMEM;
	questions->loop = loop;
	questions->guard = guard;
	bucket_init_burst(&questions->rate, APPROVALS_SECOND, APPROVALS_MAX, loop_now_ns());
	questions->timer = (struct loop_timer){.expired = time_is_over, .arg = questions};
	questions->tell = (struct loop_task){.run = tell, .arg = questions};
	questions->launcher = launcher;
	questions->memory = approval_memory_create();
	if (questions->memory)
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
	loop_timer_stop(questions->loop, &questions->timer);
	for (i = 0; i < APPROVALS_MAX; i++) {
		approval_command_end(questions->open[i].command);
		free(questions->open[i].public);
	}
	approval_memory_destroy(questions->memory);
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
