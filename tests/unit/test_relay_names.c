/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's resolver: which queries are sent outside, and what the others get. */
#include <errno.h>

#include "tests/unit/relay_names_common.h"
#include "tests/unit/relay_upstream_common.h"

#define API "api.example.com"

static struct dns_addresses public4(void)
{
	return addresses_of(DNS_TYPE_A, 60, "93.184.216.34");
}

START_TEST(a_permitted_name_is_resolved)
{
	struct dns_addresses addresses = public4();
	unsigned i;

	for (i = 0; i < 2; i++) {
		begin_names();
		guest_family = i ? AF_INET6 : AF_INET;
		ask("API.Example.com", DNS_TYPE_A);
		ck_assert_str_eq(checked, API);
		ck_assert(!checked_host);
		ck_assert_uint_eq(upstream.queries, 0); /* not before the monitor's verdict */
		verdict(true);
		ck_assert_str_eq(upstream.name, API);
		ck_assert_uint_eq(upstream.type, DNS_TYPE_A);
		ck_assert_uint_eq(sent.count, 0);
		resolved(DNS_NO_ERROR, &addresses);
		ck_assert_uint_eq(sent.count, 1);
		ck_assert_uint_eq(sent_rcode(), DNS_NO_ERROR);
		ck_assert_uint_eq(sent_records(), 1);
		ck_assert_mem_eq(sent_address(), addresses.address[0], 4);
		ck_assert(ip_is(&sent.source, IP_OWN_ROUTER) && ip_is(&sent.target, IP_OWN_GUEST));
		ck_assert_uint_eq(sent.source.family, guest_family);
		ck_assert_uint_eq(sent.source_port, NAMES_PORT);
		ck_assert_uint_eq(sent.target_port, 40000);
		ck_assert_uint_eq(relay.stats.questions, 1);
		ck_assert_uint_eq(relay.stats.answered, 1);
		ck_assert_uint_eq(refused, 0);
		end_names();
	}
}
END_TEST

START_TEST(other_names_do_not_exist)
{
	static const char *const bad[] = {"other.example.net", "example.com", "com", "",
					  "2.2.0.192.in-addr.arpa"};
	size_t i;

	begin_names();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(bad[i], DNS_TYPE_A);
		ck_assert_uint_eq(sent.count, i + 1);
		ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
		ck_assert_uint_eq(refused, i + 1);
		ck_assert_str_eq(refused_name, bad[i][0] ? bad[i] : "-");
		ck_assert_str_eq(refused_why, bad[i][0] ? "-" : "not a valid host name");
	}
	ck_assert_uint_eq(checks, 0);
	ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(checks, 1);
	ck_assert_uint_eq(refused, i);
	end_names();
}
END_TEST

START_TEST(a_name_that_is_no_host_name_is_refused)
{
	static const char *const bad[] = {"-x.example.com", "a b.example.com", "a*.example.com"};
	size_t i;

	begin_names();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(bad[i], DNS_TYPE_A);
		ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
		ck_assert_str_eq(refused_name, "-");
	}
	ck_assert_uint_eq(checks, 0);
	ask("x-.example.com", DNS_TYPE_A);
	ck_assert_uint_eq(checks, 1);
	end_names();
}
END_TEST

START_TEST(resolving_needs_no_approval)
{
	struct dns_addresses addresses = public4();

	begin_names();
	ask("x.ask.example.net", DNS_TYPE_A);
	ck_assert_str_eq(checked, "x.ask.example.net");
	verdict(true);
	resolved(DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent_records(), 1);
	end_names();
}
END_TEST

START_TEST(the_monitor_has_the_last_say)
{
	begin_names();
	ask(API, DNS_TYPE_A);
	verdict(false);
	ck_assert_int_eq(sent_rcode(), DNS_REFUSED);
	check_result = -EBUSY;
	ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(sent.count, 2);
	ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
	ck_assert_uint_eq(upstream.queries, 0);
	check_result = 0;
	ask(API, DNS_TYPE_A);
	verdict(true);
	ck_assert_uint_eq(upstream.queries, 1);
	end_names();
}
END_TEST

