/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the guest through the relay to real servers on loopback. */
#include <netinet/in.h>
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/relay_world.h"
#include "tests/support/unit.h"

#define BIG (4u << 20)

static struct relay_world world;
static uint8_t big[BIG];

static void fill(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		big[i] = (uint8_t)(x >> 24);
	}
}

static bool client_has_ended(void *arg)
{
	const struct world_server *server = arg;

	return server->clients > 0 && server->client[0].ended;
}

static void echoes(unsigned family)
{
	struct ip_address host = world_host(family);
	struct world_connection *connection;
	struct world_server *server;

	fill();
	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, family, WORLD_ECHO);
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	world_send(connection, big, BIG, true);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, BIG);
	ck_assert_mem_eq(connection->got, big, BIG);
	ck_assert(relay_world_until(&world, client_has_ended, server));
	ck_assert(!server->client[0].reset);
	ck_assert_mem_eq(server->client[0].got, big, BIG);
	ck_assert_uint_eq(world.relay->stats.dropped, 0);
	relay_world_end(&world);
}

static bool is_gone(void *arg)
{
	return world_is_closed(arg);
}

START_TEST(what_no_rule_allows_is_reset_and_logged)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *denied, *allowed;
	struct world_server *server;
	char policy[64];

	relay_world_begin(&world, "net deny tcp host:1\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	denied = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, is_gone, denied));
	ck_assert_int_eq(tcp_cause(denied->tcp), TCP_CAUSE_RESET);
	ck_assert_uint_eq(server->clients, 0);
	ck_assert_uint_eq(world.checks, 1);
	ck_assert_uint_eq(world.check[0].ticket, 0);
	snprintf(policy, sizeof(policy), "net allow tcp host:%u\n", server->port);
	relay_world_set_policy(&world, policy);
	allowed = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, allowed));
	ck_assert_uint_eq(world.check[1].port, server->port);
	ck_assert_uint_ne(world.check[1].ticket, 0);
	relay_world_end(&world);
}
END_TEST

START_TEST(a_refused_connection_is_refused)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;

	relay_world_begin(&world, "net allow tcp host:*\n");
	connection = relay_world_connect(&world, &host, 1);
	ck_assert(relay_world_until(&world, is_gone, connection));
	ck_assert_int_eq(tcp_cause(connection->tcp), TCP_CAUSE_RESET);
	ck_assert_int_eq(connection->icmp_code, -1);
	ck_assert(relay_world_noted(&world, "flow-end", "end=closed out=0 in=0 "));
	ck_assert(relay_world_noted(&world, "flow-end", " error=ECONNREFUSED"));
	relay_world_end(&world);
}
END_TEST

static bool has_error(void *arg)
{
	return ((struct world_connection *)arg)->icmp_code >= 0;
}

/* No route leads to class E; the kernel says so at once. */
START_TEST(an_unreachable_address_is_unreachable)
{
	struct ip_address address = ip_from4(0xf0000001);
	struct world_connection *connection;

	relay_world_begin(&world, "net allow tcp 240.0.0.1:*\n");
	connection = relay_world_connect(&world, &address, 80);
	relay_world_run(&world, 50000000);
	/* The parser takes such a target for one that no card carries. */
	ck_assert_uint_ge(world.relay->stats.drop[PACKET_BAD_ADDRESS], 1);
	ck_assert(!has_error(connection));
	relay_world_end(&world);
}
END_TEST

START_TEST(a_server_that_never_reads_slows_the_guest)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct world_server *server;
	size_t left;

	fill();
	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_DEAF);
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	/* Far more than the kernel and the relay buffer together. */
	for (left = 0; left < 8; left++) {
		world_send(connection, big, BIG, false);
		relay_world_run(&world, 100000000);
		if (connection->left > 0)
			break;
	}
	ck_assert_uint_gt(connection->left, 0);
	ck_assert(!world_is_closed(connection));
	ck_assert_uint_le(world.relay->memory.used, 4 * TCP_LIMIT_RECEIVE);
	ck_assert_uint_eq(world.relay->stats.dropped, 0);
	relay_world_end(&world);
}
END_TEST

