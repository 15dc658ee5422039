/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a sandbox that stays: its process, how it is told to end, and how it does. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/control/monitor.h"

/* After SIGTERM to the jobs, how long they have; then the guest, how long it has to switch off. */
#define TERM_NS	     10000000000ull
#define POWER_OFF_NS 5000000000ull

#define CONSOLE_LINES 16

/* --- ending ---------------------------------------------------------------------------------- */

static void power_off(struct monitor *monitor)
{
	if (monitor->powering_off)
		return;
	monitor->powering_off = true;
	if (agent_channel_power(monitor->sandbox.machine.channel, AGENT_POWER_OFF) < 0)
		loop_stop(monitor->loop);
	else
		loop_timer_start(monitor->loop, &monitor->kill_timer, POWER_OFF_NS);
}

static void jobs_changed(struct monitor *monitor)
{
	if (monitor->stopping && monitor->job_count == 0)
		power_off(monitor);
	if (monitor->stopping || monitor->config->idle_ns == 0)
		return;
	if (monitor->job_count > 0)
		loop_timer_stop(monitor->loop, &monitor->idle_timer);
	else if (!monitor->idle_timer.armed)
		loop_timer_start(monitor->loop, &monitor->idle_timer, monitor->config->idle_ns);
}

static void stop(struct monitor *monitor, bool at_once)
{
	struct monitor_job *job;

	if (at_once || !monitor->ready) {
		loop_stop(monitor->loop);
		return;
	}
	if (monitor->stopping)
		return;
	monitor->stopping = true;
	requests_give_up(monitor);
	/* A paused guest could not do anything about its end. */
	if (monitor->paused) {
		monitor->paused = false;
		machine_resume(&monitor->sandbox.machine);
	}
	if (monitor->job_count == 0) {
		power_off(monitor);
		return;
	}
	for (job = monitor->jobs; job; job = job->next)
		job_signal(job->job, SIGTERM);
	loop_timer_start(monitor->loop, &monitor->kill_timer, TERM_NS);
}

static void kill_expired(void *arg)
{
	struct monitor *monitor = arg;

	loop_stop(monitor->loop);
}

static void time_over(struct monitor *monitor)
{
	stop(monitor, false);
}

static void idle_expired(void *arg)
{
	monitor_stop(arg, false, RECORD_TIME, "the idle time was over");
}

/* Who waited for the sandbox is gone before it was there: Ctrl-C at "cordon start". */
static void starter_gone(void *arg, uint32_t events)
{
	struct monitor *monitor = arg;

	(void)events;
	loop_remove(monitor->loop, &monitor->starter_source);
	monitor_stop(monitor, true, RECORD_STOPPED, "the command that started it was ended");
}

static void signal_ready(void *arg, uint32_t events)
{
	struct monitor *monitor = arg;
	struct signalfd_siginfo info;
	char text[64];

	(void)events;
	if (read(monitor->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	snprintf(text, sizeof(text), "stopped by signal %u of process %u", info.ssi_signo,
		 info.ssi_pid);
	monitor_stop(monitor, false, RECORD_STOPPED, text);
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
	loop_remove(monitor->loop, &monitor->starter_source);
	report(monitor, NULL);
}

static void ended(struct monitor *monitor)
{
	const struct machine *machine = &monitor->sandbox.machine;
	char text[sizeof(monitor->why_text)];

	if (machine->end != MACHINE_POWER_OFF || !monitor->stopping) {
		monitor_machine_end(monitor, text, sizeof(text));
		monitor_note_end(
			monitor,
			machine->end == MACHINE_POWER_OFF ? RECORD_POWER_OFF : RECORD_FAILED, text);
		if (!monitor->ready)
			console_print_tail(&machine->console, CONSOLE_LINES);
		report(monitor, text);
		monitor->status = 1;
	}
	loop_stop(monitor->loop);
}

/* --- the process ------------------------------------------------------------------------------ */

static int watch_signals(struct monitor *monitor)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	monitor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signal_fd < 0)
		return -errno;
	monitor->signal_source = (struct loop_source){
		.fd = monitor->signal_fd,
		.ready = signal_ready,
		.arg = monitor,
	};
	return loop_add(monitor->loop, &monitor->signal_source, EPOLLIN);
}

static int watch_starter(struct monitor *monitor)
{
	if (monitor->config->starter_fd < 0)
		return 0;
	monitor->starter_source = (struct loop_source){
		.fd = monitor->config->starter_fd,
		.ready = starter_gone,
		.arg = monitor,
	};
	return loop_add(monitor->loop, &monitor->starter_source, 0);
}

/* Before the loop runs: a signal has come, or the starter is gone. */
static bool stop_wanted(void *arg)
{
	const struct monitor *monitor = arg;
	struct pollfd fd[] = {
		{.fd = monitor->signal_fd, .events = POLLIN},
		{.fd = monitor->config->starter_fd}, /* POLLERR: nothing reads from it */
	};

	return poll(fd, ARRAY_SIZE(fd), 0) > 0;
}

static int prepare(struct monitor *monitor, struct err *err)
{
	int ret = watch_signals(monitor);

	if (ret == 0)
		ret = watch_starter(monitor);
	monitor->stop = (struct snapshot_stop){.wanted = stop_wanted, .arg = monitor};
	if (ret == 0) {
		monitor->idle_timer = (struct loop_timer){.expired = idle_expired, .arg = monitor};
		monitor->kill_timer = (struct loop_timer){.expired = kill_expired, .arg = monitor};
		return 0;
	}
	policy_free(monitor->config->policy);
	return err_code(err, -ret, "signals");
}

int monitor_run(const struct monitor_config *config)
{
	static const struct monitor_ops ops = {
		.ready = ready,
		.ended = ended,
		.stop = stop,
		.time_over = time_over,
		.jobs_changed = jobs_changed,
	};
	static struct monitor monitor;
	struct err err = {.text = ""};
	int ret = monitor_init(&monitor, config, &ops, &err);

	if (ret < 0) {
		report(&monitor, err.text);
		return 1;
	}
	ret = prepare(&monitor, &err);
	if (ret == 0)
		ret = monitor_open(&monitor, &err);
	if (ret == 0)
		ret = sandbox_start(&monitor.sandbox, &err);
	if (ret == 0) {
		ret = loop_run(monitor.loop);
		if (ret < 0)
			err_code(&err, -ret, "event loop");
	}
	if (ret < 0) {
		report(&monitor, err.text);
		monitor_note_end(&monitor, RECORD_FAILED, err.text);
		monitor.status = 1;
	} else if (!monitor.ready) {
		report(&monitor, "stopped before it was ready");
	}
	monitor_close(&monitor);
	return monitor.status;
}
