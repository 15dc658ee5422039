/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that an 'ask' rule has stopped. The first packet is held back until there is a decision or
 * the time is over; then it is handled as if it had just arrived, or refused. Packets that the
 * guest repeats in between change nothing. Everything is bounded, and nothing else waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return a->peer == b->peer && a->guest_port == b->guest_port &&
	       a->peer_port == b->peer_port && a->protocol == b->protocol;
}

static struct filter_ask *find(struct filter *filter, const struct flow_key *key)
{
	unsigned i;

	for (i = 0; i < FILTER_ASKS && filter->asks > 0; i++)
		if (filter->ask[i].question != 0 && same_key(&filter->ask[i].key, key))
			return &filter->ask[i];
	return NULL;
}

/* --- what is held ----------------------------------------------------------------------------- */

static void drop_first(struct filter *filter, struct filter_ask *ask)
{
	struct held_frame *held = ask->held;

	ask->held = held->next;
	if (!ask->held)
		ask->held_end = &ask->held;
	ask->frames--;
	ask->bytes -= held->length;
	filter->ask_bytes -= held->length;
	free(held);
}

static void drop_held(struct filter *filter, struct filter_ask *ask)
{
	while (ask->held)
		drop_first(filter, ask);
}

static int hold(struct filter *filter, struct filter_ask *ask, const struct frame *frame)
{
	struct held_frame *held;

	if (ask->frames == FILTER_ASK_FRAMES ||
	    frame->length > FILTER_ASK_BYTES - filter->ask_bytes)
		return -ENOBUFS;
	held = malloc(sizeof(*held) + frame->length);
	if (!held)
		return -ENOMEM;
	held->next = NULL;
	held->length = frame->length;
	memcpy(held->data, frame->data, frame->length);
	*ask->held_end = held;
	ask->held_end = &held->next;
	ask->frames++;
	ask->bytes += frame->length;
	ask->sequence = frame->sequence;
	filter->ask_bytes += frame->length;
	return 0;
}

/*
 * A SYN: the last one counts, since a port may be used again. A repetition of the same one changes
 * nothing.
 */
static int hold_instead(struct filter *filter, struct filter_ask *ask, const struct frame *frame)
{
	int ret;

	if (ask->sequence == frame->sequence)
		return 0;
	/* There is always one: the old one is dropped after the new one is held. */
	ret = hold(filter, ask, frame);
	if (ret == 0)
		drop_first(filter, ask);
	return ret;
}

/* --- coming and going ------------------------------------------------------------------------- */

static struct filter_ask *take_slot(struct filter *filter, const struct filter_ask *first)
{
	struct filter_ask *ask = NULL;
	unsigned i;

	for (i = 0; i < FILTER_ASKS && !ask; i++)
		if (filter->ask[i].question == 0)
			ask = &filter->ask[i];
	if (!ask)
		return NULL;
	*ask = *first;
	ask->name[0] = '\0';
	if (first->request.name)
		snprintf(ask->name, sizeof(ask->name), "%s", first->request.name);
	ask->request.name = first->request.name ? ask->name : NULL;
	ask->held_end = &ask->held;
	return ask;
}

/* Opens the question. False: the request's answer says why that failed. */
static bool put(struct filter *filter, struct filter_ask *ask)
{
	int question = filter->ops->ask(filter->arg, &ask->request);

	if (question > 0) {
		ask->question = (uint32_t)question;
		filter->asks++;
		return true;
	}
	ask->request.answer = question == -ENOENT   ? FILTER_UNATTENDED
			      : question == -EACCES ? FILTER_UNASKABLE
						    : FILTER_OVERASKED;
	return false;
}

/*
 * Moves an entry out of the table into copy, with its packets; the copy's name points into the
 * copy.
 */
static void take_out(struct filter *filter, struct filter_ask *ask, struct filter_ask *copy)
{
	*copy = *ask;
	if (copy->request.name)
		copy->request.name = copy->name;
	if (!copy->held)
		copy->held_end = &copy->held;
	*ask = (struct filter_ask){.question = 0};
	filter->asks--;
}

/* Withdraws a question, unless another flow waits for the same one. */
static void take_back(struct filter *filter, uint32_t question)
{
	unsigned i;

	for (i = 0; i < FILTER_ASKS; i++)
		if (filter->ask[i].question == question)
			return;
	filter->ops->unask(filter->arg, question);
}

static void refuse(struct filter *filter, const struct filter_ask *ask, const struct frame *frame,
		   uint64_t now_ns)
{
	filter_log_refused(filter, &ask->request, NULL, now_ns);
	filter_refuse(filter, frame, FILTER_REFUSED);
}

void filter_ask_packet(struct filter *filter, const struct filter_ask *first,
		       const struct frame *frame, uint64_t now_ns)
{
	struct filter_ask *ask = take_slot(filter, first), none = *first;

	if (!ask || hold(filter, ask, frame) < 0) {
		none.request.answer = FILTER_OVERASKED;
		refuse(filter, &none, frame, now_ns);
	} else if (!put(filter, ask)) {
		refuse(filter, ask, frame, now_ns);
		drop_held(filter, ask);
	}
}

bool filter_ask_waits(struct filter *filter, const struct flow_key *key, const struct frame *frame)
{
	struct filter_ask *ask = find(filter, key);
	int ret;

	if (!ask)
		return false;
	ret = key->protocol == IP_TCP ? hold_instead(filter, ask, frame) : hold(filter, ask, frame);
	if (ret < 0)
		filter_drop_guest(filter, FILTER_FLOODED);
	return true;
}

