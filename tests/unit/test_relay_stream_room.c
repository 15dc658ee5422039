/* SPDX-License-Identifier: Apache-2.0 */
/* What clients, floods and broken queries leave for others. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/relay_world.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"

static struct relay_world world;

/* A client of a published port; returns its end. */
static int come(uint16_t port)
{
	const struct ip_address client = ip_from4(0x5db8d822);
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	stream_accept(world.relay, fd[0], &client, port, 80);
	return fd[1];
}

static bool is_let_in(int fd)
{
	char byte;
	bool in = recv(fd, &byte, 1, MSG_DONTWAIT) < 0;

	close(fd);
	return in;
}

START_TEST(clients_of_published_ports_leave_room_for_the_guest)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct world_server *server;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	/* Those that come too fast are not let in; the guest's connections are. */
	while (relay_may_begin(world.relay, true))
		;
	ck_assert(!is_let_in(come(1)));
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	/* Nor those that are too many. */
	relay_flows_end_all(&world.relay->flows, RELAY_DROPPED);
	ck_assert_uint_eq(world.relay->clients, 0);
	relay_world_run(&world, 50000000);
	world.relay->clients = RELAY_CLIENTS;
	ck_assert(!is_let_in(come(1)));
	world.relay->clients = RELAY_CLIENTS - 1;
	ck_assert(is_let_in(come(2)));
	relay_flows_end_all(&world.relay->flows, RELAY_DROPPED);
	ck_assert_uint_eq(world.relay->clients, RELAY_CLIENTS - 1);
	relay_world_end(&world);
}
END_TEST

static void ignore(void *arg, bool allowed, bool approved)
{
	(void)arg;
	(void)allowed;
	(void)approved;
}

/* A policy that ends all flows logs each end, while the monitor does something else. */
START_TEST(a_flood_of_events_leaves_room_for_requests)
{
	const struct relay_request request = {.op = POLICY_CONNECT,
					      .protocol = POLICY_TCP,
					      .address = ip_from4(0x5db8d822),
					      .port = 80};
	struct relay_wait wait[64];
	unsigned i;

	relay_world_begin(&world, "net allow tcp *:80\n");
	for (i = 0; i < 16384; i++)
		decide_note(world.relay, "flow-end", "tcp 192.0.2.4:80", "end=dropped");
	ck_assert_uint_gt(world.relay->stats.unlogged, 0);
	for (i = 0; i < ARRAY_SIZE(wait); i++) {
		wait[i] = (struct relay_wait){.done = ignore};
		ck_assert_int_eq(decide_check(world.relay, &wait[i], &request), 0);
	}
	relay_world_run(&world, 200000000);
	ck_assert_uint_eq(world.relay->stats.waiting, 0);
	/* Several hundred were logged. */
	ck_assert_uint_ge(world.notes, 256);
	relay_world_end(&world);
}
END_TEST

START_TEST(a_cut_query_ends_its_connection)
{
	static const uint8_t cut[] = {0, 40, 1, 2, 3},
			     whole[] = {0, 12, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	const struct ip_address router = ip_own(AF_INET, IP_OWN_ROUTER);
	struct world_connection *connection;

	relay_world_begin(&world, "net allow tcp host:*\n");
	connection = relay_world_connect(&world, &router, 53);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	world_send(connection, cut, sizeof(cut), true);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(world.relay->flows.count, 0);
	/* The twin: a query without a question is answered. */
	connection = relay_world_connect(&world, &router, 53);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	world_send(connection, whole, sizeof(whole), true);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, 14);
	relay_world_end(&world);
}
END_TEST

UNIT_MAIN("relay_stream_room", clients_of_published_ports_leave_room_for_the_guest,
	  a_flood_of_events_leaves_room_for_requests, a_cut_query_ends_its_connection)
