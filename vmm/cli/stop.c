/* SPDX-License-Identifier: Apache-2.0 */
/* cordon stop: end the commands of a sandbox and switch it off. */
#include "vmm/base/bytes.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

#define GRACE_DEFAULT UINT64_MAX /* the monitor's own */

struct stop_options {
	bool all;
	uint64_t grace_ns;
};

static const struct option_entry entries[] = {
	{"all", 0, OPTION_FLAG, NULL, "all sandboxes that run",
	 .offset = offsetof(struct stop_options, all)},
	{"time", 't', OPTION_DURATION, "TIME",
	 "time that the commands have after SIGTERM (default: 10s)",
	 .offset = offsetof(struct stop_options, grace_ns)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int stop_one(const char *name, void *arg, struct err *err)
{
	const struct stop_options *options = arg;

	json_t *request = json_pack("{s:s}", "op", "stop");

	if (options->grace_ns != GRACE_DEFAULT)
		json_object_set_new(request, "grace_ms",
				    json_integer((json_int_t)(options->grace_ns / 1000000)));
	return request_send(name, request, err);
}

static int run(int argc, char **argv, struct err *err)
{
	struct stop_options options = {.grace_ns = GRACE_DEFAULT};
	const struct option_set set = {&table, &options};
	int count = request_names(&verb_stop, &set, argc, argv, &options.all, err);

	if (count < 0)
		return count;
	return options.all ? request_each_running(stop_one, &options, err)
			   : request_each(argv + 1, count, stop_one, &options);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_stop = {
	.name = "stop",
	.group = VERB_SANDBOXES,
	.usage = "[-t TIME] NAME ...|--all",
	.summary = "end the commands of a sandbox and switch it off",
	.description = "Sends SIGTERM to the commands of each sandbox, gives them time to end, and "
		       "switches it off. Of several sandboxes, one after the other.",
	.options = tables,
	.see_also = "kill wait",
	.run = run,
};
