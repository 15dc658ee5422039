/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/input.h"
#include "vmm/base/log.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/signals.h"
#include "vmm/cli/terminal.h"
#include "vmm/control/monitor.h"

#define SECOND_NS 1000000000ull

/* After SIGTERM or SIGHUP was passed on, how long the command has to end. */
#define GRACE_NS (10 * SECOND_NS)

#define CONSOLE_RETRY_NS (20 * 1000000ull)

struct session {
	struct monitor monitor; /* first */
	struct monitor_config config;
	const struct run_options *options;
	char name[SANDBOX_NAME_MAX + 1];
	struct job *job;    /* the command, once the agent is ready */
	struct input input; /* of the console, where there is no command */
	struct terminal terminal;
	int signal_fd, parent_fd;
	struct loop_source signal_source, parent_source;
	struct loop_timer grace_timer, console_timer;
	bool finished;
	int status;
};

static struct session *session_of(struct monitor *monitor)
{
	return (struct session *)monitor;
}

/* The session's result is known; the first one counts. */
static void finish(struct session *session, int status)
{
	if (session->finished)
		return;
	session->finished = true;
	session->status = status;
	loop_stop(session->monitor.loop);
}

/* --- the command ------------------------------------------------------------------------------ */

static void job_started(void *arg, uint32_t pid)
{
	(void)arg;
	log_debug("the command is process %u of the sandbox", pid);
}

static void job_ended(void *arg, const struct job_result *result)
{
	struct session *session = arg;
	const struct agent_exit *usage = result->usage;

	/* The machine's end, which has come or is announced, says more. */
	if (session->monitor.sandbox.machine.end != MACHINE_RUNNING ||
	    (session->monitor.sandbox.machine.power_announced && !usage))
		return;
	if (usage)
		log_info("the command took %.3f s real, %.3f s user, %.3f s system, at most %llu "
			 "KiB",
			 (double)usage->real_us / 1e6, (double)usage->user_us / 1e6,
			 (double)usage->system_us / 1e6, (unsigned long long)usage->max_rss_kib);
	if (result->message) {
		terminal_leave(&session->terminal);
		log_error("%s", result->message);
	}
	monitor_note_end(&session->monitor, RECORD_EXITED, result->message);
	finish(session, result->status);
}

static void start_command(struct session *session)
{
	static const struct job_ops ops = {.started = job_started, .ended = job_ended};
	const struct run_options *options = session->options;
	struct job_spec spec = {
		.command =
			{
				.argv = (const char *const *)options->argv,
				.env = options->command.env,
				.workdir = options->command.workdir,
				.user = options->command.user,
				.uid = options->command.uid,
				.gid = options->command.gid,
				.terminal = options->command.terminal,
			},
		.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
		.timeout_ns = options->command.timeout_ns,
	};
	struct err err;

	terminal_size(&session->terminal, &spec.command.rows, &spec.command.columns);
	if (job_start(&session->job, &session->monitor.sandbox.machine, &spec, &ops, session,
		      &err) < 0) {
		log_error("%s", err.text);
		monitor_note_end(&session->monitor, RECORD_FAILED, err.text);
		finish(session, EXIT_CORDON);
	}
}

/* --- the console, where there is no command --------------------------------------------------- */

static size_t console_input(void *arg, const void *bytes, size_t length)
{
	struct session *session = arg;
	size_t taken = uart_input(session->monitor.sandbox.machine.devices.uart, bytes, length);

	if (taken < length)
		loop_timer_start(session->monitor.loop, &session->console_timer, CONSOLE_RETRY_NS);
	return taken;
}

static void console_input_end(void *arg)
{
	(void)arg;
}

static void console_retry(void *arg)
{
	struct session *session = arg;

	input_resume(&session->input);
}

static void open_console(struct session *session)
{
	static const struct input_ops ops = {.data = console_input, .end = console_input_end};

	input_init(&session->input, session->monitor.loop, STDIN_FILENO, &ops, session);
	input_resume(&session->input);
}

/* --- the sandbox ------------------------------------------------------------------------------ */

