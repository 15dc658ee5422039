/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/remedy.h"

#include <string.h>

#include "vmm/policy/explain.h"
#include "vmm/policy/internal.h"

/* The operation on one of its names alone. */
static struct policy_request one_end(const struct policy_request *request, bool other)
{
	struct policy_request one = *request;

	if (other) {
		one.object = request->other;
		one.length = request->other_length;
	}
	one.other = NULL;
	one.other_length = 0;
	one.directory = false;
	return one;
}

/* Whether an added rule is to open this end, because the policy's rules do not. */
static bool is_denied(const struct policy *policy, const struct policy_request *end)
{
	struct policy_decision decision;

	if (!end->object)
		return false;
	policy_decide(policy, end, &decision);
	/* What a rule would allow is denied for another reason: a symbolic link. */
	return decision.verdict != POLICY_ALLOW &&
	       (!decision.rule ||
		file_permission(decision.rule->action,
				policy_needed_action(POLICY_FILE, end->op)) != PERMISSION_GIVEN);
}

static bool is_hidden(const struct policy *policy, const struct policy_request *end)
{
	struct policy_decision decision = {.verdict = POLICY_ALLOW};

	if (end->object)
		policy_decide(policy, end, &decision);
	return decision.verdict == POLICY_HIDE;
}

static bool is_protected(const struct policy_request *end)
{
	return policy_protected(end->object, end->length,
				policy_needed_action(POLICY_FILE, end->op) > POLICY_ACTION_READ);
}

static void write_rule(const struct policy_request *end, char line[POLICY_REMEDY_LINE])
{
	enum policy_action action = policy_needed_action(end->class, end->op);

	/* A file that may be created must be writable, too. */
	if (end->op == POLICY_CREATE || end->op == POLICY_SYMLINK)
		action = POLICY_ACTION_WRITE;
	policy_request_rule(end, action, line);
}

/* An added rule of files comes before all others, so it decides, but for what hides a directory
 * above. */
static bool file_remedy(const struct policy *policy, const struct policy_request *request,
			char line[POLICY_REMEDY_LINE])
{
	struct policy_request end[2] = {one_end(request, false), one_end(request, true)};
	bool denied[2] = {is_denied(policy, &end[0]), is_denied(policy, &end[1])};
	size_t used;

	/* Fixed rules deny it: for symbolic links, and for what lies beneath a directory. */
	if (!denied[0] && !denied[1])
		return false;
	if (request->directory || is_hidden(policy, &end[1]) ||
	    (denied[0] && is_protected(&end[0])) || (denied[1] && is_protected(&end[1])))
		return false;
	write_rule(&end[denied[0] ? 0 : 1], line);
	if (!denied[0] || !denied[1])
		return true;
	used = strlen(line);
	line[used++] = ' ';
	policy_quote(end[1].object,
		     end[1].length < POLICY_OBJECT_MAX ? end[1].length : POLICY_OBJECT_MAX,
		     line + used);
	return true;
}

/* An added rule of the network approves in advance: it overrides no denial. */
static bool net_remedy(const struct policy_request *request, const struct policy_rule *rule,
		       char line[POLICY_REMEDY_LINE])
{
	struct policy_request lasting = policy_request_of_rule(request, rule);

	if (rule && rule->action != POLICY_ACTION_ASK)
		return false;
	write_rule(&lasting, line);
	return true;
}

bool policy_remedy(const struct policy *policy, const struct policy_request *request,
		   const struct policy_decision *decision, char line[POLICY_REMEDY_LINE])
{
	const struct policy_rule *rule = decision->rule;

	line[0] = '\0';
	if (decision->verdict == POLICY_HIDE || (rule && rule->action == POLICY_ACTION_HIDE) ||
	    !policy_request_is_plain(request))
		return false;
	if (request->class == POLICY_NET)
		return net_remedy(request, rule, line);
	if (request->class == POLICY_FILE)
		return file_remedy(policy, request, line);
	write_rule(request, line);
	return true;
}
