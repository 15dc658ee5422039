/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/agent_host.h"

static long host_read(void *arg, void *to, size_t length)
{
	struct host *host = arg;
	ssize_t n = recv(host->source.fd, to, length, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static long host_write(void *arg, const void *from, size_t length)
{
	struct host *host = arg;
	ssize_t n = send(host->source.fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		loop_modify(host->loop, &host->source, EPOLLIN | EPOLLOUT);
	return n < 0 ? -errno : n;
}

static void host_close(void *arg)
{
	struct host *host = arg;

	loop_remove(host->loop, &host->source);
	fd_close(&host->source.fd);
}

static void host_events(void *arg, uint32_t events)
{
	struct host *host = arg;

	if (events & EPOLLOUT) {
		loop_modify(host->loop, &host->source, EPOLLIN);
		agent_channel_writable(host->channel);
	}
	if (host->source.fd >= 0 && events & ~(uint32_t)EPOLLOUT)
		agent_channel_readable(host->channel);
}

static void host_ready(void *arg, const struct agent_info *info)
{
	struct host *host = arg;

	host->ready++;
	host->info = *info;
	loop_stop(host->loop);
}

static void host_lost(void *arg, const char *why)
{
	struct host *host = arg;

	host->lost++;
	snprintf(host->why, sizeof(host->why), "%s", why);
	loop_stop(host->loop);
}

static void host_power(void *arg, enum agent_power kind)
{
	struct host *host = arg;

	host->power++;
	host->power_kind = kind;
}

void host_replied(void *arg, int error)
{
	struct host *host = arg;

	host->replies++;
	host->reply = error;
	loop_stop(host->loop);
}

static void host_checked(void *arg, const struct agent_check *check)
{
	struct host *host = arg;

	host->checks++;
	host->number = check->number;
	host->no_path = check->no_path;
	snprintf(host->path, sizeof(host->path), "%.*s", (int)check->length, check->path);
	snprintf(host->program, sizeof(host->program), "%.*s", (int)check->program_length,
		 check->program);
}

static void host_gone(void *arg, uint32_t number)
{
	struct host *host = arg;

	host->gone++;
	host->number = number;
}

static void host_happened(void *arg, const struct agent_event *event)
{
	struct host *host = arg;

	host->events++;
	host->event = *event;
	snprintf(host->path, sizeof(host->path), "%.*s", (int)event->length, event->path);
	snprintf(host->program, sizeof(host->program), "%.*s", (int)event->arguments_length,
		 event->arguments);
}

void host_create(struct host *host)
{
	static const struct agent_channel_hooks hooks = {
		.ready = host_ready,
		.lost = host_lost,
		.power = host_power,
		.checked = host_checked,
		.gone = host_gone,
		.happened = host_happened,
	};

	*host = (struct host){.source = {.fd = -1}};
	ck_assert_int_eq(loop_create(&host->loop), 0);
	ck_assert_int_eq(agent_channel_create(&host->channel, host->loop, &hooks, host), 0);
}

void host_attach(struct host *host, int fd)
{
	struct agent_transport transport = {
		.read = host_read,
		.write = host_write,
		.close = host_close,
		.arg = host,
	};

	host->source = (struct loop_source){.fd = fd, .ready = host_events, .arg = host};
	ck_assert_int_eq(agent_channel_attach(host->channel, &transport), 0);
	ck_assert_int_eq(loop_add(host->loop, &host->source, EPOLLIN), 0);
}

void host_destroy(struct host *host)
{
	agent_channel_destroy(host->channel);
	ck_assert_int_eq(host->source.fd, -1);
	loop_destroy(host->loop);
}

static void run_started(void *arg, uint32_t pid)
{
	struct run *run = arg;

	run->started++;
	run->pid = pid;
	loop_stop(run->host->loop);
}

static void run_output(void *arg, unsigned stream, const void *data, size_t length)
{
	struct run *run = arg;
	size_t at = run->length[stream], room = sizeof(run->out[0]) - 1;

	ck_assert(length > 0 && (stream == 1 || stream == 2));
	if (at < room)
		memcpy(run->out[stream] + at, data, min_u64(length, room - at));
	run->length[stream] += length;
	if (run->take)
		ck_assert(run->take(run, stream, data, length));
	if (!run->hold)
		agent_command_consumed(run->command, stream, length);
	loop_stop(run->host->loop);
}

static void run_output_eof(void *arg, unsigned stream)
{
	struct run *run = arg;

	run->eof[stream]++;
	loop_stop(run->host->loop);
}

static void run_stdin_ready(void *arg)
{
	struct run *run = arg;

	run->stdin_ready++;
	loop_stop(run->host->loop);
}

static void run_stdin_closed(void *arg)
{
	struct run *run = arg;

	run->stdin_closed++;
	loop_stop(run->host->loop);
}

static void run_exited(void *arg, const struct agent_exit *status)
{
	struct run *run = arg;

	run->exited++;
	run->status = *status;
	loop_stop(run->host->loop);
}

static void run_failed(void *arg, const struct agent_failure *failure)
{
	struct run *run = arg;

	run->failed++;
	run->fail_status = failure->status;
	run->fail_errno = failure->error;
	snprintf(run->message, sizeof(run->message), "%s", failure->message);
	loop_stop(run->host->loop);
}

static const struct agent_command_ops run_ops = {
	.started = run_started,
	.output = run_output,
	.output_eof = run_output_eof,
	.stdin_ready = run_stdin_ready,
	.stdin_closed = run_stdin_closed,
	.exited = run_exited,
	.failed = run_failed,
};

int run_start(struct host *host, struct run *run, const struct agent_command_spec *spec)
{
	*run = (struct run){.host = host, .hold = run->hold, .take = run->take};
	return agent_command_start(host->channel, spec, &run_ops, run, &run->command);
}
