/* SPDX-License-Identifier: Apache-2.0 */
/* The filter with datagrams, and with names and their addresses. */
#include <malloc.h>

#include "tests/support/net_filter_host.h"
#include "tests/unit/net_filter_common.h"

/* --- datagrams -------------------------------------------------------------------------------- */

START_TEST(datagrams_pass_by_rule_and_come_back)
{
	struct net_segment segment = out_segment(NET_PEER, 123), back;
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	segment.payload = "time?";
	segment.length = 5;
	filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
	ck_assert_uint_eq(peer_got.count, 1);
	back = segment;
	back.source = NET_PEER;
	back.source_port = 123;
	back.target = ADDRESS_GUEST;
	back.target_port = 40000;
	length = net_udp(bytes, &back);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
	ck_assert_uint_eq(guest_got.count, 1);
	back.source_port = 124; /* no query was sent there */
	length = net_udp(bytes, &back);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
	ck_assert_uint_eq(guest_got.count, 1);
	segment.target_port = 443; /* QUIC, without a rule */
	filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(guest_got.bytes[FRAME_TRANSPORT], 3);
	ck_assert_uint_eq(guest_got.bytes[FRAME_TRANSPORT + 1], 13);
	segment.target_port = 53; /* another resolver */
	filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

START_TEST(echoes_are_small_and_seldom)
{
	unsigned i;
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < 100; i++)
		filter_from_guest(
			filter, bytes,
			net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER, 9, 56), false,
			now);
	ck_assert_uint_eq(peer_got.count, 40);
	now += SECOND;
	filter_from_guest(filter, bytes,
			  net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER, 9, 65), false,
			  now);
	ck_assert_uint_eq(peer_got.count, 40); /* too long */
	filter_from_guest(filter, bytes,
			  net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER + 1, 9, 56),
			  false, now);
	ck_assert_uint_eq(peer_got.count, 40); /* no rule */
	forget_output();
	length = net_echo(bytes, ICMP_ECHO_REPLY, NET_PEER, ADDRESS_GUEST, 9, 56);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
	ck_assert_uint_eq(guest_got.count, 1);
	length = net_echo(bytes, ICMP_ECHO_REQUEST, NET_PEER, ADDRESS_GUEST, 9, 56);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
	ck_assert_uint_eq(guest_got.count, 1); /* the guest cannot be pinged */
	end_filter();
}
END_TEST

/* --- names ------------------------------------------------------------------------------------ */

START_TEST(a_name_opens_what_was_answered_for_it)
{
	begin_filter(some, ARRAY_SIZE(some));
	ck_assert(!connects(NET_PEER + 3, 443));
	pin("api.example.com", NET_PEER + 3);
	ck_assert(connects(NET_PEER + 3, 443));
	ck_assert_str_eq(logged[log_count - 1], "allow api.example.com");
	ck_assert(!connects(NET_PEER + 3, 444));
	ck_assert(!connects(NET_PEER + 4, 443));
	/* 60 s and 30 s of grace; the open connection stays. */
	now += 90 * SECOND;
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	say(NET_PEER + 3, 443, "still here", 0, 10, 0);
	ck_assert_mem_eq(said, "still here", 10);
	filter_forget(filter);
	ck_assert(!connects(NET_PEER + 3, 443));
	end_filter();
}
END_TEST

START_TEST(other_names_do_not_exist)
{
	static const char *const bad[] = {"other.example.com", "example.com", "x.api.example.com",
					  "a b.example.com", "com"};
	size_t i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(bad[i], DNS_TYPE_A);
		ck_assert_int_eq(answered_rcode(), DNS_NO_NAME);
		ck_assert_str_eq(asked, "");
	}
	ck_assert_uint_eq(log_count, ARRAY_SIZE(bad));
	ask("API.example.com", DNS_TYPE_A);
	ck_assert_str_eq(asked, "api.example.com");
	forget_output();
	ask("api.example.com", DNS_TYPE_AAAA); /* there is no IPv6 */
	ck_assert_str_eq(asked, "");
	ck_assert_int_eq(answered_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(answered_count(), 0);
	end_filter();
}
END_TEST

