/* SPDX-License-Identifier: Apache-2.0 */
/* `net allow any`: everything on the network but the host's loopback. */
#include "tests/unit/policy_common.h"
#include "vmm/base/special.h"
#include "vmm/policy/added.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/reach.h"
#include "vmm/policy/risks.h"

static struct policy *parse(const char *text, int *ret)
{
	struct policy *policy;
	char whole[2048];

	snprintf(whole, sizeof(whole), "policy 1\n%s", text);
	*ret = policy_parse(&policy, whole, strlen(whole), &here, &why);
	return policy;
}

static struct policy *accepted(const char *text)
{
	int ret;
	struct policy *policy = parse(text, &ret);

	ck_assert_msg(policy != NULL, "%s: %s", text, why.text);
	return policy;
}

static struct policy_request request_to(enum policy_protocol protocol, const char *name,
					const char *address)
{
	bool bare = protocol == POLICY_ICMP || protocol == POLICY_DNS;
	struct policy_request request = {
		.class = POLICY_NET,
		.op = protocol == POLICY_DNS ? POLICY_RESOLVE : POLICY_CONNECT,
		.net = {.protocol = protocol, .name = name, .port = bare ? 0 : 443},
	};

	if (address) {
		request.net.family = strchr(address, ':') ? AF_INET6 : AF_INET;
		ck_assert_int_eq(inet_pton((int)request.net.family, address, request.net.address),
				 1);
	}
	return request;
}

static enum policy_verdict ask(const struct policy *policy, enum policy_protocol protocol,
			       const char *name, const char *address)
{
	struct policy_request request = request_to(protocol, name, address);
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

static enum policy_verdict ask_host(const struct policy *policy, enum policy_protocol protocol)
{
	struct policy_request request = request_to(protocol, "host", "127.0.0.1");
	struct policy_decision decision;

	request.net.host = true;
	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

/* --- what it opens ---------------------------------------------------------------------------- */

START_TEST(everything_is_open_but_the_loopback)
{
	static const char *const address[] = {"93.184.216.34",	 "10.1.2.3", "169.254.169.254",
					      "192.0.2.9",	 "fd00::1",  "2001:4860::8",
					      "64:ff9b::a01:203"};
	static const enum policy_protocol protocol[] = {POLICY_TCP,  POLICY_UDP,  POLICY_TLS,
							POLICY_HTTP, POLICY_ICMP, POLICY_DNS};
	struct policy *any = accepted("net allow any\n"), *star = accepted("net allow tcp *:*\n");
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(protocol); i++) {
		for (k = 0; k < ARRAY_SIZE(address); k++) {
			ck_assert_int_eq(ask(any, protocol[i], "a.example", address[k]),
					 POLICY_ALLOW);
			if (protocol[i] != POLICY_DNS)
				ck_assert_int_eq(ask(any, protocol[i], NULL, address[k]),
						 POLICY_ALLOW);
		}
		if (protocol[i] != POLICY_DNS)
			ck_assert_int_eq(ask_host(any, protocol[i]), POLICY_DENY);
	}
	/* A star does not reach special ranges, nor other protocols. */
	ck_assert_int_eq(ask(star, POLICY_TCP, NULL, "93.184.216.34"), POLICY_ALLOW);
	ck_assert_int_eq(ask(star, POLICY_TCP, NULL, "10.1.2.3"), POLICY_DENY);
	ck_assert_int_eq(ask(star, POLICY_UDP, NULL, "93.184.216.34"), POLICY_DENY);
	policy_free(any);
	policy_free(star);
}
END_TEST

START_TEST(every_special_range_is_open)
{
	struct policy *policy = accepted("net allow any\n");
	struct policy_request request = request_to(POLICY_TCP, NULL, NULL);
	const struct special_range *range;
	struct policy_decision decision;
	size_t i;

	for (i = 0; (range = special_range_at(i)) != NULL; i++) {
		request.net.family = range->family;
		memcpy(request.net.address, range->network, sizeof(request.net.address));
		policy_decide(policy, &request, &decision);
		ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	}
	ck_assert_uint_gt(i, 0);
	policy_free(policy);
}
END_TEST

START_TEST(rules_before_it_hold)
{
	struct policy *policy = accepted("net deny tcp evil.example:* 10.0.0.0/8:*\n"
					 "net ask udp *:443\n"
					 "net allow any\n"
					 "net allow tcp host:443\n");

	ck_assert_int_eq(ask(policy, POLICY_TCP, "evil.example", "93.184.216.34"), POLICY_DENY);
	ck_assert_int_eq(ask(policy, POLICY_TLS, "evil.example", "93.184.216.34"), POLICY_DENY);
	ck_assert_int_eq(ask(policy, POLICY_TCP, NULL, "10.1.2.3"), POLICY_DENY);
	ck_assert_int_eq(ask(policy, POLICY_UDP, NULL, "93.184.216.34"), POLICY_ASK);
	ck_assert_int_eq(ask(policy, POLICY_UDP, NULL, "10.1.2.3"), POLICY_ALLOW);
	ck_assert_int_eq(ask(policy, POLICY_TCP, "good.example", "93.184.216.34"), POLICY_ALLOW);
	ck_assert_int_eq(ask(policy, POLICY_TCP, NULL, "192.168.1.1"), POLICY_ALLOW);
	/* The loopback has rules of its own, also behind it. */
	ck_assert_int_eq(ask_host(policy, POLICY_TCP), POLICY_ALLOW);
	ck_assert_int_eq(ask_host(policy, POLICY_UDP), POLICY_DENY);
	policy_free(policy);
}
END_TEST

/* --- the statement ---------------------------------------------------------------------------- */

START_TEST(it_is_the_whole_statement)
{
	static const struct {
		const char *text, *wanted;
	} bad[] = {
		{"net deny any", "p:2:10: 'any' is for 'allow' only, and what no rule allows is "
				 "denied: remove the line, or write net deny tcp *:* and the like"},
		{"net ask any", "p:2:9: 'any' is for 'allow' only: write net ask tcp *:*, and a "
				"line for each other protocol"},
		{"net deny any *:*", "p:2:10: 'any' is for 'allow' only"},
		{"net allow any *:443", "p:2:15: nothing follows net allow any, which is about "
					"everything: for less, write net allow PROTOCOL TARGET"},
		{"net allow any any", "p:2:15: nothing follows net allow any"},
		{"net allow anny *:1", "unknown protocol 'anny': did you mean 'any'?"},
		{"net alow any", "unknown verdict 'alow': did you mean 'allow'?"},
		{"net allow", "p:2:1: write net VERDICT"},
		{"net allow tcp", "p:2:1: write net VERDICT"},
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i].text, &ret) == NULL, "%s", bad[i].text);
		ck_assert_int_eq(ret, -EINVAL);
		ck_assert_msg(strstr(why.text, bad[i].wanted) != NULL, "%s", why.text);
	}
	policy_free(accepted("net\tallow  any # all of it\n"));
	/* A host may have that name. */
	policy_free(accepted("net allow tcp any:80\nnet deny udp any:*\n"));
}
END_TEST