START_TEST(the_name_host_is_the_relays_own)
{
	static const uint16_t other[] = {DNS_TYPE_AAAA, 16};
	const struct ip_address own = ip_own(AF_INET, IP_OWN_HOST);
	size_t i;

	begin_names();
	ask("Host", DNS_TYPE_A);
	ck_assert_str_eq(checked, "host");
	ck_assert(checked_host);
	verdict(true);
	ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(sent_records(), 1);
	ck_assert_mem_eq(sent_address(), own.bytes, dns_address_length(DNS_TYPE_A));
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		ask("host", other[i]);
		verdict(true);
		ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
		ck_assert_uint_eq(sent_records(), 0);
	}
	ck_assert_uint_eq(upstream.queries, 0);
	host_permitted = false;
	ask("host", DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
	end_names();
}
END_TEST

START_TEST(other_types_have_no_records)
{
	static const uint16_t type[] = {16, 65, 255, 12, 2, 33, 0};
	size_t i;

	begin_names();
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		ask(API, type[i]);
		verdict(true); /* it is logged all the same */
		ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
		ck_assert_uint_eq(sent_records(), 0);
	}
	ck_assert_uint_eq(upstream.queries, 0);
	end_names();
}
END_TEST

START_TEST(malformed_messages_get_their_error_or_nothing)
{
	uint8_t message[600];
	size_t length = net_question(message, API, DNS_TYPE_A, 0), cut;

	begin_names();
	for (cut = 0; cut < length; cut++) {
		memset(&sent, 0, sizeof(sent));
		ask_bytes(message, cut);
		ck_assert_uint_eq(sent.count, cut < DNS_HEADER ? 0 : 1);
		if (sent.count)
			ck_assert_int_eq(sent_rcode(), DNS_FORMAT_ERROR);
	}
	ck_assert_uint_eq(relay.stats.drop[PACKET_BAD_UDP], DNS_HEADER);
	ck_assert_uint_eq(checks, 0);
	store_be16(message + 2, 0x8180); /* a response */
	sent.count = 0;
	ask_bytes(message, length);
	ck_assert_uint_eq(sent.count, 0);
	ck_assert_uint_eq(relay.stats.drop[PACKET_BAD_UDP], DNS_HEADER + 1);
	store_be16(message + 2, 0x0100);
	ask_bytes(message, length);
	ck_assert_uint_eq(checks, 1);
	end_names();
}
END_TEST

