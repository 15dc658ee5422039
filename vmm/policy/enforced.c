/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this version enforces. The language has more: the parser refuses what is false here, so that
 * no user relies on a rule that is not enforced. Code that starts to enforce something changes its
 * line here (and tests/unit/test_policy.c).
 */
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/internal.h"

static const struct {
	const char *statement;
	bool enforced;
} statements[] = {
	{"policy", true},  {"include", true}, {"limit", true},	 {"share", true},
	{"file", true},	   {"net", true},     {"exec", true},	 {"secret", false},
	{"on-deny", true}, {"on-ask", true},  {"process", true}, {"audit", true},
};

static const struct {
	const char *name;
	bool enforced;
} limits[] = {
	{"cpus", true},	      {"memory", true},	     {"processes", true},  {"disk", true},
	{"wall", true},	      {"idle", true},	     {"open-files", true}, {"output", true},
	{"share-disk", true}, {"share-files", true},
};

/* Which verdicts of each class. */
static const bool actions[POLICY_CLASSES][POLICY_ACTIONS] = {
	[POLICY_FILE] =
		{
			[POLICY_ACTION_HIDE] = true,
			[POLICY_ACTION_DENY] = true,
			[POLICY_ACTION_READ] = true,
			[POLICY_ACTION_APPEND] = true,
			[POLICY_ACTION_WRITE] = true,
			[POLICY_ACTION_ASK] = false,
			[POLICY_ACTION_ASK_READ] = true,
			[POLICY_ACTION_ASK_WRITE] = true,
		},
	[POLICY_NET] =
		{
			[POLICY_ACTION_DENY] = true,
			[POLICY_ACTION_ALLOW] = true,
			[POLICY_ACTION_ASK] = true,
		},
	[POLICY_EXEC] =
		{
			[POLICY_ACTION_DENY] = true,
			[POLICY_ACTION_ALLOW] = true,
			[POLICY_ACTION_ASK] = true,
		},
	[POLICY_PROCESS] =
		{
			[POLICY_ACTION_DENY] = true,
			[POLICY_ACTION_ALLOW] = true,
			[POLICY_ACTION_ASK] = false,
		},
};

bool enforced_statement(const char *statement)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(statements); i++)
		if (strcmp(statements[i].statement, statement) == 0)
			return statements[i].enforced;
	return false;
}

bool enforced_action(enum policy_class class, enum policy_action action)
{
	return actions[class][action];
}

bool enforced_limit(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++)
		if (strcmp(limits[i].name, name) == 0)
			return limits[i].enforced;
	return false;
}
