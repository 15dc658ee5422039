/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/proposals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bucket.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/sandbox/approval_command.h"
#include "vmm/sandbox/approval_question.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/proposal_check.h"

#define LOOK_NS UINT64_C(1000000000)

struct proposals {
	struct loop *loop;
	struct guard *guard;
	struct approvals *questions;
	proposals_reply *reply;
	void *arg;
	const struct proposals_ops *ops;
	void *ops_arg;
	bool network;
	struct bucket rate;
	uint64_t next_ns; /* no look before: the last one took long */
	struct loop_timer timer;
	struct loop_task commands; /* starts those of new proposals */
	struct proposal *open[PROPOSALS_MAX];
};

static void note(struct proposals *proposals, const struct proposal *proposal, const char *what,
		 const char *detail)
{
	const struct guard_note line = {
		.class = proposal->class, .what = what, .object = proposal->rule, .detail = detail};

	guard_note(proposals->guard, &line);
}

/* --- the end of a proposal -------------------------------------------------------------------- */

/*
 * Takes it out of the table, tells the operators, and replies to the callers that are left. how:
 * for the operators and the log.
 */
static void finish(struct proposals *proposals, struct proposal **open, const char *how,
		   enum agent_proposed result, const char *text)
{
	struct proposal *proposal = *open;
	char detail[PROPOSAL_TEXT_MAX + 128];
	unsigned i;

	*open = NULL;
	approval_command_end(proposal->command);
	snprintf(detail, sizeof(detail), "question=%u answer=%s", proposal->number, how);
	note(proposals, proposal, "answer", detail);
	if (proposals->ops)
		proposals->ops->over(proposals->ops_arg, proposal, how);
	for (i = 0; i < proposal->callers; i++)
		proposals->reply(proposals->arg, proposal->caller[i], result, text);
	free(proposal);
}

static void finish_undecided(struct proposals *proposals, struct proposal **open, const char *why)
{
	char how[128];

	snprintf(how, sizeof(how), "none: %s", why);
	finish(proposals, open, how, AGENT_UNDECIDED, why);
}

static struct proposal **find_number(struct proposals *proposals, uint32_t number)
{
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++)
		if (proposals->open[i] && proposals->open[i]->number == number)
			return &proposals->open[i];
	return NULL;
}

int proposals_approve(struct proposals *proposals, uint32_t number, const char *as, const char *by)
{
	struct proposal **open = find_number(proposals, number);
	char how[APPROVAL_BY + 16];

	if (!open)
		return -ENOENT;
	snprintf(how, sizeof(how), "always %s", by);
	finish(proposals, open, how, AGENT_APPROVED, as);
	return 0;
}

int proposals_reject(struct proposals *proposals, uint32_t number, const char *text, const char *by)
{
	struct proposal **open = find_number(proposals, number);
	char reason[PROPOSAL_TEXT_MAX] = "", how[PROPOSAL_TEXT_MAX + 96];

	if (!open)
		return -ENOENT;
	if (text)
		text_safe(reason, sizeof(reason), text, strlen(text), 0);
	snprintf(how, sizeof(how), "no %.64s%s%s", by, reason[0] ? ": " : "", reason);
	finish(proposals, open, how, AGENT_REJECTED,
	       reason[0] ? reason : "an operator rejected it");
	return 0;
}

static void withdraw(struct proposals *proposals, struct proposal **open, const char *why)
{
	(*open)->callers = 0;
	finish_undecided(proposals, open, why);
}

void proposals_withdraw(struct proposals *proposals, uint32_t id)
{
	struct proposal *proposal;
	int at;
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++) {
		proposal = proposals->open[i];
		at = proposal ? proposal_find_caller(proposal, id) : -1;
		if (at < 0)
			continue;
		proposal->caller[at] = proposal->caller[--proposal->callers];
		if (proposal->callers == 0)
			withdraw(proposals, &proposals->open[i], "the program has gone");
	}
}

void proposals_reset(struct proposals *proposals)
{
	unsigned i;

	for (i = 0; proposals && i < PROPOSALS_MAX; i++)
		if (proposals->open[i])
			withdraw(proposals, &proposals->open[i],
				 "the connection to the agent was lost");
}

/* Whether an operator can decide, now or later. */
static bool may_be_decided(const struct proposals *proposals, const struct policy_on_ask *on_ask)
{
	const struct approval_operators *operators = approvals_operators(proposals->questions);

	return operators->attended || approval_is_awaited(operators, on_ask);
}

/* commands: also those whose command is left to decide. */
static void end_all(struct proposals *proposals, bool commands, const char *why)
{
	const struct proposal *open;
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++) {
		open = proposals->open[i];
		if (open && (commands || (!open->command && !open->command_due)))
			finish_undecided(proposals, &proposals->open[i], why);
	}
}

void proposals_operators_changed(struct proposals *proposals)
{
	struct policy_on_ask on_ask = approval_on_ask(proposals->guard);

	if (!may_be_decided(proposals, &on_ask))
		end_all(proposals, false, "the last operator has disconnected");
}

