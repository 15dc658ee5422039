/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix sockets that host programs connect to, and the handshake: a client sends one line,
 * "CONNECT <port>\n", within CLIENT_NS. At most BUDGET_HANDSHAKES clients are in the handshake; the
 * others wait in the socket's backlog. A published port's socket has no handshake.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock/internal.h"
#include "devices/vsock/socket.h"
#include "vmm/base/budget.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

#define CLIENT_NS      (5000 * UINT64_C(1000000))
#define ACCEPT_BATCH   16
#define ACCEPT_REST_NS (100 * UINT64_C(1000000)) /* pause when descriptors or memory run out */
#define LINE_MAX_BYTES 32

struct client {
	struct vsock_listener *listener;
	struct list link;
	struct vsock_deadline deadline;
	struct loop_source source;
	size_t used;
	char line[LINE_MAX_BYTES];
};

struct vsock_listener {
	struct vsock *vsock;
	struct loop_source source;
	struct loop_timer rest;
	struct vsock_deadlines handshakes;
	struct list clients;
	unsigned client_count;
	uint32_t port; /* of all clients, without a handshake; 0: the handshake names it */
	bool closed;   /* accepts no clients yet */
	struct vsock_listener *next; /* in vsock->published */
	struct vsock_socket file;
};

/* --- the handshake ---------------------------------------------------------------------------- */

static void watch(struct vsock_listener *listener)
{
	if (!listener->source.added && !listener->rest.armed && !listener->closed &&
	    listener->client_count < budget(BUDGET_HANDSHAKES))
		loop_add(listener->vsock->loop, &listener->source, EPOLLIN);
}

/* Frees the client; closes its descriptor unless a stream has taken it over. */
static void client_end(struct client *client)
{
	struct vsock_listener *listener = client->listener;

	loop_remove(listener->vsock->loop, &client->source);
	vsock_deadline_stop(&client->deadline);
	list_remove(&client->link);
	fd_close(&client->source.fd);
	free(client);
	listener->client_count--;
	watch(listener);
}

static void client_expired(struct vsock_deadline *deadline)
{
	client_end(list_entry(deadline, struct client, deadline));
}

/* Parses "CONNECT 52", without the newline. The port, or -1. */
static int64_t parse_line(const char *line, size_t length)
{
	static const char word[] = "CONNECT ";
	int64_t port = 0;
	size_t i = sizeof(word) - 1;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	if (length <= i || strncasecmp(line, word, i) != 0)
		return -1;
	for (; i < length; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		port = port * 10 + (line[i] - '0');
		if (port > UINT32_MAX)
			return -1;
	}
	return port;
}

/*
 * Sends the guest a REQUEST; nothing is read from the client until the response. Takes over the
 * descriptor in any case, and the visit of a published port's client.
 */
static void connect_guest(struct vsock *vsock, int fd, uint32_t port, bool silent,
			  struct vsock_visit *visit)
{
	struct vsock_stream *stream;

	stream = vsock_stream_new(vsock, vsock_table_free_port(&vsock->table, port), port,
				  VSOCK_REQUESTED, &vsock_unix_end_ops, 0);
	if (!stream) {
		fd_close(&fd);
		vsock_visit_end(vsock, visit);
		return;
	}
	stream->unix_end.silent = silent;
	stream->unix_end.visit = visit;
	stream->owed = VSOCK_OWE_REQUEST;
	if (vsock_unix_attach(stream, fd) < 0) {
		vsock_stream_end(stream);
		return;
	}
	vsock_deadline_start(silent ? &vsock->published_connecting : &vsock->connecting,
			     &stream->deadline);
	vsock_stream_ready(stream);
}

static void client_connect(struct client *client, uint32_t port)
{
	struct vsock *vsock = client->listener->vsock;
	int fd = client->source.fd;

	loop_remove(vsock->loop, &client->source);
	client->source.fd = -1;
	client_end(client);
	connect_guest(vsock, fd, port, false, NULL);
}

/*
 * Peeks first, so that only bytes up to the newline are taken: those after it belong to the stream.
 */
static void client_ready(void *arg, uint32_t events)
{
	struct client *client = arg;
	char *to = client->line + client->used, *newline;
	ssize_t got;
	int64_t port;

	(void)events;
	got = recv(client->source.fd, to, sizeof(client->line) - client->used,
		   MSG_PEEK | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		newline = memchr(to, '\n', (size_t)got);
		if (newline)
			got = newline - to + 1;
		got = recv(client->source.fd, to, (size_t)got, MSG_DONTWAIT);
	}
	if (got <= 0) {
		client_end(client);
		return;
	}
	client->used += (size_t)got;
	if (client->line[client->used - 1] != '\n') {
		if (client->used == sizeof(client->line))
			client_end(client);
		return;
	}
	port = parse_line(client->line, client->used - 1);
	if (port < 0)
		client_end(client);
	else
		client_connect(client, (uint32_t)port);
}

static int client_new(struct vsock_listener *listener, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->listener = listener;
	client->source = (struct loop_source){.fd = fd, .ready = client_ready, .arg = client};
	vsock_deadline_init(&client->deadline);
	if (loop_add(listener->vsock->loop, &client->source, EPOLLIN) < 0) {
		free(client);
		return -ENOMEM;
	}
	list_append(&listener->clients, &client->link);
	listener->client_count++;
	vsock_deadline_start(&listener->handshakes, &client->deadline);
	return 0;
}

/* --- clients of published ports --------------------------------------------------------------- */

