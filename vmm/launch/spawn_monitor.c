/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/spawn_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/exit_status.h"
#include "vmm/base/fd.h"
#include "vmm/base/spawn.h"

/* --- the monitor's side ----------------------------------------------------------------------- */

struct starter {
	int pipe_fd;
	int null_fd;
};

/*
 * Writes one NUL byte for ready and closes the pipe, or writes the reason of a failure and leaves
 * the pipe open until this process has cleaned up and exited. Warnings go to the starter's stderr
 * until then.
 */
static void report(void *arg, const char *failure)
{
	struct starter *starter = arg;
	const char *text = failure ? failure : "";

	if (starter->pipe_fd < 0)
		return;
	if (write(starter->pipe_fd, text, failure ? strlen(text) : 1) < 0) {
		/* The starter is gone; the monitor learns that from starter_fd. */
	}
	if (failure)
		return;
	fd_close(&starter->pipe_fd);
	dup2(starter->null_fd, STDERR_FILENO);
}

/* Closes all descriptors of the caller but the two that the monitor needs. */
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
	spawn_self_silently();
	fd_raise_limit();
	if (chdir("/") < 0) {
		/* Harmless: it only keeps a file system busy. */
	}
	if (registry_set_pid(config->lock_fd, getpid()) < 0) {
		report(&starter, "cannot write the process id into the sandbox's directory");
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

int spawn_monitor(struct monitor_config *config, struct err *err)
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
	/* This process shares the lock, so it removes what a dead monitor left. */
	if (ret < 0 && (pid < 0 || waitpid(pid, NULL, 0) == pid))
		registry_clear(config->name, config->lock_fd);
	fd_close(&pipe_fd[0]);
	fd_close(&config->lock_fd);
	return ret;
}
