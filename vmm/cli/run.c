/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"
#include "vmm/control/registry.h"

static int set_verbose(void *arg, const char *value, struct err *err)
{
	struct run_options *options = arg;

	(void)value;
	(void)err;
	log_set_level(options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	options->verbose = true;
	return 0;
}

static int set_outlive(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct run_options *)arg)->die_with_parent = false;
	return 0;
}

static int set_name(void *arg, const char *value, struct err *err)
{
	((struct run_options *)arg)->name = value;
	return registry_check_name(value, err);
}

static const struct cli_option run_option_table[] = {
	{"name", 0, "NAME", "what the sandbox is called (a made-up name: run-...)", set_name},
	{"outlive-parent", 0, NULL, "go on when the process that started this one ends",
	 set_outlive},
	{"verbose", 'v', NULL, "say what happens, with a time line; twice: more", set_verbose},
};

void help_run(void)
{
	printf("\nThe command:\n");
	cli_print_options(command_option_table, command_option_count);
	cli_print_options(run_option_table, ARRAY_SIZE(run_option_table));
	printf("\nThe sandbox:\n");
	cli_print_options(policy_option_table, policy_option_count);
	cli_print_options(sandbox_option_table, sandbox_option_count);
	cli_print_options(network_option_table, network_option_count);
	printf("\nWithout CMD, but with --kernel or --initrd, the guest only boots; stdin and "
	       "stdout\n"
	       "are its console, and its power-off or reset ends the run with status 0.\n");
}

static int parse(struct run_options *options, int argc, char **argv, struct err *err)
{
	const struct cli_options tables[] = {
		{command_option_table, command_option_count, &options->command},
		{run_option_table, ARRAY_SIZE(run_option_table), options},
		{policy_option_table, policy_option_count, &options->base.policy_options},
		{sandbox_option_table, sandbox_option_count, &options->base},
		{network_option_table, network_option_count, &options->base},
	};
	const struct machine_config *machine = &options->base.sandbox.machine;
	static char audit[PATH_MAX];
	int at = cli_parse(tables, ARRAY_SIZE(tables), argc, argv, err), ret;

	if (at < 0)
		return at;
	/* Its record tells the path to commands with other working directories. */
	ret = start_absolute(&options->base.policy_options.audit, audit, err);
	if (ret == 0)
		ret = sandbox_options_rootfs(&options->base, err);
	if (ret == 0 && options->base.settings)
		ret = rootfs_apply_settings(options->base.settings, &options->command, err);
	if (ret < 0)
		return ret;
	if (at < argc)
		options->argv = argv + at;
	else if (options->base.settings)
		options->argv = rootfs_command(options->base.settings);
	if (!options->argv && (options->base.rootfs || (!machine->kernel && !machine->initrd)))
		return err_set(err, EINVAL, "run: which command? cordon run [options] -- CMD ARGS");
	return sandbox_options_finish(&options->base, options->argv != NULL, err);
}

static void warn_of_questions(const struct run_options *options, const char *name)
{
	const struct policy *policy = options->base.policy;
	size_t i;

	if (options->base.sandbox.on_ask || !options->base.sandbox.network.user)
		return;
	for (i = 0; i < policy_rule_count(policy, POLICY_NET); i++) {
		const struct policy_rule *rule = policy_rule(policy, POLICY_NET, i);

		if (rule->action != POLICY_ACTION_ASK)
			continue;
		log_warning("%s:%u is an 'ask' rule: approve with 'cordon ask %s' or --on-ask; "
			    "without an operator it denies",
			    rule->file, rule->line, name);
		return;
	}
}

/* A run that no other command can reach is better than none: whatever is in the way. */
static int claim_unnamed(char name[SANDBOX_NAME_MAX + 1], struct err *err)
{
	int lock_fd = registry_claim_run(name, err), ret;
	struct sockaddr_un address;

	if (lock_fd < 0)
		return lock_fd;
	ret = registry_socket(name, &address, err);
	if (ret == 0 && registry_set_pid(lock_fd, getpid()) < 0)
		ret = err_set(err, EIO, "%s: cannot write the process id", name);
	if (ret == 0)
		return lock_fd;
	registry_clear(name, lock_fd);
	fd_close(&lock_fd);
	return ret;
}

int run_claim(const struct run_options *options, char name[SANDBOX_NAME_MAX + 1], int *lock_fd,
	      struct err *err)
{
	struct err why = {.text = ""};

	if (options->name) {
		snprintf(name, SANDBOX_NAME_MAX + 1, "%s", options->name);
		*lock_fd = registry_claim(name, err);
		if (*lock_fd < 0)
			return *lock_fd;
		if (registry_set_pid(*lock_fd, getpid()) < 0)
			return err_set(err, EIO, "%s: cannot write the process id", name);
	} else {
		*lock_fd = claim_unnamed(name, &why);
	}
	if (*lock_fd < 0) {
		log_warning("other commands cannot reach this run: %s", why.text);
		*lock_fd = -1;
		return 0;
	}
	log_info("this run is called %s", name);
	warn_of_questions(options, name);
	return 0;
}

int cmd_run(int argc, char **argv)
{
	static struct run_options options;
	uint64_t started = loop_now_ns();
	struct err err;

	sandbox_options_init(&options.base);
	options.die_with_parent = true;
	if (parse(&options, argc, argv, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	if (!options.argv) {
		options.base.sandbox.machine.console_fd = STDOUT_FILENO;
		options.base.sandbox.machine.console_exact = true;
	}
	return run_session(&options, started);
}