int filter_ask_name(struct filter *filter, struct flow *flow, struct filter_request *request,
		    uint32_t rule)
{
	const struct filter_ask first = {
		.key = flow->key, .request = *request, .rule = rule, .peeking = true};
	struct filter_ask *ask = take_slot(filter, &first);

	request->answer = FILTER_OVERASKED;
	if (!ask)
		return -EBUSY;
	if (!put(filter, ask)) {
		request->answer = ask->request.answer;
		return -EBUSY;
	}
	flow->peek->asking = true;
	return 0;
}

void filter_ask_cancel(struct filter *filter, const struct flow_key *key)
{
	struct filter_ask *ask = find(filter, key), copy;

	if (!ask)
		return;
	take_out(filter, ask, &copy);
	drop_held(filter, &copy);
	take_back(filter, copy.question);
}

/* --- the answer ------------------------------------------------------------------------------- */

static struct flow *open_flow(struct filter *filter, const struct filter_ask *ask,
			      const struct frame *frame, uint64_t now_ns)
{
	bool plain = ask->key.protocol != IP_TCP || ask->plain;
	struct flow *flow = filter_open_flow(filter, frame, &ask->key, filter_class_of(&ask->key),
					     plain ? ask->request.name : NULL, ask->rule, now_ns);

	if (!flow)
		return NULL;
	flow->approved = ask->request.answer == FILTER_APPROVED;
	if (plain)
		return flow;
	if (filter_peek_begin(filter, flow, ask->tls, ask->http) < 0) {
		flow_end(&filter->flows, flow, FLOW_REFUSED);
		filter_refuse(filter, frame, FILTER_FLOODED);
		return NULL;
	}
	flow->peek->approved = ask->request.protocol;
	memcpy(flow->peek->approved_name, ask->name, sizeof(ask->name));
	return flow;
}

/* Passes on the held packets, all of one flow. */
static void let_through(struct filter *filter, struct filter_ask *ask, uint64_t now_ns)
{
	bool plain = ask->key.protocol != IP_TCP || ask->plain;
	struct held_frame *held = ask->held;
	struct flow *flow = NULL;
	struct frame frame;

	frame_parse(held->data, held->length, false, &frame);
	/*
	 * Allowed only if it can be logged. An inspected connection is logged once its name is
	 * known.
	 */
	if (plain && !filter->ops->check(filter->arg, &ask->request))
		filter_refuse(filter, &frame, FILTER_REFUSED);
	else
		flow = open_flow(filter, ask, &frame, now_ns);
	for (; flow && held; held = held->next) {
		frame_parse(held->data, held->length, false, &frame);
		flow->bytes_out += frame.payload_length;
		filter_pass_to_peer(filter, held->data, held->length);
	}
}

/* answer is the outcome of the question; the policy may decide differently by now. */
static void finish(struct filter *filter, struct filter_ask *slot, enum filter_answer answer,
		   uint64_t now_ns)
{
	struct filter_ask ask;
	enum filter_verdict verdict;
	struct frame frame;

	take_out(filter, slot, &ask);
	ask.request.answer = answer;
	if (ask.peeking) {
		filter_peek_answered(filter, &ask, now_ns);
		return;
	}
	verdict = filter_decide_one(filter, &ask.request).verdict;
	if (verdict == FILTER_ALLOW || (verdict == FILTER_ASK && answer == FILTER_APPROVED)) {
		let_through(filter, &ask, now_ns);
	} else {
		frame_parse(ask.held->data, ask.held->length, false, &frame);
		refuse(filter, &ask, &frame, now_ns);
	}
	drop_held(filter, &ask);
}

void filter_answered(struct filter *filter, uint32_t question, enum filter_answer answer,
		     uint64_t now_ns)
{
	unsigned i;

	for (i = 0; i < FILTER_ASKS && question != 0; i++)
		if (filter->ask[i].question == question)
			finish(filter, &filter->ask[i], answer, now_ns);
}

void filter_ask_again(struct filter *filter, uint64_t now_ns)
{
	uint32_t question;
	unsigned i;

	for (i = 0; i < FILTER_ASKS; i++) {
		question = filter->ask[i].question;
		if (question == 0 ||
		    filter_decide_one(filter, &filter->ask[i].request).verdict == FILTER_ASK)
			continue;
		finish(filter, &filter->ask[i], FILTER_UNASKED, now_ns);
		take_back(filter, question);
	}
}

/* A flow whose first bytes wait for a decision is not idle. */
void filter_ask_keep(struct filter *filter, uint64_t now_ns)
{
	struct flow *flow;
	unsigned i;

	for (i = 0; i < FILTER_ASKS; i++) {
		if (filter->ask[i].question == 0 || !filter->ask[i].peeking)
			continue;
		flow = flow_find(&filter->flows, &filter->ask[i].key);
		if (flow)
			flow_seen(&filter->flows, flow, flow->class, now_ns);
	}
}

void filter_ask_forget(struct filter *filter, bool tell)
{
	struct filter_ask copy;
	unsigned i;

	for (i = 0; i < FILTER_ASKS; i++) {
		if (filter->ask[i].question == 0)
			continue;
		take_out(filter, &filter->ask[i], &copy);
		drop_held(filter, &copy);
		if (tell)
			take_back(filter, copy.question);
	}
}
