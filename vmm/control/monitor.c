/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/planted.h"
#include "vmm/policy/audit_sign.h"

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

/* Ends the job and closes its descriptors. */
static void job_over(struct monitor_job *job)
{
	int i;

	unlink_job(&job->monitor->jobs, job);
	if (job->shell)
		shell_relay_destroy(&job->shell->relay);
	free(job->shell);
	job->shell = NULL;
	job_destroy(job->job);
	job->job = NULL;
	for (i = 0; i <= MESSAGE_FDS; i++)
		fd_close(&job->fd[i]);
	job->monitor->job_count--;
}

void monitor_job_free(struct monitor_job *job)
{
	job_over(job);
	free(job);
}

/* Drops an ended job. keep: the sandbox ends, so its output stays in the record. */
static void forget_ended(struct monitor_job *job, bool keep)
{
	unlink_job(&job->monitor->ended, job);
	if (!keep || !job->monitor->record)
		monitor_job_unlink(job->monitor, job->number);
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
		forget_ended(job, false);
		break;
	}
}

void monitor_jobs_changed(struct monitor *monitor)
{
	if (monitor->session.sandbox.is_ready && !monitor->closing && monitor->ops->jobs_changed)
		monitor->ops->jobs_changed(monitor);
}

void monitor_wake(struct monitor *monitor)
{
	if (!monitor->pause.hold[PAUSE_IDLE].held)
		return;
	pause_release(&monitor->pause, PAUSE_IDLE);
	/* Without a new command the idle time begins again. */
	monitor_jobs_changed(monitor);
}

/* --- the end ---------------------------------------------------------------------------------- */

void monitor_note_end(struct monitor *monitor, enum record_end why, const char *text)
{
	if (monitor->why != RECORD_NONE && (why != RECORD_FAILED || monitor->why == RECORD_FAILED))
		return;
	monitor->why = why;
	snprintf(monitor->why_text, sizeof(monitor->why_text), "%s", text ? text : "");
}

void monitor_machine_end(const struct monitor *monitor, char *text, size_t size)
{
	const struct machine *machine = &monitor->session.sandbox.machine;

	snprintf(text, size, "%s%s%s", machine_end_text(machine->end),
		 machine->end_message.text[0] ? ": " : "", machine->end_message.text);
}

void monitor_stop(struct monitor *monitor, bool at_once, enum record_end why, const char *text)
{
	monitor_note_end(monitor, why, text);
	monitor->ops->stop(monitor, at_once);
}

void monitor_begin_stop(struct monitor *monitor)
{
	monitor->stopping = true;
	requests_give_up(monitor);
	requests_shares_end(monitor);
	freeze_end(&monitor->freeze);
	pause_end(&monitor->pause);
}

/* --- events of the session -------------------------------------------------------------------- */

static void on_ready(void *arg)
{
	struct monitor *monitor = arg;

	monitor->ops->ready(monitor);
	monitor_jobs_changed(monitor);
	freeze_ready(&monitor->freeze);
}

static void on_ended(void *arg)
{
	struct monitor *monitor = arg;

	monitor->ops->ended(monitor);
}

static void on_signal(void *arg, int number, const char *text)
{
	struct monitor *monitor = arg;

	monitor->ops->signal(monitor, number, text);
}

static void on_orphaned(void *arg)
{
	struct monitor *monitor = arg;

	monitor->ops->orphaned(monitor);
}

static void on_time_over(void *arg, enum session_time which)
{
	struct monitor *monitor = arg;

	switch (which) {
	case SESSION_WALL:
		monitor_note_end(monitor, RECORD_TIME, "the wall time was over");
		monitor->ops->wall_over(monitor);
		break;
	case SESSION_IDLE:
		if (monitor->config->idle_pauses)
			pause_hold(&monitor->pause, PAUSE_IDLE, NULL, NULL);
		else
			monitor_stop(monitor, false, RECORD_TIME, "the idle time was over");
		break;
	case SESSION_GRACE:
		monitor->ops->grace_over(monitor);
		break;
	}
}

