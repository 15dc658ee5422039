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
#include "vmm/policy/guard.h"

static struct err err;
static struct audit_check chains;
static unsigned found;

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
	const struct audit_chain *allowed = &chains.chain[AUDIT_ALLOWED];
	const struct audit_chain *denials = &chains.chain[AUDIT_DENIALS];

	audit_log_begin();
	/* 1 and 2 open, 3 to 7 allowed, 8 to 10 denied, 11 and 12 close. */
	write_lines(5, 3);
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"allow\"", &found, &err), 0);
	ck_assert_uint_eq(found, 5);
	ck_assert(chains.first == 1 && chains.sequence == 12);
	ck_assert(allowed->first == 1 && allowed->sequence == 11 && allowed->closed);
	ck_assert(denials->first == 2 && denials->sequence == 12 && denials->closed);
	/* Opened again, it goes on. */
	write_lines(2, 0);
	ck_assert_int_eq(audit_log_check(&chains, "\"event\":\"open\"", &found, &err), 0);
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
		/* Nothing but the other chain tells of it. */
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
		ck_assert_int_eq(audit_log_check(&chains, "", &found, &err), 0);
		audit_log_edit(damage[i].script, damage[i].part, 0);
		ck_assert_msg(audit_log_check(&chains, "", &found, &err) == -EBADMSG, "%s",
			      damage[i].script);
		ck_assert_msg(strstr(err.text, damage[i].wanted), "%s: %s", damage[i].script,
			      err.text);
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
	ck_assert_int_eq(audit_log_check(&chains, "", &found, &err), 0);
	snprintf(command, sizeof(command), "mv %s.kept %s", audit_log_path, audit_log_path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(audit_log_check(&chains, "", &found, &err), -EBADMSG);
	ck_assert_msg(strstr(err.text, "line 2 has another hash for the other chain"), "%s",
		      err.text);
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
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"allow\"", &found, &err), 0);
	ck_assert_uint_eq(found, kept);
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":\"deny\"", &found, &err), 0);
	ck_assert(found >= 2 && found < 7);
	/* Time gives a line more, and before it the gap. */
	audit_clock_ns += 300000000;
	ck_assert_int_eq(audit_log_path_read(audit, "/w/b", 4, POLICY_ALLOW), 0);
	snprintf(text, sizeof(text), "\"event\":\"gap\",\"allowed\":%u,\"refused\":0,\"lost\":0",
		 26 - kept);
	ck_assert_int_eq(audit_log_check(&chains, text, &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	/* Or the end. */
	audit_close(audit);
	ck_assert_int_eq(audit_log_check(&chains, "\"event\":\"gap\",\"denied\":", &found, &err),
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
	ck_assert_int_eq(audit_log_check(&chains, "/w/first\"", &found, &err), 0);
	ck_assert(found == 1 && chains.first == 1);
	ck_assert_int_eq(audit_log_check(&chains, "/w/denied\"", &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	audit_log_end();
}
END_TEST

/* Two names, of which one is the guest's word: a line that no reader of JSON refuses. */
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
		ck_assert_int_eq(audit_log_check(&chains, flows[i].wanted, &found, &err), 0);
		ck_assert_msg(found == 1, "%s", flows[i].wanted);
	}
	audit_log_end();
}
END_TEST

START_TEST(operators_have_no_budget)
{
	static const char *const what[] = {"policy-set", "ask", "answer", "network-lost",
					   "planted"};
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
		ck_assert_int_eq(audit_log_check(&chains, what[k], &found, &err), 0);
		ck_assert_uint_eq(found, 50);
	}
	ck_assert_int_eq(audit_log_check(&chains, "\"verdict\":", &found, &err), 0);
	ck_assert_uint_eq(found, 2);
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
	ck_assert_int_eq(audit_log_check(&chains, "\"object_bytes\":\"2f772ffffe\"", &found, &err),
			 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(
		audit_log_check(&chains, "/w/\\\"\\\\\\u000a\\u007f\xc3\xa4\"", &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(audit_log_check(&chains, "\"object_bytes\":\"ff010101", &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(chains.sequence, 8);
	audit_log_end();
}
END_TEST

/* --- hidden names ----------------------------------------------------------------------------- */

static struct guard *make_guard(const char *text, struct audit_config config)
{
	const struct policy_source source = {.name = "p", .directory = "/"};
	struct policy *policy;
	struct guard *guard;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
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
	ck_assert_int_eq(audit_log_check(&chains, hidden, &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	audit_clock_ns += AUDIT_HIDDEN_NS;
	ck_assert_int_eq(look_up(guard, "/w/.env"), POLICY_HIDE);
	ck_assert_int_eq(audit_log_check(&chains, hidden, &found, &err), 0);
	ck_assert_uint_eq(found, 2);
	ck_assert_int_eq(audit_log_check(&chains, "/w/a", &found, &err), 0);
	ck_assert_uint_eq(found, 0);
	/* Many names have a budget of their own. */
	for (i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/w/%u/.env", i);
		ck_assert_int_eq(look_up(guard, path), POLICY_HIDE);
	}
	guard_destroy(guard);
	ck_assert_int_eq(audit_log_check(&chains, "\"op\":\"lookup\"", &found, &err), 0);
	ck_assert(found > 10 && found < 200);
	ck_assert_int_eq(audit_log_check(&chains, "\"denied\":0,\"hidden\":4", &found, &err), 0);
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
	ck_assert_int_eq(audit_log_check(&chains, "/w/.env", &found, &err), 0);
	ck_assert_uint_eq(found, 0);
	origin.policy = 1;
	audit_hidden(audit, &request, &decision, &origin);
	audit_hidden(audit, &request, &decision, &origin);
	ck_assert_int_eq(audit_log_check(&chains, "/w/.env", &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	audit_close(audit);
	audit_log_end();
}
END_TEST

/* --- what a policy requires ------------------------------------------------------------------- */

/* The size that files may have stands for a disk that is full. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
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
	struct guard *guard;
	unsigned i;

	for (i = 0; i < 2; i++) {
		audit_log_begin();
		guard = make_guard(audit_texts[i], (struct audit_config){0});
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		ck_assert_int_eq(guard_note(guard, &note), POLICY_ALLOW);
		limit_files(500);
		ck_assert_int_eq(check(guard), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		ck_assert_int_eq(check(guard), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		ck_assert_int_eq(guard_note(guard, &note), i == 0 ? POLICY_ALLOW : POLICY_DENY);
		/* Refused or not, a hidden name does not begin to exist. */
		ck_assert_int_eq(check_path(guard, "/w/h", NULL), POLICY_HIDE);
		ck_assert_int_eq(check_path(guard, "/w/h", NULL), POLICY_HIDE);
		limit_files(RLIM_INFINITY);
		/* Room again: what is lost is told, and the chain is whole. */
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		guard_destroy(guard);
		ck_assert_int_eq(audit_log_check(&chains, "\"lost\":3", &found, &err), 0);
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
			ck_assert(strstr(decision.reason, "more than the audit log takes"));
		/* What is denied is denied with its own reason. */
		ck_assert_int_eq(check_path(guard, "/w/h", &decision), POLICY_HIDE);
		ck_assert_str_eq(decision.reason, "a rule hides it");
		audit_clock_ns += 500000000;
		ck_assert_int_eq(check(guard), POLICY_ALLOW);
		guard_destroy(guard);
		ck_assert_int_eq(
			audit_log_check(&chains,
					i == 0 ? "\"refused\":0" : "\"allowed\":0,\"refused\"",
					&found, &err),
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
		ck_assert_int_eq(policy_parse(&policy, none, strlen(none), &source, &err), 0);
		guard_replace(guard, policy, "by me");
		ck_assert_int_eq(check(guard), POLICY_DENY);
	}
	guard_destroy(guard);
	ck_assert_int_eq(
		audit_log_check(&chains,
				"\"event\":\"policy-set\",\"object\":\"q\",\"detail\":\"by me\"",
				&found, &err),
		0);
	ck_assert_uint_eq(found, 3);
	audit_log_end();
}
END_TEST

UNIT_MAIN("audit", lines_are_chained, damage_shows, chains_belong_together,
	  what_is_left_out_is_counted, long_names_push_nothing_out, a_flow_to_the_host_has_one_name,
	  operators_have_no_budget, any_bytes_are_logged, hidden_names_are_logged_once_a_while,
	  hidden_names_of_a_replaced_policy, a_full_disk_stops_what_must_be_logged,
	  what_must_be_logged_keeps_to_the_budget, a_policy_is_replaced_at_once)
