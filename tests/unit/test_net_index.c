/* SPDX-License-Identifier: Apache-2.0 */
/* The index of network rules finds the same rule as a linear search. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/unit.h"
#include "vmm/policy/internal.h"

static char text[POLICY_FILE_MAX];
static struct policy *policy;

static void parse(size_t length)
{
	const struct policy_source source = {.name = "p", .directory = "/", .lenient = true};
	struct err err = {.text = ""};

	ck_assert_msg(policy_parse(&policy, text, length, &source, &err) == 0, "%s", err.text);
}

/* The first matching rule by linear search: the index must find the same. */
static size_t by_trying(const struct policy_request *request)
{
	const struct rule_list *list = &policy->class[POLICY_NET];
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (request->op == POLICY_CONNECT && net_rule_matches(list->rule[i], &request->net))
			break;
		if (request->op == POLICY_RESOLVE && request->net.name &&
		    net_rule_names(list->rule[i], request->net.name))
			break;
	}
	return i;
}

static const char *const names[] = {"a.test", "b.a.test",	  "c.b.a.test",
				    "test",   "xa.test",	  "host",
				    "b.test", "a.b.c.d.e.f.test", "xn--q.test"};
static const char *const addresses[] = {"192.0.2.1",   "192.0.3.1",   "10.1.2.3",
					"10.0.0.1",    "8.8.8.8",     "127.0.0.1",
					"2001:db8::1", "2001:db9::1", "169.254.0.1"};

static void compare(unsigned seed)
{
	struct policy_request request = {.class = POLICY_NET};
	struct policy_decision decision;
	const char *address;
	unsigned i, found = 0;

	srandom(seed);
	for (i = 0; i < 1000; i++) {
		address = addresses[random() % ARRAY_SIZE(addresses)];
		request.op = random() % 4 ? POLICY_CONNECT : POLICY_RESOLVE;
		request.net = (struct policy_net){
			.protocol = (enum policy_protocol)(random() % 5),
			.name = random() % 4 ? names[random() % ARRAY_SIZE(names)] : NULL,
			.family = strchr(address, ':') ? AF_INET6 : AF_INET,
			.port = (uint16_t)(random() % 3 ? 443 : 80),
			.host = random() % 8 == 0,
		};
		inet_pton((int)request.net.family, address, request.net.address);
		policy_decide(policy, &request, &decision);
		ck_assert_uint_eq(decision.number ? decision.number - 1
						  : policy->class[POLICY_NET].count,
				  by_trying(&request));
		found += decision.number > 0;
	}
	ck_assert_uint_gt(found, 0);
}

/* Rules of all kinds in random order; those that never decide are left out. */
static size_t random_rules(unsigned rules)
{
	static const char *const verdicts[] = {"allow", "deny", "ask"};
	static const char *const protocols[] = {"tcp", "udp", "tls", "http"};
	static const char *const targets[] = {
		"a.test",	   "*.a.test",	    "b.a.test",	  "*.test",	 "*.b.a.test",
		"192.0.2.0/24",	   "192.0.0.0/16",  "10.0.0.0/8", "10.1.2.3",	 "host",
		"[2001:db8::]/32", "[2001:db8::1]", "8.8.8.8/32", "127.0.0.0/8", "b.test"};
	static const char *const ports[] = {"443", "80", "80-500", "*"};
	const struct policy_source source = {.name = "p", .directory = "/", .lenient = true};
	size_t length = (size_t)sprintf(text, "policy 1\n"), more;
	struct policy *tried;
	unsigned i;

	for (i = 0; i < rules; i++) {
		more = (size_t)sprintf(text + length, "net %s %s %s:%s\n", verdicts[random() % 3],
				       protocols[random() % 4],
				       targets[(size_t)random() % ARRAY_SIZE(targets)],
				       ports[random() % 4]);
		if (policy_parse(&tried, text, length + more, &source, NULL) < 0)
			continue;
		policy_free(tried);
		length += more;
	}
	return length;
}

START_TEST(the_index_finds_the_first_rule)
{
	unsigned seed;

	for (seed = 1; seed <= 12; seed++) {
		srandom(seed);
		parse(random_rules(25));
		compare(seed);
		policy_free(policy);
	}
}
END_TEST

START_TEST(a_rule_about_anything_counts_in_its_place)
{
	const char *const rules = "policy 1\nnet deny tcp a.test:22\nnet allow tcp *:22\n"
				  "net allow icmp *\nnet allow dns *.a.test\nnet allow udp *:53\n";

	strcpy(text, rules);
	parse(strlen(text));
	compare(7);
	policy_free(policy);
}
END_TEST

UNIT_MAIN("net_index", the_index_finds_the_first_rule, a_rule_about_anything_counts_in_its_place)
