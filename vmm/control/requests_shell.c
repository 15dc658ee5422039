/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about shell sessions: start, attach, detach. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/control/requests.h"

/* --- the client's terminal -------------------------------------------------------------------- */

static bool is_option(int fd, int option, int value)
{
	socklen_t length = sizeof(int);
	int is = -1;

	return getsockopt(fd, SOL_SOCKET, option, &is, &length) == 0 && is == value;
}

/* The one descriptor of the request must be a connected stream socket. 0 or -EINVAL. */
static int check_terminal(const struct message *message, struct err *err)
{
	struct sockaddr_un peer;
	socklen_t length = sizeof(peer);
	const char *op = string_of(message->body, "op");

	if (message->fds != 1)
		return err_set(err, EINVAL, "%s: needs one descriptor", op);
	if (!is_option(message->fd[0], SO_DOMAIN, AF_UNIX) ||
	    !is_option(message->fd[0], SO_TYPE, SOCK_STREAM) ||
	    getpeername(message->fd[0], (struct sockaddr *)&peer, &length) < 0)
		return err_set(err, EINVAL,
			       "%s: the descriptor must be a connected Unix stream socket", op);
	return 0;
}

/* Makes the client the session's, for the request `id`. *kept as for shell_relay_attach(). */
static int take_client(struct monitor_job *job, struct client *client, struct message *message,
		       size_t *kept, struct err *err)
{
	int ret = shell_relay_attach(&job->shell->relay, message->fd[0], kept, err);

	if (ret < 0)
		return ret;
	message->fds = 0; /* the relay owns it now */
	job->owner = client;
	job->id = request_id(message->body);
	job->shell->turn = ++client->monitor->shell_turn;
	return 0;
}

/* --- the session ------------------------------------------------------------------------------ */

static size_t on_input(void *arg, const void *bytes, size_t length)
{
	struct monitor_job *job = arg;

	return job_input(job->job, bytes, length);
}

static void on_consumed(void *arg, size_t length)
{
	struct monitor_job *job = arg;

	job_consumed(job->job, length);
}

static void on_left(void *arg)
{
	struct monitor_job *job = arg;

	job->owner = NULL;
}

static void on_finished(void *arg)
{
	struct monitor_job *job = arg;
	struct monitor *monitor = job->monitor;

	command_request_ended(job, &job->shell->result);
	monitor_job_free(job);
	monitor_jobs_changed(monitor);
}

static void on_output(void *arg, const void *data, size_t length)
{
	struct monitor_job *job = arg;

	shell_relay_output(&job->shell->relay, data, length);
}

static void on_input_ready(void *arg)
{
	struct monitor_job *job = arg;

	shell_relay_input_ready(&job->shell->relay);
}

/* What the result points to lives as long as the job. */
static void on_ended(void *arg, const struct job_result *result)
{
	struct monitor_job *job = arg;

	job->shell->result = *result;
	shell_relay_finish(&job->shell->relay);
}

static int open_shell(struct monitor_job *job, const char *note)
{
	static const struct shell_relay_ops ops = {
		.input = on_input,
		.consumed = on_consumed,
		.left = on_left,
		.finished = on_finished,
	};

	job->shell = calloc(1, sizeof(*job->shell));
	if (!job->shell)
		return -ENOMEM;
	shell_relay_init(&job->shell->relay, job->monitor->session.loop, &ops, job);
	snprintf(job->shell->note, sizeof(job->shell->note), "%s", note);
	return 0;
}

static int start_shell(struct monitor_job *job, struct message *message,
		       const struct command_request *command, const char *note, struct err *err)
{
	static const struct job_ops ops = {
		.ended = on_ended, .output = on_output, .input_ready = on_input_ready};
	struct job_spec spec = {.command = command->spec, .fd = {-1, -1, -1}};
	size_t kept;
	int ret = open_shell(job, note);

	if (ret < 0)
		return err_set(err, ENOMEM, "out of memory");
	spec.command.terminal = true;
	ret = take_client(job, job->owner, message, &kept, err);
	if (ret < 0)
		return ret;
	return job_start(&job->job, &job->monitor->session.sandbox.machine, &spec, &ops, job, err);
}

static unsigned count_shells(const struct monitor *monitor)
{
	const struct monitor_job *job;
	unsigned count = 0;

	for (job = monitor->jobs; job; job = job->next)
		count += job->shell != NULL;
	return count;
}

/* The request's note; NULL, with a message: it is not one line of ASCII, or is too long. */
static const char *note_of(const json_t *request, struct err *err)
{
	const json_t *value = json_object_get(request, "note");
	const char *note = value ? json_string_value(value) : "", *at;

	for (at = note; at && *at >= ' ' && *at <= '~'; at++)
		;
	if (at && *at == '\0' && at - note <= MONITOR_NOTE_MAX)
		return note;
	err_set(err, EINVAL, "shell: note must be at most %d printable ASCII characters",
		MONITOR_NOTE_MAX);
	return NULL;
}

