/* SPDX-License-Identifier: Apache-2.0 */
/* A policy of several files, and what --allow-net adds to one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/launch/policy_file.h"
#include "vmm/launch/policy_options.h"
#include "vmm/launch/policy_text.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/policy.h"

struct made {
	const char *file[4]; /* texts; the directory of the Nth is /N */
	const char *net[4];
};

static int make(struct policy **policy, const struct made *from, struct err *err)
{
	static const char *const name[] = {"one", "two", "three", "four"};
	static const char *const directory[] = {"/1", "/2", "/3", "/4"};
	struct policy_part part[4];
	struct policy_source source = {.name = "all", .part = part, .allow_net = from->net};
	char text[4096] = "";
	size_t i;

	for (i = 0; i < 4 && from->file[i]; i++) {
		part[i] = (struct policy_part){.name = name[i],
					       .directory = directory[i],
					       .length = strlen(from->file[i])};
		strcat(text, from->file[i]);
		source.parts = i + 1;
	}
	while (source.allow_nets < 4 && from->net[source.allow_nets])
		source.allow_nets++;
	return policy_parse(policy, text, strlen(text), &source, err);
}

static struct policy *good(const struct made *from)
{
	struct policy *policy;
	struct err err;

	ck_assert_msg(make(&policy, from, &err) == 0, "%s", err.text);
	return policy;
}

static void bad(const struct made *from, const char *message)
{
	struct policy *policy;
	struct err err;

	ck_assert_int_eq(make(&policy, from, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, message) != NULL, "%s", err.text);
	ck_assert_ptr_null(policy);
}

static enum policy_verdict file(const struct policy *policy, const char *path, enum policy_op op)
{
	struct policy_request request = {
		.class = POLICY_FILE, .op = op, .object = path, .length = strlen(path)};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

static enum policy_verdict net(const struct policy *policy, enum policy_protocol protocol,
			       const char *name, uint16_t port)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = protocol,
			.name = name,
			.port = port,
			.family = AF_INET,
			.address = {93, 184, 216, 34},
			.host = strcmp(name, "host") == 0},
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

START_TEST(rules_in_the_order_given)
{
	const struct made a = {
		.file = {"policy 1\nshare w /w\nfile read /w/a\n", "policy 1\nfile write /w/**\n"}};
	const struct made b = {
		.file = {"policy 1\nfile hide /w/a\n", "policy 1\nshare w /w\nfile write /w/**\n"}};
	struct policy *policy = good(&a);

	ck_assert_int_eq(file(policy, "/w/a", POLICY_WRITE), POLICY_DENY);
	ck_assert_int_eq(file(policy, "/w/b", POLICY_WRITE), POLICY_ALLOW);
	ck_assert_str_eq(policy_share(policy, 0)->host, "/1/w");
	ck_assert_str_eq(policy_rule(policy, POLICY_FILE, 1)->file, "two");
	ck_assert_uint_eq(policy_rule(policy, POLICY_FILE, 1)->line, 2);
	policy_free(policy);
	policy = good(&b);
	ck_assert_int_eq(file(policy, "/w/a", POLICY_READ), POLICY_HIDE);
	ck_assert_str_eq(policy_share(policy, 0)->host, "/2/w");
	policy_free(policy);
}
END_TEST

START_TEST(of_limits_the_lowest)
{
	const struct made made = {
		.file = {"policy 1\nlimit memory=256M cpus=2 idle=1m:pause\n",
			 "policy 1\nlimit memory=128M cpus=4 wall=1m idle=2m:pause\n",
			 "policy 1\nlimit memory=512M\n"}};
	struct policy *policy = good(&made);
	const struct policy_limits *limits = policy_limits(policy);

	ck_assert_uint_eq(limits->memory, 128u << 20);
	ck_assert_str_eq(limits->file[1], "two");
	ck_assert_uint_eq(limits->line[1], 2);
	ck_assert_uint_eq(limits->cpu_millis, 2000);
	ck_assert_str_eq(limits->file[0], "one");
	ck_assert_uint_eq(limits->wall_ns, 60000000000ull);
	ck_assert_uint_eq(limits->idle_ns, 60000000000ull);
	ck_assert(limits->idle_pauses);
	policy_free(policy);
	/* To stop is stricter than to pause. */
	policy = good(&(struct made){
		.file = {"policy 1\nlimit idle=1m:pause\n", "policy 1\nlimit idle=2m\n"}});
	ck_assert_uint_eq(policy_limits(policy)->idle_ns, 60000000000ull);
	ck_assert(!policy_limits(policy)->idle_pauses);
	policy_free(policy);
}
END_TEST

