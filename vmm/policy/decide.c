/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: the first rule of the class that matches, and what it means for the operation. */
#include <stdio.h>
#include <string.h>

#include "vmm/policy/internal.h"
#include "vmm/policy/protected.h"

/* --- files ------------------------------------------------------------------------------------ */

bool policy_path_is_normal(const char *path, size_t length)
{
	const char *end = path + length, *slash;
	size_t part;

	if (!path || length == 0 || length > POLICY_OBJECT_MAX || path[0] != '/' ||
	    memchr(path, '\0', length))
		return false;
	if (length == 1)
		return true;
	for (; path < end; path = slash) {
		path++;
		slash = memchr(path, '/', (size_t)(end - path));
		if (!slash)
			slash = end;
		part = (size_t)(slash - path);
		if (part == 0 || part > GLOB_NAME_MAX || (part == 1 && path[0] == '.') ||
		    (part == 2 && path[0] == '.' && path[1] == '.'))
			return false;
	}
	return true;
}

static const struct rule *first_match(const struct rule_list *list, const char *path, size_t length)
{
	uint32_t found = list->tree ? glob_tree_match(list->tree, path, length) : GLOB_NONE;

	return found == GLOB_NONE ? NULL : list->rule[found];
}

/* The length of the longest share path that contains a path, or 1 for "/". */
static size_t root_of(const struct policy *policy, const char *path, size_t length)
{
	size_t best = 1, guest, i;

	for (i = 0; i < policy->shares; i++) {
		guest = strlen(policy->share[i].guest);
		if (guest > best && guest <= length &&
		    memcmp(policy->share[i].guest, path, guest) == 0 &&
		    (guest == length || path[guest] == '/'))
			best = guest;
	}
	return best;
}

static bool hides(const void *arg, uint32_t value)
{
	const struct rule_list *list = arg;

	return list->rule[value]->public.action == POLICY_ACTION_HIDE;
}

/* The rule that decides about a file, in one walk: the first that matches it, or one that hides a
 * directory above it. */
static const struct rule *find_rule(const struct policy *policy,
				    const struct policy_request *request, const char *path,
				    size_t length, bool *above)
{
	const struct rule_list *list = &policy->class[POLICY_FILE];
	struct glob_above look = {.root = request->root, .stop = hides, .arg = list};
	size_t matched = length;
	uint32_t found;

	*above = false;
	if (request->root == 0 || !list->tree)
		return first_match(list, path, length);
	if (request->root == POLICY_ROOT_FIND)
		look.root = root_of(policy, path, length);
	found = glob_tree_match_above(list->tree, path, length, &look, &matched);
	*above = matched < length;
	return found == GLOB_NONE ? NULL : list->rule[found];
}

/* The lowest action that allows an operation. */
static enum policy_action needed(enum policy_op op)
{
	switch (op) {
	case POLICY_READ:
		return POLICY_ACTION_READ;
	case POLICY_APPEND:
	case POLICY_CREATE:
	case POLICY_SYMLINK:
		return POLICY_ACTION_APPEND;
	default:
		return POLICY_ACTION_WRITE;
	}
}

enum permission file_permission(enum policy_action action, enum policy_action wanted)
{
	if (action == POLICY_ACTION_ASK_READ)
		return wanted <= POLICY_ACTION_READ ? PERMISSION_ASKED : PERMISSION_NONE;
	if (action == POLICY_ACTION_ASK_WRITE)
		return wanted <= POLICY_ACTION_READ ? PERMISSION_GIVEN : PERMISSION_ASKED;
	if (action == POLICY_ACTION_ASK)
		return PERMISSION_ASKED;
	return action >= wanted ? PERMISSION_GIVEN : PERMISSION_NONE;
}

static void settle(struct policy_decision *decision, enum policy_verdict verdict,
		   const char *reason)
{
	decision->verdict = verdict;
	decision->reason = reason;
}