/* A reset by the guest ends streams in a vCPU's thread, which may not write to the audit log. */
void vsock_visit_end(struct vsock *vsock, struct vsock_visit *visit)
{
	if (!visit)
		return;
	visit->next = NULL;
	*vsock->ended_last = visit;
	vsock->ended_last = &visit->next;
	loop_defer(vsock->loop, &vsock->work);
}

void vsock_visits_tell(struct vsock *vsock)
{
	struct vsock_visit *visit;

	while ((visit = vsock->ended)) {
		vsock->ended = visit->next;
		if (!vsock->ended)
			vsock->ended_last = &vsock->ended;
		vsock->visit_ops->ended(vsock->visit_arg, visit);
		free(visit);
	}
}

/* Accepts a client of a published port: visit_ops learn of it before the guest does. */
static void receive_visit(struct vsock_listener *listener, int fd)
{
	struct vsock *vsock = listener->vsock;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t length = sizeof(peer);
	struct vsock_visit *visit = NULL;

	if (vsock->visit_ops) {
		visit = calloc(1, sizeof(*visit));
		if (!visit) {
			fd_close(&fd);
			return;
		}
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
		*visit = (struct vsock_visit){.path = listener->file.path,
					      .port = listener->port,
					      .number = ++vsock->visits,
					      .uid = peer.uid,
					      .pid = peer.pid,
					      .begun_ns = loop_now_ns()};
		if (!vsock->visit_ops->began(vsock->visit_arg, visit)) {
			free(visit);
			fd_close(&fd);
			return;
		}
	}
	connect_guest(vsock, fd, listener->port, true, visit);
}

static void rest_over(void *arg)
{
	watch(arg);
}

static void listener_ready(void *arg, uint32_t events)
{
	struct vsock_listener *listener = arg;
	int fd, i;

	(void)events;
	for (i = 0; i < ACCEPT_BATCH && listener->client_count < budget(BUDGET_HANDSHAKES); i++) {
		fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
			/* The connection stays in the backlog: accepting again at once would spin.
			 */
			loop_remove(listener->vsock->loop, &listener->source);
			loop_timer_start(listener->vsock->loop, &listener->rest, ACCEPT_REST_NS);
			return;
		}
		if (fd < 0)
			return;
		if (listener->port)
			receive_visit(listener, fd);
		else if (client_new(listener, fd) < 0)
			fd_close(&fd);
	}
	if (listener->client_count >= budget(BUDGET_HANDSHAKES))
		loop_remove(listener->vsock->loop, &listener->source);
}

/* --- life ------------------------------------------------------------------------------------- */

int vsock_listener_create(struct vsock_listener **out, struct vsock *vsock, const char *path,
			  uint32_t port, struct err *err)
{
	struct vsock_listener *listener;
	int ret;

	*out = NULL;
	if (path[0] == '\0')
		return err_set(err, EINVAL, "the path of the vsock socket is empty");
	if (strlen(path) >= sizeof(listener->file.path))
		return err_set(err, ENAMETOOLONG,
			       "%s: the path of a vsock socket has at most %zu bytes", path,
			       sizeof(listener->file.path) - 1);
	*out = listener = calloc(1, sizeof(*listener));
	if (!listener)
		return err_set(err, ENOMEM, "no memory for the vsock socket");
	strcpy(listener->file.path, path);
	listener->file.fd = -1;
	listener->vsock = vsock;
	listener->source = (struct loop_source){.fd = -1, .ready = listener_ready, .arg = listener};
	listener->rest = (struct loop_timer){.expired = rest_over, .arg = listener};
	list_init(&listener->clients);
	vsock_deadlines_init(&listener->handshakes, vsock->loop, CLIENT_NS, client_expired);
	listener->port = port;
	listener->closed = port != 0;
	ret = vsock_socket_open(&listener->file, err);
	listener->source.fd = listener->file.fd;
	if (ret < 0 || listener->closed)
		return ret;
	ret = loop_add(vsock->loop, &listener->source, EPOLLIN);
	return ret < 0 ? err_code(err, -ret, "%s: watch the vsock socket", path) : 0;
}

int vsock_publish(struct vsock *vsock, const char *path, uint32_t port, struct err *err)
{
	struct vsock_listener *listener;
	int ret = vsock_listener_create(&listener, vsock, path, port, err);

	if (!listener)
		return ret;
	listener->next = vsock->published;
	vsock->published = listener;
	return ret;
}

void vsock_publish_watch(struct vsock *vsock, const struct vsock_visit_ops *ops, void *arg)
{
	vsock->visit_ops = ops;
	vsock->visit_arg = arg;
}

void vsock_publish_open(struct vsock *vsock)
{
	struct vsock_listener *listener;

	for (listener = vsock->published; listener; listener = listener->next) {
		listener->closed = false;
		watch(listener);
	}
}

void vsock_publish_end(struct vsock *vsock)
{
	struct vsock_listener *listener;

	while ((listener = vsock->published)) {
		vsock->published = listener->next;
		vsock_listener_destroy(listener);
	}
}

void vsock_listener_set_patience(struct vsock_listener *listener, uint64_t ns)
{
	listener->handshakes.delay_ns = ns;
}

void vsock_listener_destroy(struct vsock_listener *listener)
{
	struct vsock *vsock;

	if (!listener)
		return;
	vsock = listener->vsock;
	while (!list_empty(&listener->clients))
		client_end(list_entry(listener->clients.next, struct client, link));
	vsock_deadlines_stop(&listener->handshakes);
	loop_timer_stop(vsock->loop, &listener->rest);
	loop_remove(vsock->loop, &listener->source);
	vsock_socket_close(&listener->file);
	free(listener);
}
