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
#include "vmm/cli/foreign.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"
#include "vmm/control/registry.h"
#include "vmm/image/cache.h"

static int set_verbose(void *arg, const char *value, struct err *err)
{
	struct run_options *options = arg;

	(void)value;
	(void)err;
	log_set_level(options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	options->verbose = true;
	return 0;
}

static int set_name(void *arg, const char *value, struct err *err)
{
	((struct run_options *)arg)->name = value;
	return registry_check_name(value, err);
}

static const struct option_entry entries[] = {
	{"name", 0, OPTION_CALL, "NAME", "name of the sandbox (default: a generated run-...)",
	 "Other commands reach the sandbox by this name while it runs.", .set = set_name},
	{"outlive-parent", 0, OPTION_FLAG, NULL,
	 "keep running when the process that started cordon ends",
	 "By default the end of the process that started cordon counts as SIGHUP, unless SIGHUP is "
	 "ignored (nohup) or cordon leads a session (setsid). So nothing untrusted goes on unseen "
	 "after a script, an agent or a job of CI, which have no terminal that could hang up.",
	 .offset = offsetof(struct run_options, outlive_parent)},
	{"entrypoint", 0, OPTION_STRING, "CMD",
	 "run CMD with the arguments, in place of the image's own command",
	 "`--entrypoint sh -- -c pwd` is the same as `-- sh -c pwd`.",
	 .offset = offsetof(struct run_options, entrypoint)},
	{"rm", 0, OPTION_FLAG, NULL, "no effect: the sandbox of a run never stays",
	 .offset = offsetof(struct run_options, no_effect)},
	{"quiet", 'q', OPTION_CALL, NULL, "print no warnings, only errors", .set = quiet_set},
	{"detach", 'd', OPTION_FLAG, NULL,
	 "run in the background, and print the sandbox's name; it ends with CMD",
	 "Returns once CMD has been started, with no input. `cordon logs NAME` shows what it "
	 "writes "
	 "(the first 1 MiB each of standard output and error), `cordon wait NAME` exits with its "
	 "status; both work for the record that is left, too.",
	 .offset = offsetof(struct run_options, detach)},
	{"verbose", 0, OPTION_CALL, NULL,
	 "report progress on stderr, with a time line; twice for more",
	 "Also prints counters at the end.", .set = set_verbose},
};

static const struct option_table table = {"Run", entries, ARRAY_SIZE(entries)};

/* `run alpine sh`: -EINVAL with the line that is meant. */
static int image_in_place_of_command(const char *image, const char *command, bool more,
				     struct err *err)
{
	struct digest id;

	if (image_find(image, &id, NULL) == 0)
		return err_set(err, EINVAL,
			       "run: '%.60s' is an image: cordon run [options] --rootfs %.60s -- "
			       "%.60s%s",
			       image, image, command, more ? " ..." : "");
	return err_set(err, EINVAL,
		       "run: '%.60s' looks like an image: cordon run [options] --rootfs %.60s -- "
		       "%.60s%s; 'cordon image build ARCHIVE --tag %.60s' unpacks it before",
		       image, image, command, more ? " ..." : "", image);
}

static int parse(struct run_options *options, int argc, char **argv, struct err *err)
{
	const struct option_set sets[] = {
		{&command_option_table, &options->command},
		{&table, options},
		{&policy_option_table, &options->base.policy_options},
		{&share_option_table, &options->base.policy_options},
		{&root_option_table, &options->base},
		{&size_option_table, &options->base},
		{&isolation_option_table, &options->base},
		{&network_option_table, &options->base},
		{&audit_option_table, &options->base.policy_options},
		{&guest_option_table, &options->base},
	};
	const struct machine_config *machine = &options->base.sandbox.machine;
	static char audit[PATH_MAX];
	int at = options_parse(sets, ARRAY_SIZE(sets), argc, argv, err), ret;

	if (at < 0)
		return at;
	if (at < argc && !options->entrypoint && strcmp(argv[at - 1], "--") != 0 &&
	    !options->base.rootfs && foreign_image(argv[at]))
		return image_in_place_of_command(argv[at], argc - at > 1 ? argv[at + 1] : "CMD",
						 argc - at > 2, err);
	/* Other commands read the path from the record, in other working directories. */
	ret = start_absolute(&options->base.policy_options.audit, audit, err);
	if (ret == 0)
		ret = sandbox_options_rootfs(&options->base, err);
	if (ret == 0 && options->base.settings)
		ret = rootfs_apply_settings(options->base.settings, &options->command, err);
	if (ret < 0)
		return ret;
	ret = command_options_check(argv[0], &options->command, err);
	if (ret < 0)
		return ret;
	if (options->entrypoint) {
		options->argv = argv + at - 1; /* the option and its value stand before */
		argv[at - 1] = (char *)(uintptr_t)options->entrypoint;
	} else if (at < argc) {
		options->argv = argv + at;
	} else if (options->base.settings) {
		options->argv = rootfs_command(options->base.settings);
	}
	if (!options->argv && (options->base.rootfs || (!machine->kernel && !machine->initrd)))
		return verb_usage_error(&verb_run, NULL, "which command?", err);
	return sandbox_options_finish(&options->base, options->argv != NULL, err);
}

void run_warn_of_questions(const struct run_options *options, const char *name)
{
	const struct policy *policy = options->base.policy;
	enum policy_on_ask_way way = policy_on_ask(policy)->way;
	size_t i;

	if (options->base.sandbox.on_ask || !options->base.sandbox.network.user)
		return;
	for (i = 0; i < policy_rule_count(policy, POLICY_NET); i++) {
		const struct policy_rule *rule = policy_rule(policy, POLICY_NET, i);

		if (rule->action != POLICY_ACTION_ASK)
			continue;
		if (way != POLICY_ON_ASK_DENY)
			log_warning("%s:%u is an 'ask' rule: approve with 'cordon ask %s' or "
				    "--on-ask; without an operator %s",
				    rule->file, rule->line, name,
				    way == POLICY_ON_ASK_FREEZE ? "the sandbox stands still"
								: "it denies");
		return;
	}
}

/* Registers a run without --name. The caller only warns of a failure. */
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
	run_warn_of_questions(options, name);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct run_options options;
	uint64_t started = loop_now_ns();
	int ret;

	sandbox_options_init(&options.base);
	ret = parse(&options, argc, argv, err);
	if (ret == 0 && options.detach)
		return run_detached(&options, err);
	if (ret == 0)
		ret = command_options_stdin(&options.command, err);
	if (ret < 0)
		return ret;
	if (!options.argv) {
		options.base.sandbox.machine.console_fd = STDOUT_FILENO;
		options.base.sandbox.machine.console_exact = true;
	}
	return run_session(&options, started);
}