void proposals_policy_changed(struct proposals *proposals)
{
	struct policy_on_ask on_ask = approval_on_ask(proposals->guard);

	if (on_ask.way == POLICY_ON_ASK_DENY)
		end_all(proposals, true, "the policy was changed and says on-ask deny");
	else if (!may_be_decided(proposals, &on_ask))
		end_all(proposals, false, "the policy was changed, and no operator is attached");
}

/* How long a proposal waits, if its program does. */
static uint64_t longest_ns(struct proposals *proposals)
{
	struct policy_on_ask on_ask = approval_on_ask(proposals->guard);
	uint64_t most_ns = PROPOSALS_TIME_S * UINT64_C(1000000000);

	if (on_ask.way != POLICY_ON_ASK_WAIT || !on_ask.given)
		return most_ns;
	return min_u64(on_ask.wait_ns, most_ns);
}

static void look(void *arg)
{
	struct proposals *proposals = arg;
	uint64_t now_ns = loop_guest_now_ns(proposals->loop), longest = longest_ns(proposals);
	bool any = false;
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++) {
		if (proposals->open[i] && now_ns - proposals->open[i]->since_ns >= longest)
			finish_undecided(proposals, &proposals->open[i],
					 "no operator decided in time");
		any |= proposals->open[i] != NULL;
	}
	if (any)
		loop_timer_start(proposals->loop, &proposals->timer, LOOK_NS);
}

/* --- the command of --on-ask ------------------------------------------------------------------ */

/* Has the rule added. False: it can't be; the guest is not told why. */
static bool add(struct proposals *proposals, const struct proposal *proposal, const char *by,
		char as[PROPOSAL_AS])
{
	struct err err = {.text = "no policy to add it to"};

	if (proposals->ops && proposals->ops->add &&
	    proposals->ops->add(proposals->ops_arg, proposal, by, as, &err) == 0)
		return true;
	log_warning("a rule that --on-ask approved is not added: %s", err.text);
	return false;
}

/* The command has failed to decide; *open may be over then. */
static void leave_to_operators(struct proposals *proposals, struct proposal **open, const char *why)
{
	struct policy_on_ask on_ask = approval_on_ask(proposals->guard);

	approval_command_end((*open)->command);
	(*open)->command = NULL;
	if (!may_be_decided(proposals, &on_ask))
		finish_undecided(proposals, open, why);
}

static void command_answered(void *arg, uint32_t number, const struct approval_answer *answer)
{
	struct proposals *proposals = arg;
	struct proposal **open = find_number(proposals, number);
	char as[PROPOSAL_AS];

	if (!open)
		return;
	if (answer->reply == APPROVAL_NO)
		proposals_reject(proposals, number, answer->reason, APPROVAL_COMMAND);
	else if (answer->reply != APPROVAL_ALWAYS)
		leave_to_operators(proposals, open, answer->why);
	else if (add(proposals, *open, answer->by, as))
		proposals_approve(proposals, number, as, answer->by);
	else
		leave_to_operators(proposals, open, "the approved rule could not be added");
}

/* In the loop's thread. */
static void start_commands(void *arg)
{
	struct proposals *proposals = arg;
	struct proposal *open;
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++) {
		open = proposals->open[i];
		if (!open || !open->command_due)
			continue;
		open->command_due = false;
		if (approval_command_propose(&open->command, proposals->loop,
					     approvals_launcher(proposals->questions), open,
					     command_answered, proposals) < 0)
			leave_to_operators(proposals, &proposals->open[i],
					   "the command of --on-ask can't be run");
	}
}

/* --- a new proposal --------------------------------------------------------------------------- */

/* Why a proposal is refused without a look at it; NULL: it is not. */
static const char *refusal(struct proposals *proposals, uint32_t id, struct proposal ***place)
{
	struct policy_on_ask on_ask = approval_on_ask(proposals->guard);
	unsigned callers = 0, i;

	*place = NULL;
	for (i = 0; i < PROPOSALS_MAX; i++) {
		if (!proposals->open[i])
			*place = &proposals->open[i];
		else if (proposal_find_caller(proposals->open[i], id) >= 0)
			return "the proposal's number is in use";
		else
			callers += proposals->open[i]->callers;
	}
	if (on_ask.way == POLICY_ON_ASK_DENY)
		return "the policy says on-ask deny";
	if (!may_be_decided(proposals, &on_ask) && !approvals_launcher(proposals->questions))
		return "no operator is attached";
	if (callers >= PROPOSALS_MAX)
		return "too many proposals are open: try again later";
	if (loop_now_ns() < proposals->next_ns || !bucket_try(&proposals->rate, loop_now_ns()))
		return "too many proposals in a short time: try again later";
	return NULL;
}