START_TEST(a_guest_that_never_reads_slows_the_server)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct world_server *server;
	size_t sent;

	fill();
	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SOURCE);
	server->script = big;
	server->script_length = BIG;
	server->end_script = true;
	connection = relay_world_connect(&world, &host, server->port);
	connection->deaf = true;
	ck_assert(relay_world_until(&world, world_is_open, connection));
	relay_world_run(&world, 300000000);
	ck_assert_uint_le(world.relay->memory.used, 4 * TCP_LIMIT_SEND);
	sent = connection->got_length;
	ck_assert_uint_eq(sent, 0);
	connection->deaf = false;
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, BIG);
	ck_assert_mem_eq(connection->got, big, BIG);
	relay_world_end(&world);
}
END_TEST

START_TEST(a_half_closed_connection_goes_on)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct world_server *server;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SOURCE);
	server->script = (const uint8_t *)"server first";
	server->script_length = 12;
	server->end_script = true;
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, 12);
	/* The server has ended its side; the guest's still works, once. */
	world_send(connection, "late words", 10, true);
	ck_assert(relay_world_until(&world, client_has_ended, server));
	ck_assert(!server->client[0].reset);
	ck_assert_uint_eq(server->client[0].got_length, 10);
	ck_assert_uint_eq(connection->got_length, 12);
	relay_world_end(&world);
}
END_TEST

static bool client_is_reset(void *arg)
{
	const struct world_server *server = arg;

	return server->clients > 0 && server->client[0].ended && server->client[0].reset;
}

START_TEST(a_reset_of_the_guest_reaches_the_server)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct world_server *server;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	connection = relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	world_abort(connection);
	ck_assert(relay_world_until(&world, client_is_reset, server));
	ck_assert_uint_eq(world.relay->flows.count, 0);
	ck_assert(relay_world_noted(&world, "flow-end", "end="));
	ck_assert(!relay_world_noted(&world, "flow-end", "error="));
	relay_world_end(&world);
}
END_TEST

START_TEST(a_new_policy_resets_what_it_does_not_allow)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection, *other;
	struct world_server *server, *kept;
	char policy[64];

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	kept = relay_world_serve(&world, AF_INET, WORLD_SINK);
	connection = relay_world_connect(&world, &host, server->port);
	other = relay_world_connect(&world, &host, kept->port);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	ck_assert(relay_world_until(&world, world_is_open, other));
	relay_world_run(&world, 10000000);
	snprintf(policy, sizeof(policy), "net allow tcp host:%u\n", kept->port);
	relay_world_set_policy(&world, policy);
	ck_assert(relay_world_until(&world, is_gone, connection));
	ck_assert(relay_world_until(&world, client_is_reset, server));
	ck_assert_uint_eq(world.relay->flows.count, 1);
	ck_assert(!world_is_closed(other));
	/* Until its end, and not until its last packet. */
	ck_assert(relay_world_noted(&world, "flow-end", "end=dropped"));
	ck_assert(!relay_world_noted(&world, "flow-end", "seconds=0.00"));
	/* A rule about another protocol does not keep it open either. */
	snprintf(policy, sizeof(policy), "net allow tls host:%u\n", kept->port);
	relay_world_set_policy(&world, policy);
	ck_assert(relay_world_until(&world, is_gone, other));
	relay_world_end(&world);
}
END_TEST