/* --- closing ---------------------------------------------------------------------------------- */

/* Replies to clients that wait for the end. */
static void tell_waiting(struct monitor *monitor)
{
	bool failed = monitor->why == RECORD_FAILED || monitor->why == RECORD_POWER_OFF;
	struct client *client;

	for (client = monitor->clients; client; client = client->next)
		if (client->waits)
			server_reply(client, client->wait_id,
				     json_pack("{s:s,s:i,s:s*,s:O*}", "end",
					       record_end_name(monitor->why), "status",
					       monitor->status, "message",
					       failed ? monitor->why_text : NULL, "planted",
					       monitor->planted));
}

static void on_halted(void *arg)
{
	struct monitor *monitor = arg;

	requests_shares_end(monitor);
	if (monitor->ops->halted)
		monitor->ops->halted(monitor);
	while (monitor->jobs)
		monitor_job_free(monitor->jobs);
	while (monitor->ended)
		forget_ended(monitor->ended, true);
}

static void on_gone(void *arg)
{
	struct monitor *monitor = arg;

	fd_close(&monitor->files.console);
	monitor_search_shares(monitor);
}

void monitor_close(struct monitor *monitor)
{
	monitor->closing = true;
	quiesce_end(&monitor->quiesce);
	freeze_close(&monitor->freeze);
	if (monitor->why == RECORD_NONE)
		monitor_note_end(monitor, RECORD_FAILED, "it ended before it was ready");
	session_close(&monitor->session);
	launcher_destroy(monitor->session.launcher);
	/* Log, record and directory are finished before the reply: a client that has waited finds
	 * all done. */
	if (monitor->record)
		record_end(monitor->record, monitor->why, monitor->status, monitor->why_text);
	monitor_close_files(monitor);
	if (monitor->config->lock_fd >= 0)
		registry_clear(monitor->config->name, monitor->config->lock_fd);
	tell_waiting(monitor);
	server_close(monitor);
	json_decref(monitor->pause_request);
	fd_close(&monitor->pause_fd);
	json_decref(monitor->planted);
	session_destroy(&monitor->session);
}

/* --- opening ---------------------------------------------------------------------------------- */

int monitor_init(struct monitor *monitor, const struct monitor_config *config,
		 const struct monitor_ops *ops, struct err *err)
{
	static const struct session_ops session_ops = {
		.ready = on_ready,
		.ended = on_ended,
		.signal = on_signal,
		.orphaned = on_orphaned,
		.time_over = on_time_over,
		.halted = on_halted,
		.gone = on_gone,
	};
	const struct session_limits limits = {.wall_ns = config->wall_ns,
					      .idle_ns = config->idle_ns};
	int ret;

	memset(monitor, 0, sizeof(*monitor));
	monitor->config = config;
	monitor->ops = ops;
	monitor->listen_fd = monitor->pause_fd = -1;
	monitor->files.directory = monitor->files.console = -1;
	monitor->files.memory = monitor->files.null = -1;
	monitor->started = time(NULL);
	monitor->begun = planted_now();
	monitor->grace_ns = MONITOR_GRACE_NS;
	ret = session_init(&monitor->session, &limits, &session_ops, monitor, err);
	if (ret < 0)
		policy_free(config->policy);
	return ret;
}

int monitor_open(struct monitor *monitor, struct err *err)
{
	const struct monitor_config *config = monitor->config;
	int ret = monitor_start_launcher(monitor, err);

	if (ret < 0) {
		audit_key_free(config->key);
		policy_free(config->policy);
		return ret;
	}
	monitor_confine();
	ret = monitor_open_files(monitor, err);
	if (ret == 0)
		ret = session_open(&monitor->session, &config->sandbox, err);
	if (ret < 0)
		return ret;
	monitor_keep_console(monitor);
	monitor_watch_questions(monitor);
	return config->lock_fd >= 0 ? server_open(monitor, err) : 0;
}
