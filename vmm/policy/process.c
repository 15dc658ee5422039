/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about groups of system calls: parsed, decided, compared. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/parse.h"
#include "vmm/policy/process_groups.h"

const char *policy_group_name(enum policy_group group)
{
	return group < POLICY_GROUPS ? process_groups[group].name : NULL;
}

int policy_group_named(const char *name, size_t length)
{
	int group;

	for (group = 0; group < POLICY_GROUPS; group++)
		if (strlen(process_groups[group].name) == length &&
		    memcmp(process_groups[group].name, name, length) == 0)
			return group;
	return -1;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int parse_group(struct parser *parser, const struct word *word, struct rule *rule)
{
	const char *names[POLICY_GROUPS];
	int group;

	for (group = 0; group < POLICY_GROUPS; group++)
		names[group] = process_groups[group].name;
	group = word_index(names, POLICY_GROUPS, word->text);
	if (group < 0)
		return parse_unknown_word(parser, word, "group of system calls", names,
					  POLICY_GROUPS);
	if (rule->groups & 1u << group)
		return parse_fail(parser, EINVAL, word->column, "'%s' is in this rule already",
				  word->text);
	if (process_groups[group].missing && rule->public.action == POLICY_ACTION_ALLOW)
		return parse_fail(parser, EINVAL, word->column,
				  "'%s' can't be allowed: the guest's kernel has no %s; remove it",
				  word->text, process_groups[group].missing);
	rule->groups |= 1u << group;
	return 0;
}

int parse_groups(struct parser *parser, struct rule *rule)
{
	unsigned i;
	int ret = 0;

	for (i = 2; i < parser->words && ret == 0; i++)
		ret = parse_group(parser, &parser->word[i], rule);
	return ret;
}

int process_check_reachable(const struct rule_list *list, struct err *err)
{
	const struct rule *rule, *above;
	uint32_t decided = 0;
	size_t i, k;

	for (i = 0; i < list->count; i++) {
		rule = list->rule[i];
		if (rule->groups & ~decided) {
			decided |= rule->groups;
			continue;
		}
		for (k = 0; !(list->rule[k]->groups & rule->groups);)
			k++;
		above = list->rule[k];
		return err_set(err, EINVAL,
			       "%.100s:%u:%u: this rule never decides: all its groups are decided "
			       "above it (%.60s:%u: %.120s); move it up or remove it",
			       rule->public.file, rule->public.line, rule->column,
			       above->public.file, above->public.line, above->public.text);
	}
	return 0;
}

/* --- deciding --------------------------------------------------------------------------------- */

static void settle(struct policy_decision *decision, bool allow, const char *reason)
{
	decision->verdict = allow ? POLICY_ALLOW : POLICY_DENY;
	decision->reason = reason;
}

void policy_decide_group(const struct policy *policy, enum policy_group group,
			 struct policy_decision *decision)
{
	const struct process_group *entry = &process_groups[group];
	const struct rule_list *list = policy ? &policy->class[POLICY_PROCESS] : NULL;
	const struct rule *rule;
	size_t i;

	*decision = (struct policy_decision){.enforced_by = POLICY_GUEST};
	for (i = 0; list && i < list->count; i++) {
		rule = list->rule[i];
		if (!(rule->groups & 1u << group))
			continue;
		decision->rule = &rule->public;
		decision->line = rule->public.line;
		if (rule->public.action == POLICY_ACTION_ALLOW)
			settle(decision, true, "a rule allows it");
		else
			settle(decision, false, "a rule denies it");
		return;
	}
	if (entry->closed_by_exec && policy && policy->class[POLICY_EXEC].count > 0)
		settle(decision, false, entry->closed_by_exec);
	else if (entry->missing)
		settle(decision, false, "closed by default, and the guest's kernel has none of it");
	else if (entry->open)
		settle(decision, true, "open by default");
	else
		settle(decision, false, "closed by default");
}

uint32_t policy_open_groups(const struct policy *policy)
{
	struct policy_decision decision;
	uint32_t open = 0;
	unsigned group;

	for (group = 0; group < POLICY_GROUPS; group++) {
		policy_decide_group(policy, (enum policy_group)group, &decision);
		open |= (uint32_t)(decision.verdict == POLICY_ALLOW) << group;
	}
	return open;
}

/* --- comparing -------------------------------------------------------------------------------- */

int process_is_narrower(const struct policy *child, const struct policy *parent, struct err *err)
{
	struct policy_decision ours, theirs;
	char rule[100] = "by default";
	unsigned group;

	for (group = 0; group < POLICY_GROUPS; group++) {
		policy_decide_group(child, (enum policy_group)group, &ours);
		policy_decide_group(parent, (enum policy_group)group, &theirs);
		if (ours.verdict != POLICY_ALLOW || theirs.verdict == POLICY_ALLOW)
			continue;
		if (ours.rule)
			snprintf(rule, sizeof(rule), "%.60s:%u", ours.rule->file, ours.rule->line);
		return err_set(err, EPERM, "it allows more: process %s (%s; before: %.100s)",
			       process_groups[group].name, rule, theirs.reason);
	}
	return 0;
}