START_TEST(rules_that_never_decide_are_found)
{
	static const char *const bad[] = {
		"net allow any\nnet deny tcp evil.example:*",
		"net allow any\nnet allow tcp 10.0.0.0/8:22",
		"net allow any\nnet allow any",
		"net allow any\nnet ask icmp *",
		"net allow any\nnet deny dns *.example",
		"net allow tcp *:*\nnet deny tls a.example:443\nnet allow any",
	};
	static const char *const fine[] = {
		"net allow any\nnet allow tcp host:80",
		"net allow tcp *:*\nnet allow any",
		"net deny tcp *:*\nnet deny udp *:*\nnet deny icmp *\nnet allow any",
		/* A star reaches no special range, so the denial decides. */
		"net allow tcp *:*\nnet deny tcp 10.0.0.0/8:*\nnet allow any",
		"net allow tcp 0.0.0.0/0:*\nnet deny tcp 10.0.0.0/8:*\nnet allow any",
	};
	int ret;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i], &ret) == NULL, "%s", bad[i]);
		ck_assert_msg(strstr(why.text, "never decides") != NULL, "%s", why.text);
	}
	for (i = 0; i < ARRAY_SIZE(fine); i++)
		policy_free(accepted(fine[i]));
}
END_TEST

START_TEST(only_the_first_rule_makes_a_policy_of_any)
{
	static const struct {
		const char *text;
		bool any;
	} all[] = {
		{"", false},
		{"net allow any", true},
		{"net allow any\nnet allow tcp host:80", true},
		{"net deny tcp evil.example:*\nnet allow any", false},
		{"net allow tcp host:80\nnet allow any", false},
		{"net allow tcp *:*", false},
		{"include agent\nnet allow any", false},
	};
	struct policy *policy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		policy = accepted(all[i].text);
		ck_assert_msg(policy_allows_any(policy) == all[i].any, "%s", all[i].text);
		policy_free(policy);
	}
}
END_TEST

