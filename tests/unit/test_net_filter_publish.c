/* SPDX-License-Identifier: Apache-2.0 */
/* The filter and published ports; a log that is full; a policy that changes. */
#include <malloc.h>

#include "tests/support/net_filter_host.h"
#include "tests/unit/net_filter_common.h"

/* --- TCP by address --------------------------------------------------------------------------- */

/* From outside to a port of the guest. */
static struct net_segment in_segment(uint32_t source, uint16_t port)
{
	return (struct net_segment){.source = source,
				    .target = ADDRESS_GUEST,
				    .source_port = 5555,
				    .target_port = port,
				    .sequence = 7000,
				    .flags = TCP_SYN};
}

static void comes_in(struct net_segment segment, bool udp)
{
	size_t length = udp ? net_udp(bytes, &segment) : net_tcp(bytes, &segment);

	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
}

static void goes_back(struct net_segment segment, bool udp)
{
	struct net_segment back = segment;

	back.source = segment.target;
	back.target = segment.source;
	back.source_port = segment.target_port;
	back.target_port = segment.source_port;
	filter_from_guest(filter, bytes, udp ? net_udp(bytes, &back) : net_tcp(bytes, &back), false,
			  now);
}

START_TEST(only_published_ports_are_reached_from_outside)
{
	begin_filter(NULL, 0);
	comes_in(in_segment(NET_PEER, 8081), false);
	ck_assert_uint_eq(guest_got.count, 0);
	/* The peer gets a reset at once. */
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert(peer_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(peer_got.frame.source_port, 8081);
	ck_assert_uint_eq(peer_got.frame.acknowledged, 7001);
	comes_in(in_segment(NET_PEER, 8080), false);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(guest_got.frame.target_port, 8080);
	ck_assert_str_eq(logged[0], "allow -");
	/* Published for TCP only; and nothing answers a datagram. */
	comes_in(in_segment(NET_PEER, 8080), true);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_NO_FLOW], 1);
	/* From our own network only the host's loopback may seem to come. */
	comes_in(in_segment(ADDRESS_ROUTER, 8080), false);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_SPOOFED], 1);
	comes_in(in_segment(ADDRESS_HOST, 8080), false);
	ck_assert_uint_eq(guest_got.count, 2);
	end_filter();
}
END_TEST

START_TEST(a_published_connection_lives_and_ends)
{
	struct net_segment segment = in_segment(NET_PEER, 8080);

	begin_filter(NULL, 0);
	comes_in(segment, false);
	segment.flags = TCP_SYN | TCP_ACK;
	segment.acknowledged = 7001;
	goes_back(segment, false);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_SYN | TCP_ACK);
	segment.flags = TCP_ACK;
	segment.payload = "GET /";
	segment.length = 5;
	segment.sequence = 7001;
	comes_in(segment, false);
	ck_assert_uint_eq(guest_got.count, 2);
	segment.acknowledged = 7006;
	goes_back(segment, false);
	segment.flags = TCP_ACK | TCP_FIN;
	segment.length = 0;
	segment.sequence = 7006;
	goes_back(segment, false);
	comes_in(segment, false);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	now += 61 * SECOND;
	filter_expire(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_uint_eq(log_count, 2);
	ck_assert_msg(strstr(logged[1], "flow-end tcp") && strstr(logged[1], ":8080: ") &&
			      strstr(logged[1], "out=5 in=5 "),
		      "%s", logged[1]);
	end_filter();
}
END_TEST