static void note_asked(struct proposals *proposals, const struct proposal *proposal,
		       const char *reason)
{
	char detail[512];

	snprintf(detail, sizeof(detail), "question=%u proposal%s%.440s", proposal->number,
		 reason[0] ? ": " : "", reason);
	note(proposals, proposal, "ask", detail);
}

/* Adds a caller to an open proposal of the same rule. False: there is none. */
static bool join(struct proposals *proposals, uint32_t id, const char *rule, size_t rule_length,
		 const char *reason, size_t reason_length)
{
	char safe[PROPOSAL_REASON];
	struct proposal *open;
	unsigned i;

	for (i = 0; i < PROPOSALS_MAX; i++) {
		open = proposals->open[i];
		if (!open || strlen(open->rule) != rule_length ||
		    memcmp(open->rule, rule, rule_length) != 0)
			continue;
		open->caller[open->callers++] = id;
		open->since_ns = loop_guest_now_ns(proposals->loop);
		text_safe(safe, sizeof(safe), reason, reason_length, 0);
		note_asked(proposals, open, safe);
		return true;
	}
	return false;
}

/* Looks at a new proposal: opens it, or replies. */
static void begin(struct proposals *proposals, struct proposal **place)
{
	char how[256];
	uint32_t id = (*place)->caller[0];
	uint64_t took_ns;
	struct err err = {.text = ""};
	int ret = proposal_check(*place, proposals->guard, proposals->network, &took_ns, &err);

	/* A policy of thousands of rules takes long to parse, and the loop waits for that. */
	if (took_ns > PROPOSALS_LOOK_NS)
		proposals->next_ns = loop_now_ns() + took_ns * PROPOSALS_SHARE;
	note_asked(proposals, *place, (*place)->reason);
	if (ret == 0) {
		if (!proposals->timer.armed)
			loop_timer_start(proposals->loop, &proposals->timer, LOOK_NS);
		(*place)->command_due = approvals_launcher(proposals->questions) != NULL;
		loop_defer(proposals->loop, &proposals->commands);
		/* Last: it may lose a client, and with the last operator the proposal ends. */
		if (proposals->ops)
			proposals->ops->proposed(proposals->ops_arg, *place);
		return;
	}
	snprintf(how, sizeof(how), "question=%u answer=none: %.200s", (*place)->number, err.text);
	note(proposals, *place, "answer", how);
	free(*place);
	*place = NULL;
	proposals->reply(proposals->arg, id, ret == -EINVAL ? AGENT_NO_RULE : AGENT_UNDECIDED,
			 err.text);
}

void proposals_propose(struct proposals *proposals, uint32_t id, const char *rule,
		       size_t rule_length, const char *reason, size_t reason_length)
{
	struct proposal **place;
	const char *why = refusal(proposals, id, &place);

	if (why) {
		proposals->reply(proposals->arg, id, AGENT_UNDECIDED, why);
		return;
	}
	if (join(proposals, id, rule, rule_length, reason, reason_length))
		return;
	*place = proposal_create(approvals_take_number(proposals->questions), id, rule, rule_length,
				 reason, reason_length);
	if (!*place) {
		proposals->reply(proposals->arg, id, AGENT_UNDECIDED, "out of memory");
		return;
	}
	(*place)->since_ns = loop_guest_now_ns(proposals->loop);
	begin(proposals, place);
}

const struct proposal *proposals_next(const struct proposals *proposals, unsigned *at)
{
	while (*at < PROPOSALS_MAX)
		if (proposals->open[(*at)++])
			return proposals->open[*at - 1];
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

int proposals_create(struct proposals **out, struct loop *loop, struct guard *guard,
		     struct approvals *questions, proposals_reply *reply, void *arg)
{
	struct proposals *proposals = calloc(1, sizeof(*proposals));

	*out = proposals;
	if (!proposals)
		return -ENOMEM;
	proposals->loop = loop;
	proposals->guard = guard;
	proposals->questions = questions;
	proposals->reply = reply;
	proposals->arg = arg;
	proposals->commands = (struct loop_task){.run = start_commands, .arg = proposals};
	proposals->timer = (struct loop_timer){.expired = look, .arg = proposals, .guest = true};
	bucket_init_burst(&proposals->rate, PROPOSALS_SECOND, PROPOSALS_MAX, loop_now_ns());
	return 0;
}

void proposals_destroy(struct proposals *proposals)
{
	unsigned i;

	if (!proposals)
		return;
	loop_timer_stop(proposals->loop, &proposals->timer);
	loop_cancel(proposals->loop, &proposals->commands);
	for (i = 0; i < PROPOSALS_MAX; i++) {
		if (proposals->open[i])
			approval_command_end(proposals->open[i]->command);
		free(proposals->open[i]);
	}
	free(proposals);
}

void proposals_set_ops(struct proposals *proposals, const struct proposals_ops *ops, void *arg)
{
	proposals->ops = ops;
	proposals->ops_arg = arg;
}

void proposals_set_network(struct proposals *proposals, bool network)
{
	proposals->network = network;
}
