/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/machine/size.h"
#include "vmm/control/planted.h"
#include "vmm/policy/audit.h"

/* After SIGTERM to the jobs, how long they have; then the guest, how long it has to switch off. */
#define TERM_NS	     10000000000ull
#define POWER_OFF_NS 5000000000ull

#define CONSOLE_LINES 16

/* --- jobs ------------------------------------------------------------------------------------- */

static void unlink_job(struct monitor_job **list, const struct monitor_job *job)
{
	for (; *list; list = &(*list)->next) {
		if (*list == job) {
			*list = job->next;
			break;
		}
	}
}

/* Ends what runs of it. */
static void job_over(struct monitor_job *job)
{
	int i;

	unlink_job(&job->monitor->jobs, job);
	job_destroy(job->job);
	job->job = NULL;
	for (i = 0; i < MESSAGE_FDS; i++)
		fd_close(&job->fd[i]);
	job->monitor->job_count--;
}

void monitor_job_free(struct monitor_job *job)
{
	job_over(job);
	free(job);
}

int monitor_job_path(const struct monitor *monitor, unsigned number, const char *stream,
		     char path[PATH_MAX], struct err *err)
{
	char file[32];

	snprintf(file, sizeof(file), "job-%u.%s", number, stream);
	return registry_path(monitor->config->name, file, path, err);
}

static void forget_ended(struct monitor_job *job)
{
	static const char *const stream[] = {"out", "err"};
	char path[PATH_MAX];
	int i;

	unlink_job(&job->monitor->ended, job);
	for (i = 0; i < 2; i++)
		if (monitor_job_path(job->monitor, job->number, stream[i], path, NULL) == 0)
			unlink(path);
	free(job);
}

void monitor_job_keep(struct monitor_job *job, int status)
{
	struct monitor *monitor = job->monitor;
	unsigned kept = 0;

	job_over(job);
	job->status = status;
	job->next = monitor->ended;
	monitor->ended = job;
	for (job = monitor->ended; job; job = job->next) {
		if (++kept <= MONITOR_ENDED_MAX)
			continue;
		forget_ended(job);
		break;
	}
}

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

void monitor_jobs_changed(struct monitor *monitor)
{
	if (!monitor->ready || monitor->closing)
		return;
	if (monitor->stopping && monitor->job_count == 0)
		power_off(monitor);
	if (monitor->stopping || monitor->config->idle_ns == 0)
		return;
	if (monitor->job_count > 0)
		loop_timer_stop(monitor->loop, &monitor->idle_timer);
	else if (!monitor->idle_timer.armed)
		loop_timer_start(monitor->loop, &monitor->idle_timer, monitor->config->idle_ns);
}

/* --- ending ----------------------------------------------------------------------------------- */

void monitor_stop(struct monitor *monitor, bool at_once)
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

static void limit_expired(void *arg)
{
	monitor_stop(arg, false);
}

/* Who waited for the sandbox is gone before it was there: Ctrl-C at "cordon start". */
static void starter_gone(void *arg, uint32_t events)
{
	struct monitor *monitor = arg;

	(void)events;
	loop_remove(monitor->loop, &monitor->starter_source);
	monitor_stop(monitor, true);
}

static void signal_ready(void *arg, uint32_t events)
{
	struct monitor *monitor = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(monitor->signal_fd, &info, sizeof(info)) == sizeof(info))
		monitor_stop(monitor, false);
}

/* --- what the sandbox tells ------------------------------------------------------------------- */

/* The first report counts. */
static void report(struct monitor *monitor, const char *failure)
{
	if (!monitor->reported)
		monitor->config->report(monitor->config->report_arg, failure);
	monitor->reported = true;
}

static void sandbox_ready(void *arg)
{
	struct monitor *monitor = arg;

	loop_remove(monitor->loop, &monitor->starter_source);
	report(monitor, NULL);
	monitor->ready = true;
	monitor_jobs_changed(monitor);
}

