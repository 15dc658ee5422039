/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a relay: tickets, ports, reports, and what ends it. */
#include "tests/unit/relay_client_common.h"

#include <errno.h>
#include <sys/socket.h>

/* --- tickets ---------------------------------------------------------------------------------- */

START_TEST(verdicts_answer_tickets)
{
	struct relay_check check = fake_relay_check(7);
	struct relay_verdict verdict;
	uint32_t ticket = 7;

	begin_ready();
	strcpy(check.name, "a.test");
	check.has_name = 1;
	fake_relay_put_check(&fake, &check);
	run();
	ck_assert_uint_eq(told.checks, 1);
	ck_assert_mem_eq(&told.check, &check, sizeof(check));
	relay_client_verdict(client, 7, true, false);
	fake_relay_expect(&fake, RELAY_VERDICT, &verdict, sizeof(verdict));
	ck_assert(verdict.ticket == 7 && verdict.allowed == 1 && verdict.approved == 0);
	/* It has had its verdict. */
	relay_client_verdict(client, 7, false, false);
	ck_assert_int_lt(recv(fake.messages, &verdict, 1, MSG_DONTWAIT), 0);
	/* An UNCHECK may cross the verdict. */
	fake_relay_put(&fake, RELAY_UNCHECK, &ticket, sizeof(ticket));
	run();
	ck_assert_uint_eq(told.unchecks, 0);
	/* Once more the same ticket, which is withdrawn. */
	fake_relay_put_check(&fake, &check);
	fake_relay_put(&fake, RELAY_UNCHECK, &ticket, sizeof(ticket));
	run();
	ck_assert_uint_eq(told.checks, 2);
	ck_assert_uint_eq(told.unchecks, 1);
	ck_assert_uint_eq(told.ticket, 7);
	relay_client_verdict(client, 7, true, true);
	ck_assert_int_lt(recv(fake.messages, &verdict, 1, MSG_DONTWAIT), 0);
	/* To be logged only, as often as the relay likes. */
	check.ticket = 0;
	fake_relay_put_check(&fake, &check);
	fake_relay_put_check(&fake, &check);
	run();
	ck_assert_uint_eq(told.checks, 4);
	relay_client_verdict(client, 0, true, true);
	ck_assert_int_lt(recv(fake.messages, &verdict, 1, MSG_DONTWAIT), 0);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

static void open_tickets(uint32_t first, uint32_t count)
{
	struct relay_check check;
	uint32_t i;

	for (i = 0; i < count; i++) {
		check = fake_relay_check(first + i);
		fake_relay_put_check(&fake, &check);
		if (i % 32 == 31)
			run();
	}
	run();
}

START_TEST(open_tickets_are_bounded)
{
	struct relay_check check = fake_relay_check(5);

	begin_ready();
	open_tickets(1, RELAY_CHECKS);
	ck_assert_uint_eq(told.checks, RELAY_CHECKS);
	/* One more, after a verdict. */
	relay_client_verdict(client, 100, true, false);
	open_tickets(5000, 1);
	ck_assert_uint_eq(told.checks, RELAY_CHECKS + 1);
	ck_assert_uint_eq(told.died, 0);
	open_tickets(5001, 1);
	ck_assert_uint_eq(told.checks, RELAY_CHECKS + 1);
	expect_violation();
	end();
	/* A ticket that is open already. */
	begin_ready();
	open_tickets(5, 1);
	fake_relay_put_check(&fake, &check);
	expect_violation();
	ck_assert_uint_eq(told.checks, 1);
	end();
}
END_TEST

/* One that takes no verdicts piles up no more than the link's queue. */
START_TEST(a_relay_that_does_not_read_is_ended)
{
	struct relay_check check;
	uint32_t ticket = 1;
	unsigned i;

	begin_ready();
	while (told.died == 0 && ticket < 200000) {
		for (i = 0; i < 64; i++) {
			check = fake_relay_check(ticket + i);
			fake_relay_put_check(&fake, &check);
		}
		fake_relay_run(loop, 1);
		for (i = 0; i < 64; i++)
			relay_client_verdict(client, ticket++, true, false);
	}
	ck_assert_uint_eq(told.died, 1);
	ck_assert_str_eq(told.why, "it does not take its messages");
	ck_assert_uint_gt(ticket, 10000);
	end();
}
END_TEST

/* --- published ports -------------------------------------------------------------------------- */

static struct relay_published published(uint16_t host_port, int error)
{
	return (struct relay_published){.which = {.address = ip_from4(0x7f000001),
						  .host_port = host_port,
						  .guest_port = 80},
					.error = error};
}

START_TEST(ports_are_published)
{
	struct relay_published reply = published(8080, 0);
	struct relay_publish got;

	begin_ready();
	ck_assert_int_eq(relay_client_publish(client, &reply.which), 0);
	fake_relay_expect(&fake, RELAY_PUBLISH, &got, sizeof(got));
	ck_assert(relay_publish_same(&got, &reply.which));
	fake_relay_put(&fake, RELAY_PUBLISHED_REPLY, &reply, sizeof(reply));
	run();
	ck_assert_uint_eq(told.published, 1);
	ck_assert_int_eq(told.error, 0);
	reply = published(8081, EADDRINUSE);
	ck_assert_int_eq(relay_client_publish(client, &reply.which), 0);
	fake_relay_put(&fake, RELAY_PUBLISHED_REPLY, &reply, sizeof(reply));
	run();
	ck_assert_uint_eq(told.published, 2);
	ck_assert_int_eq(told.error, EADDRINUSE);
	ck_assert_uint_eq(told.which.host_port, 8081);
	ck_assert_int_eq(relay_client_unpublish(client, &reply.which), 0);
	ck_assert_uint_eq(told.died, 0);
	/* A second reply. */
	fake_relay_put(&fake, RELAY_PUBLISHED_REPLY, &reply, sizeof(reply));
	expect_violation();
	ck_assert_int_eq(relay_client_publish(client, &reply.which), -EPIPE);
	end();
}
END_TEST

START_TEST(ports_that_are_being_opened_are_bounded)
{
	struct relay_published port;
	uint16_t i;

	begin_ready();
	for (i = 0; i < RELAY_PUBLISHED; i++) {
		port = published((uint16_t)(8000 + i), 0);
		ck_assert_int_eq(relay_client_publish(client, &port.which), 0);
	}
	ck_assert_int_eq(relay_client_publish(client, &port.which), -EBUSY);
	fake_relay_put(&fake, RELAY_PUBLISHED_REPLY, &port, sizeof(port));
	run();
	ck_assert_int_eq(relay_client_publish(client, &port.which), 0);
	end();
}
END_TEST

/* --- reports ---------------------------------------------------------------------------------- */

static void put_flow(uint32_t left)
{
	const struct relay_flow_info flow = {
		.left = left,
		.protocol = POLICY_TCP,
		.peer = {.bytes = {1, 2, 3, 4}, .family = AF_INET},
		.bytes_out = left,
		.name = "a.test",
	};

	fake_relay_put(&fake, RELAY_FLOW, &flow, sizeof(flow));
}

static void put_report(uint32_t flows)
{
	put_total(flows);
	run();
	while (flows > 0) {
		put_flow(--flows);
		if (flows % 32 == 0)
			run();
	}
	run();
}

START_TEST(reports_come_on_request)
{
	const struct relay_client_report *report;
	uint32_t type;

	begin_ready();
	ck_assert_ptr_null(relay_client_report(client));
	relay_client_request_report(client);
	relay_client_request_report(client); /* one is on its way */
	fake_relay_expect(&fake, RELAY_STATS, NULL, 0);
	ck_assert_int_lt(recv(fake.messages, &type, sizeof(type), MSG_DONTWAIT), 0);
	put_report(0);
	ck_assert_uint_eq(told.reported, 1);
	report = relay_client_report(client);
	ck_assert_uint_eq(report->total.flows, 0);
	ck_assert_uint_eq(report->flows, 0);
	/* More flows than are kept. */
	relay_client_request_report(client);
	put_report(300);
	ck_assert_uint_eq(told.reported, 2);
	report = relay_client_report(client);
	ck_assert_uint_eq(report->total.flows, 300);
	ck_assert_uint_eq(report->flows, RELAY_FLOWS_SHOWN);
	ck_assert_uint_eq(report->flow[0].bytes_out, 299);
	ck_assert_str_eq(report->flow[0].name, "a.test");
	/* A relay may describe fewer than it has. */
	relay_client_request_report(client);
	put_total(300);
	put_flow(1);
	run();
	ck_assert_uint_eq(told.reported, 2);
	ck_assert_uint_eq(relay_client_report(client)->flows, RELAY_FLOWS_SHOWN);
	put_flow(0);
	run();
	ck_assert_uint_eq(told.reported, 3);
	ck_assert_uint_eq(relay_client_report(client)->flows, 2);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

START_TEST(reports_without_order_end_it)
{
	begin_ready();
	put_total(0); /* not requested */
	expect_violation();
	end();
	begin_ready();
	relay_client_request_report(client);
	put_flow(0); /* without a total */
	expect_violation();
	end();
	begin_ready();
	relay_client_request_report(client);
	put_total(2);
	put_total(2);
	expect_violation();
	end();
	begin_ready();
	relay_client_request_report(client);
	put_total(2);
	put_flow(2); /* more than there are */
	expect_violation();
	end();
	begin_ready();
	relay_client_request_report(client);
	put_total(3);
	put_flow(2);
	put_flow(0); /* one is missing */
	expect_violation();
	end();
	begin_ready();
	relay_client_request_report(client);
	put_total(1);
	put_flow(0);
	put_flow(0); /* one more */
	expect_violation();
	ck_assert_uint_eq(told.reported, 1);
	end();
}
END_TEST

/* --- malformed messages ----------------------------------------------------------------------- */

/* Sends length bytes in place of a message; whether the relay lives on. */
static bool survives(uint32_t type, const void *body, size_t length)
{
	bool alive;

	begin_ready();
	relay_client_request_report(client);
	fake_relay_put(&fake, type, body, length);
	run();
	alive = told.died == 0;
	if (!alive)
		expect_violation();
	end();
	return alive;
}

START_TEST(unknown_types_and_lengths_end_it)
{
	static const uint8_t zeros[5000];
	static const uint32_t types[] = {0,  RELAY_CONFIG,   RELAY_VERDICT, RELAY_GUEST_TIME,
					 63, RELAY_FLOW + 1, UINT32_MAX};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		ck_assert(!survives(types[i], NULL, 0));
	ck_assert(!survives(RELAY_READY, NULL, 0)); /* once more */
	ck_assert(!survives(RELAY_READY, zeros, 1));
	ck_assert(!survives(RELAY_UNCHECK, zeros, 3));
	ck_assert(!survives(RELAY_UNCHECK, zeros, 4)); /* of no ticket */
	ck_assert(!survives(RELAY_UNCHECK, zeros, 5));
	ck_assert(survives(RELAY_UNCHECK, "abcd", 4)); /* whose verdict was on its way */
	ck_assert(!survives(RELAY_STATS_REPLY, zeros, sizeof(struct relay_stats) - 1));
	ck_assert(!survives(RELAY_STATS_REPLY, zeros, sizeof(struct relay_stats) + 1));
	ck_assert(survives(RELAY_STATS_REPLY, zeros, sizeof(struct relay_stats)));
	/* Less than a type; anything before READY. */
	begin_ready();
	ck_assert_int_eq(send(fake.messages, zeros, 3, MSG_NOSIGNAL), 3);
	expect_violation();
	end();
	begin();
	put_note("flow-end", "early");
	expect_violation();
	ck_assert_uint_eq(told.notes, 0);
	end();
	/* Nothing behind a violation counts. */
	begin_ready();
	fake_relay_put(&fake, 99, NULL, 0);
	put_note("flow-end", "late");
	expect_violation();
	ck_assert_uint_eq(told.notes, 0);
	end();
}
END_TEST

UNIT_MAIN("relay_client_messages", verdicts_answer_tickets, open_tickets_are_bounded,
	  a_relay_that_does_not_read_is_ended, ports_are_published,
	  ports_that_are_being_opened_are_bounded, reports_come_on_request,
	  reports_without_order_end_it, unknown_types_and_lengths_end_it)
