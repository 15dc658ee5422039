/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy replay: the decisions of a log that another policy would make differently. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/policy.h"
#include "vmm/launch/policy_file.h"
#include "vmm/policy/explain.h"

struct replay {
	const struct policy *policy;
	unsigned long decisions, flips, skipped;
};

static int replay_entry(void *arg, const char *line, size_t length, const json_t *json,
			struct err *err)
{
	struct replay *replay = arg;
	struct policy_decision decision;
	struct audit_entry entry;
	char rule[PATH_MAX] = "";

	(void)line;
	(void)length;
	(void)err;
	audit_entry_read(&entry, json);
	if (!entry.is_decision)
		return 0;
	if (!entry.exact) {
		replay->skipped++;
		return 0;
	}
	replay->decisions++;
	policy_decide(replay->policy, &entry.request, &decision);
	if (strcmp(policy_verdict_name(decision.verdict), entry.verdict) == 0)
		return 0;
	replay->flips++;
	if (decision.rule)
		snprintf(rule, sizeof(rule), " (%.4000s:%u)", decision.rule->file,
			 decision.rule->line);
	text_line(stdout, "%llu %s %s %s: %s -> %s%s", (unsigned long long)entry.sequence,
		  policy_class_name(entry.request.class), policy_op_name(entry.request.op),
		  entry.request.object	   ? entry.request.object
		  : entry.request.net.name ? entry.request.net.name
					   : "an address",
		  entry.verdict, policy_verdict_name(decision.verdict), rule);
	return 0;
}

int policy_replay(int argc, char **argv, struct err *err)
{
	static struct policy_options options = {.lenient = true};
	struct replay replay = {.flips = 0};
	struct policy *policy = NULL;
	char path[PATH_MAX];
	int ret;

	if (argc != 3)
		return err_set(err, EINVAL, "policy replay: cordon policy replay LOG FILE");
	ret = policy_add_file(&options, argv[2], err);
	if (ret == 0)
		ret = policy_load(&policy, &options, err);
	if (ret == 0)
		ret = audit_log_find(argv[1], path, err);
	replay.policy = policy;
	if (ret == 0)
		ret = audit_log_read(path, NULL, replay_entry, &replay, err);
	policy_free(policy);
	if (ret < 0)
		return ret;
	printf("%lu of %lu decisions would be different", replay.flips, replay.decisions);
	if (replay.skipped)
		printf(", %lu can't be told", replay.skipped);
	printf("\n");
	return replay.flips > 0;
}
