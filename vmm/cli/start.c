/* SPDX-License-Identifier: Apache-2.0 */
/* cordon start: a sandbox that stays. */
#include "vmm/base/bytes.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_start, NULL, 1, 1,
						"which name for the sandbox?"};
	static struct start_options options;
	const struct option_set sets[] = {
		{&start_option_table, &options},
		{&policy_option_table, &options.base.policy_options},
		{&share_option_table, &options.base.policy_options},
		{&root_option_table, &options.base},
		{&size_option_table, &options.base},
		{&isolation_option_table, &options.base},
		{&network_option_table, &options.base},
		{&audit_option_table, &options.base.policy_options},
		{&guest_option_table, &options.base},
	};
	int ret;

	sandbox_options_init(&options.base);
	ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);
	if (ret < 0)
		return ret;
	ret = sandbox_options_rootfs(&options.base, err);
	if (ret == 0)
		ret = sandbox_options_finish(&options.base, true, err);
	if (ret == 0)
		ret = start_sandbox(&options, "start", argv[1], err);
	return ret;
}

static const struct option_table *const tables[] = {
	&start_option_table,   &policy_option_table,
	&share_option_table,   &root_option_table,
	&size_option_table,    &isolation_option_table,
	&network_option_table, &audit_option_table,
	&guest_option_table,   NULL,
};

const struct verb verb_start = {
	.name = "start",
	.group = VERB_SANDBOXES,
	.usage = "[options] NAME",
	.summary = "boot a sandbox that stays",
	.description =
		"Returns when commands can be run in the sandbox with `cordon exec`. The sandbox "
		"stays until `cordon stop` or `cordon kill` ends it, or a time limit. The default "
		"policy is `locked`. Options may stand before and after NAME.",
	.options = tables,
	.notes =
		"NAME has up to 48 letters, digits, `-`, `_` and `.`, a letter or digit first, and "
		"is taken until the sandbox has ended. If `cordon start` itself is ended before "
		"the sandbox is ready, the sandbox ends too. `--console` is refused: `cordon logs` "
		"shows the console of a sandbox that stays.",
	.examples = "  cordon start --policy agent --rootfs host box\n"
		    "  cordon exec -w \"$PWD\" box -- make test",
	.see_also = "exec stop ps run restore cordon-policy(5)",
	.run = run,
};
