/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/risks.h"

#include <stdio.h>
#include <string.h>

#include "vmm/policy/internal.h"
#include "vmm/policy/protected.h"

#define NAMED_MAX 6 /* places that a line names; further ones are counted */

/* One share and one group of places. */
struct survey {
	const struct policy *policy;
	const struct policy_share *share;
	const struct policy_risk_ops *ops;
	const struct protected_place *place;
	unsigned found;
	bool wild; /* this pass is for patterns with wildcards, which are named last */
	char names[512];
};

/* Whether the guest can read a secret, or write another place. */
static bool is_open(const struct survey *survey, const char *path)
{
	bool secret = survey->place->group == PROTECTED_SECRETS;
	char object[POLICY_OBJECT_MAX];
	struct policy_request request = {
		.class = POLICY_FILE,
		.op = secret ? POLICY_READ : POLICY_WRITE,
		.object = object,
	};
	struct policy_decision decision;
	int length = snprintf(object, sizeof(object), "%s/%s", survey->share->guest, path);

	if (length < 0 || length >= (int)sizeof(object) || (survey->share->read_only && !secret))
		return false;
	request.length = (size_t)length;
	policy_decide(survey->policy, &request, &decision);
	return decision.verdict == POLICY_ALLOW;
}

static bool look_at(void *arg, const char *pattern, size_t length, const char *path)
{
	struct survey *survey = arg;
	const struct policy_risk_ops *ops = survey->ops;
	char relative[POLICY_PATTERN_MAX + 2];
	size_t used = strlen(survey->names);
	bool tree = length > 3 && memcmp(pattern + length - 3, "/**", 3) == 0;

	/* Skip an example that another entry matches first. */
	snprintf(relative, sizeof(relative), "/%s", path);
	if (protected_find(relative, strlen(relative)) != survey->place || !is_open(survey, path))
		return true;
	snprintf(relative, sizeof(relative), "%.*s", (int)(tree ? length - 3 : length), pattern);
	if ((strpbrk(relative, "*?[") != NULL) != survey->wild)
		return true;
	if (ops->present && (survey->wild || !ops->present(ops->arg, survey->share, relative)))
		return true;
	if (survey->found++ < NAMED_MAX)
		snprintf(survey->names + used, sizeof(survey->names) - used, "%s%s",
			 used ? ", " : "", relative);
	return true;
}

static void look_at_group(struct survey *survey, enum protected_group group, bool wild)
{
	size_t i;

	survey->wild = wild;
	for (i = 0; (survey->place = protected_place(i)); i++)
		if (survey->place->group == group && survey->place->verdict != PROTECTED_WRITE &&
		    (!survey->ops->present || survey->place->verdict != PROTECTED_WARN))
			protected_examples(survey->place, look_at, survey);
}

static void group_risk(struct survey *survey, enum protected_group group)
{
	char text[1024], more[32] = "";

	survey->found = 0;
	survey->names[0] = '\0';
	look_at_group(survey, group, false);
	look_at_group(survey, group, true);
	if (survey->found == 0)
		return;
	if (survey->found > NAMED_MAX)
		snprintf(more, sizeof(more), " and %u more", survey->found - NAMED_MAX);
	snprintf(text, sizeof(text), "share %.300s: the guest can %s %s%s: %s",
		 survey->share->guest, group == PROTECTED_SECRETS ? "read" : "change",
		 survey->names, more, protected_group_risk(group));
	survey->ops->report(survey->ops->arg, text);
}

static void share_risks(const struct policy *policy, const struct policy_share *share,
			const struct policy_risk_ops *ops)
{
	struct survey survey = {.policy = policy, .share = share, .ops = ops};
	const char *home = policy->source.home;
	size_t length = strlen(share->host);
	char text[1024];
	unsigned group;

	if (strcmp(share->host, "/") == 0 || (home && strncmp(home, share->host, length) == 0 &&
					      (home[length] == '/' || home[length] == '\0'))) {
		snprintf(text, sizeof(text),
			 "share %.300s: the whole home directory is within reach, keys and "
			 "configuration included",
			 share->guest);
		ops->report(ops->arg, text);
	}
	for (group = 0; group < PROTECTED_GROUPS; group++)
		group_risk(&survey, (enum protected_group)group);
}

static void net_risks(const struct rule *rule, const struct policy_risk_ops *ops)
{
	char text[1024];
	unsigned k;

	for (k = 0; k < rule->targets; k++) {
		if (rule->target[k].kind != NET_ANY || rule->public.action != POLICY_ACTION_ALLOW)
			continue;
		snprintf(text, sizeof(text), "%.200s:%u: %s is within reach", rule->public.file,
			 rule->public.line,
			 rule->any ? "everything on the network, the local network included,"
				   : "the whole Internet");
		ops->report(ops->arg, text);
	}
}

void policy_risks(const struct policy *policy, const struct policy_risk_ops *ops)
{
	const struct rule_list *net = &policy->class[POLICY_NET];
	size_t i;

	for (i = 0; i < policy->shares; i++)
		share_risks(policy, &policy->share[i], ops);
	for (i = 0; i < net->count; i++)
		net_risks(net->rule[i], ops);
}
