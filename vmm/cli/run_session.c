/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/input.h"
#include "vmm/base/log.h"
#include "vmm/cli/hint.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/verb.h"
#include "vmm/control/monitor.h"
#include "vmm/jail/violation.h"

#define CONSOLE_RETRY_NS (20 * 1000000ull)

struct run {
	struct monitor monitor; /* first */
	struct monitor_config config;
	const struct run_options *options;
	char name[SANDBOX_NAME_MAX + 1];
	struct job *job;    /* the command, once the agent is ready */
	struct input input; /* of the console, where there is no command */
	struct terminal terminal;
	int parent_fd;
	struct loop_timer console_timer;
	bool finished;
};

static struct run *run_of(struct monitor *monitor)
{
	return (struct run *)monitor;
}

/* The result of the run is known; the first one counts. */
static void finish(struct run *run, int status)
{
	if (run->finished)
		return;
	run->finished = true;
	run->monitor.status = status;
	session_stop(&run->monitor.session);
}

/* --- the command ------------------------------------------------------------------------------ */

static void job_started(void *arg, uint32_t pid)
{
	(void)arg;
	log_debug("the command is process %u of the sandbox", pid);
}

static void job_ended(void *arg, const struct job_result *result)
{
	struct run *run = arg;
	const struct agent_exit *usage = result->usage;

	/* The machine's end, which has come or is announced, says more. */
	if (run->monitor.session.sandbox.machine.end != MACHINE_RUNNING ||
	    (run->monitor.session.sandbox.machine.power_announced && !usage))
		return;
	if (usage)
		log_info("the command took %.3f s real, %.3f s user, %.3f s system, at most %llu "
			 "KiB",
			 (double)usage->real_us / 1e6, (double)usage->user_us / 1e6,
			 (double)usage->system_us / 1e6, (unsigned long long)usage->max_rss_kib);
	if (result->message) {
		terminal_leave(&run->terminal);
		log_error("%s%s", result->message,
			  hint_not_found(run->options->argv[0], result->status,
					 root_is_builtin(&run->options->base.sandbox.root)));
	}
	monitor_note_end(&run->monitor, RECORD_EXITED, result->message);
	finish(run, result->status);
}

static void start_command(struct run *run)
{
	static const struct job_ops ops = {.started = job_started, .ended = job_ended};
	const struct run_options *options = run->options;
	struct job_spec spec = {
		.command =
			{
				.argv = (const char *const *)options->argv,
				.env = options->command.env,
				.workdir = options->command.workdir,
				.user = options->command.user,
				.terminal = options->command.terminal,
			},
		.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
		.timeout_ns = options->command.timeout_ns,
		.output_limit = sandbox_output_limit(&run->monitor.session.sandbox),
	};
	struct err err;

	terminal_size(&run->terminal, &spec.command.rows, &spec.command.columns);
	if (job_start(&run->job, &run->monitor.session.sandbox.machine, &spec, &ops, run, &err) <
	    0) {
		log_error("%s", err.text);
		monitor_note_end(&run->monitor, RECORD_FAILED, err.text);
		finish(run, EXIT_CORDON);
	}
}

/* --- the console, where there is no command --------------------------------------------------- */

static size_t console_input(void *arg, const void *bytes, size_t length)
{
	struct run *run = arg;
	size_t taken = uart_input(run->monitor.session.sandbox.machine.devices.uart, bytes, length);

	if (taken < length)
		loop_timer_start(run->monitor.session.loop, &run->console_timer, CONSOLE_RETRY_NS);
	return taken;
}

static void console_input_end(void *arg)
{
	(void)arg;
}

static void console_retry(void *arg)
{
	struct run *run = arg;

	input_resume(&run->input);
}

static void open_console(struct run *run)
{
	static const struct input_ops ops = {.data = console_input, .end = console_input_end};

	input_init(&run->input, run->monitor.session.loop, STDIN_FILENO, &ops, run);
	input_resume(&run->input);
}

/* --- the sandbox ------------------------------------------------------------------------------ */

static void ready(struct monitor *monitor)
{
	start_command(run_of(monitor));
}