static int shell_checked(struct client *client, struct message *message,
			 const struct command_request *command, struct err *err)
{
	struct monitor *monitor = client->monitor;
	const char *note = note_of(message->body, err);
	struct monitor_job *job;
	int ret = note ? command_request_permitted(monitor, err) : -EINVAL;

	if (ret == 0)
		ret = check_terminal(message, err);
	if (ret < 0)
		return ret;
	if (count_shells(monitor) >= MONITOR_SHELLS_MAX)
		return err_set(err, EAGAIN, "%d shell sessions are running already",
			       MONITOR_SHELLS_MAX);
	job = command_request_job(client, message->body, command);
	if (!job)
		return err_set(err, ENOMEM, "out of memory");
	ret = start_shell(job, message, command, note, err);
	if (ret < 0) {
		monitor_job_free(job);
		return ret;
	}
	monitor_jobs_changed(monitor);
	server_reply(client, request_id(message->body),
		     json_pack("{s:i}", "session", (int)job->number));
	return 0;
}

void op_shell(struct client *client, struct message *message)
{
	struct command_request command;
	struct err err = {.text = ""};

	if (command_request_read(&command, client->monitor, message->body, &err) < 0 ||
	    shell_checked(client, message, &command, &err) < 0)
		server_refuse(client, request_id(message->body), err.text);
	command_request_free(&command);
}

/* --- attach and detach ------------------------------------------------------------------------ */

/* A session whose shell has ended only waits for its client to read. */
static bool is_session(struct monitor_job *job)
{
	return job->shell &&
	       (shell_relay_attached(&job->shell->relay) || !job->shell->relay.finishing);
}

/* The detached session that was attached last; NULL: there is none. */
static struct monitor_job *latest_detached(const struct monitor *monitor)
{
	struct monitor_job *job, *latest = NULL;

	for (job = monitor->jobs; job; job = job->next)
		if (is_session(job) && !job->owner &&
		    (!latest || job->shell->turn > latest->shell->turn))
			latest = job;
	return latest;
}

static struct monitor_job *find_session(const struct monitor *monitor, const json_t *request,
					struct err *err)
{
	const json_t *value = json_object_get(request, "session");
	json_int_t number = json_integer_value(value);
	struct monitor_job *job;
	char by[64];

	if (value && (!json_is_integer(value) || number < 0)) {
		err_set(err, EINVAL, "attach: session must be the number of a session");
		return NULL;
	}
	if (number == 0) {
		job = latest_detached(monitor);
		if (!job)
			err_set(err, ESRCH, "there is no detached session");
		return job;
	}
	for (job = monitor->jobs; job; job = job->next)
		if (job->number == (uint64_t)number && is_session(job))
			break;
	if (!job) {
		err_set(err, ESRCH, "there is no session %lld", (long long)number);
	} else if (job->owner) {
		server_peer(job->owner, by, sizeof(by));
		err_set(err, EBUSY, "session %u is attached already, %s", job->number, by);
		return NULL;
	}
	return job;
}

static int attach_checked(struct client *client, struct message *message, struct err *err)
{
	uint64_t rows = number_of(message->body, "rows");
	uint64_t columns = number_of(message->body, "columns");
	struct monitor_job *job;
	size_t kept;
	int ret = check_terminal(message, err);

	if (ret < 0)
		return ret;
	job = find_session(client->monitor, message->body, err);
	if (!job)
		return -ESRCH;
	ret = take_client(job, client, message, &kept, err);
	if (ret < 0)
		return ret;
	if (rows > 0 && columns > 0)
		job_resize(job->job, (uint16_t)rows, (uint16_t)columns);
	server_reply(client, job->id,
		     json_pack("{s:i,s:s,s:I}", "session", (int)job->number, "note",
			       job->shell->note, "kept", (json_int_t)kept));
	return 0;
}

void op_attach(struct client *client, struct message *message)
{
	struct err err = {.text = ""};

	if (attach_checked(client, message, &err) < 0)
		server_refuse(client, request_id(message->body), err.text);
}

void op_detach(struct client *client, struct message *message)
{
	struct monitor_job *job = own_job(client, message->body);
	uint64_t id = request_id(message->body);

	if (!job || !job->shell) {
		server_refuse(client, id, "detach: no session of this connection has this id");
		return;
	}
	shell_relay_detach(&job->shell->relay);
	job->owner = NULL;
	server_reply(client, id, NULL);
}