/* Of several files the strictest way counts: deny, then the shorter wait, then freeze. */
START_TEST(of_on_ask_the_strictest)
{
	static const struct {
		const char *first, *second;
		struct policy_on_ask wanted;
	} cases[] = {
		{"policy 1\n", "policy 1\n", {.wait_ns = POLICY_ON_ASK_WAIT_NS}},
		{"policy 1\n", "policy 1\non-ask wait=2h\n", {.wait_ns = 7200000000000}},
		{"policy 1\non-ask wait=5s\n",
		 "policy 1\non-ask wait=1m\n",
		 {.wait_ns = 5000000000}},
		{"policy 1\non-ask wait=1m\n",
		 "policy 1\non-ask wait=5s\n",
		 {.wait_ns = 5000000000}},
		{"policy 1\non-ask freeze spill=10m\n",
		 "policy 1\n",
		 {.way = POLICY_ON_ASK_FREEZE, .spill_ns = 600000000000}},
		{"policy 1\non-ask freeze\n",
		 "policy 1\non-ask wait=5s\n",
		 {.wait_ns = 5000000000}},
		{"policy 1\non-ask deny\n",
		 "policy 1\non-ask freeze\n",
		 {.way = POLICY_ON_ASK_DENY}},
		{"policy 1\non-ask wait=5s\n",
		 "policy 1\non-ask deny\n",
		 {.way = POLICY_ON_ASK_DENY}},
	};
	const struct policy_on_ask *on_ask;
	struct policy *policy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		policy = good(&(struct made){.file = {cases[i].first, cases[i].second}});
		on_ask = policy_on_ask(policy);
		ck_assert_int_eq(on_ask->way, cases[i].wanted.way);
		ck_assert_int_eq(on_ask->given, i > 0);
		ck_assert_uint_eq(on_ask->wait_ns, cases[i].wanted.wait_ns);
		ck_assert_uint_eq(on_ask->spill_ns, cases[i].wanted.spill_ns);
		policy_free(policy);
	}
	bad(&(struct made){.file = {"policy 1\n", "policy 1\non-ask deny\non-ask deny\n"}},
	    "two:3:1: on-ask is given already (line 2)");
}
END_TEST

START_TEST(what_several_files_must_not_say)
{
	bad(&(struct made){.file = {"policy 1\nshare a /w\nfile read /w/**\n",
				    "policy 1\nshare b /w\n"}},
	    "two:2:9: another share is at /w already (one:2)");
	bad(&(struct made){.file = {"policy 1\nlimit cpus=1\nlimit cpus=2\n"}},
	    "one:3:7: cpus is limited already");
	bad(&(struct made){.file = {"policy 1\n", "policy 1\nlimit cpus=1\nlimit cpus=2\n"}},
	    "two:3:7: cpus is limited already");
	bad(&(struct made){.file = {"policy 1\n", "file read /w\n"}}, "two:1:1: ");
	bad(&(struct made){.file = {"policy 1\nshare a /w\nfile write /w/**\n",
				    "policy 1\nfile read /w/x\n"}},
	    "two:2:1: ");
}
END_TEST

START_TEST(a_text_that_is_not_whole)
{
	struct policy_part part[] = {{"one", "/", 9}, {"two", "/", 100}};
	struct policy_source source = {.part = part, .parts = 2};
	struct policy *policy;
	struct err err;

	ck_assert_int_eq(policy_parse(&policy, "policy 1\npolicy 1\n", 18, &source, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "truncated"));
	part[1].length = 9;
	ck_assert_int_eq(policy_parse(&policy, "policy 1\npolicy 1\n", 18, &source, &err), 0);
	policy_free(policy);
}
END_TEST