static void ended(struct monitor *monitor)
{
	struct run *run = run_of(monitor);
	enum machine_end end = monitor->session.sandbox.machine.end;
	char text[sizeof(monitor->why_text)];

	if (run->finished)
		return;
	monitor_machine_end(monitor, text, sizeof(text));
	if (!run->options->argv && (end == MACHINE_POWER_OFF || end == MACHINE_RESET)) {
		log_info("%s", machine_end_text(end));
		monitor_note_end(monitor, RECORD_EXITED, text);
		finish(run, 0);
		return;
	}
	terminal_leave(&run->terminal);
	sandbox_print_end(&monitor->session.sandbox);
	monitor_note_end(monitor, end == MACHINE_POWER_OFF ? RECORD_POWER_OFF : RECORD_FAILED,
			 text);
	finish(run, EXIT_CORDON);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void grace_over(struct monitor *monitor)
{
	struct run *run = run_of(monitor);

	terminal_leave(&run->terminal);
	log_warning("the command did not end: the sandbox is stopped");
	finish(run, run->monitor.status);
}

static void wall_over(struct monitor *monitor)
{
	struct run *run = run_of(monitor);

	terminal_leave(&run->terminal);
	log_error("the policy's wall time is over: the sandbox is stopped");
	finish(run, EXIT_TIMEOUT);
}

/* A signal sent to us, or one that stands for an event (our parent's death). */
static void take_signal(struct run *run, int number)
{
	uint16_t rows, columns;
	struct err err;

	if (number == SIGWINCH) {
		if (run->job && terminal_size(&run->terminal, &rows, &columns))
			job_resize(run->job, rows, columns);
		return;
	}
	if (!run->job) {
		finish(run, EXIT_SIGNAL_BASE + number);
		return;
	}
	/* A guest that stands still would get the signal only once it goes on. */
	if (number == SIGTERM || number == SIGHUP)
		monitor_begin_stop(&run->monitor);
	else if (monitor_check_runs(&run->monitor, &err) < 0)
		log_warning("%s", err.text);
	job_signal(run->job, number);
	if (number == SIGTERM || number == SIGHUP) {
		run->monitor.status = EXIT_SIGNAL_BASE + number;
		/* Once: the sender of a second signal does not want to wait longer. */
		if (!run->monitor.session.grace_timer.armed)
			session_give_grace(&run->monitor.session, run->monitor.grace_ns);
	}
}

/* A client wants the end: as by SIGTERM, or at once. */
static void stop(struct monitor *monitor, bool at_once)
{
	struct run *run = run_of(monitor);

	if (at_once) {
		monitor->stopping = true;
		requests_give_up(monitor);
		finish(run, EXIT_SIGNAL_BASE + SIGKILL);
		return;
	}
	take_signal(run, SIGTERM);
}

static void on_signal(struct monitor *monitor, int number, const char *text)
{
	struct run *run = run_of(monitor);

	/* Before there is a command, each one ends the run; others are for the command. */
	if (number == SIGTERM || number == SIGHUP || (!run->job && number != SIGWINCH))
		monitor_note_end(monitor, RECORD_STOPPED, text);
	take_signal(run, number);
}

static void orphaned(struct monitor *monitor)
{
	log_warning("the process that started this run has ended, and with it the run: see "
		    "--outlive-parent");
	monitor_note_end(monitor, RECORD_STOPPED, "the process that started it has ended");
	take_signal(run_of(monitor), SIGHUP);
}

/*
 * Of the process that started this one, a pidfd: with it the sandbox ends. -1: none, for a session
 * leader or under nohup, which are meant to outlive it, and where the kernel has no pidfd_open.
 */
static int open_parent(const struct run *run)
{
	if (run->options->outlive_parent || signal_is_ignored(SIGHUP) || getsid(0) == getpid() ||
	    getppid() <= 1)
		return -1;
	return (int)syscall(SYS_pidfd_open, getppid(), 0);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The signals first: one that ended this process at once would leave the name's directory. */
static int prepare(struct run *run, struct err *err)
{
	int ret;

	run->console_timer = (struct loop_timer){.expired = console_retry, .arg = run};
	fd_raise_limit();
	run->parent_fd = open_parent(run);
	ret = session_watch(&run->monitor.session, SIGNALS_OF_COMMAND, run->parent_fd, EPOLLIN,
			    err);
	return ret == 0 ? run_claim(run->options, run->name, &run->config.lock_fd, err) : ret;
}

static int serve(struct run *run, uint64_t started_ns, struct err *err)
{
	const struct run_options *options = run->options;
	int ret = prepare(run, err);

	if (ret < 0) {
		policy_free(options->base.policy);
		return ret;
	}
	ret = monitor_open(&run->monitor, err);
	if (ret < 0)
		return ret;
	run->monitor.session.sandbox.machine.timeline.at[TIMELINE_EXEC] = started_ns;
	jail_set_last(terminal_restore);
	if (options->command.terminal)
		terminal_enter(&run->terminal, STDIN_FILENO, STDOUT_FILENO);
	if (!options->argv)
		open_console(run);
	return session_run(&run->monitor.session, err);
}

static void halted(struct monitor *monitor)
{
	struct run *run = run_of(monitor);

	if (run->options->verbose && monitor->session.sandbox.machine.loop)
		machine_report(&monitor->session.sandbox.machine);
	job_destroy(run->job);
	input_destroy(&run->input);
}

static void set_config(struct run *run)
{
	const struct run_options *options = run->options;

	run->config = (struct monitor_config){
		.sandbox = options->base.sandbox,
		.defaults =
			{
				.env = options->command.env,
				.workdir = options->command.workdir,
				.user = options->command.user,
			},
		.kind = options->kind ? options->kind : "run",
		.name = run->name,
		.lock_fd = -1,
		.starter_fd = -1,
		.wall_ns = policy_limits(options->base.policy)->wall_ns,
		.policy = options->base.policy,
		.audit = options->base.policy_options.audit,
		.key = options->base.key,
		.key_path = options->base.key_path,
		.brief = true,
	};
}

int run_session(const struct run_options *options, uint64_t started_ns)
{
	static const struct monitor_ops ops = {
		.ready = ready,
		.ended = ended,
		.stop = stop,
		.signal = on_signal,
		.orphaned = orphaned,
		.wall_over = wall_over,
		.grace_over = grace_over,
		.halted = halted,
	};
	static struct run run;
	struct err err = {.text = ""};

	run = (struct run){.options = options, .parent_fd = -1};
	set_config(&run);
	if (monitor_init(&run.monitor, &run.config, &ops, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	run.monitor.status = EXIT_CORDON;
	if (serve(&run, started_ns, &err) < 0) {
		log_error("%s", err.text);
		monitor_note_end(&run.monitor, RECORD_FAILED, err.text);
		run.monitor.status = EXIT_CORDON;
	}
	terminal_leave(&run.terminal);
	monitor_close(&run.monitor);
	fd_close(&run.parent_fd);
	fd_close(&run.config.lock_fd);
	return run.monitor.status;
}
