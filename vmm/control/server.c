/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket of a monitor: accepts clients, passes on their requests, sends messages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/base/budget.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/monitor.h"

/* Without a free descriptor a client stays in the backlog. Retrying at once would burn CPU time. */
#define LISTEN_BACKLOG	256
#define LISTEN_RETRY_NS 100000000ull

/* Ends the client's commands, and detaches it from its shell sessions. */
static void leave_jobs(struct client *client)
{
	struct monitor_job *job, *next;

	for (job = client->monitor->jobs; job; job = next) {
		next = job->next;
		if (job->owner != client)
			continue;
		if (job->shell) {
			shell_relay_detach(&job->shell->relay);
			job->owner = NULL;
		} else {
			monitor_job_free(job);
		}
	}
}

/* A pause that the client requested goes on without it. */
static void client_close(struct client *client)
{
	struct monitor *monitor = client->monitor;
	struct client **at;

	for (at = &monitor->clients; *at; at = &(*at)->next) {
		if (*at == client) {
			*at = client->next;
			break;
		}
	}
	leave_jobs(client);
	if (monitor->pause_client == client)
		monitor->pause_client = NULL;
	if (monitor->share.client == client)
		monitor->share.client = NULL;
	loop_timer_stop(monitor->session.loop, &client->list_timer);
	loop_timer_stop(monitor->session.loop, &client->count_timer);
	loop_remove(monitor->session.loop, &client->source);
	fd_close(&client->fd);
	monitor->client_count--;
	free(client);
	monitor_jobs_changed(monitor);
	monitor_operators_changed(monitor);
}

void server_send(struct client *client, json_t *body, const int *fd, unsigned fds)
{
	int ret = body ? message_send(client->fd, body, fd, fds, MSG_DONTWAIT) : -ENOMEM;

	json_decref(body);
	/* The client does not read, or is gone. The shutdown leads to an end of file, which closes
	 * it. */
	if (ret < 0)
		shutdown(client->fd, SHUT_RDWR);
}

void server_announce(struct monitor *monitor, json_t *body, const char *event, const char *how)
{
	struct client *client;
	json_t *copy;

	json_object_set_new(body, "event", json_string(event));
	if (how)
		json_object_set_new(body, "how", json_string(how));
	for (client = monitor->clients; client; client = client->next) {
		if (!client->watches)
			continue;
		copy = json_copy(body);
		json_object_set_new(copy, "id", json_integer((json_int_t)client->watch_id));
		server_send(client, copy, NULL, 0);
	}
	json_decref(body);
}

void server_reply(struct client *client, uint64_t id, json_t *body)
{
	if (!body)
		body = json_object();
	json_object_set_new(body, "id", json_integer((json_int_t)id));
	json_object_set_new(body, "ok", json_true());
	server_send(client, body, NULL, 0);
}

void server_refuse(struct client *client, uint64_t id, const char *why)
{
	server_send(client, json_pack("{s:I,s:b,s:s}", "id", (json_int_t)id, "ok", 0, "error", why),
		    NULL, 0);
}

void server_peer(const struct client *client, char *text, size_t size)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t length = sizeof(peer);

	getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	snprintf(text, size, "by uid %u, process %d", (unsigned)peer.uid, (int)peer.pid);
}

static void client_ready(void *arg, uint32_t events)
{
	struct client *client = arg;
	struct message message;
	struct err err = {.text = ""};
	int ret = message_receive(client->fd, &message, MSG_DONTWAIT, &err);

	(void)events;
	if (ret == -EAGAIN || ret == -EINTR)
		return;
	if (ret == -EPROTO) {
		server_refuse(client, 0, err.text);
		return;
	}
	if (ret <= 0) {
		client_close(client);
		return;
	}
	request_handle(client, &message);
	message_clear(&message);
}

static void greet(struct client *client)
{
	server_send(client,
		    json_pack("{s:s,s:i,s:s,s:I}", "cordon", CORDON_VERSION, "protocol",
			      MESSAGE_PROTOCOL, "sandbox", client->monitor->config->name, "pid",
			      (json_int_t)getpid()),
		    NULL, 0);
}

/* Whether the peer is of the same user, or host root. */
static bool is_permitted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void refuse_client(int fd)
{
	json_t *body = json_pack("{s:s,s:i,s:s}", "cordon", CORDON_VERSION, "protocol",
				 MESSAGE_PROTOCOL, "error", "too many clients are connected");

	if (body)
		message_send(fd, body, NULL, 0, MSG_DONTWAIT);
	json_decref(body);
}

static int add_client(struct monitor *monitor, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->monitor = monitor;
	client->fd = fd;
	client->source = (struct loop_source){.fd = fd, .ready = client_ready, .arg = client};
	if (loop_add(monitor->session.loop, &client->source, EPOLLIN) < 0) {
		free(client);
		return -ENOMEM;
	}
	client->next = monitor->clients;
	monitor->clients = client;
	monitor->client_count++;
	greet(client);
	return 0;
}

static void listen_ready(void *arg, uint32_t events)
{
	struct monitor *monitor = arg;
	int fd = accept4(monitor->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			loop_remove(monitor->session.loop, &monitor->listen_source);
			loop_timer_start(monitor->session.loop, &monitor->listen_timer,
					 LISTEN_RETRY_NS);
		}
		return;
	}
	if (!is_permitted(fd)) {
		close(fd);
	} else if (monitor->client_count >= budget(BUDGET_CLIENTS)) {
		refuse_client(fd);
		close(fd);
	} else if (add_client(monitor, fd) < 0) {
		close(fd);
	}
}

static void listen_again(void *arg)
{
	struct monitor *monitor = arg;

	if (loop_add(monitor->session.loop, &monitor->listen_source, EPOLLIN) < 0)
		loop_timer_start(monitor->session.loop, &monitor->listen_timer, LISTEN_RETRY_NS);
}

int server_open(struct monitor *monitor, struct err *err)
{
	struct sockaddr_un address;
	mode_t before;
	int ret = registry_socket(monitor->config->name, &address, err);

	if (ret < 0)
		return ret;
	monitor->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (monitor->listen_fd < 0)
		return err_sys(err, "control socket");
	before = umask(0177);
	ret = bind(monitor->listen_fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (ret < 0 || listen(monitor->listen_fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, "%s", address.sun_path);
	monitor->listen_source = (struct loop_source){
		.fd = monitor->listen_fd,
		.ready = listen_ready,
		.arg = monitor,
	};
	monitor->listen_timer = (struct loop_timer){.expired = listen_again, .arg = monitor};
	ret = loop_add(monitor->session.loop, &monitor->listen_source, EPOLLIN);
	return ret < 0 ? err_code(err, -ret, "control socket") : 0;
}

void server_close(struct monitor *monitor)
{
	while (monitor->clients)
		client_close(monitor->clients);
	if (monitor->listen_fd >= 0) {
		loop_timer_stop(monitor->session.loop, &monitor->listen_timer);
		loop_remove(monitor->session.loop, &monitor->listen_source);
	}
	fd_close(&monitor->listen_fd);
}
