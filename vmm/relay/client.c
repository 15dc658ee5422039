/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a relay as the monitor sees it. */
#include "vmm/relay/client_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/spawn.h"
#include "vmm/relay/wire_check.h"

#define MS_NS	 UINT64_C(1000000)
#define START_MS 30000 /* until it is ready: it parses the policy, perhaps on a busy host */
#define END_MS	 1000  /* until it is killed, once its sockets are closed */
#define LAST_MS	 500   /* for the last events */

#define MESSAGE_MOST (sizeof(uint32_t) + sizeof(struct relay_check))
#define FRAME_MOST   (RELAY_CLIENT_HEADER + PACKET_FRAME_MAX)

_Static_assert(MESSAGE_MOST >= sizeof(uint32_t) + sizeof(struct relay_note) &&
		       MESSAGE_MOST >= sizeof(uint32_t) + sizeof(struct relay_flow_info),
	       "struct relay_check is the longest message of the relay");

/* --- the end of the process ------------------------------------------------------------------- */

/* Waits for the child for at most patience_ms, then kills it, which does not take long. */
static int reap(struct relay_client *client, int patience_ms)
{
	struct pollfd ended = {.fd = client->exited.fd, .events = POLLIN};
	int status = 0;

	if (client->pid <= 0)
		return 0;
	if (ended.fd >= 0 && patience_ms > 0)
		poll(&ended, 1, patience_ms);
	kill(client->pid, SIGKILL);
	while (waitpid(client->pid, &status, 0) < 0 && errno == EINTR)
		;
	client->pid = 0;
	return status;
}

static void tell(struct relay_client *client, int status)
{
	char text[64] = "it has closed its sockets";

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "it was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		snprintf(text, sizeof(text), "it exited with status %d", WEXITSTATUS(status));
	client->ops->died(client->arg, client->fault ? client->fault : text);
}

static void close_sockets(struct relay_client *client)
{
	link_destroy(client->frames);
	link_destroy(client->messages);
	client->frames = client->messages = NULL;
	fd_close(&client->last_fd);
}

static void exited(void *arg, uint32_t events)
{
	struct relay_client *client = arg;

	(void)events;
	loop_remove(client->loop, &client->exited);
	loop_timer_stop(client->loop, &client->patience);
	tell(client, reap(client, 0));
}

/* Closes the sockets, at which a relay that works ends, and waits for that without blocking. */
static void end(void *arg)
{
	struct relay_client *client = arg;

	close_sockets(client);
	if (client->pid > 0 && client->fault)
		kill(client->pid, SIGKILL);
	if (client->pid <= 0 || client->exited.fd < 0 ||
	    loop_add(client->loop, &client->exited, EPOLLIN) < 0)
		tell(client, reap(client, 0));
	else
		loop_timer_start(client->loop, &client->patience, END_MS * MS_NS);
}

void client_end(struct relay_client *client, const char *fault)
{
	if (client->ending)
		return;
	client->ending = true;
	client->fault = fault;
	loop_timer_stop(client->loop, &client->patience);
	loop_defer(client->loop, &client->end);
}

static void patience_over(void *arg)
{
	struct relay_client *client = arg;

	if (client->ending)
		kill(client->pid, SIGKILL);
	else
		client_end(client, client->ready ? client->suspicion
						 : "it did not start within 30 seconds");
}

void client_suspect(struct relay_client *client, const char *suspicion)
{
	if (client->ending || client->suspected)
		return;
	client->suspected = true;
	client->suspicion = suspicion;
	loop_timer_start(client->loop, &client->patience, END_MS * MS_NS);
}

/* --- the sockets ------------------------------------------------------------------------------ */

static bool frames_room(void *arg)
{
	struct relay_client *client = arg;

	return client->ready && !client->ending && client->ops->room(client->arg);
}

static size_t frames_record(void *arg, const uint8_t *data, size_t length)
{
	const size_t record = wire_frame(data, length);

	if (record > length)
		client_end(arg, "it violated its protocol");
	return record;
}

static void frames_message(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay_client *client = arg;

	bool bad = fd >= 0 || length < RELAY_CLIENT_HEADER + PACKET_ETHERNET;

	fd_close(&fd);
	if (client->ending)
		return;
	if (bad) {
		client_end(client, "it violated its protocol");
		return;
	}
	/* The length of a frame in its message is no field for the guest. */
	memset(data + offsetof(struct virtio_net_hdr_v1, num_buffers), 0, sizeof(uint16_t));
	client->ops->frame(client->arg, data, data + RELAY_CLIENT_HEADER,
			   length - RELAY_CLIENT_HEADER);
}

static void frames_drained(void *arg)
{
	struct relay_client *client = arg;

	if (relay_client_has_room(client))
		client->ops->drained(client->arg);
}

/*
 * A relay that ends closes both sockets. The other one may still have events for the log, and tells
 * of the end behind them.
 */
static void frames_closed(void *arg)
{
	client_suspect(arg, NULL);
}

static const struct link_ops frames_ops = {
	.room = frames_room,
	.record = frames_record,
	.message = frames_message,
	.drained = frames_drained,
	.closed = frames_closed,
};

static bool messages_room(void *arg)
{
	const struct relay_client *client = arg;

	return !client->ending;
}

static void messages_message(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay_client *client = arg;

	if (fd >= 0)
		client_end(client, "it violated its protocol");
	else if (!client->ending)
		client_take(client, data, length);
	fd_close(&fd);
}

