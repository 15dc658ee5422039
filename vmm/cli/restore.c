/* SPDX-License-Identifier: Apache-2.0 */
/* cordon restore: a sandbox from a snapshot. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"

static int set_verify(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct start_options *)arg)->base.sandbox.verify = true;
	return 0;
}

/* Of the options for what a sandbox is made of those that a snapshot leaves open. */
static int set_audit(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct start_options *)arg)->base.policy_options.audit = value;
	return 0;
}

static int set_sign(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct start_options *)arg)->base.policy_options.sign = value;
	return 0;
}

static int set_rootfs(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct start_options *)arg)->base.rootfs = value;
	return 0;
}

static int set_share(void *arg, const char *value, struct err *err)
{
	return policy_add_share(&((struct start_options *)arg)->base.policy_options, value, err);
}

static int set_allow_home(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct start_options *)arg)->base.policy_options.allow_home = true;
	return 0;
}

static int set_on_ask(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct start_options *)arg)->base.sandbox.on_ask = value;
	return 0;
}

static const struct cli_option restore_option_table[] = {
	{"rootfs", 0, "ROOT", "the root file system that the snapshot was taken with", set_rootfs},
	{"audit", 0, "FILE", "write the audit log there; it stays", set_audit},
	{"sign", 0, "KEY", "sign the audit log's end with an OpenSSH ed25519 key", set_sign},
	{"share", 0, "HOST:GUEST", "share a folder: [:ro][:uid=N][:gid=N] may follow", set_share},
	{"allow-home", 0, NULL, "let shares reach the home directory, / or several repositories",
	 set_allow_home},
	{"on-ask", 0, "CMD", "a command that answers where a rule says ask: see cordon ask",
	 set_on_ask},
	{"verify", 0, NULL, "read all of the memory in FILE first and check it", set_verify},
};

void help_restore(void)
{
	printf("\nOptions:\n");
	cli_print_options(policy_option_table, policy_option_count);
	cli_print_options(restore_option_table, ARRAY_SIZE(restore_option_table));
	cli_print_options(network_option_table, network_option_count);
	cli_print_options(start_option_table, start_option_count);
}

int cmd_restore(int argc, char **argv)
{
	static struct start_options options;
	const struct cli_options tables[] = {
		{start_option_table, start_option_count, &options},
		{policy_option_table, policy_option_count, &options.base.policy_options},
		{restore_option_table, ARRAY_SIZE(restore_option_table), &options},
		{network_option_table, network_option_count, &options.base},
	};
	char *path = NULL;
	struct err err;
	int at, ret;

	sandbox_options_init(&options.base);
	at = cli_parse(tables, ARRAY_SIZE(tables), argc, argv, &err);
	if (at >= 0 && at + 2 != argc)
		at = err_set(&err, EINVAL,
			     "restore: cordon restore [options] FILE NAME: a snapshot, and how the "
			     "sandbox shall be called");
	if (at >= 0) {
		path = realpath(argv[at], NULL);
		options.base.sandbox.snapshot = path;
		options.base.sandbox.machine.agent = true;
		ret = path ? sandbox_options_rootfs(&options.base, &err)
			   : err_sys(&err, "%s", argv[at]);
		if (ret == 0)
			ret = sandbox_options_policy(&options.base, &err);
		at = ret == 0 ? start_sandbox(&options, "restore", argv[at + 1], &err) : ret;
	}
	if (at < 0)
		log_error("%s", err.text);
	free(path);
	return at < 0 ? EXIT_CORDON : 0;
}
