/* SPDX-License-Identifier: Apache-2.0 */
/* The filter between a scripted guest and a scripted outside, under a policy made of a few rules.
 */
#include <malloc.h>

#include "tests/support/net_filter_host.h"
#include "tests/unit/net_filter_common.h"

/* --- ARP, the router, spoofing ---------------------------------------------------------------- */

START_TEST(arp_is_answered_by_us)
{
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	length = net_arp(bytes, ARP_REQUEST, net_guest_mac, ADDRESS_GUEST, ADDRESS_ROUTER);
	filter_from_guest(filter, bytes, length, false, now);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_int_eq(guest_got.frame.arp_operation, ARP_REPLY);
	ck_assert_mem_eq(guest_got.frame.arp_sender, net_router_mac, FRAME_MAC);
	ck_assert_uint_eq(peer_got.count, 0);
	/* For itself (a probe), and for what is not of its network: silence. */
	length = net_arp(bytes, ARP_REQUEST, net_guest_mac, 0, ADDRESS_GUEST);
	filter_from_guest(filter, bytes, length, false, now);
	length = net_arp(bytes, ARP_REQUEST, net_guest_mac, ADDRESS_GUEST, NET_PEER);
	filter_from_guest(filter, bytes, length, false, now);
	/* In the name of another address: poison. */
	length = net_arp(bytes, ARP_REQUEST, net_peer_mac, ADDRESS_GUEST, ADDRESS_ROUTER);
	filter_from_guest(filter, bytes, length, false, now);
	length = net_arp(bytes, ARP_REPLY, net_guest_mac, ADDRESS_ROUTER, ADDRESS_GUEST);
	filter_from_guest(filter, bytes, length, false, now);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_SPOOFED], 2);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_ASTRAY], 2);
	/* And none from outside gets in. */
	length = net_arp(bytes, ARP_REPLY, net_peer_mac, ADDRESS_ROUTER, ADDRESS_GUEST);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
	ck_assert_uint_eq(guest_got.count, 1);
	end_filter();
}
END_TEST

START_TEST(the_router_answers_pings_and_refuses_the_rest)
{
	struct net_segment segment = out_segment(ADDRESS_ROUTER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	filter_from_guest(filter, bytes,
			  net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, ADDRESS_ROUTER, 5, 56),
			  false, now);
	ck_assert_int_eq(guest_got.frame.icmp_type, ICMP_ECHO_REPLY);
	send_tcp(segment);
	ck_assert(guest_got.frame.tcp_flags & TCP_RST);
	segment.target_port = 53; /* DNS over TCP: answers always fit into a datagram */
	send_tcp(segment);
	ck_assert(guest_got.frame.tcp_flags & TCP_RST);
	segment.target = ADDRESS_ROUTER + 40;
	send_tcp(segment);
	ck_assert(guest_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(peer_got.count, 0);
	end_filter();
}
END_TEST

START_TEST(another_source_is_dropped)
{
	struct net_segment segment = out_segment(NET_PEER, 80);
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	segment.source++;
	send_tcp(segment);
	segment.source--;
	length = net_tcp(bytes, &segment);
	bytes[11] ^= 1; /* the source MAC */
	filter_from_guest(filter, bytes, length, false, now);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_SPOOFED], 2);
	length = net_tcp(bytes, &segment);
	bytes[5] ^= 1; /* the target MAC */
	filter_from_guest(filter, bytes, length, false, now);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_ASTRAY], 1);
	ck_assert_uint_eq(peer_got.count + guest_got.count, 0);
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_mem_eq(peer_got.bytes, net_peer_mac, FRAME_MAC);
	end_filter();
}
END_TEST

/* --- TCP by address --------------------------------------------------------------------------- */

START_TEST(the_card_may_get_another_address)
{
	static const uint8_t other[FRAME_MAC] = {6, 1, 2, 3, 4, 5};
	struct net_segment segment = out_segment(NET_PEER, 80);
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	filter_set_guest_mac(filter, other);
	send_tcp(segment); /* by the one it had */
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_SPOOFED], 1);
	ck_assert_uint_eq(peer_got.count, 0);
	length = net_tcp(bytes, &segment);
	memcpy(bytes + FRAME_MAC, other, FRAME_MAC);
	filter_from_guest(filter, bytes, length, false, now);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