START_TEST(private_answers_are_stripped)
{
	static const uint32_t address[] = {PRIVATE, METADATA, NET_PEER + 3, ADDRESS_HOST};
	struct dns_addresses mixed = {.type = DNS_TYPE_A, .ttl = 5};

	for (; mixed.count < ARRAY_SIZE(address); mixed.count++)
		store_be32(mixed.address[mixed.count], address[mixed.count]);

	begin_filter(some, ARRAY_SIZE(some));
	ask("api.example.com", DNS_TYPE_A);
	filter_resolved(filter, ticket, DNS_NO_ERROR, &mixed, now);
	ck_assert_uint_eq(answered_count(), 1);
	ck_assert_uint_eq(stats_of_filter().pins, 1);
	ck_assert_str_eq(logged[log_count - 1], "dns-answer api.example.com: rcode=0 stripped=3 "
						"addresses=93.184.216.37");
	ck_assert(!connects(PRIVATE, 443));
	ck_assert(!connects(METADATA, 443));
	ck_assert(!connects(ADDRESS_HOST, 443));
	ck_assert(connects(NET_PEER + 3, 443));
	end_filter();
}
END_TEST

START_TEST(a_resolver_that_flips_opens_public_addresses_only)
{
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < 20; i++, now += SECOND) {
		ask("api.example.com", DNS_TYPE_A);
		resolved(i % 2 ? METADATA : NET_PEER + 3, 0);
		ck_assert_uint_eq(answered_count(), i % 2 ? 0 : 1);
		ck_assert(!connects(METADATA, 443));
		ck_assert(connects(NET_PEER + 3, 443));
		hang_up(NET_PEER + 3, 443);
	}
	end_filter();
}
END_TEST

START_TEST(the_name_host_is_the_monitors_own)
{
	begin_filter(some, ARRAY_SIZE(some));
	ask("host", DNS_TYPE_A);
	ck_assert_str_eq(asked, "");
	ck_assert_uint_eq(answered_count(), 1);
	ck_assert_uint_eq(load_be32(guest_got.bytes + guest_got.frame.payload + 12 + 6 + 4 + 12),
			  ADDRESS_HOST);
	rule_count--; /* without a rule there is none */
	ask("host", DNS_TYPE_A);
	ck_assert_int_eq(answered_rcode(), DNS_NO_NAME);
	end_filter();
}
END_TEST

START_TEST(questions_are_bounded_in_rate_and_number)
{
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < 1000; i++)
		ask("api.example.com", DNS_TYPE_A);
	/* All are answered but those that wait. */
	ck_assert_uint_eq(stats_of_filter().questions, 1000);
	ck_assert_uint_eq(stats_of_filter().answered, 1000 - FILTER_DNS_WAITING);
	ck_assert_int_eq(answered_rcode(), DNS_REFUSED);
	now += SECOND;
	resolved(NET_PEER, 60);
	ask("api.example.com", DNS_TYPE_A);
	resolved(NET_PEER, 60);
	ck_assert_int_eq(answered_rcode(), DNS_NO_ERROR);
	end_filter();
}
END_TEST

START_TEST(late_and_unknown_answers_are_ignored)
{
	begin_filter(some, ARRAY_SIZE(some));
	ask("api.example.com", DNS_TYPE_A);
	resolved(NET_PEER, 60);
	ck_assert_uint_eq(guest_got.count, 1);
	resolved(NET_PEER, 60);
	filter_resolved(filter, 0, DNS_NO_ERROR, NULL, now);
	ck_assert_uint_eq(guest_got.count, 1);
	ask("api.example.com", DNS_TYPE_A);
	filter_forget(filter);
	resolved(NET_PEER, 60);
	ck_assert_uint_eq(guest_got.count, 1);
	resolve_result = -EAGAIN;
	ask("api.example.com", DNS_TYPE_A);
	ck_assert_int_eq(answered_rcode(), DNS_SERVER_FAILURE);
	resolve_result = 0;
	ask("api.example.com", DNS_TYPE_A);
	filter_resolved(filter, ticket, DNS_NO_NAME, NULL, now);
	ck_assert_int_eq(answered_rcode(), DNS_NO_NAME);
	end_filter();
}
END_TEST

UNIT_MAIN("net_filter_names", datagrams_pass_by_rule_and_come_back, echoes_are_small_and_seldom,
	  a_name_opens_what_was_answered_for_it, other_names_do_not_exist,
	  private_answers_are_stripped, a_resolver_that_flips_opens_public_addresses_only,
	  the_name_host_is_the_monitors_own, questions_are_bounded_in_rate_and_number,
	  late_and_unknown_answers_are_ignored)
