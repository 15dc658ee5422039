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
#include "vmm/cli/cli.h"
#include "vmm/cli/signals.h"
#include "vmm/cli/terminal.h"
#include "vmm/control/planted.h"
#include "vmm/machine/job.h"
#include "vmm/machine/sandbox.h"
#include "vmm/policy/audit.h"

#define SECOND_NS 1000000000ull

/* After SIGTERM or SIGHUP was passed on, how long the command has to end. */
#define GRACE_NS (10 * SECOND_NS)

#define CONSOLE_RETRY_NS (20 * 1000000ull)

struct session {
	const struct run_options *options;
	struct loop *loop;
	struct sandbox sandbox;
	struct job *job;    /* the command, once the agent is ready */
	struct input input; /* of the console, where there is no command */
	struct terminal terminal;
	int signal_fd, parent_fd;
	struct loop_source signal_source, parent_source;
	struct loop_timer grace_timer, console_timer, wall_timer;
	struct guard *guard;
	struct timespec begun; /* for planted_find() */
	bool finished;
	int status;
};

/* The session's result is known; the first one counts. */
static void finish(struct session *session, int status)
{
	if (session->finished)
		return;
	session->finished = true;
	session->status = status;
	loop_stop(session->loop);
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
	if (session->sandbox.machine.end != MACHINE_RUNNING ||
	    (session->sandbox.machine.power_announced && !usage))
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
	if (job_start(&session->job, &session->sandbox.machine, &spec, &ops, session, &err) < 0) {
		log_error("%s", err.text);
		finish(session, EXIT_CORDON);
	}
}

/* --- the console, where there is no command --------------------------------------------------- */

static size_t console_input(void *arg, const void *bytes, size_t length)
{
	struct session *session = arg;
	size_t taken = uart_input(session->sandbox.machine.devices.uart, bytes, length);

	if (taken < length)
		loop_timer_start(session->loop, &session->console_timer, CONSOLE_RETRY_NS);
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

	input_init(&session->input, session->loop, STDIN_FILENO, &ops, session);
	input_resume(&session->input);
}

/* --- the sandbox ------------------------------------------------------------------------------ */

static void sandbox_ready(void *arg)
{
	start_command(arg);
}

static void sandbox_ended(void *arg)
{
	struct session *session = arg;
	enum machine_end end = session->sandbox.machine.end;

	if (session->finished)
		return;
	if (!session->options->argv && (end == MACHINE_POWER_OFF || end == MACHINE_RESET)) {
		log_info("%s", machine_end_text(end));
		finish(session, 0);
		return;
	}
	terminal_leave(&session->terminal);
	sandbox_print_end(&session->sandbox);
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

static void wall_expired(void *arg)
{
	struct session *session = arg;

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
			loop_timer_start(session->loop, &session->grace_timer, GRACE_NS);
	}
}

static void signal_ready(void *arg, uint32_t events)
{
	struct session *session = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(session->signal_fd, &info, sizeof(info)) == sizeof(info))
		take_signal(session, (int)info.ssi_signo);
}

static void parent_ended(void *arg, uint32_t events)
{
	struct session *session = arg;

	(void)events;
	loop_remove(session->loop, &session->parent_source);
	log_info("the process that started this one has ended");
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
	return loop_add(session->loop, &session->signal_source, EPOLLIN);
}

/*
 * A sandbox whose starter has died is nobody's. Not for a session leader or under nohup: those are
 * meant to outlive it. Where the kernel has no pidfd_open, nothing is watched.
 */
static int watch_parent(struct session *session)
{
	if (!session->options->die_with_parent || signal_is_ignored(SIGHUP) ||
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
	return loop_add(session->loop, &session->parent_source, EPOLLIN);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void set_timers(struct session *session)
{
	session->grace_timer = (struct loop_timer){.expired = grace_expired, .arg = session};
	session->console_timer = (struct loop_timer){.expired = console_retry, .arg = session};
	session->wall_timer = (struct loop_timer){.expired = wall_expired, .arg = session};
}

/* A sandbox of one command has an audit log only where somebody wants to read it afterwards. */
static int open_guard(struct session *session, struct err *err)
{
	const struct sandbox_options *options = &session->options->base;
	struct audit_config config = {.path = options->policy_options.audit};
	struct audit *audit = NULL;
	int ret = config.path ? audit_open(&audit, &config, err) : 0;

	if (ret < 0) {
		policy_free(options->policy);
		return ret;
	}
	ret = guard_create(&session->guard, options->policy, audit);
	return ret < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

static int open_session(struct session *session, uint64_t started_ns, struct err *err)
{
	static const struct sandbox_ops ops = {.ready = sandbox_ready, .ended = sandbox_ended};
	const struct run_options *options = session->options;
	struct sandbox_config config = options->base.sandbox;
	uint64_t wall_ns = policy_limits(options->base.policy)->wall_ns;
	int ret = open_guard(session, err);

	if (ret < 0)
		return ret;
	config.guard = session->guard;
	ret = loop_create(&session->loop);
	if (ret < 0)
		return err_code(err, -ret, "event loop");
	set_timers(session);
	fd_raise_limit();
	ret = watch_signals(session);
	if (ret == 0)
		ret = watch_parent(session);
	if (ret < 0)
		return err_code(err, -ret, "signals");
	ret = sandbox_create(&session->sandbox, session->loop, &config, &ops, session, err);
	if (ret < 0)
		return ret;
	if (wall_ns)
		loop_timer_start(session->loop, &session->wall_timer, wall_ns);
	session->sandbox.machine.timeline.at[TIMELINE_EXEC] = started_ns;
	if (options->command.terminal)
		terminal_enter(&session->terminal, STDIN_FILENO, STDOUT_FILENO);
	if (!options->argv)
		open_console(session);
	return sandbox_start(&session->sandbox, err);
}

static void tell_planted(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

static void look_for_planted(void *arg, const struct policy_share *share)
{
	const struct session *session = arg;

	if (!share->read_only)
		planted_find(share->host, &session->begun,
			     &(struct planted_ops){.tell = tell_planted});
}

static void close_session(struct session *session)
{
	terminal_leave(&session->terminal);
	/* First of all: while a vCPU runs, devices and streams must not be touched without the
	 * lock. */
	if (session->sandbox.machine.loop) {
		machine_stop(&session->sandbox.machine);
		if (session->options->verbose)
			machine_report(&session->sandbox.machine);
	}
	job_destroy(session->job);
	input_destroy(&session->input);
	sandbox_destroy(&session->sandbox);
	if (session->guard)
		guard_each_share(session->guard, look_for_planted, session);
	fd_close(&session->signal_fd);
	fd_close(&session->parent_fd);
	loop_destroy(session->loop);
	guard_destroy(session->guard);
}

int run_session(const struct run_options *options, uint64_t started_ns)
{
	static struct session session;
	struct err err = {.text = ""};
	int ret;

	session = (struct session){.options = options, .signal_fd = -1, .parent_fd = -1};
	session.status = EXIT_CORDON;
	session.begun = planted_now();
	ret = open_session(&session, started_ns, &err);
	if (ret == 0) {
		ret = loop_run(session.loop);
		if (ret < 0)
			err_code(&err, -ret, "event loop");
	}
	if (ret < 0) {
		log_error("%s", err.text);
		session.status = EXIT_CORDON;
	}
	close_session(&session);
	return session.status;
}
