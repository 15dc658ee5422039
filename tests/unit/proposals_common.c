/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proposals_common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char rules[] = "policy 1\n"
			    "file hide /w/secret\n"
			    "file read /w/ro/**\n"
			    "file write /w/**\n"
			    "net deny tls bad.test:443\n"
			    "net allow tls good.test:443\n"
			    "net ask tls *:443\n";
static const char host_name[] = "/home/user/host.policy";

struct loop *loop;
struct guard *guard;
struct approvals *questions;
struct proposals *proposals;

unsigned replies, shown, over;
uint32_t reply_id, shown_number;
enum agent_proposed result;
char reply_text[600], shown_rule[1100], shown_reason[PROPOSAL_REASON], shown_adds[POLICY_ADDS],
	how[600];

static void on_reply(void *arg, uint32_t id, enum agent_proposed what, const char *text)
{
	(void)arg;
	replies++;
	reply_id = id;
	result = what;
	snprintf(reply_text, sizeof(reply_text), "%s", text);
}

bool leaves;

static void on_proposed(void *arg, const struct proposal *proposal)
{
	(void)arg;
	shown++;
	shown_number = proposal->number;
	snprintf(shown_rule, sizeof(shown_rule), "%s", proposal->rule);
	snprintf(shown_reason, sizeof(shown_reason), "%s", proposal->reason);
	snprintf(shown_adds, sizeof(shown_adds), "%s", proposal->adds);
	if (leaves)
		attend(false);
}

static void on_over(void *arg, const struct proposal *proposal, const char *why)
{
	(void)arg;
	(void)proposal;
	over++;
	snprintf(how, sizeof(how), "%s", why);
}

char added_rule[1100], added_by[APPROVAL_BY];
bool add_fails;

static int on_add(void *arg, const struct proposal *proposal, const char *by, char as[PROPOSAL_AS],
		  struct err *err)
{
	(void)arg;
	snprintf(added_rule, sizeof(added_rule), "%s", proposal->rule);
	snprintf(added_by, sizeof(added_by), "%s", by);
	snprintf(as, PROPOSAL_AS, "added:7");
	return add_fails ? err_set(err, EBUSY, "a secret of the host") : 0;
}

struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = host_name, .directory = "/", .rootfs = true};
	struct policy *policy;
	struct err err;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

struct policy *make_policy(void)
{
	return parse(rules);
}

void replace_policy(const char *on_ask)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s", rules, on_ask);
	ck_assert_int_eq(guard_replace(guard, parse(text), "a test"), 0);
	approvals_policy_changed(questions);
	proposals_policy_changed(proposals);
}

void attend(bool attended)
{
	approvals_attend(questions, attended);
	proposals_operators_changed(proposals);
}

struct launcher *launcher;

void begin_with(struct audit *audit, const char *command)
{
	static const struct proposals_ops ops = {
		.proposed = on_proposed, .over = on_over, .add = on_add};

	added_rule[0] = '\0';
	replies = shown = over = 0;
	ck_assert_int_eq(guard_create(&guard, make_policy(), audit), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	launcher = on_ask_launcher(loop, command);
	ck_assert_int_eq(approvals_create(&questions, loop, guard, launcher), 0);
	ck_assert_int_eq(proposals_create(&proposals, loop, guard, questions, on_reply, NULL), 0);
	proposals_set_ops(proposals, &ops, NULL);
	proposals_set_network(proposals, true);
	attend(true);
}

void begin(void)
{
	begin_with(NULL, NULL);
}

void end(void)
{
	proposals_destroy(proposals);
	approvals_destroy(questions);
	launcher_destroy(launcher);
	launcher = NULL;
	loop_destroy(loop);
	guard_destroy(guard);
}

void propose(uint32_t id, const char *rule, const char *reason)
{
	proposals_propose(proposals, id, rule, strlen(rule), reason, strlen(reason));
}

unsigned count_open(void)
{
	unsigned at = 0, count = 0;

	while (proposals_next(proposals, &at))
		count++;
	return count;
}
