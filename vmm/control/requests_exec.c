/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about commands: start, signal, resize, and output of detached ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/control/requests.h"

#define TIMEOUT_MS_MAX (UINT64_MAX / 1000000)

/* --- jobs ------------------------------------------------------------------------------------- */

static void job_started(void *arg, uint32_t pid)
{
	struct monitor_job *job = arg;

	if (job->owner)
		server_send(job->owner,
			    json_pack("{s:I,s:s,s:i}", "id", (json_int_t)job->id, "event",
				      "started", "pid", (int)pid),
			    NULL, 0);
}

static void job_passes(void *arg, const uint64_t passed[2])
{
	struct monitor_job *job = arg;

	job_times_note(&job->times, (uint64_t)time(NULL), passed);
}

/* Replies to the clients that wait for this job. */
static void tell_waiting(struct monitor *monitor, unsigned number, int status)
{
	struct client *client;

	for (client = monitor->clients; client; client = client->next) {
		if (!client->waits || client->wait_job != number)
			continue;
		client->waits = false;
		client->wait_job = 0;
		server_reply(client, client->wait_id, json_pack("{s:i}", "status", status));
	}
}

static void job_ended(void *arg, const struct job_result *result)
{
	struct monitor_job *job = arg;
	struct monitor *monitor = job->monitor;
	bool was_all = monitor->config->once && !job->owner && job->number == MONITOR_JOB_FIRST;

	command_request_ended(job, result);
	if (!job->owner)
		tell_waiting(monitor, job->number, result->status);
	if (job->owner)
		monitor_job_free(job);
	else
		monitor_job_keep(job, result->status);
	if (was_all)
		monitor_end_once(monitor, result);
	monitor_jobs_changed(monitor);
}

/* The files that keep a detached job's output. */
static int open_detached(struct monitor_job *job, struct err *err)
{
	static const char *const stream[] = {NULL, "out", "err", "times"};
	int i;

	for (i = 1; i < (int)ARRAY_SIZE(stream); i++) {
		job->fd[i] = monitor_job_open(job->monitor, job->number, stream[i],
					      O_RDWR | O_CREAT | O_TRUNC, err);
		if (job->fd[i] < 0)
			return job->fd[i];
	}
	job_times_init(&job->times, job->fd[MESSAGE_FDS]);
	job->fd[0] = fcntl(job->monitor->files.null, F_DUPFD_CLOEXEC, 0);
	return job->fd[0] < 0 ? err_sys(err, "/dev/null") : 0;
}

static int job_run(struct monitor_job *job, const json_t *request,
		   const struct command_request *command, struct err *err)
{
	static const struct job_ops ops = {.started = job_started, .ended = job_ended},
				    kept = {.started = job_started,
					    .ended = job_ended,
					    .passes = job_passes};
	struct job_spec spec = {
		.command = command->spec,
		.timeout_ns = number_of(request, "timeout_ms") * 1000000,
		.output_max = job->owner ? 0 : MONITOR_OUTPUT_MAX,
		.output_limit = sandbox_output_limit(&job->monitor->session.sandbox),
	};

	spec.command.terminal = flag_of(request, "tty");
	memcpy(spec.fd, job->fd, sizeof(spec.fd));
	return job_start(&job->job, &job->monitor->session.sandbox.machine, &spec,
			 job->owner ? &ops : &kept, job, err);
}

static int exec_checked(struct client *client, struct message *message,
			const struct command_request *command, struct err *err)
{
	struct monitor *monitor = client->monitor;
	bool detached = flag_of(message->body, "detach");
	struct monitor_job *job;
	int ret = command_request_permitted(monitor, err);

	/* A shell session waits for the answer, which its operator can give. */
	if (ret == 0)
		ret = monitor_check_runs(monitor, err);
	if (ret < 0)
		return ret;
	if (number_of(message->body, "timeout_ms") > TIMEOUT_MS_MAX)
		return err_set(err, EINVAL, "exec: the timeout is too long");
	if (!detached && message->fds != MESSAGE_FDS)
		return err_set(err, EINVAL, "exec: needs three descriptors");
	job = command_request_job(client, message->body, command);
	if (!job)
		return err_set(err, ENOMEM, "out of memory");
	if (detached) {
		job->owner = NULL;
		ret = open_detached(job, err);
	} else {
		memcpy(job->fd, message->fd, sizeof(message->fd));
		message->fds = 0; /* the job owns them now */
	}
	if (ret == 0)
		ret = job_run(job, message->body, command, err);
	if (ret < 0) {
		monitor_job_free(job);
		return ret;
	}
	monitor_jobs_changed(monitor);
	if (detached)
		server_reply(client, request_id(message->body),
			     json_pack("{s:i}", "job", (int)job->number));
	return 0;
}

void op_exec(struct client *client, struct message *message)
{
	struct command_request command;
	struct err err = {.text = ""};

	if (command_request_read(&command, client->monitor, message->body, &err) < 0 ||
	    exec_checked(client, message, &command, &err) < 0)
		server_refuse(client, request_id(message->body), err.text);
	command_request_free(&command);
}

struct monitor_job *own_job(const struct client *client, const json_t *request)
{
	struct monitor_job *job;

	for (job = client->monitor->jobs; job; job = job->next)
		if (job->owner == client && job->id == number_of(request, "exec"))
			return job;
	return NULL;
}

