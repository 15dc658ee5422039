/* SPDX-License-Identifier: Apache-2.0 */
/* cordon kill: end a sandbox at once. */
#include <errno.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/request.h"
#include "vmm/control/registry.h"

struct kill_options {
	bool all;
};

static const struct option_entry entries[] = {
	{"all", 0, OPTION_FLAG, NULL, "all sandboxes that run",
	 .offset = offsetof(struct kill_options, all)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* A monitor that does not reply is killed. */
static int kill_one(const char *name, void *arg, struct err *err)
{
	struct message reply;
	pid_t pid;
	int ret = registry_find(name, &pid, err);

	(void)arg;
	if (ret == 0) {
		ret = client_request_once(name, PATIENCE_MS,
					  json_pack("{s:s,s:b}", "op", "stop", "kill", 1), &reply,
					  err);
		if (ret == 0) {
			request_print_planted(&reply);
			message_clear(&reply);
		} else {
			ret = registry_kill(name, err);
		}
		if (ret == -ESRCH) /* it ended meanwhile */
			ret = 0;
	}
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	struct kill_options options = {.all = false};
	const struct option_set set = {&table, &options};
	int count = request_names(&verb_kill, &set, argc, argv, &options.all, err);

	if (count < 0)
		return count;
	return options.all ? request_each_running(kill_one, NULL, err)
			   : request_each(argv + 1, count, kill_one, NULL);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_kill = {
	.name = "kill",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...|--all",
	.summary = "end a sandbox at once",
	.description = "Also ends a sandbox whose monitor does not reply.",
	.options = tables,
	.see_also = "stop wait",
	.run = run,
};
