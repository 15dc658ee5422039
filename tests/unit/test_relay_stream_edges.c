/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets are watched for edges, each of which is reported once: what several of them at a time,
 * short reads and a lack of memory leave to be done must not be forgotten.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/relay_world.h"
#include "tests/support/unit.h"

static struct relay_world world;
static struct ip_address host;
static int connect_error, socket_error; /* of these calls; 0: they work */

/* A server whose client has been served before the relay's connect(2) returns. */
static int quick = -1;
static void (*serve)(int fd);

int connect(int fd, const struct sockaddr *to, socklen_t length)
{
	int ret, error, client;

	if (connect_error) {
		errno = connect_error;
		return -1;
	}
	ret = (int)syscall(SYS_connect, fd, to, length);
	error = errno;

	if (quick >= 0) {
		client = accept(quick, NULL, NULL);
		ck_assert_int_ge(client, 0);
		serve(client);
	}
	errno = error;
	return ret;
}

static uint16_t listen_quickly(void (*with)(int fd))
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	serve = with;
	quick = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(quick, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(quick, 8), 0);
	ck_assert_int_eq(getsockname(quick, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

static void begin(const char *rules)
{
	relay_world_begin(&world, rules);
	host = world_host(AF_INET);
}

static void end(void)
{
	if (quick >= 0)
		close(quick);
	quick = -1;
	relay_world_end(&world);
}

/* --- edges ------------------------------------------------------------------------------------ */

static void greet_and_end(int fd)
{
	ck_assert_int_eq(send(fd, "bye\n", 4, MSG_NOSIGNAL), 4);
	close(fd);
}

START_TEST(a_server_that_ends_before_its_connection_is_noticed_has_ended)
{
	struct world_connection *connection;
	uint16_t port;

	begin("net allow tcp host:*\n");
	port = listen_quickly(greet_and_end);
	connection = relay_world_connect(&world, &host, port);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, 4);
	end();
}
END_TEST

static int urgent = -1;

static void speak_urgently(int fd)
{
	urgent = fd;
	ck_assert_int_eq(send(fd, "before", 6, MSG_NOSIGNAL), 6);
	ck_assert_int_eq(send(fd, "!", 1, MSG_NOSIGNAL | MSG_OOB), 1);
	ck_assert_int_eq(send(fd, "behind", 6, MSG_NOSIGNAL), 6);
}

static bool has_both(void *arg)
{
	return ((struct world_connection *)arg)->got_length >= 12;
}

/* recv(2) stops at an urgent byte, though more has arrived behind it. */
START_TEST(what_stands_behind_an_urgent_byte_is_read)
{
	struct world_connection *connection;
	uint16_t port;

	begin("net allow tcp host:*\n");
	port = listen_quickly(speak_urgently);
	connection = relay_world_connect(&world, &host, port);
	ck_assert(relay_world_until(&world, has_both, connection));
	ck_assert_mem_eq(connection->got, "beforebehind", 12);
	/* The same once it is open. */
	speak_urgently(urgent);
	connection->got_length = 0;
	ck_assert(relay_world_until(&world, has_both, connection));
	ck_assert_mem_eq(connection->got, "beforebehind", 12);
	close(urgent);
	end();
}
END_TEST

/* --- a host without room ---------------------------------------------------------------------- */

int socket(int family, int type, int protocol)
{
	if (socket_error == 0)
		return (int)syscall(SYS_socket, family, type, protocol);
	errno = socket_error;
	return -1;
}

static unsigned refusals(const char *what)
{
	unsigned i, count = 0;

	for (i = 0; i < world.notes && i < WORLD_NOTES; i++)
		count += strcmp(world.note[i].what, what) == 0;
	return count;
}

/* A reset without a word in the log would look like one of the peer's. */
START_TEST(what_the_host_lacks_for_a_connection_is_logged)
{
	static const struct {
		int socket, connect;
		const char *why;
	} cases[] = {
		{EMFILE, 0, "no descriptor left"}, {ENFILE, 0, "no descriptor left"},
		{ENOBUFS, 0, "no memory left"},	   {ENOMEM, 0, "no memory left"},
		{0, EAGAIN, "no port or address"}, {0, EADDRNOTAVAIL, "no port or address"},
		{0, ENOBUFS, "no memory left"},
	};
	struct world_connection *connection;
	struct world_server *server;
	size_t i;

	begin("net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		world.notes = 0;
		socket_error = cases[i].socket;
		connect_error = cases[i].connect;
		connection = relay_world_connect(&world, &host, server->port);
		relay_world_run(&world, 20000000);
		ck_assert_uint_eq(world.relay->flows.count, 0);
		ck_assert(world_is_closed(connection) || connection->icmp_code >= 0);
		ck_assert_msg(relay_world_noted(&world, "flow-refused", cases[i].why), "%zu", i);
		ck_assert_uint_eq(refusals("flow-refused"), 1);
	}
	/* What the peer says is its end, and no refusal. */
	world.notes = 0;
	socket_error = 0;
	connect_error = ECONNREFUSED;
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(refusals("flow-refused"), 0);
	ck_assert_uint_eq(refusals("flow-end"), 1);
	/* With room again it opens; and a flood of these lines is bounded as of all refusals. */
	connect_error = 0;
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	socket_error = EMFILE;
	world.notes = 0;
	for (i = 0; i < 12 * RELAY_LOGGED_SECOND; i++) {
		relay_world_connect(&world, &host, server->port);
		if (i % 64 == 63)
			relay_world_run(&world, 1000000);
	}
	relay_world_run(&world, 20000000);
	socket_error = 0;
	ck_assert_uint_ge(world.notes, 9 * RELAY_LOGGED_SECOND);
	ck_assert_uint_lt(world.notes, 12 * RELAY_LOGGED_SECOND);
	ck_assert_uint_gt(world.relay->stats.unlogged, 0);
	end();
}
END_TEST

/* --- memory ----------------------------------------------------------------------------------- */

static uint8_t script[1u << 20];

static struct world_server *source(void)
{
	struct world_server *server = relay_world_serve(&world, AF_INET, WORLD_SOURCE);

	server->script = script;
	server->script_length = sizeof(script);
	server->end_script = true;
	return server;
}

static bool is_full(void *arg)
{
	(void)arg;
	return world.relay->memory.used >
	       world.relay->memory.max - world.relay->memory.max / 4 - 131072;
}

/* Connections whose program reads nothing, so that they fill the memory. */
static void fill_memory(struct world_server *server)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		relay_world_connect(&world, &host, server->port)->deaf = true;
	ck_assert(relay_world_until(&world, is_full, NULL));
	relay_world_run(&world, 100000000);
}