START_TEST(queries_have_a_rate)
{
	unsigned i;

	begin_names();
	for (i = 0; i < NAMES_BURST + 10; i++)
		ask("other.example.net", DNS_TYPE_A);
	ck_assert_uint_eq(refused, NAMES_BURST);
	ck_assert_uint_eq(relay.stats.flooded, 10);
	ck_assert_int_eq(sent_rcode(), DNS_REFUSED);
	ck_assert_uint_eq(sent.count, NAMES_BURST + 10);
	pass_time(SECOND);
	for (i = 0; i < NAMES_SECOND; i++)
		ask("other.example.net", DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
	ask("other.example.net", DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_REFUSED);
	ck_assert_uint_eq(refused, NAMES_BURST + NAMES_SECOND);
	end_names();
}
END_TEST

START_TEST(queries_that_wait_are_bounded)
{
	struct dns_addresses addresses = public4();
	unsigned i;

	begin_names();
	for (i = 0; i < NAMES_WAITING; i++)
		ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(checks_waiting, NAMES_WAITING);
	ck_assert_uint_eq(sent.count, 0);
	ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(checks, NAMES_WAITING);
	ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
	/* What needs no place is still answered. */
	ask("other.example.net", DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
	for (i = 0; i < NAMES_WAITING; i++)
		verdict(true);
	ck_assert_uint_eq(upstream.waiting, NAMES_WAITING);
	ask(API, DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
	ck_assert_uint_eq(relay.stats.flooded, 2);
	resolved(DNS_NO_ERROR, &addresses);
	ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
	ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(checks_waiting, 1);
	end_names();
	ck_assert_uint_eq(upstream.waiting, 0);
}
END_TEST

START_TEST(late_and_unknown_replies_are_ignored)
{
	struct dns_addresses addresses = public4();

	begin_names();
	ask(API, DNS_TYPE_A);
	verdict(true);
	resolved(DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent.count, 1);
	resolved(DNS_NO_ERROR, &addresses);
	resolved_ticket(0, DNS_NO_ERROR, &addresses);
	resolved_ticket(77, DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent.count, 1);
	ck_assert_uint_eq(notes, 1);
	/* Ticket 0 would be that of a query which waits for the monitor. */
	ask(API, DNS_TYPE_A);
	resolved_ticket(0, DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent.count, 1);
	names->last_ticket = UINT32_MAX;
	verdict(true);
	ck_assert_uint_eq(upstream.ticket, 1);
	resolved(DNS_NO_NAME, NULL);
	ck_assert_uint_eq(sent.count, 2);
	ck_assert_int_eq(sent_rcode(), DNS_NO_NAME);
	end_names();
}
END_TEST

START_TEST(errors_of_resolvers_are_failures)
{
	static const int rcode[] = {DNS_FORMAT_ERROR, DNS_SERVER_FAILURE, DNS_NOT_IMPLEMENTED,
				    DNS_REFUSED, 15};
	struct dns_addresses addresses = public4();
	size_t i;

	begin_names();
	for (i = 0; i < ARRAY_SIZE(rcode); i++) {
		ask(API, DNS_TYPE_A);
		verdict(true);
		resolved(rcode[i], &addresses);
		ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
		ck_assert_uint_eq(sent_records(), 0);
	}
	upstream.result = -EAGAIN;
	ask(API, DNS_TYPE_A);
	verdict(true);
	ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
	ck_assert_uint_eq(sent.count, i + 1);
	ck_assert_uint_eq(relay.stats.pins, 0);
	end_names();
}
END_TEST

START_TEST(another_guest_gets_no_replies_of_the_first)
{
	struct dns_addresses addresses = public4();
	const struct ip_address peer = ip_from4(NET_PEER);
	uint32_t ticket;

	begin_names();
	ask(API, DNS_TYPE_A);
	verdict(true);
	resolved(DNS_NO_ERROR, &addresses);
	ck_assert(names_have(names, API, &peer, relay_now(&relay)));
	ask(API, DNS_TYPE_A);
	verdict(true);
	ticket = upstream.ticket;
	ask(API, DNS_TYPE_A); /* waits for the monitor */
	names_forget(names);
	ck_assert_uint_eq(checks_waiting, 0);
	ck_assert_uint_eq(upstream.waiting, 0);
	ck_assert_uint_eq(relay.stats.pins, 0);
	ck_assert(!names_have(names, API, &peer, relay_now(&relay)));
	resolved_ticket(ticket, DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent.count, 1);
	ck_assert(!names_have(names, API, &peer, relay_now(&relay)));
	/* The other one's are its own. */
	ask(API, DNS_TYPE_A);
	verdict(true);
	resolved(DNS_NO_ERROR, &addresses);
	ck_assert_uint_eq(sent.count, 2);
	ck_assert(names_have(names, API, &peer, relay_now(&relay)));
	end_names();
}
END_TEST

START_TEST(the_monitor_says_where_the_resolvers_are)
{
	const struct resolver_servers servers = {.count = 2, .length = {16, 28}};

	begin_names();
	ck_assert_uint_eq(upstream.servers.count, 0);
	names_set_resolvers(names, &servers);
	ck_assert_mem_eq(&upstream.servers, &servers, sizeof(servers));
	names_destroy(NULL);
	end_names();
}
END_TEST

UNIT_MAIN("relay_names", a_permitted_name_is_resolved, other_names_do_not_exist,
	  a_name_that_is_no_host_name_is_refused, resolving_needs_no_approval,
	  the_monitor_has_the_last_say, the_name_host_is_the_relays_own,
	  other_types_have_no_records, malformed_messages_get_their_error_or_nothing,
	  queries_have_a_rate, queries_that_wait_are_bounded, late_and_unknown_replies_are_ignored,
	  errors_of_resolvers_are_failures, another_guest_gets_no_replies_of_the_first,
	  the_monitor_says_where_the_resolvers_are)
