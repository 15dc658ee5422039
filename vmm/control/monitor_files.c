/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a monitor: record, audit log, console, output of detached jobs. All of them are opened
 * at the start, or by a descriptor of their directory that was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/monitor.h"
#include "vmm/jail/violation.h"
#include "vmm/policy/audit_sign.h"

/* --- at the start ----------------------------------------------------------------------------- */

/*
 * If no record can be made, the sandbox starts with a warning. But not if its policy requires a
 * log, which would be lost with the sandbox.
 */
static int open_record(struct monitor *monitor, struct err *err)
{
	const struct monitor_config *config = monitor->config;
	struct record_info about = {.pid = getpid(), .started_ns = record_now()};
	bool required = policy_audit_required(config->policy) && !config->audit;
	struct err why = {.text = ""};

	snprintf(about.name, sizeof(about.name), "%s", config->name);
	snprintf(about.kind, sizeof(about.kind), "%s", config->kind);
	snprintf(about.policy, sizeof(about.policy), "%s", policy_name(config->policy));
	snprintf(about.audit, sizeof(about.audit), "%s", config->audit ? config->audit : "");
	if (record_create(&monitor->record, &about, &why) == 0)
		return 0;
	if (required)
		return err_set(
			err, EACCES,
			"no record of the sandbox can be kept, and the policy wants an audit "
			"log (audit=required): %.300s",
			why.text);
	log_warning("no record of the sandbox is kept: %s", why.text);
	return 0;
}

/* Without a record, the log of a sandbox that stays is beside its socket, and removed with it. */
static int find_audit(const struct monitor *monitor, char path[PATH_MAX], struct err *err)
{
	const struct monitor_config *config = monitor->config;

	path[0] = '\0';
	if (config->audit)
		snprintf(path, PATH_MAX, "%s", config->audit);
	else if (monitor->record)
		record_path(monitor->record, "audit.log", path);
	else if (!config->brief)
		return registry_path(config->name, "audit.log", path, err);
	return 0;
}

/* Policy and log. The policy is the session's then, or freed. */
static int open_guard(struct monitor *monitor, struct err *err)
{
	const struct monitor_config *config = monitor->config;
	char path[PATH_MAX];
	struct audit_config audit_config = {
		.path = path,
		.directory = config->audit ? NULL : &monitor->files.directory,
		.key = config->key,
		.brief = config->brief && !config->key,
	};
	struct audit *audit = NULL;
	int ret = find_audit(monitor, path, err);

	if (ret == 0 && !path[0] && config->key)
		ret = err_set(
			err, EACCES,
			"--sign: no record can be kept, and so no audit log: add --audit FILE");
	if (ret == 0 && path[0])
		ret = audit_open(&audit, &audit_config, err);
	else
		audit_key_free(config->key);
	if (ret < 0) {
		policy_free(config->policy);
		return ret;
	}
	ret = session_open_guard(&monitor->session, config->policy, audit, err);
	if (ret == 0)
		monitor_keep_policy(monitor);
	return ret;
}

/* Without a record, files of a sandbox that stays are beside its socket. */
static int open_directory(struct monitor *monitor, struct err *err)
{
	const struct monitor_config *config = monitor->config;
	char path[PATH_MAX];
	int ret;

	if (monitor->record) {
		monitor->files.directory = record_directory(monitor->record);
		return 0;
	}
	ret = config->lock_fd < 0 ? 0 : registry_path(config->name, "", path, err);
	if (ret < 0 || config->lock_fd < 0)
		return ret;
	monitor->files.directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return monitor->files.directory < 0 ? err_sys(err, "%s", path) : 0;
}

/* A relative path is one of the working directory, which no longer counts once a guest runs. */
static void keep_vsock_path(struct monitor *monitor)
{
	const char *path = monitor->config->sandbox.machine.vsock_path;
	char directory[PATH_MAX];

	if (path && path[0] != '/' && getcwd(directory, sizeof(directory)))
		snprintf(monitor->vsock_path, sizeof(monitor->vsock_path), "%s/%s", directory,
			 path);
	else if (path)
		snprintf(monitor->vsock_path, sizeof(monitor->vsock_path), "%s", path);
}

int monitor_open_files(struct monitor *monitor, struct err *err)
{
	int ret = open_record(monitor, err);

	if (ret == 0)
		ret = open_directory(monitor, err);
	keep_vsock_path(monitor);
	monitor->files.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (ret == 0 && monitor->files.null < 0)
		ret = err_sys(err, "/dev/null");
	/* Without it, `stats` has no figures of memory. */
	monitor->files.memory = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	if (ret == 0)
		return open_guard(monitor, err);
	audit_key_free(monitor->config->key);
	policy_free(monitor->config->policy);
	return ret;
}

void monitor_keep_console(struct monitor *monitor)
{
	struct sandbox *sandbox = &monitor->session.sandbox;

	/* Memory is written only to where the record is: the directory of sockets is in memory
	 * itself. */
	freeze_init(&monitor->freeze, sandbox, &monitor->pause,
		    monitor->record ? monitor->files.directory : -1);
	monitor->pause.sandbox = sandbox;
	if (!monitor->record)
		return;
	monitor->files.console = openat(monitor->files.directory, "log",
					O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (monitor->files.console >= 0)
		console_keep(&sandbox->machine.console, monitor->files.console);
	jail_set_log(monitor->files.console);
}

void monitor_close_files(struct monitor *monitor)
{
	jail_set_log(-1);
	if (monitor->record)
		monitor->files.directory = -1;
	record_close(monitor->record);
	monitor->record = NULL;
	fd_close(&monitor->files.directory);
	fd_close(&monitor->files.console);
	fd_close(&monitor->files.memory);
	fd_close(&monitor->files.null);
}

/* --- output of detached jobs ------------------------------------------------------------------ */

static void job_file(unsigned number, const char *stream, char name[32])
{
	snprintf(name, 32, "job-%u.%s", number, stream);
}

int monitor_job_open(const struct monitor *monitor, unsigned number, const char *stream, int flags,
		     struct err *err)
{
	char name[32];
	int fd;

	job_file(number, stream, name);
	fd = openat(monitor->files.directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(err, "%s", name) : fd;
}

void monitor_job_unlink(const struct monitor *monitor, unsigned number)
{
	static const char *const stream[] = {"out", "err", "times"};
	char name[32];
	int i;

	for (i = 0; i < 3; i++) {
		job_file(number, stream[i], name);
		unlinkat(monitor->files.directory, name, 0);
	}
}