static void ready(struct monitor *monitor)
{
	start_command(session_of(monitor));
}

static void ended(struct monitor *monitor)
{
	struct session *session = session_of(monitor);
	enum machine_end end = monitor->sandbox.machine.end;
	char text[sizeof(monitor->why_text)];

	if (session->finished)
		return;
	monitor_machine_end(monitor, text, sizeof(text));
	if (!session->options->argv && (end == MACHINE_POWER_OFF || end == MACHINE_RESET)) {
		log_info("%s", machine_end_text(end));
		monitor_note_end(monitor, RECORD_EXITED, text);
		finish(session, 0);
		return;
	}
	terminal_leave(&session->terminal);
	sandbox_print_end(&monitor->sandbox);
	monitor_note_end(monitor, end == MACHINE_POWER_OFF ? RECORD_POWER_OFF : RECORD_FAILED,
			 text);
	finish(session, EXIT_CORDON);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void grace_expired(void *arg)
{
	struct session *session = arg;

	terminal_leave(&session->terminal);
	log_warning("the command did not end: the sandbox is stopped");
	finish(session, session->status);
}

static void time_over(struct monitor *monitor)
{
	struct session *session = session_of(monitor);

	terminal_leave(&session->terminal);
	log_error("the policy's wall time is over: the sandbox is stopped");
	finish(session, EXIT_TIMEOUT);
}

/* A signal sent to us, or one that stands for an event (our parent's death). */
static void take_signal(struct session *session, int number)
{
	uint16_t rows, columns;

	if (number == SIGWINCH) {
		if (session->job && terminal_size(&session->terminal, &rows, &columns))
			job_resize(session->job, rows, columns);
		return;
	}
	if (!session->job) {
		finish(session, EXIT_SIGNAL_BASE + number);
		return;
	}
	job_signal(session->job, number);
	if (number == SIGTERM || number == SIGHUP) {
		session->status = EXIT_SIGNAL_BASE + number;
		/* Once: who repeats the signal does not want to wait longer. */
		if (!session->grace_timer.armed)
			loop_timer_start(session->monitor.loop, &session->grace_timer, GRACE_NS);
	}
}

/* A client wants the end: as by SIGTERM, or at once. */
static void stop(struct monitor *monitor, bool at_once)
{
	struct session *session = session_of(monitor);

	monitor->stopping = true;
	requests_give_up(monitor);
	if (at_once) {
		finish(session, EXIT_SIGNAL_BASE + SIGKILL);
		return;
	}
	/* A paused guest could not do anything about its end. */
	if (monitor->paused) {
		monitor->paused = false;
		machine_resume(&monitor->sandbox.machine);
	}
	take_signal(session, SIGTERM);
}

static void signal_ready(void *arg, uint32_t events)
{
	struct session *session = arg;
	struct signalfd_siginfo info;
	char text[64];

	(void)events;
	if (read(session->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	snprintf(text, sizeof(text), "stopped by signal %u of process %u", info.ssi_signo,
		 info.ssi_pid);
	/* Before there is a command, each one ends the run; others are for the command. */
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP ||
	    (!session->job && info.ssi_signo != SIGWINCH))
		monitor_note_end(&session->monitor, RECORD_STOPPED, text);
	take_signal(session, (int)info.ssi_signo);
}

static void parent_ended(void *arg, uint32_t events)
{
	struct session *session = arg;

	(void)events;
	loop_remove(session->monitor.loop, &session->parent_source);
	log_info("the process that started this one has ended");
	monitor_note_end(&session->monitor, RECORD_STOPPED,
			 "the process that started it has ended");
	take_signal(session, SIGHUP);
}

static int watch_signals(struct session *session)
{
	session->signal_fd = signals_take(SFD_CLOEXEC | SFD_NONBLOCK);
	if (session->signal_fd < 0)
		return session->signal_fd;
	session->signal_source = (struct loop_source){
		.fd = session->signal_fd,
		.ready = signal_ready,
		.arg = session,
	};
	return loop_add(session->monitor.loop, &session->signal_source, EPOLLIN);
}

/*
 * A sandbox whose starter has died is nobody's. Not for a session leader or under nohup: those are
 * meant to outlive it. Where the kernel has no pidfd_open, nothing is watched.
 */
static int watch_parent(struct session *session)
{
	if (session->options->outlive_parent || signal_is_ignored(SIGHUP) ||
	    getsid(0) == getpid() || getppid() <= 1)
		return 0;
	session->parent_fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
	if (session->parent_fd < 0)
		return 0;
	session->parent_source = (struct loop_source){
		.fd = session->parent_fd,
		.ready = parent_ended,
		.arg = session,
	};
	return loop_add(session->monitor.loop, &session->parent_source, EPOLLIN);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The signals first: one that ended this process at once would leave the name's directory. */
static int prepare(struct session *session, struct err *err)
{
	int ret;

	session->grace_timer = (struct loop_timer){.expired = grace_expired, .arg = session};
	session->console_timer = (struct loop_timer){.expired = console_retry, .arg = session};
	fd_raise_limit();
	ret = watch_signals(session);
	if (ret == 0)
		ret = watch_parent(session);
	if (ret < 0)
		return err_code(err, -ret, "signals");
	return run_claim(session->options, session->name, &session->config.lock_fd, err);
}

static int open_session(struct session *session, uint64_t started_ns, struct err *err)
{
	const struct run_options *options = session->options;
	int ret = prepare(session, err);

	if (ret < 0) {
		policy_free(options->base.policy);
		return ret;
	}
	ret = monitor_open(&session->monitor, err);
	if (ret < 0)
		return ret;
	session->monitor.sandbox.machine.timeline.at[TIMELINE_EXEC] = started_ns;
	if (options->command.terminal)
		terminal_enter(&session->terminal, STDIN_FILENO, STDOUT_FILENO);
	if (!options->argv)
		open_console(session);
	return sandbox_start(&session->monitor.sandbox, err);
}

static void close_session(struct session *session)
{
	terminal_leave(&session->terminal);
	/* First of all: while a vCPU runs, devices and streams must not be touched without the
	 * lock. */
	if (session->monitor.sandbox.machine.loop) {
		machine_stop(&session->monitor.sandbox.machine);
		if (session->options->verbose)
			machine_report(&session->monitor.sandbox.machine);
	}
	job_destroy(session->job);
	input_destroy(&session->input);
	session->monitor.status = session->status;
	fd_close(&session->signal_fd);
	fd_close(&session->parent_fd);
	monitor_close(&session->monitor);
	fd_close(&session->config.lock_fd);
}

static void set_config(struct session *session)
{
	const struct run_options *options = session->options;

	session->config = (struct monitor_config){
		.sandbox = options->base.sandbox,
		.defaults =
			{
				.env = options->command.env,
				.workdir = options->command.workdir,
				.user = options->command.user,
				.uid = options->command.uid,
				.gid = options->command.gid,
			},
		.kind = "run",
		.name = session->name,
		.lock_fd = -1,
		.starter_fd = -1,
		.wall_ns = policy_limits(options->base.policy)->wall_ns,
		.policy = options->base.policy,
		.audit = options->base.policy_options.audit,
		.key = options->base.key,
		.brief = true,
	};
}

int run_session(const struct run_options *options, uint64_t started_ns)
{
	static const struct monitor_ops ops = {
		.ready = ready,
		.ended = ended,
		.stop = stop,
		.time_over = time_over,
	};
	static struct session session;
	struct err err = {.text = ""};
	int ret;

	session = (struct session){.options = options, .signal_fd = -1, .parent_fd = -1};
	session.status = EXIT_CORDON;
	set_config(&session);
	ret = monitor_init(&session.monitor, &session.config, &ops, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	ret = open_session(&session, started_ns, &err);
	if (ret == 0) {
		ret = loop_run(session.monitor.loop);
		if (ret < 0)
			err_code(&err, -ret, "event loop");
	}
	if (ret < 0) {
		log_error("%s", err.text);
		monitor_note_end(&session.monitor, RECORD_FAILED, err.text);
		session.status = EXIT_CORDON;
	}
	close_session(&session);
	return session.status;
}
