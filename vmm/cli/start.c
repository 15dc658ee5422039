/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon start and restore: a sandbox that stays. The monitor is a child of its own session; the
 * command waits until it says that the sandbox is ready, or why it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/cli/network_options.h"
#include "vmm/cli/rootfs.h"
#include "vmm/cli/start.h"
#include "vmm/control/monitor.h"
#include "vmm/policy/audit_sign.h"

struct start_options {
	struct sandbox_options base;
	uint64_t idle_ns, wall_ns;
};

static int set_idle(void *arg, const char *value, struct err *err)
{
	return cli_parse_duration(value, &((struct start_options *)arg)->idle_ns, err);
}

static int set_wall(void *arg, const char *value, struct err *err)
{
	return cli_parse_duration(value, &((struct start_options *)arg)->wall_ns, err);
}

static const struct cli_option start_option_table[] = {
	{"idle", 0, "TIME", "stop when no command has run for TIME", set_idle},
	{"wall", 0, "TIME", "stop TIME after the start", set_wall},
};

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

/* What the policy says of time, where no option says less. */
static int limit_time(struct start_options *options, struct err *err)
{
	const struct policy *policy = options->base.policy;
	const struct policy_limits *limits = policy_limits(policy);
	int ret = policy_apply_limit(policy, "--wall", LIMIT_WALL, limits->wall_ns,
				     options->wall_ns > 0, &options->wall_ns, err);

	if (ret == 0)
		ret = policy_apply_limit(policy, "--idle", LIMIT_IDLE, limits->idle_ns,
					 options->idle_ns > 0, &options->idle_ns, err);
	return ret;
}

void help_start(void)
{
	printf("\nOptions:\n");
	cli_print_options(start_option_table, ARRAY_SIZE(start_option_table));
	cli_print_options(policy_option_table, policy_option_count);
	cli_print_options(sandbox_option_table, sandbox_option_count);
	cli_print_options(network_option_table, network_option_count);
}

void help_restore(void)
{
	printf("\nOptions:\n");
	cli_print_options(policy_option_table, policy_option_count);
	cli_print_options(restore_option_table, ARRAY_SIZE(restore_option_table));
	cli_print_options(network_option_table, network_option_count);
	cli_print_options(start_option_table, ARRAY_SIZE(start_option_table));
}

/* --- the monitor's side ----------------------------------------------------------------------- */

struct starter {
	int pipe_fd;
	int null_fd;
};

/*
 * One byte for ready, and the pipe is closed; anything else is the reason why not, and the pipe
 * stays open until this process has cleaned up and ended. Warnings go to the starter's stderr until
 * then.
 */
static void report(void *arg, const char *failure)
{
	struct starter *starter = arg;
	const char *text = failure ? failure : "";

	if (starter->pipe_fd < 0)
		return;
	if (write(starter->pipe_fd, text, failure ? strlen(text) : 1) < 0) {
		/* Who started us is gone, and starter_fd tells so. */
	}
	if (failure)
		return;
	fd_close(&starter->pipe_fd);
	dup2(starter->null_fd, STDERR_FILENO);
}

