/* SPDX-License-Identifier: Apache-2.0 */
/* The warnings about a policy that leaves protected places open. */
#include "vmm/policy/protected.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/risks.h"
#include "tests/unit/protected_common.h"

/* --- risks ------------------------------------------------------------------------------------ */

static void note_risk(void *arg, const char *text)
{
	strcat(arg, text);
	strcat(arg, "\n");
}

static bool only_git(void *arg, const struct policy_share *share, const char *place)
{
	(void)arg;
	ck_assert_str_eq(share->host, "/here");
	return strcmp(place, ".git/hooks") == 0 || strcmp(place, "Makefile") == 0;
}

START_TEST(a_loose_share_with_rules_is_a_risk)
{
	static const struct {
		const char *text;
		bool told;
	} policies[] = {
		{"policy 1\nshare /h /w cache=loose\nfile read /w/a\nfile write /w/**\n", true},
		{"policy 1\nshare /h /w cache=loose\nfile hide /w/.env\nfile write /w/**\n", true},
		{"policy 1\nshare /h /w cache=loose\nfile write /w/**\n", false},
		{"policy 1\nshare /h /w ro cache=loose\nfile read /w/a\n", false},
		{"policy 1\nshare /h /w ro\nfile read /w/a\n", false},
		{"policy 1\nshare /h /w\nfile read /w/a\nfile write /w/**\n", false},
		{"policy 1\nshare /h /w cache=none\nfile read /w/a\nfile write /w/**\n", false},
	};
	static char told[16384];
	struct policy_risk_ops ops = {.report = note_risk, .arg = told};
	struct policy *policy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		ck_assert_int_eq(policy_parse(&policy, policies[i].text, strlen(policies[i].text),
					      &here, &why),
				 0);
		told[0] = '\0';
		policy_risks(policy, &ops);
		ck_assert_int_eq(strstr(told, "share /w: with cache=loose") != NULL,
				 policies[i].told);
		policy_free(policy);
	}
}
END_TEST

START_TEST(risks_are_told_by_group)
{
	static char told[16384];
	struct policy_risk_ops all = {.report = note_risk, .arg = told};
	struct policy_risk_ops present = {.present = only_git, .report = note_risk, .arg = told};
	struct policy *policy = workspace();

	told[0] = '\0';
	policy_risks(policy, &all);
	/* What work must change, and no more. */
	ck_assert_ptr_nonnull(strstr(told, "Makefile"));
	ck_assert_ptr_nonnull(strstr(told, "*.pem"));
	ck_assert_ptr_null(strstr(told, ".git"));
	ck_assert_ptr_null(strstr(told, "CLAUDE.md"));
	told[0] = '\0';
	policy_risks(policy, &present);
	ck_assert_str_eq(told, "");
	policy_free(policy);

	ck_assert_int_eq(policy_preset(&policy, "open", &here, &why), 0);
	policy_risks(policy, &present);
	ck_assert_str_eq(told, "share /here: the guest can change .git/hooks: git on the host runs "
			       "the programs that it names\n");
	told[0] = '\0';
	policy_risks(policy, &all);
	ck_assert_ptr_nonnull(strstr(told, "the guest can read .env"));
	ck_assert_ptr_nonnull(strstr(told, "CLAUDE.md"));
	policy_free(policy);
}
END_TEST

UNIT_MAIN("protected_risks", a_loose_share_with_rules_is_a_risk, risks_are_told_by_group)
