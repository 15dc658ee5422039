/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/narrow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/internal.h"
#include "vmm/policy/narrow_moves.h"
#include "vmm/policy/product.h"

#define STATES_MAX 50000
#define WORK_MAX   40000000

/* --- paths ------------------------------------------------------------------------------------ */

struct comparison {
	const struct rule_list *child, *parent;
	enum policy_action child_default, parent_default;
	uint64_t work;			  /* steps that a search may take */
	bool differs;			  /* some path is decided in another way */
	uint32_t child_rule, parent_rule; /* where it failed */
};

/* Whether the child's action allows no more than the parent's. */
static bool is_within(enum policy_action child, enum policy_action parent)
{
	static const enum policy_action rung[] = {POLICY_ACTION_READ, POLICY_ACTION_APPEND,
						  POLICY_ACTION_WRITE};
	unsigned i;

	if (child >= POLICY_ACTION_ASK_READ || parent >= POLICY_ACTION_ASK_READ) {
		for (i = 0; i < ARRAY_SIZE(rung); i++)
			if (file_permission(child, rung[i]) > file_permission(parent, rung[i]))
				return false;
		return child == POLICY_ACTION_HIDE || parent != POLICY_ACTION_HIDE;
	}
	/* An operator may allow anything, so 'ask' counts as more than the limited actions. */
	if (child == POLICY_ACTION_ASK)
		return parent == POLICY_ACTION_ASK || parent == POLICY_ACTION_WRITE ||
		       parent == POLICY_ACTION_ALLOW;
	if (parent == POLICY_ACTION_ASK)
		return child <= POLICY_ACTION_DENY;
	return child <= parent;
}

static enum policy_action action_of(const struct rule_list *list, uint32_t rule,
				    enum policy_action otherwise)
{
	return rule == GLOB_NONE ? otherwise : list->rule[rule]->public.action;
}

static bool compare(void *arg, uint32_t child, uint32_t parent)
{
	struct comparison *comparison = arg;

	enum policy_action ours = action_of(comparison->child, child, comparison->child_default);
	enum policy_action theirs =
		action_of(comparison->parent, parent, comparison->parent_default);

	comparison->child_rule = child;
	comparison->parent_rule = parent;
	comparison->differs |= ours != theirs;
	return is_within(ours, theirs);
}

static void describe(char *to, size_t size, const struct rule_list *list, uint32_t rule,
		     enum policy_action otherwise)
{
	if (rule == GLOB_NONE)
		snprintf(to, size, "%s by default", policy_action_name(otherwise));
	else
		snprintf(to, size, "%s, %.60s:%u",
			 policy_action_name(list->rule[rule]->public.action),
			 list->rule[rule]->public.file, list->rule[rule]->public.line);
}

/* Finds the rules for the example: the search works on actions. Not if the example was cut. */
static void name_rules(struct comparison *comparison, const char *path)
{
	size_t length = strlen(path);

	if (length + 1 >= PRODUCT_PATH_MAX)
		return;
	if (comparison->child->tree)
		comparison->child_rule = glob_tree_match(comparison->child->tree, path, length);
	if (comparison->parent->tree)
		comparison->parent_rule = glob_tree_match(comparison->parent->tree, path, length);
}

static int compare_paths(struct comparison *comparison, enum policy_class class, struct err *err)
{
	struct product product = {
		.states_max = STATES_MAX,
		.work = comparison->work,
		.visit = compare,
		.arg = comparison,
	};
	char child[100], parent[100];
	size_t new, end = comparison->child->count;
	int ret;

	/* All paths that no rule up to the new one matches are decided as before. */
	if (comparison->child_default == comparison->parent_default &&
	    product_one_more(comparison->child, comparison->parent, &new)) {
		product.first_only = true;
		end = new + 1;
	}
	ret = product_list_fill(&product.list[0], comparison->child, 0, end, true);
	if (ret == 0)
		ret = product_list_fill(&product.list[1], comparison->parent, 0,
					comparison->parent->count, true);
	if (ret == 0)
		ret = product_search(&product);
	product_list_free(&product.list[0]);
	product_list_free(&product.list[1]);
	if (ret == -ENOMEM)
		return err_set(err, ENOMEM, "out of memory");
	if (ret == -E2BIG)
		return err_set(err, EPERM,
			       "no proof that the %s rules allow nothing new: give simpler ones",
			       policy_class_name(class));
	if (ret == 0)
		return 0;
	name_rules(comparison, product.path);
	describe(child, sizeof(child), comparison->child, comparison->child_rule,
		 comparison->child_default);
	describe(parent, sizeof(parent), comparison->parent, comparison->parent_rule,
		 comparison->parent_default);
	return err_set(err, EPERM, "it allows more: %s %.120s (%s; before: %s)",
		       policy_class_name(class), product.path, child, parent);
}

