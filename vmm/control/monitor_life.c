/* SPDX-License-Identifier: Apache-2.0 */
/* The process of a sandbox that stays: start, stop and end. */
#include <signal.h>
#include <stdio.h>

#include "vmm/base/exit_status.h"
#include "vmm/control/monitor.h"

/* The time that the guest has to power off. */
#define POWER_OFF_NS 5000000000ull

#define CONSOLE_LINES 16

/* --- ending ---------------------------------------------------------------------------------- */

static void power_off(struct monitor *monitor)
{
	if (monitor->powering_off)
		return;
	monitor->powering_off = true;
	if (agent_channel_power(monitor->session.sandbox.machine.channel, AGENT_POWER_OFF) < 0)
		session_stop(&monitor->session);
	else
		session_give_grace(&monitor->session, POWER_OFF_NS);
}

static void jobs_changed(struct monitor *monitor)
{
	if (!monitor->stopping)
		session_busy(&monitor->session, monitor->job_count > 0);
	else if (monitor->job_count == 0)
		power_off(monitor);
}

static void stop(struct monitor *monitor, bool at_once)
{
	struct monitor_job *job;

	if (at_once || !monitor->session.sandbox.is_ready) {
		/* As of a run, whose command is killed with it. */
		if (monitor->config->once && monitor->why == RECORD_KILLED)
			monitor->status = EXIT_SIGNAL_BASE + SIGKILL;
		session_stop(&monitor->session);
		return;
	}
	if (monitor->stopping)
		return;
	monitor_begin_stop(monitor);
	if (monitor->job_count == 0) {
		power_off(monitor);
		return;
	}
	/* An interactive shell ignores SIGTERM; SIGHUP says that its terminal is gone. */
	for (job = monitor->jobs; job; job = job->next)
		job_signal(job->job, job->shell ? SIGHUP : SIGTERM);
	session_give_grace(&monitor->session, monitor->grace_ns);
}

/* Nothing else is waited for: as with `cordon run`, the machine ends with its command. */
void monitor_end_once(struct monitor *monitor, const struct job_result *result)
{
	const struct machine *machine = &monitor->session.sandbox.machine;

	/* The machine's end, which has come or is announced, says more. */
	if (machine->end != MACHINE_RUNNING || (machine->power_announced && !result->usage))
		return;
	monitor_note_end(monitor, RECORD_EXITED, result->message);
	monitor->status = result->status;
	session_stop(&monitor->session);
}

static void grace_over(struct monitor *monitor)
{
	session_stop(&monitor->session);
}

static void wall_over(struct monitor *monitor)
{
	stop(monitor, false);
}

static void on_signal(struct monitor *monitor, int number, const char *text)
{
	(void)number;
	monitor_stop(monitor, false, RECORD_STOPPED, text);
}

/* Ctrl-C at `cordon start`, before the sandbox is ready. */
static void orphaned(struct monitor *monitor)
{
	monitor_stop(monitor, true, RECORD_STOPPED, "the command that started it was ended");
}

/* --- what the sandbox tells ------------------------------------------------------------------- */

/* The first report counts. */
static void report(struct monitor *monitor, const char *failure)
{
	if (!monitor->reported)
		monitor->config->report(monitor->config->report_arg, failure);
	monitor->reported = true;
}

static void ready(struct monitor *monitor)
{
	session_unwatch(&monitor->session);
	report(monitor, NULL);
}

static void ended(struct monitor *monitor)
{
	const struct machine *machine = &monitor->session.sandbox.machine;
	char text[sizeof(monitor->why_text)];

	if (machine->end != MACHINE_POWER_OFF || !monitor->stopping) {
		monitor_machine_end(monitor, text, sizeof(text));
		monitor_note_end(
			monitor,
			machine->end == MACHINE_POWER_OFF ? RECORD_POWER_OFF : RECORD_FAILED, text);
		if (!monitor->session.sandbox.is_ready)
			console_print_tail(&machine->console, CONSOLE_LINES);
		report(monitor, text);
		monitor->status = 1;
	}
	session_stop(&monitor->session);
}

/* --- the process ------------------------------------------------------------------------------ */

static int serve(struct monitor *monitor, struct err *err)
{
	int ret = session_watch(&monitor->session, SIGNALS_OF_DAEMON, monitor->config->starter_fd,
				0, err);

	if (ret < 0) {
		policy_free(monitor->config->policy);
		return ret;
	}
	ret = monitor_open(monitor, err);
	return ret == 0 ? session_run(&monitor->session, err) : ret;
}

int monitor_run(const struct monitor_config *config)
{
	static const struct monitor_ops ops = {
		.ready = ready,
		.ended = ended,
		.stop = stop,
		.signal = on_signal,
		.orphaned = orphaned,
		.wall_over = wall_over,
		.grace_over = grace_over,
		.jobs_changed = jobs_changed,
	};
	static struct monitor monitor;
	struct err err = {.text = ""};

	if (monitor_init(&monitor, config, &ops, &err) < 0) {
		report(&monitor, err.text);
		return 1;
	}
	if (serve(&monitor, &err) < 0) {
		report(&monitor, err.text);
		monitor_note_end(&monitor, RECORD_FAILED, err.text);
		monitor.status = 1;
	} else if (!monitor.session.sandbox.is_ready) {
		report(&monitor, "stopped before it was ready");
	}
	monitor_close(&monitor);
	return monitor.status;
}
