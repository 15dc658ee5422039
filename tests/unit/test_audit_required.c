/* SPDX-License-Identifier: Apache-2.0 */
/* Hidden names in the audit log, and what a policy requires of it. */
#include "vmm/policy/audit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/guard.h"
#include "tests/unit/audit_common.h"

/* --- hidden names ----------------------------------------------------------------------------- */

static struct guard *make_guard(const char *text, struct audit_config config)
{
	const struct policy_source source = {.name = "p", .directory = "/"};
	struct policy *policy;
	struct guard *guard;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &why) == 0, "%s",
		      why.text);
	ck_assert_int_eq(guard_create(&guard, policy, audit_log_open(config)), 0);
	return guard;
}

static enum policy_verdict look_up(struct guard *guard, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_LOOKUP,
		.object = path,
		.length = strlen(path),
	};

	return guard_decide(guard, &request, NULL);
}

START_TEST(hidden_names_are_logged_once_a_while)
{
	static const char hidden[] =
		"\"op\":\"lookup\",\"object\":\"/w/.env\",\"verdict\":\"hide\",\"rule\":\"p:3\"";
	struct guard *guard;
	char path[64];
	unsigned i;

	audit_log_begin();
	guard = make_guard("policy 1\nshare a /w\nfile hide /w/**/.env\nfile read /w/**\n",
			   (struct audit_config){.budget = {[AUDIT_KIND_HIDDEN] = {1000, 20000}}});
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(look_up(guard, "/w/.env"), POLICY_HIDE);
		ck_assert_int_eq(look_up(guard, "/w/a"), POLICY_ALLOW);
	}
	ck_assert_int_eq(audit_log_check(&chains, hidden, &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	audit_clock_ns += AUDIT_HIDDEN_NS;
	ck_assert_int_eq(look_up(guard, "/w/.env"), POLICY_HIDE);
	ck_assert_int_eq(audit_log_check(&chains, hidden, &found, &why), 0);
	ck_assert_uint_eq(found, 2);
	ck_assert_int_eq(audit_log_check(&chains, "/w/a", &found, &why), 0);
	ck_assert_uint_eq(found, 0);
	/* Many names have a budget of their own. */
	for (i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/w/%u/.env", i);
		ck_assert_int_eq(look_up(guard, path), POLICY_HIDE);
	}
	guard_destroy(guard);
	ck_assert_int_eq(audit_log_check(&chains, "\"op\":\"lookup\"", &found, &why), 0);
	ck_assert(found > 10 && found < 200);
	ck_assert_int_eq(audit_log_check(&chains, "\"denied\":0,\"hidden\":4", &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	audit_log_end();
}
END_TEST

/* What a policy hid that has just been replaced is logged when the next one hides it, too. */
START_TEST(hidden_names_of_a_replaced_policy)
{
	const struct policy_request request = {
		.class = POLICY_FILE, .op = POLICY_LOOKUP, .object = "/w/.env", .length = 7};
	const struct policy_decision decision = {.verdict = POLICY_HIDE, .reason = "because"};
	const struct guard_note note = {.class = POLICY_CLASSES, .what = "policy-set"};
	struct audit_origin origin = {.policy = 0};
	struct audit *audit;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	ck_assert_int_eq(audit_policy_set(audit, &note, 1), 0);
	audit_hidden(audit, &request, &decision, &origin);
	ck_assert_int_eq(audit_log_check(&chains, "/w/.env", &found, &why), 0);
	ck_assert_uint_eq(found, 0);
	origin.policy = 1;
	audit_hidden(audit, &request, &decision, &origin);
	audit_hidden(audit, &request, &decision, &origin);
	ck_assert_int_eq(audit_log_check(&chains, "/w/.env", &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	audit_close(audit);
	audit_log_end();
}
END_TEST

/* --- what a policy requires ------------------------------------------------------------------- */

/*
 * The size that files may have stands for a disk that is full. No assertion may be made under it:
 * check(3) writes each one into a file. 0 or -1.
 */
static int limit_files(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &limit);
}

static enum policy_verdict check_path(struct guard *guard, const char *path,
				      struct policy_decision *decision)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = path,
		.length = strlen(path),
	};

	return guard_check(guard, &request, decision);
}

static enum policy_verdict check(struct guard *guard)
{
	return check_path(guard, "/w/a", NULL);
}

static const char *const audit_texts[] = {
	"policy 1\nshare a /w\nfile hide /w/h\nfile read /w/**\n",
	"policy 1\nshare a /w\nfile hide /w/h\nfile read /w/**\non-deny continue audit=required\n",
};

START_TEST(a_full_disk_stops_what_must_be_logged)
{
	const struct guard_note note = {.class = POLICY_NET, .what = "publish-vsock"};
	enum policy_verdict got[3], hidden[2];
	struct guard *guard;
	int limited, lifted;
	unsigned i, k;

	for (i = 0; i < 2; i++) {
		audit_log_begin();
		guard = make_guard(audit_texts[i], (struct audit_config){0});
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		ck_assert_int_eq(guard_note(guard, &note), POLICY_ALLOW);
		limited = limit_files(500);
		got[0] = check(guard);
		got[1] = check(guard);
		got[2] = guard_note(guard, &note);
		hidden[0] = check_path(guard, "/w/h", NULL);
		hidden[1] = check_path(guard, "/w/h", NULL);
		lifted = limit_files(RLIM_INFINITY);
		ck_assert_int_eq(limited, 0);
		ck_assert_int_eq(lifted, 0);
		for (k = 0; k < ARRAY_SIZE(got); k++)
			ck_assert_int_eq(got[k], i == 0 ? POLICY_ALLOW : POLICY_DENY);
		/* Refused or not, a hidden name does not begin to exist. */
		for (k = 0; k < ARRAY_SIZE(hidden); k++)
			ck_assert_int_eq(hidden[k], POLICY_HIDE);
		/* Room again: the lost lines are counted, and the chain is whole. */
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		guard_destroy(guard);
		ck_assert_int_eq(audit_log_check(&chains, "\"lost\":3", &found, &why), 0);
		ck_assert_uint_eq(found, 1);
		ck_assert(chains.chain[AUDIT_ALLOWED].closed);
		audit_log_end();
	}
}
END_TEST

START_TEST(what_must_be_logged_keeps_to_the_budget)
{
	struct audit_config config = {.budget = {{.rate = 10000, .burst = 2000}}};
	struct policy_decision decision;
	struct guard *guard;
	unsigned i, k, kept;

	for (i = 0; i < 2; i++) {
		audit_log_begin();
		guard = make_guard(audit_texts[i], config);
		for (k = kept = 0; k < 30; k++)
			kept += check_path(guard, "/w/a", &decision) == POLICY_ALLOW;
		ck_assert(i == 0 ? kept == 30 : kept > 5 && kept < 20);
		if (i == 1)
			ck_assert(strstr(decision.reason, "the log's budget is used up"));
		/* What is denied is denied with its own reason. */
		ck_assert_int_eq(check_path(guard, "/w/h", &decision), POLICY_HIDE);
		ck_assert_str_eq(decision.reason, "a rule hides it");
		audit_clock_ns += 500000000;
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		guard_destroy(guard);
		ck_assert_int_eq(
			audit_log_check(&chains,
					i == 0 ? "\"refused\":0" : "\"allowed\":0,\"refused\"",
					&found, &why),
			0);
		ck_assert_uint_eq(found, 1);
		audit_log_end();
	}
}
END_TEST

START_TEST(a_policy_is_replaced_at_once)
{
	static const char none[] = "policy 1\nshare a /w\nfile read /w/b\n";
	const struct policy_source source = {.name = "q", .directory = "/"};
	struct policy *policy;
	struct guard *guard;
	unsigned i;

	audit_log_begin();
	guard = make_guard("policy 1\nshare a /w\nfile read /w/**\n", (struct audit_config){0});
	ck_assert_int_eq(check(guard), POLICY_ALLOW);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(policy_parse(&policy, none, strlen(none), &source, &why), 0);
		guard_replace(guard, policy, "by me");
		ck_assert_int_eq(check(guard), POLICY_DENY);
	}
	guard_destroy(guard);
	ck_assert_int_eq(
		audit_log_check(&chains,
				"\"event\":\"policy-set\",\"object\":\"q\",\"detail\":\"by me\"",
				&found, &why),
		0);
	ck_assert_uint_eq(found, 3);
	audit_log_end();
}
END_TEST

UNIT_MAIN("audit_required", hidden_names_are_logged_once_a_while, hidden_names_of_a_replaced_policy,
	  a_full_disk_stops_what_must_be_logged, what_must_be_logged_keeps_to_the_budget,
	  a_policy_is_replaced_at_once)
