/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about methods and paths of HTTP requests. */
#include "tests/unit/policy_common.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/reach.h"
#include "vmm/policy/request.h"

static struct policy *parse(const char *text, bool lenient, int *ret)
{
	struct policy_source source = here;
	struct policy *policy;
	char whole[2048];

	source.lenient = lenient;
	snprintf(whole, sizeof(whole), "policy 1\n%s", text);
	*ret = policy_parse(&policy, whole, strlen(whole), &source, &why);
	return policy;
}

static struct policy *lenient(const char *text)
{
	int ret;
	struct policy *policy = parse(text, true, &ret);

	ck_assert_msg(policy != NULL, "%s: %s", text, why.text);
	return policy;
}

static struct policy_request request_to(const char *name, const char *method, const char *path)
{
	return (struct policy_request){
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = POLICY_HTTP,
			.name = name,
			.family = AF_INET,
			.address = {93, 184, 216, 34},
			.port = 80,
			.method = method,
			.path = path},
	};
}

static enum policy_verdict ask(const struct policy *policy, const char *name, const char *method,
			       const char *path)
{
	struct policy_request request = request_to(name, method, path);
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

static enum policy_verdict ask_unclear(const struct policy *policy, const char *name,
				       const char *method, const char *path)
{
	struct policy_request request = request_to(name, method, path);
	struct policy_decision decision;

	request.net.unclear = true;
	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

#define ALLOWED(...) ck_assert_int_eq(ask(policy, __VA_ARGS__), POLICY_ALLOW)
#define DENIED(...)  ck_assert_int_eq(ask(policy, __VA_ARGS__), POLICY_DENY)

START_TEST(methods_and_paths_decide)
{
	struct policy *policy = lenient("net allow http GET,HEAD a.example/v1/** b.example:80\n"
					"net ask http POST a.example/v1/new\n"
					"net allow http c.example/x*/?\n"
					"net allow http *.d.example\n");

	ALLOWED("a.example", "GET", "/v1");
	ALLOWED("a.example", "HEAD", "/v1/a/b%20c");
	ALLOWED("b.example", "GET", "/anything");
	ALLOWED("c.example", "DELETE", "/xy/z");
	ALLOWED("x.d.example", "M-SEARCH", "/");
	ck_assert_int_eq(ask(policy, "a.example", "POST", "/v1/new"), POLICY_ASK);
	DENIED("a.example", "GET", "/v2");
	DENIED("a.example", "GET", "/");
	DENIED("a.example", "GET", "/V1");
	DENIED("a.example", "PUT", "/v1/a");
	DENIED("a.example", "M-SEARCH", "/v1/a");
	DENIED("b.example", "POST", "/anything");
	DENIED("c.example", "GET", "/xy/zz");
	DENIED("c.example", "GET", "/xy");
	DENIED("a.example", "GET", "v1");
	DENIED("a.example", "GET", "/v1/../x");
	policy_free(policy);
}
END_TEST

START_TEST(before_the_first_request_what_is_possible_counts)
{
	struct policy *policy = lenient("net deny http POST a.example\n"
					"net allow http GET a.example/v1/**\n"
					"net deny http b.example/x\n");

	ALLOWED("a.example", NULL, NULL);
	DENIED("b.example", NULL, NULL);
	policy_free(policy);
	policy = lenient("net deny http a.example/x\nnet allow http a.example\n");
	ALLOWED("a.example", NULL, NULL);
	DENIED("a.example", "GET", "/x");
	DENIED("a.example", "GET", "/x/y");
	ALLOWED("a.example", "GET", "/xy");
	policy_free(policy);
}
END_TEST

START_TEST(an_unclear_request_is_allowed_by_host_only)
{
	struct policy *policy = lenient("net deny http a.example/admin\n"
					"net allow http a.example\n"
					"net allow http b.example/**\n"
					"net allow http GET c.example\n"
					"net ask http d.example/**\n"
					"net allow http e.example\n");

	ck_assert_int_eq(ask_unclear(policy, "a.example", "GET", "/x//y"), POLICY_DENY);
	ck_assert_int_eq(ask_unclear(policy, "b.example", "GET", "/x//y"), POLICY_DENY);
	ck_assert_int_eq(ask_unclear(policy, "c.example", "GET", "/x//y"), POLICY_DENY);
	ck_assert_int_eq(ask_unclear(policy, "d.example", "GET", "/x//y"), POLICY_DENY);
	ck_assert_int_eq(ask_unclear(policy, "e.example", "GET", "/x//y"), POLICY_ALLOW);
	ALLOWED("a.example", "GET", "/x/y");
	ALLOWED("b.example", "GET", "/x/y");
	ALLOWED("c.example", "GET", "/x/y");
	policy_free(policy);
}
END_TEST

START_TEST(ports_and_addresses_come_before_paths)
{
	struct policy *policy = lenient("net allow http 93.184.0.0/16:8080/x 93.184.216.34/v1\n"
					"net allow http a.example:8000-8080/y\n"
					"net allow http [2001:db8::]/32:80/z\n"
					"net allow http 10.1.2.3:80/24 10.2.0.0/16\n");
	struct policy_request request = request_to(NULL, "GET", "/v1");
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	request.net.path = "/x";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_DENY);
	request.net.port = 8080;
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	DENIED("a.example", "GET", "/y");
	request.net.name = "a.example";
	request.net.path = "/y";
	policy_decide(policy, &request, &decision);
	ck_assert_int_eq(decision.verdict, POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(mistakes_are_errors)
{
	static const char *const bad[][2] = {
		{"net allow http get a.example", "write methods in capitals"},
		{"net allow http get,post a.example", "write methods in capitals"},
		{"net allow http GTE a.example", "did you mean 'GET'?"},
		{"net allow http GET, a.example", "a method is missing"},
		{"net allow http GET,,HEAD a.example", "a method is missing"},
		{"net allow http GET ,HEAD", "is not a name"},
		{"net allow http GET a.example/x /y", "'/y': a path stands behind its host"},
		{"net allow http GET/a.example/x", "'GET' is a method"},
		{"net allow http * a.example/x", "'*' is a target, every host"},
		{"net allow http CONNECT a.example", "CONNECT is always refused"},
		{"net allow http GET", "write net VERDICT http [METHOD,...] TARGET ..."},
		{"net allow tls GET a.example:443", "'GET' has no port"},
		{"net allow tls a.example:443/x", "is not a port"},
		{"net allow http http://a.example/x", "leave out 'http://'"},
		{"net allow http a.example:/x", "is not a port"},
		{"net allow http a.example/x/", "'/x/'"},
		{"net allow http a.example/x//y", "'/x//y'"},
		{"net allow http a.example/../y", "'/../y'"},
		{"net allow http a.example/%2", "'%' begins an escape"},
		{"net allow http a.example/%c3%a9", "'%' begins an escape"},
		{"net allow http a.example/%41", "write 'A', not '%41'"},
		{"net allow http a.example/a%2Fb", "no rule about paths matches"},
		{"net allow http a.example/a;b", "no rule about paths matches"},
		{"net allow http a.example/caf\xc3\xa9", "printable ASCII"},
		{"net allow http a.example/{a,b}", "printable ASCII"},
		{"net allow http a.example/[a", "'[' without ']'"},
		{"net allow http 10.0.0.0/33/x", "is not a prefix length"},
	};
	int ret;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i][0], true, &ret) == NULL, "%s", bad[i][0]);
		ck_assert_msg(strstr(why.text, bad[i][1]) != NULL, "%s: %s", bad[i][0], why.text);
		ck_assert_int_eq(ret, -EINVAL);
	}
	policy_free(lenient("net allow http GET:80/x\nnet allow http *:8080 host:8080"));
	policy_free(lenient("net allow http a.example/%20/%C3%A9/[a-c]*/\\*/**"));
}
END_TEST

