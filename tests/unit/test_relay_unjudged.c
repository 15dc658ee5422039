/* SPDX-License-Identifier: Apache-2.0 */
/* Connections on which the guest sends nothing that could be judged. The clock is the test's. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/relay_judged_common.h"

#define SECOND UINT64_C(1000000000)
#define WEB    "net allow http GET good.example:*\nnet allow tls good.example:*\n"

static uint64_t passed_ns; /* that has not really passed */

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int ret = (int)syscall(SYS_clock_gettime, clock, time);
	uint64_t ns = (uint64_t)time->tv_nsec + passed_ns;

	if (clock == CLOCK_MONOTONIC) {
		time->tv_sec += (time_t)(ns / SECOND);
		time->tv_nsec = (long)(ns % SECOND);
	}
	return ret;
}

static void pass(unsigned seconds)
{
	passed_ns += seconds * SECOND;
	relay_world_run(&world, 20000000);
}

/* The test's own time is measured by that clock, too. */
static void finish(void)
{
	end();
	passed_ns = 0;
}

static void is_refused(struct world_connection *connection)
{
	ck_assert(relay_world_until(&world, world_is_closed, connection));
	ck_assert(relay_world_noted(&world, "flow-refused", "nothing that can be judged"));
	ck_assert_uint_eq(world.relay->flows.count, 0);
	relay_world_run(&world, 20000000);
	ck_assert(server->client[0].ended || server->client[0].reset);
	ck_assert_uint_eq(server->client[0].got_length, 0);
	finish();
}

START_TEST(a_silent_guest_is_reset)
{
	struct world_connection *connection = begin_one(WEB, WORLD_SINK);

	pass(129);
	ck_assert(!world_is_closed(connection));
	ck_assert_uint_eq(world.notes, 1); /* of the query */
	pass(2);
	is_refused(connection);
}
END_TEST

START_TEST(bytes_that_tell_nothing_win_no_time)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: good.example\r\n";
	static uint8_t bytes[32768];
	size_t length = hello(bytes, "good.example"), i;
	struct world_connection *connection = begin_one(WEB, WORLD_SINK);

	for (i = 0; i < 13; i++) {
		world_send(connection, bytes + i, 1, false);
		pass(10);
	}
	ck_assert_uint_lt(i, length);
	pass(1);
	is_refused(connection);

	connection = begin_one(WEB, WORLD_SINK);
	world_send(connection, head, sizeof(head) - 1, false);
	pass(131);
	is_refused(connection);
}
END_TEST

START_TEST(late_bytes_are_judged)
{
	struct world_connection *connection;
	static uint8_t bytes[32768];
	size_t length = hello(bytes, "good.example"), half = 40;

	connection = begin_one(WEB, WORLD_SINK);
	world_send(connection, bytes, half, false);
	pass(129);
	relay_resolver_ask(&world, "good.example");
	world_send(connection, bytes + half, length - half, false);
	ck_assert(relay_world_until(&world, client_has, &length));
	/* And then it is silent as long as it likes. */
	pass(3600);
	ck_assert(!world_is_closed(connection));
	finish();
}
END_TEST

START_TEST(a_connection_rests_between_its_requests)
{
	static const char request[] = REQUEST("GET", "/");
	size_t one = sizeof(request) - 1, two = 2 * one;
	struct world_connection *connection = begin_one(WEB, WORLD_SINK);

	world_send(connection, request, one, false);
	ck_assert(relay_world_until(&world, client_has, &one));
	pass(3600);
	ck_assert(!world_is_closed(connection));
	world_send(connection, request, one, false);
	ck_assert(relay_world_until(&world, client_has, &two));
	finish();
}
END_TEST

static bool has_greeting(void *connection)
{
	return ((struct world_connection *)connection)->got_length == 9;
}

/* It does not win the guest time either: what a server sends is no consent to be kept open. */
START_TEST(a_server_speaks_first_and_is_heard)
{
	struct world_connection *connection;

	begin(WEB, WORLD_SOURCE);
	server->script = (const uint8_t *)"greetings";
	server->script_length = 9;
	relay_resolver_ask(&world, "good.example");
	connection = open_one();
	ck_assert(relay_world_until(&world, has_greeting, connection));
	pass(120);
	ck_assert(!world_is_closed(connection));
	pass(11);
	is_refused(connection);
}
END_TEST

START_TEST(what_needs_no_judgement_may_be_silent)
{
	struct world_connection *connection =
		begin_one("net allow tcp good.example:*\n", WORLD_SINK);

	pass(3600);
	ck_assert(!world_is_closed(connection));
	finish();
}
END_TEST

/* The relay has no bound of its own for a person, whom the monitor gives 60 s. */
START_TEST(a_person_takes_time)
{
	static const char request[] = REQUEST("GET", "/");
	size_t length = sizeof(request) - 1;
	struct world_connection *connection =
		begin_one("net allow http POST good.example:*\nnet ask http GET good.example:*\n",
			  WORLD_SINK);
	unsigned checks = world.checks;

	world_send(connection, request, length, false);
	relay_world_run(&world, 20000000);
	ck_assert_uint_eq(world.checks, checks + 1);
	pass(200);
	ck_assert(!world_is_closed(connection));
	decide_verdict(world.relay, &(struct relay_verdict){.ticket = world.check[checks].ticket,
							    .allowed = 1,
							    .approved = 1});
	ck_assert(relay_world_until(&world, client_has, &length));
	finish();
}
END_TEST

UNIT_MAIN("relay_unjudged", a_silent_guest_is_reset, bytes_that_tell_nothing_win_no_time,
	  late_bytes_are_judged, a_connection_rests_between_its_requests,
	  a_server_speaks_first_and_is_heard, what_needs_no_judgement_may_be_silent,
	  a_person_takes_time)