static void sandbox_ended(void *arg)
{
	struct monitor *monitor = arg;
	const struct machine *machine = &monitor->sandbox.machine;

	if (machine->end != MACHINE_POWER_OFF || !monitor->stopping) {
		err_set(&monitor->end, EIO, "%s%s%s", machine_end_text(machine->end),
			machine->end_message.text[0] ? ": " : "", machine->end_message.text);
		if (!monitor->ready)
			console_print_tail(&machine->console, CONSOLE_LINES);
		report(monitor, monitor->end.text);
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

static int open_guard(struct monitor *monitor, struct err *err)
{
	const struct monitor_config *config = monitor->config;
	char path[PATH_MAX];
	struct audit_config audit_config = {.path = config->audit ? config->audit : path};
	struct audit *audit = NULL;
	int ret = config->audit ? 0 : registry_path(config->name, "audit.log", path, err);

	if (ret == 0)
		ret = audit_open(&audit, &audit_config, err);
	if (ret < 0) {
		policy_free(config->policy);
		return ret;
	}
	ret = guard_create(&monitor->guard, config->policy, audit);
	return ret < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

int monitor_check_size(const struct monitor *monitor, const struct policy *policy, struct err *err)
{
	struct machine_size size = machine_size(&monitor->sandbox.machine);

	return machine_size_check(&size, policy, err);
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

static int open_monitor(struct monitor *monitor, struct err *err)
{
	static const struct sandbox_ops ops = {.ready = sandbox_ready, .ended = sandbox_ended};
	const struct monitor_config *config = monitor->config;
	struct sandbox_config sandbox = config->sandbox;
	int ret = open_guard(monitor, err);

	if (ret < 0)
		return ret;
	sandbox.guard = monitor->guard;
	sandbox.stop = (struct snapshot_stop){.wanted = stop_wanted, .arg = monitor};
	ret = loop_create(&monitor->loop);

	if (ret == 0)
		ret = watch_signals(monitor);
	if (ret == 0)
		ret = watch_starter(monitor);
	if (ret < 0)
		return err_code(err, -ret, "event loop and signals");
	monitor->idle_timer = (struct loop_timer){.expired = limit_expired, .arg = monitor};
	monitor->wall_timer = (struct loop_timer){.expired = limit_expired, .arg = monitor};
	monitor->kill_timer = (struct loop_timer){.expired = kill_expired, .arg = monitor};
	ret = sandbox_create(&monitor->sandbox, monitor->loop, &sandbox, &ops, monitor, err);
	if (ret == 0)
		monitor_watch_questions(monitor);
	if (ret == 0)
		ret = monitor_check_size(monitor, config->policy, err);
	if (ret == 0)
		ret = server_open(monitor, err);
	if (ret == 0 && config->wall_ns)
		loop_timer_start(monitor->loop, &monitor->wall_timer, config->wall_ns);
	if (ret == 0)
		ret = sandbox_start(&monitor->sandbox, err);
	return ret;
}

/* Clients that wait for the end get it, now that it has come. */
static void tell_waiting(struct monitor *monitor)
{
	const char *why = monitor->end.text[0] ? monitor->end.text : NULL;
	struct client *client;

	for (client = monitor->clients; client; client = client->next)
		if (client->waits)
			server_answer(client, client->wait_id,
				      json_pack("{s:s,s:s*,s:O*}", "end",
						monitor->status == 0 ? "stopped" : "failed",
						"message", why, "planted", monitor->planted));
}

static void tell_planted(void *arg, const char *text)
{
	struct monitor *monitor = arg;
	const struct guard_note note = {
		.class = POLICY_FILE,
		.what = "planted",
		.object = text,
	};

	guard_note(monitor->guard, &note);
	if (!monitor->planted)
		monitor->planted = json_array();
	json_array_append_new(monitor->planted, json_string(text));
}

static void look_for_planted(void *arg, const struct policy_share *share)
{
	struct monitor *monitor = arg;
	const struct planted_ops ops = {.tell = tell_planted, .arg = monitor};

	if (!share->read_only)
		planted_find(share->host, &monitor->begun, &ops);
}

static void close_monitor(struct monitor *monitor)
{
	monitor->closing = true;
	quiesce_end(&monitor->quiesce);
	if (monitor->sandbox.machine.loop)
		machine_stop(&monitor->sandbox.machine);
	while (monitor->jobs)
		monitor_job_free(monitor->jobs);
	while (monitor->ended)
		forget_ended(monitor->ended);
	sandbox_destroy(&monitor->sandbox);
	if (monitor->guard && monitor->ready)
		guard_each_share(monitor->guard, look_for_planted, monitor);
	/* The log's end and the folder go before the answer: who has waited finds all done. */
	guard_destroy(monitor->guard);
	registry_clear(monitor->config->name, monitor->config->lock_fd);
	tell_waiting(monitor);
	server_close(monitor);
	json_decref(monitor->pause_request);
	json_decref(monitor->planted);
	fd_close(&monitor->signal_fd);
	loop_destroy(monitor->loop);
}

int monitor_run(const struct monitor_config *config)
{
	static struct monitor monitor;
	struct err err = {.text = ""};
	int ret;

	memset(&monitor, 0, sizeof(monitor));
	monitor.config = config;
	monitor.listen_fd = monitor.signal_fd = -1;
	monitor.started = time(NULL);
	monitor.begun = planted_now();
	ret = open_monitor(&monitor, &err);
	if (ret == 0)
		ret = loop_run(monitor.loop);
	if (ret < 0) {
		report(&monitor, err.text);
		monitor.status = 1;
	} else if (!monitor.ready) {
		report(&monitor, "stopped before it was ready");
	}
	close_monitor(&monitor);
	return monitor.status;
}
