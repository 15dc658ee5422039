/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that rules about names and requests open: real servers, names of a real resolver. */
#include "tests/unit/relay_judged_common.h"

START_TEST(a_permitted_name_passes_and_another_does_not)
{
	struct world_connection *connection;
	static uint8_t bytes[32768];
	size_t length;

	begin("net allow tls good.example:*\n", WORLD_SINK);
	relay_resolver_ask(&world, "good.example");
	ck_assert_uint_ge(resolver.queries, 1);
	connection = open_one();
	length = hello(bytes, "good.example");
	/* In two segments, the first without the name. */
	world_send(connection, bytes, 20, false);
	relay_world_run(&world, 20000000);
	ck_assert(server->clients == 0 || server->client[0].got_length == 0);
	world_send(connection, bytes + 20, length - 20, false);
	ck_assert(relay_world_until(&world, client_has, &length));
	ck_assert_mem_eq(server->client[0].got, bytes, length);

	connection = open_one();
	length = send_hello(connection, "evil.example");
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->client[1].got_length, 0);
	end();
}
END_TEST

/* A rule that denies a name closes the addresses that the guest was given for it. */
START_TEST(a_denied_name_closes_its_addresses)
{
	static const char rules[] = "net deny tls evil.example:*\nnet allow dns evil.example\n"
				    "net allow tcp 93.184.216.34:*\n";
	struct world_connection *connection;
	size_t length;

	begin(rules, WORLD_SINK);
	/* Without a DNS reply the rule about TCP opens them, whatever is sent. */
	connection = open_one();
	length = send_hello(connection, "evil.example");
	ck_assert(relay_world_until(&world, client_has, &length));
	relay_resolver_ask(&world, "evil.example");
	connection = relay_world_connect(&world, &address, server->port);
	ck_assert(relay_world_until(&world, world_is_open_or_closed, connection));
	send_hello(connection, "evil.example");
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->clients < 2 ? 0 : server->client[1].got_length, 0);
	end();
}
END_TEST

START_TEST(a_name_without_a_pin_opens_nothing)
{
	struct world_connection *connection;

	begin("net allow tls good.example:*\n", WORLD_SINK);
	connection = relay_world_connect(&world, &address, server->port);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->clients, 0);
	relay_resolver_ask(&world, "good.example");
	open_one();
	end();
}
END_TEST

START_TEST(the_name_of_another_address_is_refused)
{
	struct world_connection *connection;

	connection = begin_one("net allow tls good.example:*\nnet allow tls other.example:*\n",
			       WORLD_SINK);
	send_hello(connection, "other.example");
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert(relay_world_noted(&world, "flow-refused", "no DNS reply gave this address"));
	end();
}
END_TEST

START_TEST(every_request_of_a_connection_is_judged)
{
	static const char good[] = REQUEST("GET", "/v1/a") REQUEST("GET", "/v1/b"),
			  both[] = REQUEST("GET", "/v1/a") REQUEST("GET", "/v2/b");
	struct world_connection *connection;
	size_t length = sizeof(good) - 1;

	connection = begin_one("net allow http GET good.example:*/v1/**\n", WORLD_SINK);
	world_send(connection, good, length, false);
	ck_assert(relay_world_until(&world, client_has, &length));
	ck_assert_mem_eq(server->client[0].got, good, length);
	/* One line in the log for each. */
	ck_assert_uint_ge(world.checks, 2);

	connection = open_one();
	world_send(connection, both, sizeof(both) - 1, false);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_le(server->client[1].got_length, sizeof(REQUEST("GET", "/v1/a")) - 1);

	connection = open_one();
	world_send(connection, REQUEST("POST", "/v1/a"), sizeof(REQUEST("POST", "/v1/a")) - 1,
		   false);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->client[2].got_length, 0);
	end();
}
END_TEST

