/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy check: what is wrong with a policy, and where its rules are enforced. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/policy.h"
#include "vmm/cli/verb.h"
#include "vmm/control/planted.h"
#include "vmm/files/files.h"
#include "vmm/launch/policy_file.h"
#include "vmm/launch/program_links.h"
#include "vmm/launch/share_leads.h"
#include "vmm/policy/risks.h"

struct check_options {
	struct policy_options policy;
	const char *require; /* "host", or NULL */
};

static const char *const required[] = {"host", NULL};

static const struct option_entry entries[] = {
	{"require", 0, OPTION_CHOICE, "host", "refuse rules that only the guest's kernel enforces",
	 .offset = offsetof(struct check_options, require), .choices = required},
	{"rootfs", 0, OPTION_FLAG, NULL, "check as if the root file system came from the host",
	 .offset = offsetof(struct check_options, policy.rootfs)},
};

const struct option_table policy_check_option_table = {"Options of check", entries,
						       ARRAY_SIZE(entries)};

/* The number of processors is the machine's, a fraction of them the guest's. */
static bool is_fraction(const struct policy_limits *limits, enum policy_limit limit)
{
	return limit == POLICY_LIMIT_CPUS && limits->cpu_millis % 1000 > 0;
}

static bool needs_guest(const struct policy_limits *limits, enum policy_limit limit)
{
	return limit == POLICY_LIMIT_PROCESSES || limit == POLICY_LIMIT_OPEN_FILES ||
	       is_fraction(limits, limit);
}

static void print_limit(const struct policy_limits *limits, enum policy_limit limit)
{
	const char *name = policy_limit_name(limit), *file = limits->file[limit];
	unsigned line = limits->line[limit];

	if (is_fraction(limits, limit)) {
		text_line(stdout, "%s:%u: host: limit cpus (rounded up to %u)", file, line,
			  (unsigned)policy_processors(limits->cpu_millis));
		text_line(stdout, "%s:%u: guest: limit cpus (the share of them)", file, line);
		return;
	}
	text_line(stdout, "%s:%u: %s: limit %s", file, line,
		  needs_guest(limits, limit) ? "guest" : "host", name);
}

static int not_on_host(const char *file, unsigned line, const char *text, struct err *err)
{
	return err_set(err, EPERM,
		       "%s:%u: only the guest's kernel enforces this, and --require host is "
		       "given: %.200s",
		       file, line, text);
}

static int print_limits(const struct policy *policy, bool require_host, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);
	enum policy_limit limit;
	char text[64];

	for (limit = 0; limit < POLICY_LIMITS; limit++) {
		if (!limits->line[limit])
			continue;
		snprintf(text, sizeof(text), "limit %s%s", policy_limit_name(limit),
			 is_fraction(limits, limit) ? " (a fraction)" : "");
		if (require_host && needs_guest(limits, limit))
			return not_on_host(limits->file[limit], limits->line[limit], text, err);
		print_limit(limits, limit);
	}
	return 0;
}

/* The log then has the guest's word. */
static int print_audit(const struct policy *policy, bool require_host, struct err *err)
{
	static const char text[] = "audit processes";
	const struct policy_place *place = policy_audit_processes(policy);

	if (place && require_host)
		return not_on_host(place->file, place->line, text, err);
	if (place)
		text_line(stdout, "%s:%u: guest: %s", place->file, place->line, text);
	return 0;
}

static void print_share(const struct policy_share *share)
{
	char owner[64] = "";
	int used = 0;

	if (share->uid >= 0)
		used = snprintf(owner, sizeof(owner), " uid=%lld", (long long)share->uid);
	if (share->gid >= 0)
		snprintf(owner + used, sizeof(owner) - (size_t)used, " gid=%lld",
			 (long long)share->gid);
	text_line(stdout, "%s:%u: host: share %s %s%s%s%s%s%s", share->file, share->line,
		  share->host, share->guest, share->read_only ? " ro" : "", owner,
		  share->host_owners ? " owner=host" : "", share->cache ? " cache=" : "",
		  share->cache ? policy_cache_name(share->cache) : "");
}