/* Among those that run (list: monitor->jobs) or have ended; NULL: none of that number. */
static struct monitor_job *detached_job(struct monitor_job *list, uint64_t number)
{
	struct monitor_job *job;

	for (job = list; job; job = job->next)
		if (!job->owner && !job->shell && job->number == number)
			return job;
	return NULL;
}

/* The client's own command, without a reply; or a detached job, with one. */
void op_signal(struct client *client, struct message *message)
{
	uint64_t detached = number_of(message->body, "job"),
		 number = number_of(message->body, "signal"), id = request_id(message->body);
	struct monitor_job *job = detached ? detached_job(client->monitor->jobs, detached)
					   : own_job(client, message->body);
	bool valid = number > 0 && number <= 64;

	if (job && valid)
		job_signal(job->job, (int)number);
	if (!detached)
		return;
	if (job && valid)
		server_reply(client, id, NULL);
	else
		server_refuse(client, id,
			      job ? "signal: a number from 1 to 64" : "no such job runs");
}

void op_wait_job(struct client *client, const struct message *message, uint64_t number)
{
	struct monitor *monitor = client->monitor;
	struct monitor_job *ended = detached_job(monitor->ended, number);
	uint64_t id = request_id(message->body);

	if (ended) {
		server_reply(client, id, json_pack("{s:i}", "status", ended->status));
	} else if (!detached_job(monitor->jobs, number)) {
		server_refuse(client, id, "there is no such job");
	} else {
		client->waits = true;
		client->wait_id = id;
		client->wait_job = (unsigned)number;
	}
}

void op_resize(struct client *client, struct message *message)
{
	struct monitor_job *job = own_job(client, message->body);

	if (job)
		job_resize(job->job, (uint16_t)number_of(message->body, "rows"),
			   (uint16_t)number_of(message->body, "columns"));
}

/* --- output ---------------------------------------------------------------------------------- */

json_t *describe_job(const struct monitor_job *job)
{
	json_t *body = json_pack("{s:i,s:s,s:I,s:b}", "job", (int)job->number, "command",
				 job->command, "started", (json_int_t)job->started, "detached",
				 !job->owner && !job->shell);

	if (body && !job->job)
		json_object_set_new(body, "status", json_integer(job->status));
	if (body && job->shell) {
		json_object_set_new(body, "session", json_true());
		json_object_set_new(body, "attached", json_boolean(job->owner));
	}
	return body;
}

/* Copies the console's tail to a memfd. Returns the descriptor or -errno with a message. */
static int copy_console(const struct monitor *monitor, struct err *err)
{
	struct ring copy = monitor->session.sandbox.machine.console.tail;
	int fd = memfd_create("console", MFD_CLOEXEC);
	struct iovec iov[2];
	unsigned iovs = ring_readable(&copy, iov), i;
	int ret = fd < 0 ? -errno : 0;

	for (i = 0; ret == 0 && i < iovs; i++)
		ret = fd_write_full(fd, iov[i].iov_base, iov[i].iov_len);
	if (ret == 0)
		return fd;
	fd_close(&fd);
	return err_code(err, -ret, "copying the console");
}

static const struct monitor_job *find_detached(const struct monitor *monitor, uint64_t number)
{
	const struct monitor_job *job;

	for (job = monitor->jobs; job; job = job->next)
		if (job->number == number && !job->owner && !job->shell)
			return job;
	for (job = monitor->ended; job; job = job->next)
		if (job->number == number)
			return job;
	return NULL;
}

/* Opens the output files of a detached job for reading, and the times of its output. */
static int open_outputs(const struct monitor *monitor, uint64_t number, int fd[3],
			const struct monitor_job **job, struct err *err)
{
	static const char *const stream[] = {"out", "err", "times"};
	int i;

	*job = find_detached(monitor, number);
	if (!*job)
		return err_set(err, ESRCH,
			       "there is no detached job %llu, or its output is no longer kept",
			       (unsigned long long)number);
	for (i = 0; i < 3; i++) {
		fd[i] = monitor_job_open(monitor, (unsigned)number, stream[i], O_RDONLY, err);
		if (fd[i] < 0)
			return fd[i];
	}
	return 0;
}

void op_logs(struct client *client, struct message *message)
{
	uint64_t id = request_id(message->body), number = number_of(message->body, "job");
	const struct monitor_job *job = NULL;
	struct err err = {.text = ""};
	int fd[3] = {-1, -1, -1}, ret;
	json_t *body;

	/* What such a sandbox has to say is what its command says. */
	if (client->monitor->config->once && number == 0 &&
	    find_detached(client->monitor, MONITOR_JOB_FIRST))
		number = MONITOR_JOB_FIRST;
	if (number > 0) {
		ret = open_outputs(client->monitor, number, fd, &job, &err);
	} else {
		ret = copy_console(client->monitor, &err);
		fd[0] = ret;
	}
	if (ret < 0) {
		server_refuse(client, id, err.text);
	} else {
		body = job ? describe_job(job) : json_object();
		if (body) {
			json_object_set_new(body, "id", json_integer((json_int_t)id));
			json_object_set_new(body, "ok", json_true());
		}
		server_send(client, body, fd, job ? 3 : 1);
	}
	for (ret = 0; ret < 3; ret++)
		fd_close(&fd[ret]);
}