/* Nothing of whoever called us stays open but what the monitor needs. */
static void close_others(int keep_a, int keep_b)
{
	int low = keep_a < keep_b ? keep_a : keep_b, high = keep_a < keep_b ? keep_b : keep_a;

	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

static void __attribute__((noreturn)) be_monitor(struct monitor_config *config, int pipe_fd)
{
	struct starter starter = {.pipe_fd = pipe_fd};
	int status;

	setsid();
	signal(SIGHUP, SIG_IGN);
	close_others(pipe_fd, config->lock_fd);
	starter.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (starter.null_fd < 0) {
		report(&starter, "cannot open /dev/null");
		_exit(EXIT_CORDON);
	}
	dup2(starter.null_fd, STDIN_FILENO);
	dup2(starter.null_fd, STDOUT_FILENO);
	fd_raise_limit();
	if (chdir("/") < 0) {
		/* It keeps a file system busy, no more. */
	}
	if (registry_set_pid(config->lock_fd, getpid()) < 0) {
		report(&starter, "cannot write the process id into the sandbox's folder");
		registry_clear(config->name, config->lock_fd);
		_exit(EXIT_CORDON);
	}
	config->report = report;
	config->report_arg = &starter; /* cppcheck-suppress autoVariables; it never returns */
	config->starter_fd = pipe_fd;
	status = monitor_run(config);
	_exit(status);
}

/* --- the command's side ----------------------------------------------------------------------- */

static int wait_for_monitor(int pipe_fd, const char *name, struct err *err)
{
	char text[sizeof(err->text) - SANDBOX_NAME_MAX - 2];
	ssize_t n = fd_read_full(pipe_fd, text, sizeof(text) - 1);

	if (n == 1 && text[0] == '\0')
		return 0;
	if (n <= 0)
		return err_set(err, EIO, "%s: the monitor died before it was ready", name);
	text[n] = '\0';
	return err_set(err, EIO, "%s: %s", name, text);
}

int start_monitor(struct monitor_config *config, struct err *err)
{
	int pipe_fd[2] = {-1, -1}, ret = 0;
	pid_t pid = -1;

	config->lock_fd = registry_claim(config->name, err);
	if (config->lock_fd < 0)
		return config->lock_fd;
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		ret = err_sys(err, "pipe");
	fflush(NULL);
	if (ret == 0) {
		pid = fork();
		if (pid == 0)
			be_monitor(config, pipe_fd[1]);
		if (pid < 0)
			ret = err_sys(err, "fork");
	}
	fd_close(&pipe_fd[1]);
	if (ret == 0)
		ret = wait_for_monitor(pipe_fd[0], config->name, err);
	/* We share its lock, so what a monitor that died leaves is ours to clear. */
	if (ret < 0 && (pid < 0 || waitpid(pid, NULL, 0) == pid))
		registry_clear(config->name, config->lock_fd);
	fd_close(&pipe_fd[0]);
	fd_close(&config->lock_fd);
	return ret;
}

int start_absolute(const char **path, char *absolute, struct err *err)
{
	char folder[PATH_MAX];

	if (!*path || (*path)[0] == '/')
		return 0;
	if (!getcwd(folder, sizeof(folder)))
		return err_sys(err, "the working directory");
	if (snprintf(absolute, PATH_MAX, "%s/%s", folder, *path) >= PATH_MAX)
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
		.uid = options.uid,
		.gid = options.gid,
	};
	return ret;
}

static int start(struct start_options *options, const char *kind, const char *name, struct err *err)
{
	struct monitor_config config = {
		.sandbox = options->base.sandbox,
		.kind = kind,
		.name = name,
		.policy = options->base.policy,
		.audit = options->base.policy_options.audit,
		.key = options->base.key,
	};
	struct machine_config *machine = &config.sandbox.machine;
	static char kernel[PATH_MAX], initrd[PATH_MAX], vsock[PATH_MAX], audit[PATH_MAX];
	int ret = registry_check_name(name, err);

	if (ret == 0)
		ret = start_defaults(options->base.settings, &config.defaults, err);
	if (ret == 0 && machine->console_fd >= 0)
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
	config.wall_ns = options->wall_ns;
	config.sandbox.hostname = name;
	if (ret == 0)
		ret = start_monitor(&config, err);
	/* The monitor has its own. */
	audit_key_free(options->base.key);
	return ret;
}

int cmd_start(int argc, char **argv)
{
	static struct start_options options;
	const struct cli_options tables[] = {
		{policy_option_table, policy_option_count, &options.base.policy_options},
		{sandbox_option_table, sandbox_option_count, &options.base},
		{network_option_table, network_option_count, &options.base},
		{start_option_table, ARRAY_SIZE(start_option_table), &options},
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
		at = start(&options, "start", name, &err);
	if (at < 0)
		log_error("%s", err.text);
	return at < 0 ? EXIT_CORDON : 0;
}

int cmd_restore(int argc, char **argv)
{
	static struct start_options options;
	const struct cli_options tables[] = {
		{start_option_table, ARRAY_SIZE(start_option_table), &options},
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
		at = ret == 0 ? start(&options, "restore", argv[at + 1], &err) : ret;
	}
	if (at < 0)
		log_error("%s", err.text);
	free(path);
	return at < 0 ? EXIT_CORDON : 0;
}
