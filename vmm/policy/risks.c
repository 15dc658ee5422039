/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/risks.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/special.h"
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

/* Whether a rule of the policy's text keeps anything of the files from the guest. */
static bool withholds_files(const struct policy *policy)
{
	const struct rule_list *files = &policy->class[POLICY_FILE];
	size_t i;

	for (i = 0; i < files->count; i++)
		if (!files->rule[i]->implied &&
		    files->rule[i]->public.action != POLICY_ACTION_WRITE)
			return true;
	return false;
}

static void loose_risk(const struct policy *policy, const struct policy_share *share,
		       const struct policy_risk_ops *ops)
{
	char text[1024];

	if (share->read_only || policy_share_cache(share) != POLICY_CACHE_LOOSE ||
	    !withholds_files(policy))
		return;
	snprintf(text, sizeof(text),
		 "share %.300s: with cache=loose the guest uses what it has cached without asking "
		 "the file rules again, also where the sandbox moves a file, for up to a day: "
		 "cache=strict asks",
		 share->guest);
	ops->report(ops->arg, text);
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
	loose_risk(policy, share, ops);
	for (group = 0; group < PROTECTED_GROUPS; group++)
		group_risk(&survey, (enum protected_group)group);
}

/* Whether a target is an address within the network `text`, of which the first `prefix` bits count.
 */
static bool is_in(const struct net_target *target, int family, const char *text, unsigned prefix)
{
	uint8_t network[16];

	return target->kind == NET_CIDR && target->family == (unsigned)family &&
	       target->prefix >= prefix && inet_pton(family, text, network) == 1 &&
	       special_same_prefix(target->address, network, prefix);
}

/* A pattern that looks like a path with a query. */
static bool has_query(const char *text)
{
	const char *query = strchr(text, '?');

	return query && query > text && query[-1] != '\\' && strchr(query, '=');
}

/* What is surprising about a target that a rule opens, to be read after it, or NULL. */
static const char *target_risk(const struct rule *rule, const struct net_target *target)
{
	if (is_in(target, AF_INET, "127.0.0.0", 8) || is_in(target, AF_INET6, "::1", 128) ||
	    (target->kind == NET_NAME && strcmp(target->name, "localhost") == 0))
		return " is the sandbox's own loopback, which needs no rule: for that of the host, "
		       "write the name host";
	if (is_in(target, AF_INET, "192.0.2.0", 24) || is_in(target, AF_INET6, "2001:db8::", 64))
		return " is in the sandbox's own network, where no rule opens anything: for the "
		       "loopback of the host, write the name host";
	if (rule->protocol == POLICY_HTTP && target->port_low == 443 && target->port_high == 443)
		return ": port 443 has TLS, in which no request can be read: for a server of "
		       "HTTPS, write net allow tls NAME:443";
	if (rule->protocol == POLICY_HTTP && target->path && has_query(target->text))
		return ": '?' stands for one character of the path; the query of a request is not "
		       "compared";
	return NULL;
}

static void net_risks(const struct rule *rule, const struct policy_risk_ops *ops)
{
	const struct net_target *target;
	char text[1024];
	const char *risk;
	bool wide;
	unsigned k;

	for (k = 0; k < rule->targets && rule->public.action != POLICY_ACTION_DENY; k++) {
		target = &rule->target[k];
		wide = rule->public.action == POLICY_ACTION_ALLOW &&
		       (target->kind == NET_ANY ||
			(target->kind == NET_CIDR && target->prefix == 0));
		risk = wide ? " is within reach" : target_risk(rule, target);
		if (!risk)
			continue;
		snprintf(text, sizeof(text), "%.200s:%u: %.200s%s", rule->public.file,
			 rule->public.line,
			 !wide	     ? target->text
			 : rule->any ? "everything on the network, the local network included,"
				     : "the whole Internet",
			 risk);
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
