/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/program_links.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/policy.h"

static bool in_share(const struct policy *policy, const char *path)
{
	const struct policy_share *share;
	size_t i, length;

	for (i = 0; (share = policy_share(policy, i)); i++) {
		length = strlen(share->guest);
		if (strncmp(path, share->guest, length) == 0 &&
		    (path[length] == '/' || !path[length]))
			return true;
	}
	return false;
}

/* Whether the policy does with a program what the rule says. */
static bool decides_likewise(const struct policy *policy, enum policy_action action,
			     const char *path)
{
	const struct policy_request request = {
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = path, .length = strlen(path)};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	if (action == POLICY_ACTION_DENY)
		return decision.verdict == POLICY_DENY;
	if (action == POLICY_ACTION_ALLOW)
		return decision.verdict == POLICY_ALLOW;
	return decision.verdict != POLICY_ALLOW;
}

static void look_at(const struct policy *policy, const struct policy_rule *rule, const char *path,
		    const struct policy_risk_ops *ops)
{
	char target[PATH_MAX], text[1024];

	if (path[0] != '/' || strpbrk(path, "*?[\\") || in_share(policy, path) ||
	    !realpath(path, target) || strcmp(path, target) == 0)
		return;
	/* A link of the whole directory: policy_linked_programs(). */
	if (rule->action != POLICY_ACTION_ALLOW && strncmp(target, "/usr/", 5) == 0 &&
	    strcmp(target + 4, path) == 0)
		return;
	if (decides_likewise(policy, rule->action, target))
		return;
	snprintf(text, sizeof(text),
		 "%.200s:%u: %.200s: on this host it leads to %.300s, which this rule does not "
		 "match: a rule is about the file's own path",
		 rule->file, rule->line, path, target);
	ops->report(ops->arg, text);
}

void program_links(const struct policy *policy, const struct policy_risk_ops *ops)
{
	char path[POLICY_PATTERN_MAX + 1];
	const struct policy_rule *rule;
	const char *word, *end;
	size_t i, length;

	for (i = 0; i < policy_rule_count(policy, POLICY_EXEC); i++) {
		rule = policy_rule(policy, POLICY_EXEC, i);
		for (word = rule->text; word; word = end ? end + 1 : NULL) {
			end = strchr(word, ' ');
			length = end ? (size_t)(end - word) : strlen(word);
			if (length >= sizeof(path))
				continue;
			memcpy(path, word, length);
			path[length] = '\0';
			look_at(policy, rule, path, ops);
		}
	}
}
