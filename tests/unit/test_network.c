/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's network whose relay says nothing: what is opened, and that closing is final. */
#include <arpa/inet.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network.h"

static struct loop *loop;
static struct guard *guard;
static struct approvals *questions;
static struct net_card *card;
static unsigned replies;

static void on_reply(void *arg, uint32_t number, enum approval_event outcome, const char *reason)
{
	(void)arg;
	(void)number;
	(void)outcome;
	(void)reason;
	replies++;
}

static void begin(void)
{
	static const char text[] = "policy 1\nnet ask tcp *:*\n";
	const struct net_card_config config = {.pairs = 1, .mtu = 1500};
	const struct policy_source source = {.name = "p", .directory = "/"};
	struct policy *policy;
	struct err err;

	replies = 0;
	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, &err), 0);
	ck_assert_int_eq(guard_create(&guard, policy, NULL), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(approvals_create(&questions, loop, guard, NULL), 0);
	approvals_attend(questions, true);
	ck_assert_int_eq(net_card_create(&card, loop, &config), 0);
}

static void end(void)
{
	net_card_destroy(card);
	loop_destroy(loop);
	guard_destroy(guard);
}

/* An operator answers a question, and the requester gets the decision. */
static void ask_and_reply(void)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = POLICY_TCP, .name = "a.test", .family = AF_INET, .port = 80},
	};
	int number;

	ck_assert_int_eq(inet_pton(AF_INET, "93.184.216.34", request.net.address), 1);
	number = approvals_ask(questions, &request);
	ck_assert_int_gt(number, 0);
	ck_assert_int_eq(approvals_reply(questions, (uint32_t)number, APPROVAL_ONCE, false, "test"),
			 0);
}

static void open_network(struct network *network)
{
	static const struct network_ops ops = {.published = NULL};
	const struct network_config config = {.user = true, .questions = questions};
	struct err err = {.text = ""};

	ck_assert_msg(network_open(network, loop, &config, card, guard, &ops, NULL, &err) == 0,
		      "%s", err.text);
	ck_assert(network->card && network->relay);
}

START_TEST(it_can_be_closed_in_any_state)
{
	const struct network_config tap = {.tap = "cordon-none", .questions = questions};
	struct network network = {.loop = NULL};
	struct err err = {.text = ""};

	begin();
	network_close(&network); /* never opened */
	ck_assert_int_eq(network_open(&network, loop, &(struct network_config){.user = false}, card,
				      guard, NULL, NULL, &err),
			 0);
	ck_assert(!network_exists(&network));
	network_close(&network); /* no network */
	ck_assert_int_lt(network_open(&network, loop, &tap, card, guard, NULL, NULL, &err), 0);
	ck_assert(!network_exists(&network));
	network_close(&network); /* half opened */
	open_network(&network);
	network_close(&network);
	ck_assert(!network.card && !network_exists(&network));
	approvals_destroy(questions);
	end();
}
END_TEST

/*
 * A sandbox whose creation has failed is destroyed, and its owner destroys it once more: by then
 * the approvals, and whatever else the network was opened with, may be gone or another's.
 */
START_TEST(a_second_close_touches_nothing)
{
	struct network network;

	begin();
	open_network(&network);
	network_close(&network);
	ask_and_reply(); /* not to a relay that is gone */
	approvals_set_requester(questions, POLICY_NET, on_reply, NULL);
	network_close(&network);
	ask_and_reply();
	ck_assert_uint_eq(replies, 1);
	approvals_destroy(questions);
	network_close(&network);
	net_card_destroy(card);
	card = NULL;
	loop_destroy(loop);
	network_close(&network);
	guard_destroy(guard);
}
END_TEST

UNIT_MAIN("network", it_can_be_closed_in_any_state, a_second_close_touches_nothing)
