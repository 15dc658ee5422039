/* SPDX-License-Identifier: Apache-2.0 */
/* The denials that the programs of a sandbox can read: what a line says, bounds, and sending. */
#include "vmm/sandbox/denials.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/added.h"
#include "vmm/policy/guard.h"
#include "vmm/policy/request.h"

static const char rules[] = "policy 1\n"
			    "file hide /w/secret\n"
			    "file deny /w/no\n"
			    "file read /w/.git/config /w/.git/hooks/** /w/CLAUDE.md\n"
			    "file read /w/ro/**\n"
			    "file append /w/log\n"
			    "file write /w/**\n"
			    "net deny tls bad.test:443\n"
			    "net allow tls good.test:443\n"
			    "net ask tls *:443\n";
static const char host_name[] = "/home/user/host.policy";

static struct loop *loop;
static struct guard *guard;
static struct denials *denials;

/* What was sent. */
static unsigned sent;
static char text[DENIALS_BYTES + 1];
static struct agent_reply reply;
static int send_result;

static int on_send(void *arg, const char *bytes, size_t length, const struct agent_reply *wanted)
{
	(void)arg;
	sent++;
	ck_assert_uint_le(length, DENIALS_BYTES);
	memcpy(text, bytes, length);
	text[length] = '\0';
	reply = *wanted;
	return send_result;
}