START_TEST(memory_that_others_give_back_is_used)
{
	struct world_connection *connection;
	struct world_server *server;
	unsigned i;

	begin("net allow tcp host:*\n");
	world.relay->memory.max = 1u << 20;
	server = source();
	fill_memory(server);
	/* Not even a first buffer is left. */
	world.relay->memory.max = world.relay->memory.used;
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	relay_world_run(&world, 300000000);
	ck_assert_uint_eq(connection->got_length, 0);
	for (i = 0; i < 4; i++)
		world_abort(&world.connection[i]);
	world.relay->memory.max = 1u << 20;
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, sizeof(script));
	end();
}
END_TEST

/* Clients of a published port may fill it, and other connections go on. */
START_TEST(a_part_of_the_memory_is_left_for_connections_without_any)
{
	struct world_connection *connection;
	struct world_server *server;

	begin("net allow tcp host:*\n");
	world.relay->memory.max = 1u << 20;
	server = source();
	fill_memory(server);
	ck_assert_uint_le(world.relay->memory.used, 1u << 20);
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, sizeof(script));
	end();
}
END_TEST

/* --- resets ----------------------------------------------------------------------------------- */

#define REPLY 400000 /* more than the guest's buffer holds */

static bool has_sent_all(void *arg)
{
	const struct world_server *server = arg;

	return server->clients > 0 && server->client[0].echoed == REPLY;
}

static bool has_all(void *arg)
{
	return ((struct world_connection *)arg)->got_length == REPLY;
}

/* A reply, then a reset, as from a server that does not want the rest of the request. */
static struct world_connection *reply_and_reset(bool sends)
{
	struct world_connection *connection;
	struct world_server *server;
	struct linger linger = {.l_onoff = 1};
	struct loop_source *client;

	begin("net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SOURCE);
	server->script = script;
	server->script_length = REPLY;
	connection = relay_world_connect(&world, &host, server->port);
	connection->deaf = true;
	ck_assert(relay_world_until(&world, has_sent_all, server));
	relay_world_run(&world, 100000000);
	client = &server->client[0].source;
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	loop_remove(world.loop, client);
	close(client->fd);
	client->fd = -1;
	if (sends)
		world_send(connection, script, 100000, false);
	relay_world_run(&world, 100000000);
	return connection;
}

START_TEST(what_was_sent_before_a_reset_arrives_before_it)
{
	struct world_connection *connection;
	unsigned sends;

	for (sends = 0; sends < 2; sends++) {
		connection = reply_and_reset(sends);
		ck_assert(!world_is_closed(connection));
		connection->deaf = false;
		ck_assert(relay_world_until(&world, has_all, connection));
		ck_assert(relay_world_until(&world, world_is_closed, connection));
		ck_assert_int_eq(tcp_cause(connection->tcp), TCP_CAUSE_RESET);
		ck_assert_uint_eq(world.relay->flows.count, 0);
		end();
	}
	/* A guest that takes nothing does not keep it for ever. */
	connection = reply_and_reset(true);
	world_abort(connection);
	relay_world_run(&world, 50000000);
	ck_assert_uint_eq(world.relay->flows.count, 0);
	end();
}
END_TEST

UNIT_MAIN("relay_stream_edges", a_server_that_ends_before_its_connection_is_noticed_has_ended,
	  what_stands_behind_an_urgent_byte_is_read, what_the_host_lacks_for_a_connection_is_logged,
	  memory_that_others_give_back_is_used,
	  a_part_of_the_memory_is_left_for_connections_without_any,
	  what_was_sent_before_a_reset_arrives_before_it)