START_TEST(a_question_holds_the_syn_without_an_answer)
{
	struct ip_address host = world_host(AF_INET);
	struct world_connection *connection;
	struct relay_verdict yes = {.allowed = 1, .approved = 1};
	struct world_server *server;

	relay_world_begin(&world, "net ask tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	connection = relay_world_connect(&world, &host, server->port);
	relay_world_run(&world, 100000000);
	ck_assert_uint_eq(world.checks, 1);
	ck_assert(!world_is_open(connection));
	ck_assert_uint_eq(server->clients, 0);
	ck_assert_uint_eq(world.relay->stats.waiting, 1);
	yes.ticket = world.check[0].ticket;
	decide_verdict(world.relay, &yes);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	/* A second verdict with the ticket means nothing. */
	decide_verdict(world.relay, &yes);
	ck_assert_uint_eq(world.relay->stats.waiting, 0);
	relay_world_end(&world);
}
END_TEST

/* A connection that waits for a person while the policy changes; then it is approved. */
static struct world_connection *approve_after(const char *rules)
{
	struct ip_address host = world_host(AF_INET);
	struct relay_verdict yes = {.allowed = 1, .approved = 1};
	struct world_connection *connection;
	struct world_server *server;

	relay_world_begin(&world, "net ask tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	connection = relay_world_connect(&world, &host, server->port);
	relay_world_run(&world, 50000000);
	relay_world_set_policy(&world, rules);
	relay_world_run(&world, 50000000);
	ck_assert_uint_eq(world.relay->stats.waiting, 1);
	yes.ticket = world.check[0].ticket;
	decide_verdict(world.relay, &yes);
	ck_assert(relay_world_until(&world, world_is_open, connection));
	return connection;
}

START_TEST(a_policy_that_comes_while_a_question_waits_holds)
{
	static uint8_t hello[32768];
	const struct net_hello what = {.name = "good.example"};
	size_t length = net_hello(hello, &what);
	struct world_connection *connection;

	connection = approve_after("net deny tls host:*\nnet ask tcp host:*\n");
	world_send(connection, hello, length, false);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(world.server[0].client[0].got_length, 0);
	relay_world_end(&world);
	/* The twin. */
	connection = approve_after("net deny udp host:*\nnet ask tcp host:*\n");
	world_send(connection, hello, length, true);
	ck_assert(relay_world_until(&world, client_has_ended, &world.server[0]));
	ck_assert_uint_eq(world.server[0].client[0].got_length, length);
	relay_world_end(&world);
}
END_TEST

static bool all_open(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < world.connections; i++)
		if (!world_is_open(&world.connection[i]))
			return false;
	return true;
}

START_TEST(a_verdict_opens_nothing_without_a_policy)
{
	struct ip_address host = world_host(AF_INET);
	struct relay_verdict yes = {.allowed = 1, .approved = 1};
	struct world_connection *connection;
	struct world_server *server;

	relay_world_begin(&world, "net ask tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	connection = relay_world_connect(&world, &host, server->port);
	relay_world_run(&world, 50000000);
	/* The next one could not be read. */
	policy_free(world.relay->policy);
	world.relay->policy = NULL;
	relay_flows_policy_changed(&world.relay->flows);
	yes.ticket = world.check[0].ticket;
	decide_verdict(world.relay, &yes);
	ck_assert(relay_world_until(&world, is_gone, connection));
	ck_assert_uint_eq(server->clients, 0);
	relay_world_end(&world);
}
END_TEST

START_TEST(sixty_connections_at_once)
{
	struct ip_address host = world_host(AF_INET);
	struct world_server *server;
	unsigned i;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	for (i = 0; i < 60; i++)
		relay_world_connect(&world, &host, server->port);
	ck_assert(relay_world_until(&world, all_open, NULL));
	for (i = 0; i < 60; i++)
		world_send(&world.connection[i], "hello", 5, true);
	for (i = 0; i < 60; i++) {
		ck_assert(relay_world_until(&world, world_has_ended, &world.connection[i]));
		ck_assert_uint_eq(world.connection[i].got_length, 5);
	}
	relay_world_end(&world);
}
END_TEST

START_TEST(bytes_pass_both_ways_and_both_ends_close)
{
	echoes(AF_INET);
}
END_TEST

START_TEST(and_so_they_do_over_ipv6)
{
	echoes(AF_INET6);
}
END_TEST

UNIT_MAIN("relay_stream", bytes_pass_both_ways_and_both_ends_close, and_so_they_do_over_ipv6,
	  what_no_rule_allows_is_reset_and_logged, a_refused_connection_is_refused,
	  an_unreachable_address_is_unreachable, a_server_that_never_reads_slows_the_guest,
	  a_guest_that_never_reads_slows_the_server, a_half_closed_connection_goes_on,
	  a_reset_of_the_guest_reaches_the_server, a_new_policy_resets_what_it_does_not_allow,
	  a_question_holds_the_syn_without_an_answer,
	  a_policy_that_comes_while_a_question_waits_holds,
	  a_verdict_opens_nothing_without_a_policy, sixty_connections_at_once)