START_TEST(rules_about_requests_are_accepted)
{
	static const char *const rule[] = {"net allow http GET a.example",
					   "net allow http a.example/x",
					   "net deny http a.example:80/**"};
	int ret;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rule); i++) {
		policy_free(parse(rule[i], false, &ret));
		ck_assert_int_eq(ret, 0);
	}
	/* The port is 80 unless written. */
	policy_free(parse("net allow http a.example 10.0.0.0/8", false, &ret));
	ck_assert_int_eq(ret, 0);
}
END_TEST

/* --- comparing -------------------------------------------------------------------------------- */

START_TEST(rules_that_never_decide_are_found)
{
	static const char *const bad[] = {
		"net allow http a.example\nnet allow http GET a.example/x",
		"net allow http GET,POST a.example\nnet allow http POST a.example",
		"net allow http a.example/x/**\nnet allow http GET a.example/x/y",
		"net allow http a.example/x\nnet allow http a.example:80/x",
		"net allow tcp a.example:80\nnet deny http a.example/x",
		"net deny http a.example/x\nnet allow http a.example/x/y",
	};
	static const char *const fine[] = {
		"net allow http GET a.example/x\nnet allow http a.example",
		"net allow http GET a.example\nnet allow http POST a.example",
		"net allow http a.example/x/**\nnet allow http a.example/y",
		/* The denial also meets what is unclear. */
		"net allow http a.example/x/**\nnet deny http a.example/x/y",
		"net allow http a.example/x\nnet deny http a.example/x",
	};
	int ret;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i], true, &ret) == NULL, "%s", bad[i]);
		ck_assert_msg(strstr(why.text, "never decides") != NULL, "%s", why.text);
	}
	for (i = 0; i < ARRAY_SIZE(fine); i++)
		policy_free(lenient(fine[i]));
}
END_TEST