/* An operator who is shown one rule has not approved what falls under another one. */
START_TEST(an_approval_is_for_the_rule_that_asked)
{
	static const char both[] = REQUEST("GET", "/a") REQUEST("GET", "/a") REQUEST("POST", "/b");
	struct world_connection *connection;
	size_t first = 2 * (sizeof(REQUEST("GET", "/a")) - 1), all = sizeof(both) - 1;
	unsigned checks;

	begin("net ask http GET good.example:*/a\nnet ask http POST good.example:*/b\n",
	      WORLD_SINK);
	relay_resolver_ask(&world, "good.example");
	world.person = 1;
	connection = open_one();
	checks = world.checks;
	world.person = -1;
	world_send(connection, both, all, false);
	ck_assert(relay_world_until(&world, client_has, &first));
	relay_world_run(&world, 50000000);
	ck_assert_uint_eq(server->client[0].got_length, first);
	/* Each request has its line in the log, one that the approval covers too. */
	ck_assert_uint_eq(world.checks, checks + 3);
	ck_assert_uint_eq(world.check[checks].covered, 1);
	ck_assert_str_eq(world.check[checks].name, "good.example");
	ck_assert_str_eq(world.check[checks].method, "GET");
	ck_assert_str_eq(world.check[checks].path, "/a");
	ck_assert_uint_eq(world.check[checks + 1].covered, 1);
	checks += 2;
	ck_assert_uint_eq(world.check[checks].covered, 0);
	ck_assert_str_eq(world.check[checks].path, "/b");
	decide_verdict(world.relay, &(struct relay_verdict){.ticket = world.check[checks].ticket,
							    .allowed = 1,
							    .approved = 1});
	ck_assert(relay_world_until(&world, client_has, &all));
	end();
}
END_TEST

static void name_nothing_under(const char *rules, bool closed)
{
	struct world_connection *connection;
	size_t length;

	connection = begin_one("net allow tls 93.184.216.34:*\nnet allow dns good.example\n",
			       WORLD_SINK);
	length = send_hello(connection, NULL);
	ck_assert(relay_world_until(&world, client_has, &length));
	relay_world_set_policy(&world, rules);
	relay_world_run(&world, 50000000);
	ck_assert_int_eq(world_is_closed(connection), closed);
	end();
}

/* That the name is pinned to the address now says nothing about a connection without a name. */
START_TEST(a_connection_without_a_name_is_not_kept_by_a_rule_with_one)
{
	name_nothing_under("net allow tls good.example:*\n", true);
	name_nothing_under("net allow tls 93.184.216.34:*\n", false);
}
END_TEST

START_TEST(a_server_that_speaks_first_is_heard)
{
	struct world_connection *connection;

	begin("net allow tls good.example:*\n", WORLD_SOURCE);
	server->script = (const uint8_t *)"220 hello\r\n";
	server->script_length = 11;
	relay_resolver_ask(&world, "good.example");
	connection = open_one();
	while (connection->got_length < 11)
		relay_world_run(&world, 1000000);
	ck_assert_mem_eq(connection->got, "220 hello\r\n", 11);
	end();
}
END_TEST

START_TEST(a_guest_that_ends_unjudged_sends_nothing)
{
	struct world_connection *connection;
	static uint8_t bytes[32768];

	connection = begin_one("net allow tls good.example:*\n", WORLD_SINK);
	hello(bytes, "good.example");
	world_send(connection, bytes, 30, true);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->client[0].got_length, 0);
	ck_assert(relay_world_noted(&world, "flow-refused", "ended before"));
	end();
}
END_TEST

#define UPGRADE                                                                  \
	"GET /v1/chat HTTP/1.1\r\nHost: good.example\r\nConnection: Upgrade\r\n" \
	"Upgrade: websocket\r\n\r\n"

/* The server has the request. */
static struct world_connection *begin_upgrade(void)
{
	struct world_connection *connection =
		begin_one("net allow http GET good.example:*/v1/**\n", WORLD_SINK);
	size_t length = sizeof(UPGRADE) - 1;

	world_send(connection, UPGRADE, length, false);
	ck_assert(relay_world_until(&world, client_has, &length));
	return connection;
}

static void upgrade(const char *response, bool opaque)
{
	struct world_connection *connection;
	size_t length = sizeof(UPGRADE) - 1;

	connection = begin_upgrade();
	ck_assert_int_gt(send(server->client[0].source.fd, response, strlen(response), 0), 0);
	world_send(connection, "\x81\x05hello", 7, false);
	length += 7;
	if (opaque) {
		ck_assert(relay_world_until(&world, client_has, &length));
	} else {
		ck_assert(relay_world_until(&world, world_is_closed, connection));
		ck_assert_uint_eq(server->client[0].got_length, sizeof(UPGRADE) - 1);
	}
	end();
}

