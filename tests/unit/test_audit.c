/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: its chains, what is left out and counted, and what a policy requires of it. */
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
#include "vmm/policy/audit_budget.h"
#include "vmm/policy/guard.h"
#include "tests/unit/audit_common.h"

static void write_lines(unsigned allowed, unsigned denied)
{
	struct audit *audit = audit_log_open((struct audit_config){0});
	char object[32];
	unsigned i;

	for (i = 0; i < allowed + denied; i++) {
		sprintf(object, "/w/%u", i);
		ck_assert_int_eq(audit_log_path_read(audit, object, strlen(object),
						     i < allowed ? POLICY_ALLOW : POLICY_DENY),
				 0);
	}
	audit_close(audit);
}

START_TEST(lines_are_chained)
{
	const struct audit_chain_check *allowed = &chains.chain[AUDIT_ALLOWED];
	const struct audit_chain_check *denials = &chains.chain[AUDIT_DENIALS];

	audit_log_begin();
	/* 1 and 2 open, 3 to 7 allowed, 8 to 10 denied, 11 and 12 close. */
	write_lines(5, 3);
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"allow\"", &found, &why), 0);
	ck_assert_uint_eq(found, 5);
	ck_assert(chains.first == 1 && chains.sequence == 12);
	ck_assert(allowed->first == 1 && allowed->sequence == 11 && allowed->closed);
	ck_assert(denials->first == 2 && denials->sequence == 12 && denials->closed);
	/* Opened again, it goes on. */
	write_lines(2, 0);
	ck_assert_int_eq(audit_log_check(&chains, "\"event\":\"open\"", &found, &why), 0);
	ck_assert_uint_eq(chains.sequence, 18);
	ck_assert_uint_eq(found, 4);
	audit_log_end();
}
END_TEST