static const struct option_table *const tables[] = {
	&command_option_table,
	&table,
	&policy_option_table,
	&share_option_table,
	&root_option_table,
	&size_option_table,
	&isolation_option_table,
	&network_option_table,
	&audit_option_table,
	&guest_option_table,
	NULL,
};

const struct verb verb_run = {
	.name = "run",
	.group = VERB_SANDBOXES,
	.usage = "[options] -- CMD ARGS",
	.summary = "boot a sandbox, run one command in it, and end it",
	.description =
		"The command's standard input, output and error are those of cordon, byte for "
		"byte, and its exit status becomes that of cordon; nothing else is written to "
		"standard output. The default policy is `locked`: nothing of the host and no "
		"network.",
	.options = tables,
	.notes =
		"While it runs, the sandbox can be reached by its name, with `cordon ps`, `exec`, "
		"`ask`, `policy set` and `stop`.\n"
		"\n"
		"Without CMD, but with `--kernel` or `--initrd`, the guest only boots. Standard "
		"input and output are then its console, and the run ends with status 0 when the "
		"guest switches itself off or resets itself.\n"
		"\n"
		"SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are passed on to the "
		"command. After SIGTERM or SIGHUP it has 10 seconds to end. Before the command has "
		"started, each of them ends cordon.",
	.examples = "  cordon run -- uname -a\n"
		    "  cordon run --policy agent --rootfs host -w \"$PWD\" -- make test\n"
		    "  cordon run -d --name web --publish 8080:80 -- httpd -f -p 80\n"
		    "  tar c src | cordon run --rootfs host -- sh -c 'tar x && make -C src' > log",
	.exit_status =
		"The command's own; 128+N if signal N ended it; 124 if `--timeout` did; 126 if it "
		"cannot be executed, 127 if it was not found. 125 if cordon failed or was called "
		"wrongly, or if the guest ended on its own, as after `poweroff -f` or `reboot -f` "
		"in it; one line on standard error then says why.",
	.see_also = "start exec ask policy image cordon-policy(5)",
	.run = run,
};