static int narrower(const char *child, const char *parent)
{
	struct policy *a = lenient(child), *b = lenient(parent);
	int ret = policy_is_narrower(a, b, &why);

	policy_free(a);
	policy_free(b);
	return ret;
}

START_TEST(narrower_rules_are_proven)
{
	static const char *const yes[][2] = {
		{"net allow http GET a.example/x", "net allow http a.example"},
		{"net allow http GET a.example/x/y", "net allow http GET,POST a.example/x/**"},
		{"net allow http a.example/x", "net allow tcp a.example:*"},
		{"net ask http a.example/x", "net allow http a.example"},
		{"net allow http GET a.example",
		 "net deny http POST a.example\nnet allow http a.example"},
		{"net allow http a.example/x",
		 "net deny http a.example/y\nnet allow http a.example"},
		{"net deny http a.example/y\nnet allow http a.example",
		 "net deny http a.example/y\nnet allow http a.example"},
	};
	static const char *const no[][2] = {
		{"net allow http a.example", "net allow http GET a.example"},
		{"net allow http a.example", "net allow http a.example/**"},
		{"net allow http a.example/x", "net allow http a.example/y"},
		{"net allow http GET,PUT a.example", "net allow http GET,POST a.example"},
		{"net allow tcp a.example:80", "net allow http a.example"},
		{"net allow http a.example/x", "net ask http a.example/x"},
		{"net allow http a.example", "net deny http a.example/y\nnet allow http a.example"},
		{"net allow http a.example/y/z",
		 "net deny http a.example/y\nnet allow http a.example"},
		{"net deny http GET a.example/y\nnet allow http a.example",
		 "net deny http a.example/y\nnet allow http a.example"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++)
		ck_assert_msg(narrower(yes[i][0], yes[i][1]) == 0, "%s: %s", yes[i][0], why.text);
	for (i = 0; i < ARRAY_SIZE(no); i++)
		ck_assert_msg(narrower(no[i][0], no[i][1]) == -EPERM, "%s", no[i][0]);
}
END_TEST

/* --- requests as text ------------------------------------------------------------------------- */

START_TEST(a_request_becomes_a_rule)
{
	static char rule[POLICY_REQUEST_RULE], text[POLICY_REQUEST_TEXT],
		strings[POLICY_REQUEST_STRINGS];
	struct policy_request request = request_to("a.example", "GET", "/x*/100%25"), copy, other;
	struct policy *policy;

	policy_request_rule(&request, POLICY_ACTION_ALLOW, rule);
	ck_assert_str_eq(rule, "net allow http GET a.example:80/x\\*/100%25");
	policy = lenient(rule);
	ALLOWED("a.example", "GET", "/x*/100%25");
	DENIED("a.example", "GET", "/xy/100%25");
	policy_free(policy);
	policy_request_text(&request, text);
	ck_assert_str_eq(text, "http a.example 93.184.216.34:80 GET /x*/100%25");
	ck_assert(policy_request_is_plain(&request));
	ck_assert_int_eq(policy_request_copy(&copy, strings, &request), 0);
	ck_assert(policy_request_same(&copy, &request));
	ck_assert(copy.net.path != request.net.path);
	other = request;
	other.net.path = "/x";
	ck_assert(!policy_request_same(&copy, &other));
	other = request;
	other.net.method = NULL;
	ck_assert(!policy_request_same(&copy, &other));
	/* No narrower rule would match. */
	other = request;
	other.net.unclear = true;
	ck_assert(!policy_request_same(&copy, &other));
	policy_request_rule(&other, POLICY_ACTION_ALLOW, rule);
	ck_assert_str_eq(rule, "net allow http a.example:80");
	other = request_to("a.example", "M-SEARCH", "/");
	policy_request_rule(&other, POLICY_ACTION_ALLOW, rule);
	ck_assert_str_eq(rule, "net allow http a.example:80");
	other.net.path = "/\x1b[2J";
	ck_assert(!policy_request_is_plain(&other));
}
END_TEST

START_TEST(reach_of_a_rule_is_shown)
{
	struct policy *policy = lenient("net allow http POST,GET a.example/x");
	struct policy_reach reach;

	policy_reach(policy_rule(policy, POLICY_NET, 0), &reach);
	ck_assert_uint_eq(reach.broader_count, 2);
	ck_assert_str_eq(reach.broader[0], "net allow http a.example/x");
	ck_assert_str_eq(reach.broader[1], "net allow http GET,POST a.example:80");
	policy_free(policy);
}
END_TEST

UNIT_MAIN("policy_http", methods_and_paths_decide, before_the_first_request_what_is_possible_counts,
	  an_unclear_request_is_allowed_by_host_only, ports_and_addresses_come_before_paths,
	  mistakes_are_errors, rules_about_requests_are_accepted, rules_that_never_decide_are_found,
	  narrower_rules_are_proven, a_request_becomes_a_rule, reach_of_a_rule_is_shown)
