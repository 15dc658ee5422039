/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds rules that never decide anything. First, a few example paths that the rule matches: if the
 * rule decides one of them, it is fine. If not, a search over all paths that it matches (product.h)
 * proves that the rules above it, one or several together, decide them all, and it is refused.
 * Where the search is too large for a proof, the rule is accepted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/added.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/product.h"

#define STATES_MAX   8192
#define WORK_MAX     4000000 /* steps, for all rules of a class: tenths of a second */
#define SUSPECTS_MAX 64	     /* rules to search for a proof: further ones are accepted */

static int fail_at(const struct rule *rule, struct err *err, const char *text)
{
	return err_set(err, EINVAL, "%.100s:%u:%u: %s", rule->public.file, rule->public.line,
		       rule->column, text);
}

static int never_decides(const struct rule *rule, const struct rule *above, struct err *err)
{
	char text[320];

	snprintf(text, sizeof(text),
		 "this rule never decides: all it matches is decided above it (%.60s:%u: %.120s); "
		 "%s",
		 above->public.file, above->public.line, above->public.text,
		 rule->added ? "it would change nothing" : "move it up or remove it");
	return fail_at(rule, err, text);
}

/* --- examples --------------------------------------------------------------------------------- */

/* A name that a wild component matches. filler: a byte that other patterns hardly contain. */
static size_t example_name(const struct glob_part *part, char *to, char filler)
{
	unsigned place, byte;
	size_t length = 0;

	for (place = 0; place <= part->count; place++) {
		if (part->loop && part->loop[place / 64] >> (place % 64) & 1 &&
		    length + part->count - place < GLOB_NAME_MAX)
			to[length++] = filler;
		if (place == part->count)
			break;
		byte = (uint8_t)filler;
		if (!(part->set[place].bits[byte / 64] >> (byte % 64) & 1))
			for (byte = 1; !(part->set[place].bits[byte / 64] >> (byte % 64) & 1);)
				byte++;
		to[length++] = (char)byte;
	}
	return length;
}

/* A path that the pattern matches, trees components for each `**`. Its length; 0: too long. */
static size_t example_path(const struct glob *glob, char path[POLICY_OBJECT_MAX], unsigned trees,
			   char filler)
{
	size_t length = 0;
	unsigned i, k;

	for (i = 0; i < glob->parts; i++) {
		if (length + GLOB_NAME_MAX + 4 * trees + 2 > POLICY_OBJECT_MAX)
			return 0;
		for (k = 0; glob->part[i].kind == GLOB_TREE && k < trees; k++) {
			path[length++] = '/';
			path[length++] = filler;
		}
		if (glob->part[i].kind == GLOB_TREE)
			continue;
		path[length++] = '/';
		length += example_name(&glob->part[i], path + length, filler);
	}
	if (length == 0)
		path[length++] = '/';
	return length;
}

static bool decides_example(const struct rule_list *list, const struct rule *rule, uint32_t value)
{
	static const char filler[] = {'\x01', 'z', '_'};
	char path[POLICY_OBJECT_MAX];
	unsigned k, trees, f;
	size_t length;

	for (k = 0; k < rule->patterns; k++)
		for (trees = 0; trees < 3; trees++)
			for (f = 0; f < sizeof(filler); f++) {
				length = example_path(&rule->pattern[k], path, trees, filler[f]);
				if (length && glob_tree_match(list->tree, path, length) == value)
					return true;
			}
	return false;
}

/* --- proofs ----------------------------------------------------------------------------------- */

struct proof {
	uint64_t work;	   /* steps left */
	uint32_t covering; /* a rule that decides some of the paths instead */
};

static bool still_covered(void *arg, uint32_t first, uint32_t second)
{
	struct proof *proof = arg;

	(void)first;
	if (second == GLOB_NONE)
		return false;
	proof->covering = second;
	return true;
}

/* The simple proof: for each pattern of the rule, a rule above matches a whole tree around it. */
static bool is_in_a_tree(const struct rule_list *list, size_t index, uint32_t *covering)
{
	const struct rule *rule = list->rule[index];
	bool found = true;
	unsigned k, l;
	size_t i;

	for (k = 0; k < rule->patterns && found; k++)
		for (i = 0, found = false; i < index && !found; i++)
			for (l = 0; l < list->rule[i]->patterns && !found; l++) {
				found = glob_is_beneath(&list->rule[i]->pattern[l],
							&rule->pattern[k]);
				*covering = (uint32_t)i;
			}
	return found;
}

/* 1: the rules above decide all that this rule matches; 0: they do not, or no proof; -ENOMEM. */
static int is_covered(const struct rule_list *list, size_t index, struct proof *proof)
{
	struct product product = {
		.first_only = true,
		.states_max = STATES_MAX,
		.work = proof->work,
		.visit = still_covered,
		.arg = proof,
	};
	int ret;

	if (is_in_a_tree(list, index, &proof->covering))
		return 1;
	ret = product_list_fill(&product.list[0], list, index, index + 1, false);
	proof->covering = GLOB_NONE;
	if (ret == 0)
		ret = product_list_fill(&product.list[1], list, 0, index, false);
	if (ret == 0)
		ret = product_search(&product);
	proof->work = product.work;
	product_list_free(&product.list[0]);
	product_list_free(&product.list[1]);
	if (ret == -ENOMEM)
		return ret;
	return ret == 0 && proof->covering != GLOB_NONE;
}

static int check_paths(const struct rule_list *list, const struct policy_rule *added,
		       struct err *err)
{
	const struct rule *rule;
	struct proof proof = {.work = added ? NARROW_BRIEF : WORK_MAX};
	unsigned suspects = 0;
	size_t i;
	int ret;