static void begin(void)
{
	const struct policy_source source = {.name = host_name, .directory = "/", .rootfs = true};
	struct policy *policy;
	struct err err;

	sent = 0;
	send_result = 0;
	ck_assert_msg(policy_parse(&policy, rules, strlen(rules), &source, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(guard_create(&guard, policy, NULL), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(denials_create(&denials, loop, on_send, NULL), 0);
	guard_watch_denials(guard, denials_note, denials);
}

static void end(void)
{
	denials_destroy(denials);
	loop_destroy(loop);
	guard_destroy(guard);
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Runs the loop for so long. */
static void turn(unsigned ms)
{
	struct loop_timer timer = {.expired = stop_loop};

	loop_timer_start(loop, &timer, ms * UINT64_C(1000000));
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
}

static struct policy_request file(enum policy_op op, const char *object, const char *other)
{
	return (struct policy_request){
		.class = POLICY_FILE,
		.op = op,
		.object = object,
		.length = strlen(object),
		.other = other,
		.other_length = other ? strlen(other) : 0,
		.root = 2,
	};
}

static struct policy_request tls(const char *name)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = POLICY_TLS, .name = name, .family = AF_INET, .port = 443},
	};

	ck_assert_int_eq(inet_pton(AF_INET, "93.184.216.34", request.net.address), 1);
	return request;
}

static enum policy_verdict deny(struct policy_request request)
{
	return guard_check(guard, &request, NULL);
}

/* The number of lines; *last: the last one, or NULL. */
static unsigned lines(json_t **last)
{
	static char all[DENIALS_BYTES + 1];
	size_t length = denials_text(denials, all);
	unsigned count = 0;
	char *line, *rest;
	json_error_t why;

	ck_assert(length == 0 || all[length - 1] == '\n');
	all[length] = '\0';
	ck_assert_ptr_null(strstr(all, "host.policy"));
	*last = NULL;
	for (line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_decref(*last);
		*last = json_loads(line, 0, &why);
		ck_assert_msg(json_is_object(*last), "%s: %s", why.text, line);
		count++;
	}
	return count;
}

static const char *field(const json_t *line, const char *name)
{
	const char *value = json_string_value(json_object_get(line, name));

	return value ? value : "";
}

/* A policy with the line allows what was denied. */
struct attempt {
	const struct policy_request *request;
	const char *line;
	bool allowed;
};

static void add_and_decide(void *arg, const struct policy *policy)
{
	struct attempt *attempt = arg;
	struct policy_decision decision;
	struct policy *with;
	struct err err;

	ck_assert_msg(policy_add_line(&with, policy, attempt->line, &err) == 0, "%s: %s",
		      attempt->line, err.text);
	policy_decide(with, attempt->request, &decision);
	attempt->allowed = decision.verdict == POLICY_ALLOW;
	policy_free(with);
}

static const struct {
	enum policy_op op;
	const char *object, *other;
	const char *rule;  /* "": the denial is not listed */
	const char *allow; /* NULL: never */
	bool directory;
} cases[] = {
	{POLICY_READ, "/x", NULL, "default", "file read /x", false},
	{POLICY_CREATE, "/x y", NULL, "default", "file write /x\\ y", false},
	{POLICY_WRITE, "/w/no", NULL, "file deny /w/no", "file write /w/no", false},
	{POLICY_APPEND, "/w/ro/a", NULL, "file read /w/ro/**", "file append /w/ro/a", false},
	{POLICY_REMOVE, "/w/log", NULL, "file append /w/log", "file write /w/log", false},
	{POLICY_RENAME, "/w/a", "/w/ro/a", "file read /w/ro/**", "file write /w/ro/a", false},
	{POLICY_RENAME, "/w/log", "/w/b", "file append /w/log", "file write /w/log", false},
	{POLICY_LINK, "/w/ro/a", "/w/no", "file read /w/ro/**", "file write /w/ro/a /w/no", false},
	/* No line helps: protected places, rules beneath a directory, fixed rules, other names. */
	{POLICY_WRITE, "/w/CLAUDE.md", NULL,
	 "file read /w/.git/config /w/.git/hooks/** /w/CLAUDE.md", NULL, false},
	{POLICY_RENAME, "/w/a", "/w/CLAUDE.md",
	 "file read /w/.git/config /w/.git/hooks/** /w/CLAUDE.md", NULL, false},
	{POLICY_RENAME, "/w/.git", "/w/g", "file write /w/**", NULL, true},
	{POLICY_SYMLINK, "/w/.git/logs", NULL, "file write /w/**", NULL, false},
	{POLICY_READ, "/x\n/y", NULL, "default", NULL, false},
	/* What is hidden does not exist. */
	{POLICY_READ, "/w/secret", NULL, "", NULL, false},
	{POLICY_CREATE, "/w/secret/key", NULL, "", NULL, false},
	{POLICY_RENAME, "/w/a", "/w/secret", "", NULL, false},
};

static void check_case(size_t i)
{
	struct policy_request request = file(cases[i].op, cases[i].object, cases[i].other);
	struct attempt attempt = {.request = &request, .line = cases[i].allow};
	json_t *line;

	begin();
	request.directory = cases[i].directory;
	ck_assert_int_ne(guard_check(guard, &request, NULL), POLICY_ALLOW);
	ck_assert_uint_eq(lines(&line), cases[i].rule[0] != '\0');
	if (line) {
		ck_assert_str_eq(field(line, "class"), "file");
		ck_assert_str_eq(field(line, "operation"), policy_op_name(cases[i].op));
		ck_assert_str_eq(field(line, "rule"), cases[i].rule);
		ck_assert_msg(strcmp(field(line, "retry"),
				     cases[i].allow ? "after-approval" : "never") == 0,
			      "%s: %s", cases[i].object, field(line, "allow"));
		ck_assert_str_eq(field(line, "allow"), cases[i].allow ? cases[i].allow : "");
	}
	if (cases[i].allow) {
		guard_with_policy(guard, add_and_decide, &attempt);
		ck_assert(attempt.allowed);
	}
	json_decref(line);
	end();
}

START_TEST(a_line_says_what_would_help)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(i);
}
END_TEST

