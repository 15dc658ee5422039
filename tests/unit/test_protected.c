/* SPDX-License-Identifier: Apache-2.0 */
/* The table of protected places, the presets made from it, and what git may and may not do under
 * them. */
#include "vmm/policy/protected.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/risks.h"
#include "tests/unit/protected_common.h"

/* --- table and presets ------------------------------------------------------------------------ */

/* Every rule of the preset is an entry of the table, with its patterns in their order; none is
 * missing. */
START_TEST(presets_are_the_table)
{
	const char *text = policy_preset_text("workspace"), *next = text;
	char wanted[16384] = "", found[16384] = "", line[1024], *word, *rest;
	const struct protected_place *place;
	size_t i, length;

	for (i = 0; (place = protected_place(i)); i++) {
		char list[1024];

		if (place->verdict == PROTECTED_WARN)
			continue;
		snprintf(list, sizeof(list), "%s", place->patterns);
		for (word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
			sprintf(wanted + strlen(wanted), "%s $PWD/**/%s\n",
				protected_verdict_name(place->verdict), word);
	}
	strcat(wanted, "write $PWD/**\n");
	for (; *text; text = next) {
		char verdict[16];

		length = strcspn(text, "\n");
		next = text + length + 1;
		ck_assert_uint_lt(length, sizeof(line));
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		if (strncmp(line, "file ", 5) != 0)
			continue;
		strtok_r(line, " ", &rest);
		snprintf(verdict, sizeof(verdict), "%s", strtok_r(NULL, " ", &rest));
		while ((word = strtok_r(NULL, " ", &rest)))
			sprintf(found + strlen(found), "%s %s\n", verdict, word);
	}
	ck_assert_str_eq(found, wanted);
}
END_TEST

struct check {
	const struct policy *policy;
	const struct protected_place *place;
	unsigned count;
};

static bool check_example(void *arg, const char *pattern, size_t length, const char *path)
{
	struct check *check = arg;
	enum policy_verdict write = decide(check->policy, POLICY_WRITE, path, NULL);
	char absolute[512];

	(void)pattern;
	(void)length;
	snprintf(absolute, sizeof(absolute), "/%s", path);
	if (protected_find(absolute, strlen(absolute)) != check->place)
		return true;
	check->count++;
	switch (check->place->verdict) {
	case PROTECTED_HIDE:
		ck_assert_msg(write == POLICY_HIDE, "%s", path);
		break;
	case PROTECTED_READ:
		ck_assert_msg(write == POLICY_DENY, "%s", path);
		ck_assert_msg(decide(check->policy, POLICY_READ, path, NULL) == POLICY_ALLOW, "%s",
			      path);
		ck_assert(policy_protected(absolute, strlen(absolute), true));
		ck_assert(!policy_protected(absolute, strlen(absolute), false));
		break;
	default:
		ck_assert_msg(write == POLICY_ALLOW, "%s", path);
		ck_assert(!policy_protected(absolute, strlen(absolute), true));
	}
	return true;
}

START_TEST(every_entry_decides)
{
	static const char *const deep[] = {"", "a/", "a/b/c/"};
	struct check check = {.policy = workspace()};
	const struct protected_place *place;
	char name[64];
	size_t i;

	for (i = 0; (place = protected_place(i)); i++) {
		check.place = place;
		check.count = 0;
		protected_examples(place, check_example, &check);
		ck_assert_msg(check.count > 0, "nothing is left for '%s'", place->patterns);
		ck_assert_uint_gt(strlen(place->reason), 10);
	}
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s.claude/settings.json", deep[i]);
		ck_assert(!writable(check.policy, name));
		/* What an .envrc that is allowed already takes from its cache. */
		snprintf(name, sizeof(name), "%s.direnv/flake-profile.rc", deep[i]);
		ck_assert(!writable(check.policy, name));
		/* A file to some, a directory to others. */
		snprintf(name, sizeof(name), "%s.clinerules/rule.md", deep[i]);
		ck_assert(!writable(check.policy, name));
		snprintf(name, sizeof(name), "%ssrc/main.c", deep[i]);
		ck_assert(writable(check.policy, name));
	}
	policy_free((struct policy *)check.policy);
}
END_TEST

UNIT_MAIN("protected", presets_are_the_table, every_entry_decides)