/* differs is set if a path is decided in another way, and else left as it is. */
static int compare_class(const struct policy *child, const struct policy *parent,
			 enum policy_class class, enum policy_action otherwise, uint64_t work,
			 bool *differs, struct err *err)
{
	struct comparison comparison = {
		.work = work,
		.child = &child->class[class],
		.parent = &parent->class[class],
		.child_default = otherwise,
		.parent_default = otherwise,
	};

	int ret;

	if (product_same_rules(comparison.child, comparison.parent))
		return 0;
	/* Without rules a class has its default; with rules, what matches none is denied. */
	if (class == POLICY_EXEC) {
		comparison.child_default =
			comparison.child->count ? POLICY_ACTION_DENY : POLICY_ACTION_ALLOW;
		comparison.parent_default =
			comparison.parent->count ? POLICY_ACTION_DENY : POLICY_ACTION_ALLOW;
	}
	ret = compare_paths(&comparison, class, err);
	*differs |= comparison.differs;
	return ret;
}

/* --- network ---------------------------------------------------------------------------------- */

/* Whether the child's rules before an index deny all that a target covers. */
static bool denied_before(const struct rule_list *list, size_t before, const struct rule *rule,
			  const struct net_target *target)
{
	size_t i;
	unsigned k;

	for (i = 0; i < before; i++)
		for (k = 0; k < list->rule[i]->targets; k++)
			if (list->rule[i]->public.action == POLICY_ACTION_DENY &&
			    net_target_covers(list->rule[i], &list->rule[i]->target[k], rule,
					      target))
				return true;
	return false;
}

/* Whether the parent has the same --allow-net, which approves its 'ask' rules in the same way. */
static bool is_granted(const struct rule *rule, const struct net_target *target,
		       const struct rule_list *parent)
{
	const struct rule *other;
	unsigned k;
	size_t i;

	for (i = parent->count - parent->granted; rule->granted && i < parent->count; i++) {
		other = parent->rule[i];
		for (k = 0; k < other->targets; k++)
			if (net_target_covers(other, &other->target[k], rule, target))
				return true;
	}
	return false;
}

/*
 * Goes through the parent's rules: one that covers the target and allows as much is the proof; one
 * that overlaps the target and allows less must be denied in the child as well.
 */
static bool target_within(const struct rule_list *child, size_t index,
			  const struct net_target *target, const struct rule_list *parent)
{
	const struct rule *rule = child->rule[index], *other;
	bool granted = is_granted(rule, target, parent);
	unsigned k;
	size_t i;

	for (i = 0; i < parent->count; i++) {
		other = parent->rule[i];
		if (granted && other->public.action == POLICY_ACTION_ASK)
			continue;
		for (k = 0; k < other->targets; k++) {
			if (is_within(rule->public.action, other->public.action)) {
				if (net_target_covers(other, &other->target[k], rule, target))
					return true;
				continue;
			}
			if (net_target_overlaps(other, &other->target[k], rule, target) &&
			    /* --allow-net would approve an 'ask' rule above that denial. */
			    (rule->granted ||
			     !denied_before(child, index, other, &other->target[k])))
				return false;
		}
	}
	return false;
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
	unsigned k;

	if (a->public.action != b->public.action || a->protocol != b->protocol ||
	    a->any != b->any || a->methods != b->methods || a->granted != b->granted ||
	    a->targets != b->targets)
		return false;
	for (k = 0; k < a->targets; k++)
		if (strcmp(a->target[k].text, b->target[k].text) != 0)
			return false;
	return true;
}

/*
 * The rules of the child that may allow more: from *first on, before *end. Where it has the
 * parent's rules in the same order and at most one besides, no other one can.
 */
static void find_new(const struct rule_list *child, const struct rule_list *parent, size_t *first,
		     size_t *end)
{
	size_t more = child->count - parent->count, at, i;

	*first = 0;
	*end = child->count;
	if (child->count < parent->count || more > 1)
		return;
	for (at = 0; at < parent->count && same_rule(child->rule[at], parent->rule[at]);)
		at++;
	for (i = at; i < parent->count; i++)
		if (!same_rule(child->rule[i + more], parent->rule[i]))
			return;
	*first = at;
	*end = at + more;
}