/* --- a policy in force ------------------------------------------------------------------------ */

static struct policy *with_line(const struct policy *policy, const char *line)
{
	struct policy *made;
	int ret = policy_add_line(&made, policy, line, &why);

	ck_assert_msg(ret == 0, "%s: %s", line, why.text);
	return made;
}

/* An added permission comes last, where it overrides no denial; an added denial comes first. */
START_TEST(added_rules_count_in_their_order)
{
	struct policy *locked = accepted(""), *some = accepted("net ask tcp *:443\n");
	struct policy *any = accepted("net allow any\n"), *made;

	made = with_line(locked, "net allow any");
	ck_assert(policy_allows_any(made));
	ck_assert_int_eq(ask(made, POLICY_UDP, NULL, "10.1.2.3"), POLICY_ALLOW);
	policy_free(made);
	made = with_line(some, "net allow any");
	ck_assert(!policy_allows_any(made));
	ck_assert_int_eq(ask(made, POLICY_TCP, NULL, "93.184.216.34"), POLICY_ALLOW);
	policy_free(made);
	made = with_line(any, "net deny tcp evil.example:*");
	ck_assert(!policy_allows_any(made));
	ck_assert_int_eq(ask(made, POLICY_TCP, "evil.example", "93.184.216.34"), POLICY_DENY);
	ck_assert_int_eq(ask(made, POLICY_TCP, "good.example", "93.184.216.34"), POLICY_ALLOW);
	policy_free(made);
	ck_assert_int_eq(policy_add_line(&made, any, "net allow tcp 10.0.0.0/8:22", &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "it would change nothing"));
	policy_free(locked);
	policy_free(some);
	policy_free(any);
}
END_TEST

static int narrower(const char *child, const char *parent)
{
	struct policy *a = accepted(child), *b = accepted(parent);
	int ret = policy_is_narrower(a, b, &why);

	policy_free(a);
	policy_free(b);
	return ret;
}