START_TEST(a_client_may_use_its_port_again)
{
	struct net_segment segment = in_segment(NET_PEER, 8080), first = segment;

	begin_filter(NULL, 0);
	comes_in(segment, false);
	comes_in(segment, false); /* the same once more is no other connection */
	ck_assert_uint_eq(guest_got.count, 2);
	ck_assert_uint_eq(log_count, 1);
	segment.flags = TCP_SYN | TCP_ACK;
	segment.acknowledged = 7001;
	goes_back(segment, false);
	segment.flags = TCP_ACK | TCP_FIN;
	segment.sequence = 7001;
	goes_back(segment, false);
	comes_in(segment, false);
	first.sequence = 99000;
	comes_in(first, false);
	ck_assert_uint_eq(guest_got.frame.sequence, 99000);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	ck_assert_uint_eq(log_count, 3); /* begun, ended, begun */
	/* But a flow of the guest cannot be opened from outside. */
	ck_assert_uint_eq(guest_got.count, 4);
	end_filter();
	begin_filter(some, ARRAY_SIZE(some));
	ck_assert(connects(NET_PEER, 80));
	forget_output();
	segment = in_segment(NET_PEER, 40000);
	segment.source_port = 80;
	comes_in(segment, false);
	ck_assert_uint_eq(guest_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	end_filter();
}
END_TEST

START_TEST(a_published_port_opens_nothing_else)
{
	struct net_segment segment = in_segment(ADDRESS_HOST, 8080);

	begin_filter(NULL, 0);
	comes_in(segment, false);
	ck_assert_uint_eq(guest_got.count, 1);
	/* The guest may answer, but neither begin a connection there ... */
	segment.flags = TCP_SYN | TCP_ACK;
	goes_back(segment, false);
	ck_assert_uint_eq(peer_got.count, 1);
	segment.flags = TCP_SYN;
	goes_back(segment, false);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_ACK);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_IN_USE], 1);
	/* ... nor reach another port. */
	segment.source_port = 5556;
	segment.flags = TCP_ACK;
	goes_back(segment, false);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

START_TEST(published_datagrams_come_and_are_answered)
{
	struct net_segment segment = in_segment(NET_PEER, 5353);

	begin_filter(NULL, 0);
	segment.payload = "hello";
	segment.length = 5;
	comes_in(segment, true);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(log_count, 1);
	goes_back(segment, true);
	ck_assert_uint_eq(peer_got.count, 1);
	comes_in(segment, true);
	ck_assert_uint_eq(guest_got.count, 2);
	ck_assert_uint_eq(log_count, 1);
	/* Not to another port of the same peer. */
	segment.source_port = 5556;
	goes_back(segment, true);
	ck_assert_uint_eq(peer_got.count, 1);
	/* And for TCP it is not published. */
	comes_in(in_segment(NET_PEER, 5353), false);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_REFUSED], 1);
	end_filter();
}
END_TEST

START_TEST(a_flood_at_a_published_port_is_bounded)
{
	struct net_segment segment = in_segment(NET_PEER, 8080);
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	for (i = 0; i < 100000; i++) {
		segment.source_port = (uint16_t)(1 + i % 60000);
		segment.source = NET_PEER + 10 + i / 60000;
		comes_in(segment, false);
	}
	ck_assert_uint_eq(stats_of_filter().flows, FILTER_FLOWS_BURST);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_FLOODED], 100000 - FILTER_FLOWS_BURST);
	ck_assert_uint_eq(guest_got.count, FILTER_FLOWS_BURST);
	/* A second later it is as before. */
	now += SECOND;
	ck_assert(connects(NET_PEER, 80));
	end_filter();
}
END_TEST

START_TEST(a_log_that_takes_nothing_stops_new_flows)
{
	begin_filter(some, ARRAY_SIZE(some));
	log_full = true;
	ck_assert(!connects(NET_PEER, 80));
	comes_in(in_segment(NET_PEER, 8080), false);
	ck_assert(peer_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ask("tls.example.com", DNS_TYPE_A);
	ck_assert_str_eq(asked, "");
	log_full = false;
	ck_assert(connects(NET_PEER, 80));
	end_filter();
}
END_TEST

START_TEST(a_changed_policy_ends_flows)
{
	begin_filter(some, ARRAY_SIZE(some));
	pin("api.example.com", NET_PEER + 3);
	ck_assert(connects(NET_PEER, 80));
	ck_assert(connects(NET_PEER + 3, 443));
	ck_assert_uint_eq(stats_of_filter().flows, 2);
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 2);
	rule_count = 1;
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	rule_count = 0;
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	end_filter();
}
END_TEST

UNIT_MAIN("net_filter_publish", only_published_ports_are_reached_from_outside,
	  a_published_connection_lives_and_ends, a_client_may_use_its_port_again,
	  a_published_port_opens_nothing_else, published_datagrams_come_and_are_answered,
	  a_flood_at_a_published_port_is_bounded, a_log_that_takes_nothing_stops_new_flows,
	  a_changed_policy_ends_flows)