/* What is done to one of the files, and what the check says then. Lines as above. */
START_TEST(damage_shows)
{
	static const struct {
		const char *script;
		enum audit_part part;
		const char *wanted;
	} damage[] = {
		{"3d", AUDIT_ALLOWED, "line 4 is missing"},
		{"3,4d", AUDIT_ALLOWED, "lines 4 to 5 are missing"},
		{"3d", AUDIT_DENIALS, "line 9 is missing"},
		{"1d", AUDIT_DENIALS, "line 2 is missing"},
		{"1d", AUDIT_ALLOWED, "line 1 is missing"},
		{"$d", AUDIT_ALLOWED, "line 11 is missing"},
		/* Only the other chain shows it. */
		{"6,$d", AUDIT_ALLOWED, "line 7 is missing"},
		{"1,$d", AUDIT_ALLOWED, "the chain of allowed operations is missing"},
		{"1,$d", AUDIT_DENIALS, "the chain of denials is missing"},
		{"3s/allow/deny!/", AUDIT_ALLOWED, "line 4 was changed"},
		{"3s/1000/0/", AUDIT_DENIALS, "line 9 was changed"},
		{"3s/\"hash\":\"./\"hash\":\"x/", AUDIT_ALLOWED, "not a line of an audit log"},
		{"3{h;d};4{G}", AUDIT_ALLOWED, "line 4 is missing"},
		{"3{p}", AUDIT_ALLOWED, "line 4 comes after line 4"},
		{"3s/^/x/", AUDIT_ALLOWED, "not a line of an audit log"},
		{"3s/.$//", AUDIT_DENIALS, "not a line of an audit log"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(damage); i++) {
		audit_log_begin();
		write_lines(5, 3);
		ck_assert_int_eq(audit_log_check(&chains, "", &found, &why), 0);
		audit_log_edit(damage[i].script, damage[i].part, 0);
		ck_assert_msg(audit_log_check(&chains, "", &found, &why) == -EBADMSG, "%s",
			      damage[i].script);
		ck_assert_msg(strstr(why.text, damage[i].wanted), "%s: %s", damage[i].script,
			      why.text);
		audit_log_end();
	}
}
END_TEST

/* A chain that is whole and has the right numbers, but is not the one that the other one knew. */
START_TEST(chains_belong_together)
{
	char command[512];

	audit_log_begin();
	write_lines(5, 3);
	snprintf(command, sizeof(command), "mv %s %s.kept && rm %s.denials", audit_log_path,
		 audit_log_path, audit_log_path);
	ck_assert_int_eq(system(command), 0);
	write_lines(5, 3);
	ck_assert_int_eq(audit_log_check(&chains, "", &found, &why), 0);
	snprintf(command, sizeof(command), "mv %s.kept %s", audit_log_path, audit_log_path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(audit_log_check(&chains, "", &found, &why), -EBADMSG);
	ck_assert_msg(strstr(why.text, "line 2 has another hash for the other chain"), "%s",
		      why.text);
	audit_log_end();
}
END_TEST

/* --- budgets ---------------------------------------------------------------------------------- */

static uint64_t file_size(enum audit_part part, unsigned number)
{
	char path[AUDIT_PATH_MAX];
	struct stat status;

	audit_file(path, audit_log_path, part, number);
	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

START_TEST(what_is_left_out_is_counted)
{
	struct audit *audit;
	unsigned i, kept = 0;
	char text[64];

	audit_log_begin();
	audit = audit_log_open((struct audit_config){
		.budget = {{.rate = 10000, .burst = 2000}, {.rate = 10000, .burst = 1000}}});
	for (i = 0; i < 25; i++)
		kept += audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW) == 0;
	ck_assert(kept >= 5 && kept < 10);
	ck_assert_int_eq(audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW), -EAGAIN);
	/* Denials have their own measure, and what is left out of them is denied all the same. */
	for (i = 0; i < 7; i++)
		ck_assert_int_eq(audit_log_path_read(audit, "/w/d", 4, POLICY_DENY), 0);
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"allow\"", &found, &why), 0);
	ck_assert_uint_eq(found, kept);
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"deny\"", &found, &why), 0);
	ck_assert(found >= 2 && found < 7);
	/* Time gives a line more, and before it the gap. */
	audit_clock_ns += 300000000;
	ck_assert_int_eq(audit_log_path_read(audit, "/w/b", 4, POLICY_ALLOW), 0);
	snprintf(text, sizeof(text), "\"event\":\"gap\",\"allowed\":%u,\"refused\":0,\"lost\":0",
		 26 - kept);
	ck_assert_int_eq(audit_log_check(&chains, text, &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	/* Or the end. */
	audit_close(audit);
	ck_assert_int_eq(audit_log_check(&chains, "\"event\":\"gap\",\"denied\":", &found, &why),
			 0);
	ck_assert_uint_eq(found, 1);
	audit_log_end();
}
END_TEST

/* Long names of bytes that are written as six each. */
START_TEST(long_names_push_nothing_out)
{
	static char worst[POLICY_OBJECT_MAX];
	uint64_t bytes = 0;
	struct audit *audit;
	unsigned i, part;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	ck_assert_int_eq(audit_log_path_read(audit, "/w/first", 8, POLICY_ALLOW), 0);
	ck_assert_int_eq(audit_log_path_read(audit, "/w/denied", 9, POLICY_DENY), 0);
	memset(worst, 1, sizeof(worst));
	for (i = 0; i < 20000; i++) {
		audit_log_path_read(audit, worst, sizeof(worst), POLICY_ALLOW);
		audit_log_path_read(audit, worst, sizeof(worst), POLICY_DENY);
		audit_clock_ns += 100000;
	}
	audit_close(audit);
	for (part = 0; part < AUDIT_PARTS; part++)
		for (i = 0; i < AUDIT_FILES; i++)
			bytes += file_size((enum audit_part)part, i);
	/* Two seconds' worth and the bursts. */
	ck_assert_uint_lt(bytes, MIB(14));
	ck_assert_int_eq(audit_log_check(&chains, "/w/first\"", &found, &why), 0);
	ck_assert(found == 1 && chains.first == 1);
	ck_assert_int_eq(audit_log_check(&chains, "/w/denied\"", &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	audit_log_end();
}
END_TEST

/* Two names, one of them given by the guest: a line that every JSON parser accepts. */
START_TEST(a_flow_to_the_host_has_one_name)
{
	static const struct {
		const char *name;
		bool host;
		const char *wanted;
	} flows[] = {
		{"a.test", false, "\"name\":\"a.test\",\"address\""},
		{NULL, true, "\"name\":\"host\",\"address\""},
		{"a.test", true, "\"name\":\"host\",\"claimed_name\":\"a.test\",\"address\""},
	};
	const struct policy_decision decision = {.verdict = POLICY_ALLOW, .reason = "because"};
	const struct audit_origin origin = {.policy = AUDIT_ANY_POLICY};
	struct policy_request request = {.class = POLICY_NET, .op = POLICY_CONNECT};
	struct audit *audit;
	size_t i;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	for (i = 0; i < ARRAY_SIZE(flows); i++) {
		request.net = (struct policy_net){.protocol = POLICY_TLS,
						  .name = flows[i].name,
						  .host = flows[i].host,
						  .family = AF_INET,
						  .port = 443};
		ck_assert_int_eq(audit_decision(audit, &request, &decision, &origin), 0);
	}
	audit_close(audit);
	for (i = 0; i < ARRAY_SIZE(flows); i++) {
		ck_assert_int_eq(audit_log_check(&chains, flows[i].wanted, &found, &why), 0);
		ck_assert_msg(found == 1, "%s", flows[i].wanted);
	}
	audit_log_end();
}
END_TEST

START_TEST(requests_have_their_method_and_path)
{
	static const char *const wanted[] = {
		"\"port\":80,\"method\":\"GET\",\"path\":\"/a\",\"verdict\"",
		"\"method\":\"G\\\"T\",\"path\":\"/a\",\"unclear\":1,\"verdict\"",
		"\"method\":\"GET\",\"path\":\"\",\"verdict\"",
		"\"path_bytes\":\"",
	};
	const struct policy_decision decision = {.verdict = POLICY_ALLOW, .reason = "because"};
	const struct audit_origin origin = {.policy = AUDIT_ANY_POLICY};
	struct policy_request request = {.class = POLICY_NET,
					 .op = POLICY_CONNECT,
					 .net = {.protocol = POLICY_HTTP,
						 .name = "a.test",
						 .port = 80,
						 .method = "GET",
						 .path = "/a"}};
	static char path[8192];
	struct audit *audit;
	size_t i;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	ck_assert_int_eq(audit_decision(audit, &request, &decision, &origin), 0);
	request.net.method = "G\"T";
	request.net.unclear = true;
	ck_assert_int_eq(audit_decision(audit, &request, &decision, &origin), 0);
	request.net.method = "GET";
	request.net.unclear = false;
	request.net.path = NULL;
	ck_assert_int_eq(audit_decision(audit, &request, &decision, &origin), 0);
	memset(path, '"', sizeof(path) - 1);
	request.net.path = path;
	ck_assert_int_eq(audit_decision(audit, &request, &decision, &origin), 0);
	audit_close(audit);
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		ck_assert_int_eq(audit_log_check(&chains, wanted[i], &found, &why), 0);
		ck_assert_msg(found == 1, "%s", wanted[i]);
	}
	audit_log_end();
}
END_TEST

START_TEST(operators_have_no_budget)
{
	static const char *const what[] = {"policy-set",	 "ask",	   "answer", "network-lost",
					   "network-unfiltered", "planted"};
	struct guard_note note = {.class = POLICY_NET, .object = "x"};
	struct audit *audit;
	unsigned i, k;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){.budget = {{1, 1}, {1, 1}, {1, 1}}});
	for (i = 0; i < 2; i++) {
		audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW);
		audit_log_path_read(audit, "/w/a", 4, POLICY_DENY);
	}
	for (i = 0; i < 50; i++)
		for (k = 0; k < ARRAY_SIZE(what); k++) {
			note.what = what[k];
			ck_assert_int_eq(audit_note(audit, &note, true), 0);
		}
	/* Of what the guest causes there is one. */
	note.what = "flow-end";
	ck_assert_int_eq(audit_note(audit, &note, true), -EAGAIN);
	audit_close(audit);
	for (k = 0; k < ARRAY_SIZE(what); k++) {
		ck_assert_int_eq(audit_log_check(&chains, what[k], &found, &why), 0);
		ck_assert_uint_eq(found, 50);
	}
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":", &found, &why), 0);
	ck_assert_uint_eq(found, 2);
	audit_log_end();
}
END_TEST

