/* SPDX-License-Identifier: Apache-2.0 */
/* cordon top: what a sandbox does, or all of them, refreshed in place. */
#include "vmm/base/bytes.h"
#include "vmm/cli/live.h"
#include "vmm/cli/verb.h"

static const struct option_entry entries[] = {
	{"once", 0, OPTION_FLAG, NULL, "print one page and end",
	 .offset = offsetof(struct live, once)},
	{"json", 0, OPTION_FLAG, NULL, "print a JSON object for each page",
	 .offset = offsetof(struct live, json)},
	{"interval", 0, OPTION_DURATION, "TIME", "time between pages (default: 1s)",
	 .offset = offsetof(struct live, interval_ns)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int run(int argc, char **argv, struct err *err)
{
	static struct live live;
	const struct option_set set = {&table, &live};
	static const struct verb_words words = {.verb = &verb_top, .most = 1};
	int ret;

	live = (struct live){.page = top_page, .interval_ns = LIVE_INTERVAL_NS};
	ret = verb_words(&words, &set, 1, argc, argv, err);
	if (ret < 0)
		return ret;
	live.view.name = ret > 0 ? argv[1] : NULL;
	return live_run(&live, "top", err);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_top = {
	.name = "top",
	.group = VERB_SANDBOXES,
	.usage = "[--once] [--json] [--interval TIME] [NAME]",
	.summary = "show what a sandbox does, or all of them, refreshed in place",
	.description =
		"Shows of the sandbox NAME its processes, sorted by processor time since the last "
		"page, its last denials with the rule, its live flows, and the files touched last. "
		"Without NAME: a line for each sandbox. `q` or Ctrl-C ends it.\n"
		"\n"
		"The list of processes is the guest's word: a guest can hide processes, and a "
		"process can call itself anything. Memory and processor time of the sandbox, "
		"denials, flows and files are what the monitor knows.",
	.options = tables,
	.notes =
		"The percentages of the first page are since the start of the sandbox and of each "
		"process. `age` of a flow, `TIME` and the like are as in `cordon stats` and top(1)."
		"\n\n"
		"Without a terminal, or with one that is `dumb`, it prints one page, as with "
		"`--once`, whose lines are not cut.",
	.see_also = "ps stats audit",
	.run = run,
};