START_TEST(narrower_policies_are_proven)
{
	static const char *const yes[][2] = {
		{"net allow any", "net allow any"},
		{"net allow tcp *:* 10.0.0.0/8:*\nnet ask icmp *\nnet allow dns *",
		 "net allow any"},
		{"net deny tcp 10.0.0.0/8:*\nnet allow any",
		 "net deny tcp 10.0.0.0/8:*\nnet allow any"},
		{"", "net allow any"},
		/* Of special ranges, too, without any. */
		{"net allow tcp 10.1.0.0/16:22", "net allow tcp 10.0.0.0/8:*"},
		{"net allow tcp 93.184.0.0/16:22", "net allow tcp *:*"},
		{"net allow tcp 8.0.0.0/6:22", "net allow tcp *:*"},
		{"net allow tcp [2001:10::]/28:22", "net allow tcp [2001::]/23:*"},
	};
	static const char *const no[][2] = {
		{"net allow any", ""},
		{"net allow any", "net allow tcp *:*\nnet allow udp *:*\nnet allow icmp *"},
		{"net allow any", "net deny tcp 10.0.0.0/8:*\nnet allow any"},
		{"net allow any", "net ask tcp *:443\nnet allow any"},
		{"net allow tcp host:80", "net allow any"},
		/* No star and no wider network permits a special range. */
		{"net allow tcp 10.0.0.0/8:22", "net allow tcp *:*"},
		{"net allow tcp 10.0.0.0/8:22", "net allow tcp 8.0.0.0/6:*"},
		{"net allow tcp 169.254.169.254:80", "net allow tcp 0.0.0.0/0:*"},
		{"net allow tcp [fd00::1]:22", "net allow tcp *:*"},
		{"net allow tcp [2001:0:5::]/48:22", "net allow tcp [2001::]/23:*"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++)
		ck_assert_msg(narrower(yes[i][0], yes[i][1]) == 0, "%s: %s", yes[i][0], why.text);
	for (i = 0; i < ARRAY_SIZE(no); i++) {
		ck_assert_msg(narrower(no[i][0], no[i][1]) == -EPERM, "%s / %s", no[i][0],
			      no[i][1]);
		ck_assert_ptr_nonnull(strstr(why.text, "it allows more"));
	}
	narrower("net allow any", "");
	ck_assert_ptr_nonnull(strstr(why.text, "net any (p:2)"));
}
END_TEST

/* --- what is shown ---------------------------------------------------------------------------- */

static void note_risk(void *arg, const char *text)
{
	strcat(arg, text);
	strcat(arg, "\n");
}

START_TEST(it_is_a_risk_with_a_reach)
{
	char told[1024] = "";
	const struct policy_risk_ops ops = {.report = note_risk, .arg = told};
	struct policy *policy = accepted("net deny tcp *:*\nnet allow any\n");
	struct policy_reach reach;

	policy_risks(policy, &ops);
	ck_assert_str_eq(told, "p:3: everything on the network, the local network included, is "
			       "within reach\n");
	policy_reach(policy_rule(policy, POLICY_NET, 1), &reach);
	ck_assert_uint_eq(reach.broader_count, 0);
	ck_assert_uint_eq(reach.narrower_count, 2);
	ck_assert_str_eq(reach.narrower[0], "net allow tcp *:*");
	ck_assert_str_eq(reach.narrower[1], "net allow tls *:443");
	policy_free(policy);
}
END_TEST

START_TEST(rules_that_surprise_are_risks)
{
	static const char *const rule[][2] = {
		{"net allow tcp 0.0.0.0/0:443", "p:2: the whole Internet is within reach\n"},
		{"net allow tls *:443", "p:2: the whole Internet is within reach\n"},
		{"net ask tls *:443", ""},
		{"net allow tcp 127.0.0.1:80", "p:2: 127.0.0.1:80 is the sandbox's own loopback"},
		{"net ask tcp [::1]:80", "p:2: [::1]:80 is the sandbox's own loopback"},
		{"net allow tcp localhost:80", "p:2: localhost:80 is the sandbox's own loopback"},
		{"net deny tcp 127.0.0.1:80", ""},
		{"net allow tcp 10.0.0.1:80 host:80 [::2]:80", ""},
		{"net allow udp 192.0.2.4:53", "p:2: 192.0.2.4:53 is in the sandbox's own network"},
		{"net allow tcp [2001:db8::4]:80", "is in the sandbox's own network"},
		{"net allow tcp 192.0.0.0/16:80 [2001:db9::]:80", ""},
		{"net allow http a:443/x", "p:2: a:443/x: port 443 has TLS"},
		{"net allow http a:8443 a/x", ""},
		{"net allow http a/x?y=1", "p:2: a/x?y=1: '?' stands for one character"},
		{"net allow http a/x\\?y=1 a/x?.html", ""},
	};
	struct policy *policy;
	char told[1024], text[128];
	const struct policy_risk_ops ops = {.report = note_risk, .arg = told};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rule); i++) {
		told[0] = '\0';
		snprintf(text, sizeof(text), "%s\n", rule[i][0]);
		policy = accepted(text);
		policy_risks(policy, &ops);
		ck_assert_msg(rule[i][1][0] ? strstr(told, rule[i][1]) != NULL : !told[0], "%s: %s",
			      rule[i][0], told);
		policy_free(policy);
	}
}
END_TEST

START_TEST(decisions_name_it)
{
	static struct policy_explanation explanation;
	struct policy *policy = accepted("net deny tcp *:25\nnet allow any\n");
	struct policy_request request = request_to(POLICY_UDP, NULL, "10.1.2.3");

	ck_assert_int_eq(policy_explain(policy, &request, &explanation), 0);
	ck_assert_str_eq(explanation.decision.rule->text, "net allow any");
	ck_assert_uint_eq(explanation.decision.line, 3);
	request = request_to(POLICY_TCP, "mail.example", "93.184.216.34");
	request.net.port = 25;
	ck_assert_int_eq(policy_explain(policy, &request, &explanation), 0);
	ck_assert_int_eq(explanation.decision.verdict, POLICY_DENY);
	ck_assert(explanation.matches);
	ck_assert_str_eq(explanation.nearest->text, "net allow any");
	ck_assert_str_eq(explanation.line, "net allow tcp mail.example:25");
	policy_free(policy);
}
END_TEST

UNIT_MAIN("policy_any", everything_is_open_but_the_loopback, every_special_range_is_open,
	  rules_before_it_hold, it_is_the_whole_statement, rules_that_never_decide_are_found,
	  only_the_first_rule_makes_a_policy_of_any, added_rules_count_in_their_order,
	  narrower_policies_are_proven, it_is_a_risk_with_a_reach, rules_that_surprise_are_risks,
	  decisions_name_it)