START_TEST(the_network_has_lines_too)
{
	static const struct {
		const char *name, *rule, *allow;
	} peers[] = {
		{"bad.test", "net deny tls bad.test:443", NULL},
		{"x.test", "net ask tls *:443", "net allow tls x.test:443"},
		{NULL, "net ask tls *:443", "net allow tls 93.184.216.34:443"},
	};
	struct policy_request request;
	struct attempt attempt = {.request = &request};
	json_t *line;
	unsigned i;

	begin();
	ck_assert_int_eq(deny(tls("good.test")), POLICY_ALLOW);
	ck_assert_uint_eq(lines(&line), 0);
	for (i = 0; i < 3; i++) {
		request = tls(peers[i].name);
		ck_assert_int_eq(deny(request), POLICY_DENY);
		ck_assert_uint_eq(lines(&line), i + 1);
		ck_assert_str_eq(field(line, "rule"), peers[i].rule);
		ck_assert_str_eq(field(line, "retry"), peers[i].allow ? "after-approval" : "never");
		ck_assert_str_eq(field(line, "allow"), peers[i].allow ? peers[i].allow : "");
		attempt.line = peers[i].allow;
		if (attempt.line)
			guard_with_policy(guard, add_and_decide, &attempt);
		ck_assert(!attempt.line || attempt.allowed);
		json_decref(line);
	}
	/* A person's refusal is a denial, an approval is none. */
	request = tls("y.test");
	guard_check_asked(guard, &request, POLICY_DENY, "an operator refused it");
	request = tls("z.test");
	guard_check_asked(guard, &request, POLICY_ALLOW, "an operator allowed it");
	ck_assert_uint_eq(lines(&line), 4);
	ck_assert_str_eq(field(line, "reason"), "an operator refused it");
	json_decref(line);
	end();
}
END_TEST

/* --- bounds ----------------------------------------------------------------------------------- */

START_TEST(the_last_denials_are_kept)
{
	char path[32];
	json_t *line;
	unsigned i;

	begin();
	for (i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "/x/%u", i);
		deny(file(POLICY_READ, path, NULL));
	}
	ck_assert_uint_eq(lines(&line), DENIALS_MAX);
	ck_assert_str_eq(field(line, "object"), "/x/9999");
	ck_assert_int_eq(json_integer_value(json_object_get(line, "times")), 1);
	json_decref(line);
	/* Equal ones are counted, and push none out. */
	for (i = 0; i < 10000; i++)
		deny(file(POLICY_READ, "/x/9950", NULL));
	ck_assert_uint_eq(lines(&line), DENIALS_MAX);
	ck_assert_str_eq(field(line, "object"), "/x/9950");
	ck_assert_int_eq(json_integer_value(json_object_get(line, "times")), 10001);
	json_decref(line);
	end();
}
END_TEST

/* fill: a byte that needs the longest escape, or one that JSON escapes. */
static void check_long(char fill)
{
	static char path[POLICY_OBJECT_MAX + 1], all[DENIALS_BYTES];
	json_t *line;
	unsigned i;

	begin();
	memset(path, fill, sizeof(path) - 1);
	path[0] = '/';
	for (i = 0; i < DENIALS_MAX; i++) {
		snprintf(path + 1, 8, "%07u", i);
		path[8] = 'x';
		deny(file(POLICY_READ, path, NULL));
	}
	i = lines(&line);
	ck_assert_uint_ge(i, 10);
	ck_assert_uint_le(i, DENIALS_MAX);
	ck_assert_int_eq(strncmp(field(line, "object"), "/0000099x", 9), 0);
	ck_assert_uint_le(strlen(field(line, "object")), DENIALS_OBJECT_MAX);
	ck_assert_ptr_null(json_object_get(line, "allow"));
	json_decref(line);
	ck_assert_uint_le(denials_text(denials, all), DENIALS_BYTES);
	end();
}

START_TEST(long_names_are_cut)
{
	check_long('\x01');
	check_long('"');
}
END_TEST

/* --- sending ---------------------------------------------------------------------------------- */

