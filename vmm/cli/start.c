/* SPDX-License-Identifier: Apache-2.0 */
/* cordon start: a sandbox that stays. */
#include <errno.h>
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"

void help_start(void)
{
	printf("\nOptions:\n");
	cli_print_options(start_option_table, start_option_count);
	cli_print_options(policy_option_table, policy_option_count);
	cli_print_options(sandbox_option_table, sandbox_option_count);
	cli_print_options(network_option_table, network_option_count);
}

int cmd_start(int argc, char **argv)
{
	static struct start_options options;
	const struct cli_options tables[] = {
		{policy_option_table, policy_option_count, &options.base.policy_options},
		{sandbox_option_table, sandbox_option_count, &options.base},
		{network_option_table, network_option_count, &options.base},
		{start_option_table, start_option_count, &options},
	};
	const char *name = NULL;
	struct err err;
	int at, rest;

	sandbox_options_init(&options.base);
	at = cli_parse(tables, ARRAY_SIZE(tables), argc, argv, &err);
	if (at >= 0 && at < argc) {
		name = argv[at];
		rest = cli_parse(tables, ARRAY_SIZE(tables), argc - at, argv + at, &err);
		at = rest < 0 ? rest : at + rest;
	}
	if (at >= 0 && (!name || at < argc))
		at = err_set(&err, EINVAL,
			     "start: one name is needed: cordon start [options] NAME");
	if (at >= 0)
		at = sandbox_options_rootfs(&options.base, &err);
	if (at >= 0)
		at = sandbox_options_finish(&options.base, true, &err);
	if (at >= 0)
		at = start_sandbox(&options, "start", name, &err);
	if (at < 0)
		log_error("%s", err.text);
	return at < 0 ? EXIT_CORDON : 0;
}