/* Without a configured budget, and while no time passes. What is left out is no failure of theirs.
 */
START_TEST(the_usual_budgets_hold)
{
	static char path[3001];
	const struct guard_note note = {
		.class = POLICY_EXEC, .what = "process-start", .object = path};
	const off_t burst = MIB(4);
	struct audit *audit;
	struct stat status;
	unsigned i;

	memset(path, 'a', sizeof(path) - 1);
	audit_log_begin();
	audit = audit_log_open((struct audit_config){.file_bytes = MIB(64)});
	for (i = 0; i < 5000; i++)
		audit_note(audit, &note, false);
	audit_clock_ns += 1000000000;
	for (i = 0; i < 100; i++)
		audit_note(audit, &note, false);
	/* Denials have a budget of their own. */
	ck_assert_int_eq(audit_log_path_read(audit, "/w/d", 4, POLICY_DENY), 0);
	audit_close(audit);
	ck_assert_int_eq(stat(audit_log_path, &status), 0);
	ck_assert_int_gt(status.st_size, burst);
	ck_assert_int_lt(status.st_size, burst + AUDIT_PROCESS_SECOND + KIB(16));
	ck_assert_uint_eq(audit_log_lines("\"verdict\":\"deny\""), 1);
	audit_log_end();
}
END_TEST