static void messages_drained(void *arg)
{
	client_flush(arg);
}

static void messages_closed(void *arg)
{
	client_end(arg, NULL);
}

static const struct link_ops messages_ops = {
	.room = messages_room,
	.message = messages_message,
	.drained = messages_drained,
	.closed = messages_closed,
};

bool relay_client_has_room(const struct relay_client *client)
{
	return client->ready && !client->ending && link_has_room(client->frames);
}

void relay_client_resume(struct relay_client *client)
{
	if (!client->ending)
		link_resume(client->frames);
}

/* --- the last events -------------------------------------------------------------------------- */

static bool send_last(struct relay_client *client, uint32_t type)
{
	return send(client->last_fd, &type, sizeof(type), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(type);
}

/*
 * Ends the relay's flows, and logs these ends: the report that is requested behind that comes after
 * their events. Without the loop, which no longer runs; the link is gone.
 */
static void take_last(struct relay_client *client)
{
	const uint64_t until = loop_now_ns() + LAST_MS * MS_NS;
	struct pollfd ready = {.fd = client->last_fd, .events = POLLIN};
	uint8_t data[MESSAGE_MOST];
	uint64_t now;
	ssize_t got;

	if (!send_last(client, RELAY_FORGET) || !send_last(client, RELAY_STATS))
		return;
	for (now = loop_now_ns(); now < until; now = loop_now_ns()) {
		if (poll(&ready, 1, (int)((until - now) / MS_NS) + 1) <= 0)
			continue;
		got = recv(client->last_fd, data, sizeof(data), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return;
		if (got > 0 && !client_take_last(client, data, (size_t)got))
			return;
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_links(struct relay_client *client, int frames_fd, int messages_fd)
{
	int ret;

	client->last_fd = fcntl(messages_fd, F_DUPFD_CLOEXEC, 3);
	ret = client->last_fd < 0 ? -errno : 0;
	if (ret < 0)
		fd_close(&frames_fd);
	else
		ret = link_create(&client->frames, client->loop, frames_fd, FRAME_MOST, &frames_ops,
				  client);
	if (ret < 0)
		fd_close(&messages_fd);
	else
		ret = link_create(&client->messages, client->loop, messages_fd, MESSAGE_MOST,
				  &messages_ops, client);
	return ret;
}

static int begin(struct relay_client *client, const struct relay_client_config *config)
{
	client->card = config->relay.card;
	if (!client_message(client, RELAY_CONFIG, &config->relay, sizeof(config->relay)))
		return -EPIPE;
	loop_timer_start(client->loop, &client->patience, START_MS * MS_NS);
	relay_client_set_policy(client, config->policy);
	return 0;
}

int relay_client_attach(struct relay_client **out, struct loop *loop, int frames_fd,
			int messages_fd, pid_t pid, const struct relay_client_config *config,
			const struct relay_client_ops *ops, void *arg, struct err *err)
{
	struct relay_client *client = calloc(1, sizeof(*client)), none = {.pid = pid};
	int ret;

	*out = NULL;
	if (!client) {
		fd_close(&frames_fd);
		fd_close(&messages_fd);
		none.exited.fd = -1;
		reap(&none, 0);
		return err_set(err, ENOMEM, "no memory for the network");
	}
	client->loop = loop;
	client->ops = ops;
	client->arg = arg;
	client->pid = pid;
	client->policy_fd = client->last_fd = -1;
	client->exited = (struct loop_source){.fd = -1, .ready = exited, .arg = client};
	client->patience = (struct loop_timer){.expired = patience_over, .arg = client};
	client->end = (struct loop_task){.run = end, .arg = client};
	if (pid > 0)
		client->exited.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	ret = open_links(client, frames_fd, messages_fd);
	if (ret == 0)
		ret = begin(client, config);
	if (ret < 0) {
		relay_client_destroy(client);
		return err_code(err, -ret, "the relay of the network");
	}
	*out = client;
	return 0;
}

int relay_client_create(struct relay_client **out, struct loop *loop,
			const struct relay_client_config *config,
			const struct relay_client_ops *ops, void *arg, struct err *err)
{
	int frames[2] = {-1, -1}, messages[2] = {-1, -1};
	pid_t pid = 0;
	int ret = link_pair(frames);

	*out = NULL;
	if (ret == 0)
		ret = link_pair(messages);
	if (ret == 0)
		ret = spawn_self(&pid, config->program, RELAY_CLIENT_PROGRAM,
				 (const int[]){frames[1], messages[1]}, 2);
	fd_close(&frames[1]);
	fd_close(&messages[1]);
	if (ret == 0)
		return relay_client_attach(out, loop, frames[0], messages[0], pid, config, ops, arg,
					   err);
	fd_close(&frames[0]);
	fd_close(&messages[0]);
	return err_code(err, -ret, "the relay of the network can't be started");
}

void relay_client_destroy(struct relay_client *client)
{
	if (!client)
		return;
	loop_cancel(client->loop, &client->end);
	loop_timer_stop(client->loop, &client->patience);
	loop_remove(client->loop, &client->exited);
	link_destroy(client->messages);
	client->messages = NULL;
	if (client->ready && !client->ending)
		take_last(client);
	client->ending = true;
	close_sockets(client);
	reap(client, client->fault ? 0 : END_MS);
	fd_close(&client->exited.fd);
	fd_close(&client->policy_fd);
	free(client->report);
	free(client->next);
	free(client);
}
