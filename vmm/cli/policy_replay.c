/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy replay: the decisions of a log that another policy would make differently. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "vmm/cli/audit_log.h"
#include "vmm/cli/policy.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/replay.h"
#include "vmm/launch/policy_file.h"

int policy_replay(int argc, char **argv, struct err *err)
{
	static struct policy_options options = {.lenient = true};
	struct replay replay = {.most = ULONG_MAX};
	struct policy *policy = NULL;
	char path[PATH_MAX];
	static const struct verb_words words = {&verb_policy, "replay", 2, 2,
						"which log, by which policy?"};
	const char *log;
	char **rest;
	int ret = audit_log_words(&words, argc, argv, &log, &rest, err);

	if (ret < 0)
		return ret;
	ret = policy_add_file(&options, rest[0], err);
	if (ret == 0)
		ret = policy_load(&policy, &options, err);
	if (ret == 0)
		ret = audit_log_find(log, path, err);
	replay.policy = policy;
	if (ret == 0)
		ret = replay_log(&replay, path, err);
	policy_free(policy);
	if (ret < 0)
		return ret;
	printf("%lu of %lu decisions would be different", replay.different, replay.decisions);
	if (replay.unknown)
		printf(", %lu can't be told", replay.unknown);
	printf("\n");
	return replay.different > 0;
}