START_TEST(names_without_a_policy)
{
	const struct made made = {.file = {"policy 1\n"},
				  .net = {"api.example.com:443", "db.example.com:5432",
					  "udp/ntp.example.com:123", "10.0.0.0/8:22"}};
	struct policy *policy = good(&made);

	ck_assert_uint_eq(policy_rule_count(policy, POLICY_NET), 4);
	ck_assert_int_eq(net(policy, POLICY_TLS, "api.example.com", 443), POLICY_ALLOW);
	/* For 443 it is tls, and nothing else over that port. */
	ck_assert_int_eq(net(policy, POLICY_TCP, "api.example.com", 443), POLICY_DENY);
	ck_assert_int_eq(net(policy, POLICY_TLS, "other.example.com", 443), POLICY_DENY);
	ck_assert_int_eq(net(policy, POLICY_TCP, "db.example.com", 5432), POLICY_ALLOW);
	ck_assert_int_eq(net(policy, POLICY_UDP, "ntp.example.com", 123), POLICY_ALLOW);
	ck_assert_int_eq(net(policy, POLICY_TCP, "ntp.example.com", 123), POLICY_DENY);
	ck_assert_str_eq(policy_rule(policy, POLICY_NET, 3)->text, "net allow tcp 10.0.0.0/8:22");
	policy_free(policy);
}
END_TEST

START_TEST(approvals_in_advance)
{
	const struct made made = {.file = {"policy 1\nnet ask tls *:443\n"},
				  .net = {"api.example.com:443"}};
	struct policy *policy = good(&made);

	ck_assert_int_eq(net(policy, POLICY_TLS, "api.example.com", 443), POLICY_ALLOW);
	ck_assert_int_eq(net(policy, POLICY_TLS, "other.example.com", 443), POLICY_ASK);
	ck_assert_int_eq(net(policy, POLICY_TCP, "api.example.com", 80), POLICY_DENY);
	policy_free(policy);
}
END_TEST

START_TEST(denials_stay)
{
	/* Before a question and behind one: what decides without the option decides with it. */
	const struct made made = {.file = {"policy 1\nnet deny tls *.internal.example.com:443\n"
					   "net ask tls *.example.com:443\nnet deny tls *:443\n"
					   "net allow tcp *:443\n"},
				  .net = {"*.example.com:443", "tcp/*.org:443"}};
	struct policy *policy = good(&made);

	ck_assert_int_eq(net(policy, POLICY_TLS, "api.example.com", 443), POLICY_ALLOW);
	ck_assert_int_eq(net(policy, POLICY_TLS, "x.internal.example.com", 443), POLICY_DENY);
	ck_assert_int_eq(net(policy, POLICY_TLS, "a.org", 443), POLICY_DENY);
	policy_free(policy);
	/* One that could never matter is reported. */
	bad(&(struct made){.file = {"policy 1\nnet deny tls *:443\nnet allow tcp *:80\n"},
			   .net = {"ok.example.com:80", "api.example.com:443"}},
	    "--allow-net:2:1: 'api.example.com:443' stays denied by one:2: net deny tls *:443");
}
END_TEST