START_TEST(a_server_that_ends_instead_of_agreeing_has_not_agreed)
{
	struct world_connection *connection;
	size_t length = sizeof(UPGRADE) - 1;

	connection = begin_upgrade();
	world_send(connection, "\x81\x05hello", 7, false);
	relay_world_run(&world, 20000000);
	ck_assert(!world_is_closed(connection));
	shutdown(server->client[0].source.fd, SHUT_WR);
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert_uint_eq(server->client[0].got_length, length);
	end();
}
END_TEST

/* A reply has opened nothing: what the guest reaches is what a rule for the address opens. */
static bool internal_opens(const char *rules, const char *name)
{
	struct world_connection *connection;
	bool open;

	begin(rules, WORLD_SINK);
	world.person = 0;
	resolver.address = RESOLVER_PRIVATE;
	address = ip_from4(RESOLVER_PRIVATE);
	relay_resolver_ask(&world, name);
	connection = relay_world_connect(&world, &address, server->port);
	ck_assert(relay_world_until(&world, world_is_open_or_closed, connection));
	open = server->clients > 0;
	end();
	return open;
}

START_TEST(any_opens_internal_names_and_other_rules_do_not)
{
	ck_assert(internal_opens("net allow any\n", "wiki.internal"));
	ck_assert(!internal_opens("net allow tcp wiki.internal:*\n", "wiki.internal"));
	ck_assert(!internal_opens("net ask tcp wiki.internal:*\n", "wiki.internal"));
	/* What must stay closed is denied above it, by name too. */
	ck_assert(
		!internal_opens("net deny tcp wiki.internal:*\nnet allow any\n", "wiki.internal"));
	ck_assert(internal_opens("net deny tcp git.internal:*\nnet allow any\n", "wiki.internal"));
	ck_assert(!internal_opens("net deny tcp 10.0.0.0/8:*\nnet allow any\n", "wiki.internal"));
	/* The name does not lend the address an approval that the name has. */
	ck_assert(!internal_opens("net ask tcp 10.0.0.0/8:*\nnet allow any\n", "wiki.internal"));
}
END_TEST

static void upgrade_under(const char *rules, bool closed)
{
	static const char agreed[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
	struct world_connection *connection;
	size_t length = sizeof(UPGRADE) - 1;

	connection = begin_upgrade();
	ck_assert_int_gt(send(server->client[0].source.fd, agreed, sizeof(agreed) - 1, 0), 0);
	world_send(connection, "\x81\x05hello", 7, false);
	length += 7;
	ck_assert(relay_world_until(&world, client_has, &length));
	relay_world_set_policy(&world, rules);
	relay_world_run(&world, 50000000);
	ck_assert_int_eq(world_is_closed(connection), closed);
	end();
}

START_TEST(a_websocket_ends_with_the_rule_for_its_request)
{
	upgrade_under("net allow http GET good.example:*/v2/**\n", true);
	upgrade_under("net allow http POST good.example:*/v1/**\n", true);
	upgrade_under("net allow http GET good.example:*/v1/chat\n", false);
	upgrade_under("net allow http good.example:*\n", false);
}
END_TEST

START_TEST(a_websocket_is_opaque_once_the_server_agrees)
{
	upgrade("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", true);
	upgrade("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
}
END_TEST

UNIT_MAIN("relay_judged", a_permitted_name_passes_and_another_does_not,
	  a_name_without_a_pin_opens_nothing, a_denied_name_closes_its_addresses,
	  the_name_of_another_address_is_refused, every_request_of_a_connection_is_judged,
	  a_connection_without_a_name_is_not_kept_by_a_rule_with_one,
	  an_approval_is_for_the_rule_that_asked, a_server_that_speaks_first_is_heard,
	  a_guest_that_ends_unjudged_sends_nothing,
	  a_server_that_ends_instead_of_agreeing_has_not_agreed,
	  a_websocket_ends_with_the_rule_for_its_request,
	  a_websocket_is_opaque_once_the_server_agrees,
	  any_opens_internal_names_and_other_rules_do_not)