/* A rule that --share has added has no line. */
static void print_rule(const struct policy_rule *rule)
{
	const char *by = policy_enforced_by_name(rule->enforced_by);

	if (rule->line)
		text_line(stdout, "%s:%u: %s: %s", rule->file, rule->line, by, rule->text);
	else
		text_line(stdout, "%s: %s: %s", rule->file, by, rule->text);
}

/* A policy may be checked on another host than its own, so what is missing is no error. */
static void warn_of_directories(const struct policy *policy)
{
	const struct policy_share *share;
	struct files_share opened;
	struct err err;
	size_t i;

	for (i = 0; (share = policy_share(policy, i)); i++) {
		const struct files_share_config config = {
			.host = share->host, .guest = share->guest, .read_only = share->read_only};

		if (files_share_open(&opened, &config, &err) < 0)
			log_warning("share %s: %s: no sandbox starts with it", share->guest,
				    err.text);
		else
			files_share_close(&opened);
	}
}

static int print_rules(const struct policy *policy, bool require_host, struct err *err)
{
	const struct policy_share *share;
	const struct policy_rule *rule;
	unsigned class;
	size_t i;
	int ret;

	ret = print_limits(policy, require_host, err);
	if (ret == 0)
		ret = print_audit(policy, require_host, err);
	for (i = 0; ret == 0 && i < policy_share_count(policy); i++) {
		share = policy_share(policy, i);
		if (share->file)
			print_share(share);
	}
	for (class = 0; ret == 0 && class < POLICY_CLASSES; class ++)
		for (i = 0; i < policy_rule_count(policy, (enum policy_class) class); i++) {
			rule = policy_rule(policy, (enum policy_class) class, i);
			if (require_host && rule->enforced_by != POLICY_HOST)
				return not_on_host(rule->file, rule->line, rule->text, err);
			print_rule(rule);
		}
	return ret;
}

/* Groups of system calls have a state without any rule, too. */
static void print_groups(const struct policy *policy)
{
	struct policy_decision decision;
	unsigned group;

	for (group = 0; group < POLICY_GROUPS; group++) {
		policy_decide_group(policy, (enum policy_group)group, &decision);
		text_line(stdout, "process %s: %s: %s", policy_group_name((enum policy_group)group),
			  decision.verdict == POLICY_ALLOW ? "open" : "closed", decision.reason);
	}
}

static void print_risk(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

int policy_check(int argc, char **argv, struct err *err)
{
	static struct check_options options;
	const struct option_set sets[] = {
		{&policy_check_option_table, &options},
		{&policy_option_table, &options.policy},
		{&share_option_table, &options.policy},
	};
	const struct policy_risk_ops risks = {.report = print_risk};
	const struct policy_share *share;
	struct policy *policy = NULL;
	static const struct verb_words words = {&verb_policy, "check", 0, VERB_WORDS_ANY, NULL};
	int count = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err), ret = 0, at;
	size_t i;

	if (count < 0)
		return count;
	if (count == 0 && !options.policy.policies && !options.policy.allow_nets)
		return verb_usage_error(&verb_policy, "check", "which policy?", err);
	for (at = 1; ret == 0 && at <= count; at++)
		ret = policy_add_file(&options.policy, argv[at], err);
	if (ret == 0)
		ret = policy_load(&policy, &options.policy, err);
	if (ret == 0)
		ret = policy_check_sizes(policy, err);
	if (ret == 0)
		ret = print_rules(policy, options.require != NULL, err);
	if (ret == 0) {
		print_groups(policy);
		warn_of_directories(policy);
		policy_risks(policy, &risks);
		policy_program_risks(policy, &risks);
		program_links(policy, &risks);
		share_leads(policy, &risks);
	}
	for (i = 0; ret == 0 && (share = policy_share(policy, i)); i++)
		if (!share->read_only)
			planted_find(share->host, NULL,
				     &(struct planted_ops){.report = print_risk});
	policy_free(policy);
	return ret;
}
