/* SPDX-License-Identifier: Apache-2.0 */
/* The warnings about exec rules that do something else than they seem to. */
#include "vmm/policy/risks.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/policy.h"

#define NO_PROGRAM "allow no program: what no rule allows is denied"
#define NO_LOADER  "allow no loader in /usr/lib"
#define NO_LIBRARY "allow no C library in /usr/lib"
#define LINK	   "is a link to /usr"

static const struct {
	const char *rules, *warning; /* NULL: none */
} cases[] = {
	{"exec deny /usr/bin/curl\n", NO_PROGRAM},
	{"exec deny /usr/bin/curl\nexec allow /**\n", NULL},
	{"exec allow /usr/bin/**\n", NO_LOADER},
	{"exec allow /bin/** /lib/** /lib64/**\n", NO_LOADER},
	{"exec allow /usr/bin/** /usr/lib64/ld-linux-x86-64.so.2\n", NO_LIBRARY},
	{"exec allow /usr/bin/** /usr/lib*/** /lib*/**\n", NULL},
	{"exec ask /usr/**\n", NULL},
	{"exec deny /bin/curl\nexec allow /usr/**\n", LINK "/bin, this rule matches nothing"},
	{"exec ask /sbin/**/*sh\nexec allow /usr/**\n", "/usr/sbin/x/xsh may run"},
	{"exec deny /bin/curl /usr/bin/curl\nexec allow /usr/**\n", NULL},
	{"exec deny /**/curl\nexec allow /usr/**\n", NULL},
	{"exec deny /opt/curl\nexec allow /usr/**\n", NULL},
	{"exec deny /usr/bin/{curl,wget}\nexec allow /**\n", "p:2: /usr/bin/{curl,wget}: '{', ','"},
	{"exec deny /usr/bin/{curl} /usr/bin/a,b\nexec allow /**\n", NULL},
	{"exec deny /usr/bin/curl, /usr/bin/wget\nexec allow /**\n", "/usr/bin/curl,: the ','"},
	{"exec allow /usr/bin /usr/lib*/** /lib*/**\n",
	 "/usr/bin: a directory alone allows nothing"},
	{"exec ask /opt\nexec allow /usr/**\n", "p:2: /opt: a directory alone"},
	{"exec deny /opt\nexec allow /**\n", NULL},
	{"", NULL},
};

static void note(void *arg, const char *text)
{
	strcat(arg, text);
}

static struct policy *parse(const char *rules)
{
	const struct policy_source source = {.name = "p"};
	struct policy *policy;
	struct err err;
	char text[256];

	snprintf(text, sizeof(text), "policy 1\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

START_TEST(rules_that_seem_to_do_more)
{
	static char told[4096];
	const struct policy_risk_ops ops = {.report = note, .arg = told};
	const char *wanted;
	struct policy *policy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		policy = parse(cases[i].rules);
		wanted = cases[i].warning;
		told[0] = '\0';
		policy_program_risks(policy, &ops);
		ck_assert_msg(wanted ? strstr(told, wanted) != NULL : !told[0], "%s: '%s'",
			      cases[i].rules, told);
		policy_free(policy);
	}
}
END_TEST

UNIT_MAIN("program_risks", rules_that_seem_to_do_more)
