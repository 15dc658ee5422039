/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/approvals_common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct loop *loop;
struct guard *guard;
struct approvals *questions;

unsigned asked, over, answered;
char how[512], shown[POLICY_REQUEST_TEXT], rule[APPROVAL_RULE];
struct approval_history history;
uint32_t answered_number;
bool answered_yes;
enum approval_event answered_outcome;
char answered_why[160];
bool frozen;
unsigned freezes;
struct policy_on_ask frozen_how;

static void on_asked(void *arg, const struct approval *question)
{
	(void)arg;
	asked++;
	policy_request_text(&question->request, shown);
	history = question->history;
	snprintf(rule, sizeof(rule), "%s", question->rule);
}

void on_over(void *arg, const struct approval *question, const char *why)
{
	(void)arg;
	(void)question;
	over++;
	snprintf(how, sizeof(how), "%s", why);
}

void on_answered(void *arg, uint32_t number, enum approval_event outcome, const char *reason)
{
	(void)arg;
	answered++;
	answered_number = number;
	answered_yes = outcome == APPROVAL_ALLOWED;
	answered_outcome = outcome;
	snprintf(answered_why, sizeof(answered_why), "%s", reason);
	loop_stop(loop);
}

static void on_freeze(void *arg, const struct policy_on_ask *on_ask)
{
	(void)arg;
	frozen = on_ask != NULL;
	if (on_ask)
		frozen_how = *on_ask;
	freezes++;
}

static struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = "p", .directory = "/", .lenient = true};
	struct policy *policy;
	struct err err;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

struct launcher *launcher;

void begin(const char *command)
{
	begin_with("policy 1\nnet allow tcp a.test:1\nnet ask tcp *:*\n", command);
}

void begin_with(const char *text, const char *command)
{
	static const struct approvals_ops ops = {
		.asked = on_asked, .over = on_over, .freeze = on_freeze};

	asked = over = answered = freezes = 0;
	frozen = false;
	ck_assert_int_eq(guard_create(&guard, parse(text), NULL), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	launcher = on_ask_launcher(loop, command);
	ck_assert_int_eq(approvals_create(&questions, loop, guard, launcher), 0);
	approvals_set_ops(questions, &ops, NULL);
	approvals_set_requester(questions, POLICY_NET, on_answered, NULL);
}

void replace_policy(const char *text)
{
	ck_assert_int_eq(guard_replace(guard, parse(text), "me"), 0);
	approvals_policy_changed(questions);
}

void end(void)
{
	approvals_destroy(questions);
	launcher_destroy(launcher);
	launcher = NULL;
	loop_destroy(loop);
	guard_destroy(guard);
}

struct policy_net to(const char *name, const char *address, uint16_t port)
{
	struct policy_net net = {
		.protocol = POLICY_TCP, .name = name, .family = AF_INET, .port = port};

	ck_assert_int_eq(inet_pton(AF_INET, address, net.address), 1);
	return net;
}

int ask_about(const struct policy_net *net)
{
	const struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = *net};

	return approvals_ask(questions, &request);
}

int recall(const struct policy_net *net)
{
	const struct policy_request request = {
		.class = POLICY_NET, .op = POLICY_CONNECT, .net = *net};

	return approvals_recall(questions, &request);
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void turn(void)
{
	struct loop_timer timer = {.expired = stop_loop};

	loop_timer_start(loop, &timer, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
}