START_TEST(bad_names)
{
	static const struct {
		const char *net, *message;
	} all[] = {
		{"api.example.com", "--allow-net:1:1: "},
		{"api.example.com:99999", "--allow-net:1:1: "},
		{"quic/api.example.com:443", "unknown protocol 'quic'"},
		{"tls/", "--allow-net:1:5: "},
		{"a b:443", "--allow-net:1:2: "},
		{"a:443\nnet allow any *:*", "--allow-net:1:6: "},
		{"", "--allow-net:1:1: "},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		bad(&(struct made){.file = {"policy 1\n"}, .net = {all[i].net}}, all[i].message);
}
END_TEST

START_TEST(forks_and_granted_names)
{
	const struct made parent_made = {.file = {"policy 1\nnet ask tls *:443\n"},
					 .net = {"api.example.com:443"}};
	const struct made same = parent_made;
	const struct made fewer = {.file = {"policy 1\nnet allow tls api.example.com:443\n"}};
	const struct made asks = {.file = {"policy 1\nnet ask tls *:443\n"}};
	const struct made more = {.file = {"policy 1\nnet ask tls *:443\n"},
				  .net = {"evil.example.com:443"}};
	const struct made around = {.file = {"policy 1\nnet ask tls a.example.com:443\n"
					     "net deny tls *.example.com:443\n"},
				    .net = {"a.example.com:443"}};
	const struct made denies = {.file = {"policy 1\nnet deny tls a.example.com:443\n"
					     "net allow tls *.example.com:443\n"}};
	struct policy *parent = good(&parent_made), *child;
	struct err err;

	child = good(&same);
	ck_assert_msg(policy_is_narrower(child, parent, &err) == 0, "%s", err.text);
	policy_free(child);
	child = good(&asks);
	ck_assert_msg(policy_is_narrower(child, parent, &err) == 0, "%s", err.text);
	policy_free(child);
	child = good(&more);
	ck_assert_int_eq(policy_is_narrower(child, parent, &err), -EPERM);
	policy_free(child);
	/* Not proven, so refused: as a rule it does not approve anything in advance. */
	child = good(&fewer);
	ck_assert_int_eq(policy_is_narrower(child, parent, &err), -EPERM);
	policy_free(child);
	policy_free(parent);
	parent = good(&denies);
	child = good(&around);
	ck_assert_int_eq(policy_is_narrower(child, parent, &err), -EPERM);
	policy_free(child);
	policy_free(parent);
}
END_TEST

START_TEST(texts_from_descriptors)
{
	char path[64], *text;
	struct err err;
	size_t length;
	int fd[2];

	ck_assert_int_eq(policy_text_fd("-"), 0);
	ck_assert_int_eq(policy_text_fd("/dev/stdin"), 0);
	ck_assert_int_eq(policy_text_fd("/dev/fd/63"), 63);
	ck_assert_int_eq(policy_text_fd("/proc/self/fd/9"), 9);
	ck_assert_int_eq(policy_text_fd("/dev/fd/"), -1);
	ck_assert_int_eq(policy_text_fd("/dev/fd/1x"), -1);
	ck_assert_int_eq(policy_text_fd("/dev/fd/-1"), -1);
	ck_assert_int_eq(policy_text_fd("./-"), -1);
	ck_assert_int_eq(policy_text_read("/dev/fd/999", &text, &length, &err), -EBADF);
	ck_assert_int_eq(policy_text_read("/dev/zero", &text, &length, &err), -EINVAL);
	ck_assert_int_eq(pipe2(fd, O_NONBLOCK), 0);
	ck_assert_int_eq(write(fd[1], "policy 1\n", 9), 9);
	close(fd[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
	ck_assert_int_eq(policy_text_read(path, &text, &length, &err), 0);
	ck_assert_uint_eq(length, 9);
	ck_assert_int_eq(memcmp(text, "policy 1\n", 9), 0);
	free(text);
	close(fd[0]);
	/* What does not end is read no further than the bound. */
	fd[0] = open("/dev/zero", O_RDONLY);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
	ck_assert_int_eq(policy_text_read(path, &text, &length, &err), 0);
	ck_assert_uint_eq(length, POLICY_FILE_MAX + 1);
	free(text);
	close(fd[0]);
}
END_TEST

START_TEST(a_preset_that_is_not_there)
{
	static const struct {
		const char *name, *message;
	} all[] = {
		{"agnet", "policy agnet: no such file, and no preset: did you mean 'agent'?"},
		{"lock", "policy lock: no such file, and no preset: did you mean 'locked'?"},
		{"nothing-like-it", "policy nothing-like-it: no such file, and no preset (see "
				    "'cordon policy presets')"},
	};
	struct policy_options options;
	struct policy *policy;
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		options = (struct policy_options){.policies = 0};
		ck_assert_int_eq(policy_add_file(&options, all[i].name, &err), 0);
		ck_assert_int_eq(policy_load(&policy, &options, &err), -ENOENT);
		ck_assert_str_eq(err.text, all[i].message);
	}
	options = (struct policy_options){.policies = 0};
	ck_assert_int_eq(policy_add_file(&options, "agent", &err), 0);
	ck_assert_msg(policy_load(&policy, &options, &err) == 0, "%s", err.text);
	policy_free(policy);
}
END_TEST

UNIT_MAIN("policy_options", rules_in_the_order_given, of_limits_the_lowest, of_on_ask_the_strictest,
	  what_several_files_must_not_say, a_text_that_is_not_whole, names_without_a_policy,
	  approvals_in_advance, denials_stay, bad_names, forks_and_granted_names,
	  texts_from_descriptors, a_preset_that_is_not_there)