	for (i = 0; i < list->count && suspects < SUSPECTS_MAX; i++) {
		rule = list->rule[i];
		if (rule->implied || (added && &rule->public != added) ||
		    decides_example(list, rule, (uint32_t)i))
			continue;
		suspects++;
		ret = is_covered(list, i, &proof);
		if (ret < 0)
			return err_set(err, ENOMEM, "out of memory");
		if (ret == 0)
			continue;
		return never_decides(rule, list->rule[proof.covering], err);
	}
	return 0;
}

/* --- network ---------------------------------------------------------------------------------- */

static bool target_is_covered(const struct rule_list *list, size_t index,
			      const struct net_target *target, const struct rule **above)
{
	const struct rule *rule = list->rule[index];
	size_t i;
	unsigned k;

	for (i = 0; i < index; i++)
		for (k = 0; k < list->rule[i]->targets; k++)
			if (net_target_covers(list->rule[i], &list->rule[i]->target[k], rule,
					      target)) {
				*above = list->rule[i];
				return true;
			}
	return false;
}

/* What is approved in advance may not contradict a denial; an added line has to change something.
 */
static int check_granted(const struct rule_list *list, size_t index, struct err *err)
{
	const struct rule *rule = list->rule[index], *above = NULL;
	bool changes = !rule->added;
	char text[420];
	unsigned k;

	for (k = 0; k < rule->targets; k++) {
		if (!target_is_covered(list, index, &rule->target[k], &above)) {
			changes = true;
			continue;
		}
		changes |= above->public.action == POLICY_ACTION_ASK;
		if (above->public.action != POLICY_ACTION_DENY)
			continue;
		/* Of two added rules the denial is the new one: the other was accepted without. */
		snprintf(text, sizeof(text), "'%.80s' %s denied by %.60s:%u: %.120s%s",
			 rule->target[k].text,
			 above->added ? "is allowed here, and would be" : "stays",
			 above->public.file, above->public.line, above->public.text,
			 above->added ? "; take this rule back first: cordon policy undo" : "");
		return fail_at(rule, err, text);
	}
	return changes ? 0 : never_decides(rule, above, err);
}

static int check_net(const struct rule_list *list, const struct policy_rule *added, struct err *err)
{
	const struct rule *rule, *above = NULL;
	unsigned k;
	size_t i;
	int ret = 0;

	for (i = 0; i + list->granted < list->count; i++) {
		rule = list->rule[i];
		if (added && &rule->public != added)
			continue;
		for (k = 0; k < rule->targets; k++)
			if (!target_is_covered(list, i, &rule->target[k], &above))
				break;
		if (k == rule->targets)
			return never_decides(rule, above, err);
	}
	for (; i < list->count && ret == 0; i++)
		ret = check_granted(list, i, err);
	return ret;
}

/* --- shares ----------------------------------------------------------------------------------- */

/* Whether a pattern can match the directory or anything beneath it. */
static bool reaches(const struct glob *glob, const char *directory)
{
	const char *name = directory + 1, *end;
	unsigned i;

	for (i = 0; i < glob->parts; i++, name = *end ? end + 1 : end) {
		if (*name == '\0' || glob->part[i].kind == GLOB_TREE)
			return true;
		end = strchrnul(name, '/');
		if (!glob_part_matches(&glob->part[i], name, (size_t)(end - name)))
			return false;
	}
	return *name == '\0';
}

static bool rule_reaches(const struct rule *rule, const char *directory)
{
	unsigned k;

	for (k = 0; k < rule->patterns; k++)
		if (reaches(&rule->pattern[k], directory))
			return true;
	return false;
}

/* A file rule that matches in no share, and a share of which no rule allows reading: mistakes. */
static int check_shares(const struct policy *policy, struct err *err)
{
	const struct rule_list *list = &policy->class[POLICY_FILE];
	const struct policy_share *share;
	size_t i, s;

	for (i = 0; i < list->count && !policy->source.rootfs && !policy->source.lenient; i++) {
		for (s = 0; s < policy->shares; s++)
			if (rule_reaches(list->rule[i], policy->share[s].guest))
				break;
		if (s == policy->shares)
			return fail_at(list->rule[i], err,
				       "the rule covers no share: rules for the guest's own files "
				       "are not enforced by this version");
	}
	for (s = 0; s < policy->shares; s++) {
		share = &policy->share[s];
		for (i = 0; i < list->count; i++)
			if (list->rule[i]->public.action >= POLICY_ACTION_READ &&
			    rule_reaches(list->rule[i], share->guest))
				break;
		if (i == list->count && share->file)
			return err_set(
				err, EINVAL,
				"%.100s:%u: no rule allows reading anything of this share: add "
				"'file %s %.200s/**'",
				share->file, share->line, share->read_only ? "read" : "write",
				share->guest);
	}
	return 0;
}

/*
 * Added lines come first, and may well decide all that a rule of a file matches: that rule was
 * checked without them. Of the added lines only the last one is new.
 */
int policy_check_reachable(const struct policy *policy, struct err *err)
{
	const struct policy_rule *added = policy_last_added(policy);
	int ret = check_paths(&policy->class[POLICY_FILE], added, err);

	if (ret == 0)
		ret = check_paths(&policy->class[POLICY_EXEC], added, err);
	if (ret == 0)
		ret = check_net(&policy->class[POLICY_NET], added, err);
	if (ret == 0)
		ret = process_check_reachable(&policy->class[POLICY_PROCESS], err);
	return ret == 0 ? check_shares(policy, err) : ret;
}