START_TEST(changes_are_sent_one_at_a_time)
{
	begin();
	/* Not before the agent is ready, and nothing if there is nothing. */
	turn(1);
	ck_assert_uint_eq(sent, 0);
	denials_begin(denials);
	ck_assert_uint_eq(sent, 0);
	deny(file(POLICY_READ, "/x/1", NULL));
	turn(1);
	ck_assert_uint_eq(sent, 1);
	ck_assert_ptr_nonnull(strstr(text, "\"/x/1\""));
	/* While that request is under way, others wait; the next one has them all. */
	deny(file(POLICY_READ, "/x/2", NULL));
	deny(file(POLICY_READ, "/x/3", NULL));
	turn(1);
	ck_assert_uint_eq(sent, 1);
	reply.done(reply.arg, 0);
	ck_assert_uint_eq(sent, 2);
	ck_assert_ptr_nonnull(strstr(text, "\"/x/3\""));
	reply.done(reply.arg, EIO);
	ck_assert_uint_eq(sent, 2);
	end();
}
END_TEST

START_TEST(a_new_connection_gets_all)
{
	begin();
	deny(file(POLICY_READ, "/x/1", NULL));
	turn(1);
	ck_assert_uint_eq(sent, 0);
	denials_begin(denials);
	ck_assert_uint_eq(sent, 1);
	reply.done(reply.arg, AGENT_REPLY_LOST);
	deny(file(POLICY_READ, "/x/2", NULL));
	turn(1);
	ck_assert_uint_eq(sent, 1);
	denials_begin(denials);
	ck_assert_uint_eq(sent, 2);
	ck_assert_ptr_nonnull(strstr(text, "\"/x/1\""));
	ck_assert_ptr_nonnull(strstr(text, "\"/x/2\""));
	/* An agent that can't take it gets no more; one whose queue is full, later. */
	reply.done(reply.arg, 0);
	send_result = -EAGAIN;
	deny(file(POLICY_READ, "/x/3", NULL));
	turn(1);
	ck_assert_uint_eq(sent, 3);
	send_result = 0;
	while (sent == 3)
		turn(20);
	ck_assert_uint_eq(sent, 4);
	ck_assert_ptr_nonnull(strstr(text, "\"/x/3\""));
	reply.done(reply.arg, 0);
	send_result = -EOPNOTSUPP;
	deny(file(POLICY_READ, "/x/4", NULL));
	while (sent == 4)
		turn(20);
	deny(file(POLICY_READ, "/x/5", NULL));
	turn(600);
	ck_assert_uint_eq(sent, 5);
	end();
}
END_TEST

#define THREADS 4
#define EACH	20000

static void *deny_many(void *arg)
{
	char path[32];
	unsigned i;

	for (i = 0; i < EACH; i++) {
		snprintf(path, sizeof(path), "/x/%u/%u", *(unsigned *)arg, i % 300);
		deny(file(POLICY_READ, path, NULL));
	}
	return NULL;
}

/* However many denials there are, the agent gets few requests. */
START_TEST(a_flood_is_few_requests)
{
	unsigned number[THREADS], i;
	pthread_t thread[THREADS];
	json_t *line;

	begin();
	denials_begin(denials);
	for (i = 0; i < THREADS; i++) {
		number[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, deny_many, &number[i]), 0);
	}
	for (i = 0; i < 50; i++) {
		turn(1);
		if (sent)
			reply.done(reply.arg, 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_ge(sent, 1);
	ck_assert_uint_le(sent, 2 * DENIALS_SECOND + 1);
	ck_assert_uint_eq(lines(&line), DENIALS_MAX);
	json_decref(line);
	end();
}
END_TEST

UNIT_MAIN("denials", a_line_says_what_would_help, the_network_has_lines_too,
	  the_last_denials_are_kept, long_names_are_cut, changes_are_sent_one_at_a_time,
	  a_new_connection_gets_all, a_flood_is_few_requests)