START_TEST(any_bytes_are_logged)
{
	static char worst[POLICY_OBJECT_MAX];
	struct audit *audit;

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	ck_assert_int_eq(audit_log_path_read(audit, "/w/\"\\\n\x7f\xc3\xa4", 9, POLICY_DENY), 0);
	ck_assert_int_eq(audit_log_path_read(audit, "/w/\xff\xfe", 5, POLICY_HIDE), 0);
	memset(worst, 1, sizeof(worst));
	worst[0] = (char)0xff;
	ck_assert_int_eq(audit_log_path_read(audit, worst, sizeof(worst), POLICY_HIDE), 0);
	/* What looks like a field in a name is none. */
	ck_assert_int_eq(audit_log_path_read(audit, "/w,\"other_hash\":\"0\"", 19, POLICY_DENY), 0);
	audit_close(audit);
	ck_assert_int_eq(audit_log_check(&chains, "\"object_bytes\":\"2f772ffffe\"", &found, &why),
			 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(
		audit_log_check(&chains, "/w/\\\"\\\\\\u000a\\u007f\xc3\xa4\"", &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(audit_log_check(&chains, "\"object_bytes\":\"ff010101", &found, &why), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(chains.sequence, 8);
	audit_log_end();
}
END_TEST

UNIT_MAIN("audit", lines_are_chained, damage_shows, chains_belong_together,
	  what_is_left_out_is_counted, long_names_push_nothing_out, a_flow_to_the_host_has_one_name,
	  operators_have_no_budget, the_usual_budgets_hold, requests_have_their_method_and_path,
	  any_bytes_are_logged)