static int compare_net(const struct policy *child, const struct policy *parent, struct err *err)
{
	const struct rule_list *list = &child->class[POLICY_NET];
	const struct rule *rule;
	size_t i, end;
	unsigned k;

	find_new(list, &parent->class[POLICY_NET], &i, &end);
	for (; i < end; i++) {
		rule = list->rule[i];
		for (k = 0; k < rule->targets && rule->public.action != POLICY_ACTION_DENY; k++)
			if (!target_within(list, i, &rule->target[k], &parent->class[POLICY_NET]))
				return err_set(err, EPERM,
					       "it allows more, or that can't be ruled out: net "
					       "%s%s%.100s (%.100s:%u)",
					       rule->any ? ""
							 : policy_protocol_name(rule->protocol),
					       rule->any ? "" : " ", rule->target[k].text,
					       rule->public.file, rule->public.line);
	}
	return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

/*
 * What differs in a share that can't be changed is how it is shown. Where the sandbox may write,
 * owner=map allows chown, which owner=host refuses; owner=host shows the host's users; and with a
 * looser cache what the guest has seen goes on to be seen when rules are replaced.
 */
static bool has_options_of(const struct policy_share *share, const struct policy_share *other)
{
	enum policy_cache cache = policy_share_cache(share);

	return share->read_only ||
	       (share->host_owners == other->host_owners &&
		(cache == policy_share_cache(other) || cache == POLICY_CACHE_NONE));
}

static int compare_shares(const struct policy *child, const struct policy *parent, struct err *err)
{
	const struct policy_share *share, *other;
	size_t i, k;

	for (i = 0; i < child->shares; i++) {
		share = &child->share[i];
		for (k = 0; k < parent->shares; k++) {
			other = &parent->share[k];
			if (strcmp(share->host, other->host) == 0 &&
			    strcmp(share->guest, other->guest) == 0 && share->uid == other->uid &&
			    share->gid == other->gid && (share->read_only || !other->read_only))
				break;
		}
		if (k < parent->shares && !has_options_of(share, &parent->share[k]))
			return err_set(err, EPERM,
				       "it allows more, or shows more: another owner= or cache= of "
				       "the share %.200s (%.100s:%u)",
				       share->guest, share->file ? share->file : "--share",
				       share->line);
		if (k == parent->shares)
			return err_set(err, EPERM, "it allows more: the share %.200s (%.100s:%u)",
				       share->guest, share->file ? share->file : "--share",
				       share->line);
	}
	return 0;
}

static int compare_limits(const struct policy *child, const struct policy *parent, struct err *err)
{
	const struct policy_limits *a = &child->limits, *b = &parent->limits;
	uint64_t ours, theirs;
	unsigned i;

	for (i = 0; i < POLICY_LIMITS; i++) {
		ours = policy_limit_effective(a, (enum policy_limit)i);
		theirs = policy_limit_effective(b, (enum policy_limit)i);
		if (theirs && (!ours || ours > theirs) && !b->file[i])
			return err_set(err, EPERM, "it allows more: a limit %s above the usual one",
				       policy_limit_name((enum policy_limit)i));
		if (theirs && (!ours || ours > theirs))
			return err_set(
				err, EPERM, "it allows more: %s limit %s (before: %.100s:%u)",
				policy_limit_value(a, (enum policy_limit)i) ? "a higher" : "no",
				policy_limit_name((enum policy_limit)i), b->file[i], b->line[i]);
	}
	if (b->idle_ns && !b->idle_pauses && a->idle_pauses)
		return err_set(err, EPERM,
			       "it allows more: an idle sandbox pauses (before, it stops: "
			       "%.100s:%u)",
			       b->file[POLICY_LIMIT_IDLE], b->line[POLICY_LIMIT_IDLE]);
	return 0;
}

static int compare_all(const struct policy *child, const struct policy *parent, uint64_t work,
		       uint64_t moves_work, struct err *err)
{
	bool moves = false, programs = false;
	int ret = compare_shares(child, parent, err);

	if (ret == 0)
		ret = compare_limits(child, parent, err);
	if (ret == 0 && parent->audit_required && !child->audit_required)
		ret = err_set(err, EPERM, "it allows more: 'on-deny audit=required' is missing");
	if (ret == 0 && policy_audit_processes(parent) && !policy_audit_processes(child))
		ret = err_set(err, EPERM, "it hides more: 'audit processes' is missing");
	if (ret == 0 && parent->on_ask.way == POLICY_ON_ASK_DENY &&
	    child->on_ask.way != POLICY_ON_ASK_DENY)
		ret = err_set(err, EPERM, "it allows more: 'on-ask deny' is missing");
	if (ret == 0)
		ret = compare_class(child, parent, POLICY_FILE, POLICY_ACTION_DENY, work, &moves,
				    err);
	/* In a served root file system, files that no rule matches may be read. */
	if (ret == 0 && (child->source.rootfs || parent->source.rootfs))
		ret = compare_class(child, parent, POLICY_FILE, POLICY_ACTION_READ, work, &moves,
				    err);
	if (ret == 0 && (moves || child->shares != parent->shares))
		ret = narrow_moves(child, parent, moves_work, err);
	if (ret == 0)
		ret = compare_class(child, parent, POLICY_EXEC, POLICY_ACTION_DENY, work, &programs,
				    err);
	if (ret == 0)
		ret = process_is_narrower(child, parent, err);
	return ret == 0 ? compare_net(child, parent, err) : ret;
}

int policy_is_narrower(const struct policy *child, const struct policy *parent, struct err *err)
{
	return compare_all(child, parent, WORK_MAX, NARROW_MOVES_WORK, err);
}

int policy_is_narrower_briefly(const struct policy *child, const struct policy *parent,
			       struct err *err)
{
	return compare_all(child, parent, NARROW_BRIEF, NARROW_BRIEF / 4, err);
}
