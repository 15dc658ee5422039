/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/start_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/launch/rootfs.h"
#include "vmm/launch/spawn_monitor.h"
#include "vmm/policy/audit_sign.h"

static int set_idle(void *arg, const char *value, struct err *err)
{
	struct start_options *options = arg;

	return policy_parse_idle(value, &options->idle_ns, &options->idle_pauses, err);
}

static const struct option_entry entries[] = {
	{"idle", 0, OPTION_CALL, "TIME[:pause]",
	 "stop (or pause) the sandbox when no command has run for TIME",
	 "A sandbox that pauses goes on with the next command, or with `cordon resume`.",
	 .set = set_idle},
	{"wall", 0, OPTION_DURATION, "TIME", "stop the sandbox TIME after its start", NULL,
	 .offset = offsetof(struct start_options, wall_ns)},
};

const struct option_table start_option_table = {"Time", entries, ARRAY_SIZE(entries)};

/* Applies the policy's time limits to --wall and --idle. */
static int limit_time(struct start_options *options, struct err *err)
{
	const struct policy *policy = options->base.policy;
	const struct policy_limits *limits = policy_limits(policy);
	bool given = options->idle_ns > 0;
	int ret = policy_apply_limit(policy, "--wall", POLICY_LIMIT_WALL, options->wall_ns > 0,
				     &options->wall_ns, err);

	if (ret == 0)
		ret = policy_apply_limit(policy, "--idle", POLICY_LIMIT_IDLE, given,
					 &options->idle_ns, err);
	if (ret == 0 && given && options->idle_pauses && limits->idle_ns && !limits->idle_pauses)
		ret = err_set(err, EINVAL,
			      "--idle: the policy stops an idle sandbox, and does not pause it "
			      "(%s:%u)",
			      limits->file[POLICY_LIMIT_IDLE], limits->line[POLICY_LIMIT_IDLE]);
	if (!given)
		options->idle_pauses = limits->idle_pauses;
	return ret;
}

int start_absolute(const char **path, char *absolute, struct err *err)
{
	char directory[PATH_MAX];

	if (!*path || (*path)[0] == '/')
		return 0;
	if (!getcwd(directory, sizeof(directory)))
		return err_sys(err, "the working directory");
	if (snprintf(absolute, PATH_MAX, "%s/%s", directory, *path) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "%s: the path is too long", *path);
	*path = absolute;
	return 0;
}

int start_defaults(const json_t *settings, struct monitor_defaults *defaults, struct err *err)
{
	static struct command_options options; /* the monitor goes on using it */
	int ret = settings ? rootfs_apply_settings(settings, &options, err) : 0;

	*defaults = (struct monitor_defaults){
		.env = options.env,
		.workdir = options.workdir,
		.user = options.user,
	};
	return ret;
}

#define ONCE_IDLE_NS UINT64_C(60000000000)

int start_sandbox(struct start_options *options, const char *kind, const char *name,
		  struct err *err)
{
	struct monitor_config config = {
		.sandbox = options->base.sandbox,
		.kind = kind,
		.name = name,
		.policy = options->base.policy,
		.audit = options->base.policy_options.audit,
		.key = options->base.key,
		.key_path = options->base.key_path,
	};
	struct machine_config *machine = &config.sandbox.machine;
	static char kernel[PATH_MAX], initrd[PATH_MAX], vsock[PATH_MAX], audit[PATH_MAX];
	int ret = registry_check_name(name, err);

	if (ret == 0)
		ret = start_defaults(options->base.settings, &config.defaults, err);
	if (ret == 0 && options->base.console)
		ret = err_set(err, EINVAL, "start: --console is for run: see 'cordon logs %s'",
			      name);
	if (ret == 0)
		ret = start_absolute(&machine->kernel, kernel, err);
	if (ret == 0)
		ret = start_absolute(&machine->initrd, initrd, err);
	if (ret == 0)
		ret = start_absolute(&machine->vsock_path, vsock, err);
	if (ret == 0)
		ret = start_absolute(&config.audit, audit, err);
	if (ret == 0)
		ret = limit_time(options, err);
	config.idle_ns = options->idle_ns;
	config.idle_pauses = options->idle_pauses;
	config.wall_ns = options->wall_ns;
	config.once = options->once;
	/* Until the command comes. */
	if (config.once && !config.idle_ns)
		config.idle_ns = ONCE_IDLE_NS;
	if (!config.sandbox.hostname)
		config.sandbox.hostname = name;
	if (ret == 0)
		ret = spawn_monitor(&config, err);
	/* The monitor has its own copy. */
	audit_key_free(options->base.key);
	return ret;
}