static void decide_path(const struct policy *policy, const struct policy_request *request,
			const char *path, size_t length, struct policy_decision *decision)
{
	enum permission permission;
	const struct rule *rule;
	bool above;

	if (!policy_path_is_normal(path, length)) {
		settle(decision, POLICY_DENY, "not a valid path");
		return;
	}
	rule = find_rule(policy, request, path, length, &above);
	decision->rule = rule ? &rule->public : NULL;
	decision->line = rule ? rule->public.line : 0;
	decision->enforced_by = POLICY_HOST;
	permission =
		rule ? file_permission(rule->public.action, needed(request->op)) : PERMISSION_NONE;
	if (!rule && request->op == POLICY_LOOKUP)
		settle(decision, POLICY_ALLOW, "no rule hides it");
	else if (!rule && request->rootfs && request->op == POLICY_READ)
		settle(decision, POLICY_ALLOW, "no rule matches: the root file system is readable");
	else if (!rule)
		settle(decision, POLICY_DENY, "no rule allows it");
	else if (rule->public.action == POLICY_ACTION_HIDE)
		settle(decision, POLICY_HIDE,
		       above ? "a rule hides a directory above it" : "a rule hides it");
	else if (request->op == POLICY_LOOKUP)
		settle(decision, POLICY_ALLOW, "no rule hides it");
	else if (permission == PERMISSION_ASKED)
		settle(decision, POLICY_ASK, "the rule needs an operator's approval");
	else if (rule->public.action == POLICY_ACTION_DENY)
		settle(decision, POLICY_DENY, "a rule denies it");
	else if (permission == PERMISSION_GIVEN)
		settle(decision, POLICY_ALLOW, "a rule allows it");
	else if (rule->public.action == POLICY_ACTION_APPEND)
		settle(decision, POLICY_DENY, "the rule allows only reading and appending");
	else
		settle(decision, POLICY_DENY, "the rule allows only reading");
}

static bool same_action(const void *arg, uint32_t x, uint32_t y)
{
	const struct rule_list *list = arg;

	if (x == GLOB_NONE || y == GLOB_NONE)
		return x == y;
	return list->rule[x]->public.action == list->rule[y]->public.action;
}

/* Programs of the host must not bypass rules through a symbolic link: see protected.h. */
static void decide_link(const struct policy *policy, const struct policy_request *request,
			struct policy_decision *decision)
{
	const struct policy_request write = {.class = POLICY_FILE, .op = POLICY_WRITE};
	const char *beneath = protected_beneath(request->object, request->length);
	struct policy_decision inner = {.verdict = POLICY_ALLOW};
	char path[POLICY_OBJECT_MAX];
	int length;

	if (protected_written_by_git(request->object, request->length)) {
		settle(decision, POLICY_DENY, "git on the host would write through the link");
		return;
	}
	if (!beneath)
		return;
	length = snprintf(path, sizeof(path), "%.*s/%s", (int)request->length, request->object,
			  beneath);
	if (length < 0 || length >= (int)sizeof(path))
		return;
	decide_path(policy, &write, path, (size_t)length, &inner);
	if (inner.verdict != POLICY_ALLOW)
		settle(decision, POLICY_DENY, "the link would bypass a rule for a path beneath it");
}

static bool is_refused(const struct policy_decision *decision)
{
	return decision->verdict != POLICY_ALLOW && decision->verdict != POLICY_ASK;
}

/* The second name: what it refuses counts, and else what the first one leaves to a person. */
static void decide_other(const struct policy *policy, const struct policy_request *request,
			 struct policy_decision *decision)
{
	const struct policy_decision first = *decision;

	decide_path(policy, request, request->other, request->other_length, decision);
	if (decision->verdict == POLICY_HIDE)
		settle(decision, POLICY_DENY, "a rule hides the new name");
	if (!is_refused(decision) && first.verdict == POLICY_ASK)
		*decision = first;
}

static void decide_file(const struct policy *policy, const struct policy_request *request,
			struct policy_decision *decision)
{
	const struct rule_list *list = &policy->class[POLICY_FILE];
	bool moves = request->op == POLICY_RENAME && request->directory;

	decide_path(policy, request, request->object, request->length, decision);
	if (is_refused(decision))
		return;
	if (request->op == POLICY_SYMLINK)
		decide_link(policy, request, decision);
	if (request->other)
		decide_other(policy, request, decision);
	if (is_refused(decision) || !moves)
		return;
	if (!request->other)
		settle(decision, POLICY_DENY,
		       "a directory can be moved only if both names are known");
	else if (list->tree &&
		 !glob_tree_same_beneath(list->tree, request->object, request->length,
					 request->other, request->other_length, same_action, list))
		settle(decision, POLICY_DENY,
		       "the rules beneath the directory's old and new name differ");
}

