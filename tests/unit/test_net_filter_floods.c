/* SPDX-License-Identifier: Apache-2.0 */
/* The filter under many rules, resets and floods. */
#include <malloc.h>

#include "tests/support/net_filter_host.h"
#include "tests/unit/net_filter_common.h"

/* --- floods ----------------------------------------------------------------------------------- */

START_TEST(the_first_rule_counts)
{
	static const struct rule order[] = {
		{.protocol = FILTER_TLS, .name = "bad.example.com", .port = 443, .deny = true},
		{.protocol = FILTER_TCP, .name = "worse.example.com", .deny = true},
		{.protocol = FILTER_TCP, .name = "good.example.com"},
		{.protocol = FILTER_TCP}, /* any address */
	};
	static const struct rule names[] = {{.name = "bad.example.com"},
					    {.name = "worse.example.com"},
					    {.name = "good.example.com"}};
	static const char get[] = "GET / HTTP/1.1\r\nHost: x.org\r\n\r\n";

	/* No DNS query: the last rule counts, whatever the protocol. */
	begin_filter(order, ARRAY_SIZE(order));
	ck_assert(heard(NET_PEER + 4, 443, "SSH-2.0-x\r\n", 11));
	rules = names;
	rule_count = ARRAY_SIZE(names);
	pin("bad.example.com", NET_PEER + 5);
	pin("worse.example.com", NET_PEER + 6);
	pin("good.example.com", NET_PEER + 7);
	rules = order;
	rule_count = ARRAY_SIZE(order);
	ck_assert(heard(NET_PEER + 7, 443, "SSH-2.0-x\r\n", 11));
	filter_policy_changed(filter, now);
	/* A name that may not be reached over TLS: then the first bytes are looked at. */
	ck_assert(connects(NET_PEER + 5, 443));
	said_length = 0;
	say(NET_PEER + 5, 443, hello_bytes, 0, hello("bad.example.com"), 0);
	ck_assert_uint_eq(said_length, 0);
	ck_assert(connects(NET_PEER + 5, 443));
	say(NET_PEER + 5, 443, "SSH-2.0-x\r\n", 0, 11, 0);
	ck_assert_uint_eq(said_length, 0);
	ck_assert(connects(NET_PEER + 5, 443));
	say(NET_PEER + 5, 443, get, 0, sizeof(get) - 1, 0);
	ck_assert_uint_eq(said_length, sizeof(get) - 1);
	/* One that may not be reached at all; others may. */
	ck_assert(!connects(NET_PEER + 6, 443));
	ck_assert(connects(NET_PEER + 8, 443));
	end_filter();
}
END_TEST

/* A guest resets its card at will: what that writes into the log is bounded. */
START_TEST(a_card_that_is_reset_has_a_bounded_log)
{
	struct net_segment segment = out_segment(NET_PEER, 80),
			   datagram = out_segment(NET_PEER, 123);
	char sum[100];
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < FILTER_FLOWS_BURST; i++) {
		segment.source_port = (uint16_t)(1000 + i);
		send_tcp(segment);
	}
	ck_assert_uint_eq(stats_of_filter().flows, FILTER_FLOWS_BURST);
	forget_output();
	filter_forget(filter);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_uint_eq(log_count, FILTER_FORGET_LOGGED + 1);
	ck_assert_uint_eq(peer_got.count, FILTER_FLOWS_BURST); /* resets */
	/* A few have a line each. */
	now += SECOND;
	for (i = 0; i < 3; i++) {
		segment.source_port = (uint16_t)(1000 + i);
		send_tcp(segment);
	}
	forget_output();
	filter_forget(filter);
	ck_assert_uint_eq(log_count, 3);
	/* So it is when a policy ends what the guest has begun. */
	now += 2 * SECOND;
	for (i = 0; i < FILTER_FLOWS_BURST; i++) {
		segment.source_port = (uint16_t)(1000 + i);
		send_tcp(segment);
	}
	forget_output();
	rule_count = 0;
	filter_policy_changed(filter, now);
	rule_count = ARRAY_SIZE(some);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_uint_eq(log_count, FILTER_FORGET_LOGGED + 1);
	/* And the sum of the others is right. */
	now += SECOND;
	datagram.payload = "time";
	datagram.length = 4;
	for (i = 0; i < FILTER_FORGET_LOGGED + 7; i++) {
		datagram.source_port = (uint16_t)(1000 + i);
		filter_from_guest(filter, bytes, net_udp(bytes, &datagram), false, now);
	}
	log_last_only = true;
	filter_forget(filter);
	log_last_only = false;
	snprintf(sum, sizeof(sum), "flow-end 7 more: end=dropped out=%d in=0", 4 * 7);
	ck_assert_str_eq(logged[0], sum);
	end_filter();
}
END_TEST

START_TEST(the_card_is_usable_after_floods)
{
	struct net_segment segment = out_segment(NET_PEER, 80);
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < 100000; i++) {
		segment.source_port = (uint16_t)(1 + i % 60000);
		segment.target_port = i % 2 ? 80 : 81;
		segment.sequence = i;
		send_tcp(segment);
		if (i % 2)
			filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
		now += 1000;
	}
	/* Every forbidden one was answered; the log had a bounded number of lines. */
	ck_assert_uint_ge(guest_got.count, 100000);
	ck_assert_uint_le(log_count, 100000);
	ck_assert_uint_gt(stats_of_filter().unlogged, 0);
	ck_assert_uint_le(stats_of_filter().flows, FLOW_MAX);
	now += 10 * SECOND;
	forget_output();
	segment = out_segment(NET_PEER, 80);
	segment.sequence = 12345;
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(peer_got.frame.sequence, 12345);
	end_filter();
}
END_TEST

UNIT_MAIN("net_filter_floods", the_first_rule_counts, a_card_that_is_reset_has_a_bounded_log,
	  the_card_is_usable_after_floods)
