/* SPDX-License-Identifier: Apache-2.0 */
/* The reach of rules: lines that match more, and less. */
#include "tests/unit/policy_common.h"
#include "vmm/policy/reach.h"

static const struct {
	const char *rule, *broader[REACH_LINES], *narrower[REACH_LINES];
} all[] = {
	{"net allow tls api.x.example:443",
	 {"net allow tls api.x.example:*", "net allow tls *.x.example:443"},
	 {NULL}},
	/* Nearly everything is in a top level. */
	{"net deny tls x.example:443", {"net deny tls x.example:*"}, {NULL}},
	{"net allow tls *.a.x.example:443",
	 {"net allow tls *.a.x.example:*", "net allow tls *.x.example:443"},
	 {NULL}},
	{"net allow tcp x.example:22",
	 {"net allow tcp x.example:*"},
	 {"net allow tls x.example:22"}},
	{"net allow tls x.example:*", {NULL}, {"net allow tls x.example:443"}},
	{"net allow http x.example:*", {NULL}, {"net allow http x.example:80"}},
	{"net allow udp 192.0.2.0/24:8000-8080",
	 {"net allow udp 192.0.2.0/24:*"},
	 {"net allow udp 192.0.2.0/24:8000"}},
	{"net allow tcp 93.184.216.34:5", {"net allow tcp 93.184.216.34:*"}, {NULL}},
	{"net allow udp [2001:db8::1]:53", {"net allow udp [2001:db8::1]:*"}, {NULL}},
	{"net allow udp [2001:db8::]/32:53", {"net allow udp [2001:db8::]/32:*"}, {NULL}},
	{"net allow icmp a.x.example", {"net allow icmp *.x.example"}, {NULL}},
	{"net allow tcp host:80", {"net allow tcp host:*"}, {NULL}},
	{"net allow tls *:443", {"net allow tls *:*"}, {NULL}},
	{"net allow tls a.example:443 b.example:444 c.example:445",
	 {NULL},
	 {"net allow tls a.example:443", "net allow tls b.example:444"}},
	{"file read /w/a/b", {"file read /w/a/*", "file read /w/a/**"}, {NULL}},
	{"file write /w/a/*", {"file write /w/a/**"}, {"file append /w/a/*"}},
	{"file append /w/a/**", {"file append /w/**"}, {"file append /w/a/*", "file read /w/a/**"}},
	{"file hide /w/**", {NULL}, {"file hide /w/*"}},
	{"file read /w", {NULL}, {NULL}},
	{"file read $PWD/a", {"file read /here/*", "file read /here/**"}, {NULL}},
	{"file deny /w/a /w/b/**", {NULL}, {"file deny /w/a", "file deny /w/b/**"}},
	{"exec allow /bin/sh", {"exec allow /bin/*", "exec allow /bin/**"}, {NULL}},
};

static unsigned count_of(const char *const line[REACH_LINES])
{
	return (line[0] != NULL) + (line[1] != NULL);
}

/* What is shown as a rule has to be one. */
static void check(const char *rule, const char *expected, const char *line)
{
	char text[1200];

	ck_assert_msg(strcmp(line, expected) == 0, "%s: %s instead of %s", rule, line, expected);
	snprintf(text, sizeof(text), "file read /w/zz\n%s\n", line);
	policy_free(good(text));
}

START_TEST(rules_around_a_rule)
{
	struct policy_reach reach;
	struct policy *policy;
	enum policy_class class;
	char text[1200];
	unsigned k;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text), "file read /w/zz\n%s\n", all[i].rule);
		policy = good(text);
		class = all[i].rule[0] == 'n'	? POLICY_NET
			: all[i].rule[0] == 'f' ? POLICY_FILE
						: POLICY_EXEC;
		policy_reach(policy_rule(policy, class, class == POLICY_FILE), &reach);
		ck_assert_msg(reach.broader_count == count_of(all[i].broader) &&
				      reach.narrower_count == count_of(all[i].narrower),
			      "%s: %u broader, %u narrower", all[i].rule, reach.broader_count,
			      reach.narrower_count);
		for (k = 0; k < reach.broader_count; k++)
			check(all[i].rule, all[i].broader[k], reach.broader[k]);
		for (k = 0; k < reach.narrower_count; k++)
			check(all[i].rule, all[i].narrower[k], reach.narrower[k]);
		policy_free(policy);
	}
}
END_TEST

UNIT_MAIN("reach", rules_around_a_rule)