START_TEST(an_allowed_connection_lives_and_is_logged)
{
	struct net_segment segment = out_segment(NET_PEER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	ck_assert(connects(NET_PEER, 80));
	ck_assert_uint_eq(log_count, 1);
	ck_assert_str_eq(logged[0], "allow -");
	say(NET_PEER, 80, "hello", 0, 5, 0);
	ck_assert_mem_eq(said, "hello", 5);
	segment.flags = TCP_ACK | TCP_FIN;
	segment.payload = "answer";
	segment.length = 6;
	segment.sequence = 5001;
	receive_tcp(segment);
	ck_assert_mem_eq(guest_got.bytes + guest_got.frame.payload, "answer", 6);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	say(NET_PEER, 80, "hello", 5, 0, TCP_FIN);
	/* Both are done: some time for what is still on its way. */
	now += 59 * SECOND;
	filter_expire(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	now += SECOND;
	filter_expire(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_uint_eq(log_count, 2);
	ck_assert_str_eq(logged[1],
			 "flow-end tcp 93.184.216.34:80: end=expired out=5 in=6 seconds=0.000");
	end_filter();
}
END_TEST

START_TEST(a_forbidden_connection_is_reset_at_once)
{
	begin_filter(some, ARRAY_SIZE(some));
	ck_assert(!connects(NET_PEER, 81));
	ck_assert(!connects(NET_PEER + 1, 80));
	ck_assert(!connects(PRIVATE, 80));
	ck_assert(!connects(METADATA, 80));
	ck_assert(!connects(ADDRESS_HOST, 80));
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_uint_eq(guest_got.count, 5);
	ck_assert_uint_eq(log_count, 5);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert(connects(ADDRESS_HOST, 9000));
	end_filter();
}
END_TEST

START_TEST(segments_of_no_connection_are_reset)
{
	begin_filter(some, ARRAY_SIZE(some));
	say(NET_PEER, 80, "x", 0, 1, 0);
	ck_assert(guest_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(peer_got.count, 0);
	acknowledge(NET_PEER, 80, 1);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_NO_FLOW], 1);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_NO_FLOW], 1);
	end_filter();
}
END_TEST

START_TEST(a_reset_ends_a_connection_and_a_port_may_be_used_again)
{
	struct net_segment segment = out_segment(NET_PEER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	ck_assert(connects(NET_PEER, 80));
	hang_up(NET_PEER, 80);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert(connects(NET_PEER, 80));
	hang_up(NET_PEER, 80);
	segment.sequence = 77777;
	send_tcp(segment); /* the same ports once more */
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	ck_assert_uint_eq(peer_got.frame.sequence, 77777);
	end_filter();
}
END_TEST

/* A reset without an acknowledgement would not end a connect() in the guest. */
START_TEST(a_refusal_by_the_peer_is_understood)
{
	struct net_segment segment = out_segment(NET_PEER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	send_tcp(segment);
	segment.flags = TCP_RST;
	segment.sequence = 4711;
	receive_tcp(segment);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(guest_got.frame.kind, FRAME_IS_TCP);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(guest_got.frame.acknowledged, 1001);
	ck_assert_uint_eq(guest_got.frame.source, NET_PEER);
	ck_assert_uint_eq(guest_got.frame.source_port, 80);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	/* One that is open is ended as the peer says. */
	ck_assert(connects(NET_PEER, 80));
	segment.sequence = 5001;
	receive_tcp(segment);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_RST);
	ck_assert_uint_eq(guest_got.frame.sequence, 5001);
	end_filter();
}
END_TEST

START_TEST(a_syn_that_comes_again_is_sent_on_where_it_may_be_lost)
{
	struct net_segment segment = out_segment(NET_PEER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	send_tcp(segment);
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 2);
	end_filter();
	once = true;
	begin_filter(some, ARRAY_SIZE(some));
	once = false;
	send_tcp(segment);
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(guest_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	end_filter();
}
END_TEST

/* It was under way when the answer came; passt (20230309) would reset what is open by then. */
START_TEST(a_syn_that_crosses_the_answer_ends_nothing)
{
	struct net_segment segment = out_segment(NET_PEER, 80);
	unsigned sent;

	once = true;
	begin_filter(some, ARRAY_SIZE(some));
	once = false;
	ck_assert(connects(NET_PEER, 80));
	sent = peer_got.count;
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, sent);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	say(NET_PEER, 80, "hello", 0, 5, 0);
	ck_assert_uint_eq(peer_got.count, sent + 1);
	end_filter();
}
END_TEST

START_TEST(data_in_front_of_the_handshake_is_refused)
{
	struct net_segment segment = out_segment(NET_PEER, 80);

	begin_filter(some, ARRAY_SIZE(some));
	segment.payload = "early";
	segment.length = 5;
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert(guest_got.frame.tcp_flags & TCP_RST);
	segment.length = 0;
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	segment.length = 5; /* the same SYN, now with data */
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

UNIT_MAIN("net_filter", arp_is_answered_by_us, the_router_answers_pings_and_refuses_the_rest,
	  another_source_is_dropped, the_card_may_get_another_address,
	  an_allowed_connection_lives_and_is_logged, a_forbidden_connection_is_reset_at_once,
	  segments_of_no_connection_are_reset,
	  a_reset_ends_a_connection_and_a_port_may_be_used_again,
	  a_refusal_by_the_peer_is_understood,
	  a_syn_that_comes_again_is_sent_on_where_it_may_be_lost,
	  a_syn_that_crosses_the_answer_ends_nothing, data_in_front_of_the_handshake_is_refused)
