/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/explain.h"

#include <errno.h>
#include <string.h>

#include "vmm/policy/internal.h"
#include "vmm/policy/protected.h"
#include "vmm/policy/request.h"

bool policy_protected(const char *path, size_t length, bool write)
{
	const struct protected_place *place = protected_find(path, length);

	return place &&
	       (place->verdict == PROTECTED_HIDE || (place->verdict == PROTECTED_READ && write));
}

enum policy_action policy_needed_action(enum policy_class class, enum policy_op op)
{
	if (class != POLICY_FILE)
		return POLICY_ACTION_ALLOW;
	if (op == POLICY_READ || op == POLICY_LOOKUP)
		return POLICY_ACTION_READ;
	return op == POLICY_APPEND || op == POLICY_CREATE || op == POLICY_SYMLINK
		       ? POLICY_ACTION_APPEND
		       : POLICY_ACTION_WRITE;
}

void policy_quote(const char *path, size_t length, char *pattern)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (strchr("*?[]\\ #$", path[i]))
			*pattern++ = '\\';
		*pattern++ = path[i];
	}
	*pattern = '\0';
}

/* --- the nearest rule ------------------------------------------------------------------------- */

static bool rule_matches(const struct rule *rule, const struct policy_request *request)
{
	struct arena arena = {.chunk = NULL};
	struct glob_tree *tree;
	bool found = false;
	unsigned k;

	if (request->class == POLICY_NET)
		return net_rule_matches(rule, &request->net);
	tree = glob_tree_create(&arena);
	for (k = 0; tree && k < rule->patterns; k++)
		if (glob_tree_add(tree, &rule->pattern[k], 0) < 0)
			tree = NULL;
	if (tree && glob_tree_finish(tree) == 0)
		found = glob_tree_match(tree, request->object, request->length) == 0;
	arena_free(&arena);
	return found;
}

static bool allows(const struct rule *rule, const struct policy_request *request)
{
	enum policy_action action = rule->public.action;
	enum policy_action wanted = policy_needed_action(request->class, request->op);

	if (request->class == POLICY_FILE)
		return file_permission(action, wanted) == PERMISSION_GIVEN;
	return action != POLICY_ACTION_ASK && action >= wanted;
}

/* The length of the longest common beginning of the path and a rule's patterns as written. */
static size_t common_length(const struct rule *rule, const struct policy_request *request)
{
	size_t best = 0, i;
	unsigned k;

	for (k = 0; k < rule->patterns; k++) {
		for (i = 0; i < request->length && rule->pattern[k].text[i] == request->object[i];)
			i++;
		if (i > best)
			best = i;
	}
	return best;
}

static void find_nearest(const struct rule_list *list, const struct policy_request *request,
			 struct policy_explanation *explanation)
{
	size_t best = 1, common, i; /* a common '/' does not count */

	for (i = 0; i < list->count && !explanation->matches; i++) {
		if (!allows(list->rule[i], request))
			continue;
		if (rule_matches(list->rule[i], request)) {
			explanation->matches = true;
			explanation->nearest = &list->rule[i]->public;
			break;
		}
		common = request->class == POLICY_NET ? 0 : common_length(list->rule[i], request);
		if (common > best) {
			best = common;
			explanation->nearest = &list->rule[i]->public;
		}
	}
}

/* --- the line to add -------------------------------------------------------------------------- */

static void write_line(const struct policy_request *request, struct policy_explanation *explanation)
{
	enum policy_action action = policy_needed_action(request->class, request->op);

	/* A file that may be created must be writable, too. */
	if (request->op == POLICY_CREATE || request->op == POLICY_SYMLINK)
		action = POLICY_ACTION_WRITE;
	policy_request_rule(request, action, explanation->line);
}

/* Whether a rule hides the path itself, not only a directory above it. */
static bool hides_itself(const struct policy *policy, const struct policy_request *request)
{
	struct policy_request own = *request;
	struct policy_decision decision;

	own.root = 0;
	policy_decide(policy, &own, &decision);
	return decision.verdict == POLICY_HIDE;
}

int policy_explain(const struct policy *policy, const struct policy_request *request,
		   struct policy_explanation *explanation)
{
	memset(explanation, 0, sizeof(*explanation));
	policy_decide(policy, request, &explanation->decision);
	if (explanation->decision.verdict == POLICY_ALLOW)
		return 0;
	if (request->class != POLICY_NET &&
	    (!request->object || request->length == 0 || request->length > POLICY_OBJECT_MAX))
		return 0;
	if (policy_request_is_pathless(request))
		return 0;
	explanation->above = explanation->decision.rule;
	/* A directory above is hidden: no line for the path itself would help. */
	if (explanation->decision.verdict == POLICY_HIDE && !hides_itself(policy, request))
		return 0;
	if (request->class != POLICY_PROCESS)
		find_nearest(&policy->class[request->class], request, explanation);
	write_line(request, explanation);
	if (request->class == POLICY_FILE)
		explanation->is_protected = policy_protected(
			request->object, request->length,
			policy_needed_action(POLICY_FILE, request->op) > POLICY_ACTION_READ);
	return 0;
}