/* --- programs --------------------------------------------------------------------------------- */

static void decide_exec(const struct policy *policy, const struct policy_request *request,
			struct policy_decision *decision)
{
	const struct rule_list *list = &policy->class[POLICY_EXEC];
	const struct rule *rule;

	decision->enforced_by = POLICY_GUEST;
	if (list->count == 0) {
		settle(decision, POLICY_ALLOW, "no exec rules: any program may run");
		return;
	}
	/* Deleted, in memory, or on a file system that only a namespace of the workload has. */
	if (!policy_path_is_normal(request->object, request->length)) {
		settle(decision, POLICY_DENY, "it has no path in the sandbox");
		return;
	}
	rule = first_match(list, request->object, request->length);
	decision->rule = rule ? &rule->public : NULL;
	decision->line = rule ? rule->public.line : 0;
	if (!rule)
		settle(decision, POLICY_DENY, "no rule allows it");
	else if (rule->public.action == POLICY_ACTION_ALLOW)
		settle(decision, POLICY_ALLOW, "a rule allows it");
	else if (rule->public.action == POLICY_ACTION_ASK)
		settle(decision, POLICY_ASK, "the rule needs an operator's approval");
	else
		settle(decision, POLICY_DENY, "a rule denies it");
}

/* --- network ---------------------------------------------------------------------------------- */

/*
 * The index of the rule that decides, or list->count. What --allow-net grants counts where the
 * policy says 'ask' or none of its rules matches: it approves in advance and overrides no denial.
 */
static size_t first_net(const struct rule_list *list, const struct policy_request *request)
{
	size_t own = list->count - list->granted, i = own, granted = list->granted;

	if (list->index)
		i = net_index_first(list->index, request);
	if (i < own && list->rule[i]->public.action != POLICY_ACTION_ASK)
		return i;
	if (list->grants)
		granted = net_index_first(list->grants, request);
	if (granted < list->granted)
		return own + granted;
	return i < own ? i : list->count;
}

static void decide_net(const struct policy *policy, const struct policy_request *request,
		       struct policy_decision *decision)
{
	const struct rule_list *list = &policy->class[POLICY_NET];
	const struct rule *rule;
	size_t i = list->count;

	settle(decision, POLICY_DENY, list->count ? "no rule allows it" : "no net rules");
	if (request->op != POLICY_LISTEN)
		i = first_net(list, request);
	if (i == list->count)
		return;
	rule = list->rule[i];
	decision->rule = &rule->public;
	decision->line = rule->public.line;
	decision->number = (unsigned)i + 1;
	if (rule->public.action == POLICY_ACTION_DENY)
		settle(decision, POLICY_DENY, "a rule denies it");
	else if (rule->public.action == POLICY_ACTION_ASK && request->op == POLICY_CONNECT)
		settle(decision, POLICY_ASK, "the rule needs an operator's approval");
	else
		settle(decision, POLICY_ALLOW, "a rule allows it");
}

/* --- system calls ----------------------------------------------------------------------------- */

static void decide_use(const struct policy *policy, const struct policy_request *request,
		       struct policy_decision *decision)
{
	int group = request->object ? policy_group_named(request->object, request->length) : -1;

	if (group >= 0)
		policy_decide_group(policy, (enum policy_group)group, decision);
	else
		settle(decision, POLICY_DENY, "not a group of system calls");
}

void policy_decide(const struct policy *policy, const struct policy_request *request,
		   struct policy_decision *decision)
{
	*decision = (struct policy_decision){
		.verdict = POLICY_DENY,
		.enforced_by = POLICY_HOST,
		.reason = "not an operation of the class",
	};
	if (request->class == POLICY_FILE && request->op <= POLICY_ATTRIBUTES)
		decide_file(policy, request, decision);
	else if (request->class == POLICY_EXEC && request->op == POLICY_RUN)
		decide_exec(policy, request, decision);
	else if (request->class == POLICY_PROCESS && request->op == POLICY_USE)
		decide_use(policy, request, decision);
	else if (request->class == POLICY_NET && request->op >= POLICY_CONNECT &&
		 request->op <= POLICY_LISTEN)
		decide_net(policy, request, decision);
}
