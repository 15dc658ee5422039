/* SPDX-License-Identifier: Apache-2.0 */
/* The filter between a scripted guest and a scripted outside, under a policy made of a few rules.
 */
#include <malloc.h>

#include "tests/support/net_filter_host.h"

/* --- ARP, the router, spoofing ------------------------------------------------------------------
 */

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

/* --- TCP by address -----------------------------------------------------------------------------
 */

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
	/* It hears of it at once. */
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

/* --- datagrams -----------------------------------------------------------------------------------
 */

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

/* --- names ---------------------------------------------------------------------------------------
 */

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
	struct dns_addresses mixed = {
		.count = 4, .address = {PRIVATE, METADATA, NET_PEER + 3, ADDRESS_HOST}, .ttl = 5};

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

START_TEST(late_and_unknown_answers_are_nothing)
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

/* --- TLS and HTTP --------------------------------------------------------------------------------
 */

START_TEST(a_tls_rule_lets_its_name_through)
{
	size_t length = hello("tls.example.com");

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	ck_assert(connects(NET_PEER + 5, 443));
	ck_assert_uint_eq(log_count, 0); /* not decided yet */
	say(NET_PEER + 5, 443, hello_bytes, 0, length, TCP_PSH);
	ck_assert_uint_eq(said_length, length);
	ck_assert_mem_eq(said, hello_bytes, length);
	ck_assert_str_eq(logged[0], "allow tls.example.com");
	ck_assert_uint_eq(stats_of_filter().peeks, 1); /* until the peer has it */
	acknowledge(NET_PEER + 5, 443, length);
	ck_assert_uint_eq(stats_of_filter().peeks, 0);
	say(NET_PEER + 5, 443, "more", 0, 4, 0);
	ck_assert_uint_eq(said_length, length + 4);
	end_filter();
}
END_TEST

static void split_at(size_t length, size_t at)
{
	said_length = 0;
	ck_assert(connects(NET_PEER + 5, 443));
	say(NET_PEER + 5, 443, hello_bytes, 0, at, 0);
	ck_assert_uint_eq(said_length, 0);
	say(NET_PEER + 5, 443, hello_bytes, at, length - at, 0);
	ck_assert_uint_eq(said_length, length);
	ck_assert_mem_eq(said, hello_bytes, length);
	filter_forget(filter);
	filter_expire(filter, now);
}

START_TEST(a_name_split_at_every_byte_is_read)
{
	size_t length = hello("tls.example.com"), at;

	begin_filter(some, ARRAY_SIZE(some));
	for (at = 1; at < length; at++) {
		now += 10 * SECOND;
		pin("tls.example.com", NET_PEER + 5);
		split_at(length, at);
	}
	/* And all in single bytes. */
	now += 10 * SECOND;
	pin("tls.example.com", NET_PEER + 5);
	ck_assert(connects(NET_PEER + 5, 443));
	for (at = 0; at < length; at++) {
		ck_assert_uint_eq(said_length, 0);
		say(NET_PEER + 5, 443, hello_bytes, at, 1, 0);
		/* It hears that each has arrived, or it would send no more than a window. */
		if (at + 1 < length) {
			ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_ACK);
			ck_assert_uint_eq(guest_got.frame.acknowledged, 1001 + at + 1);
			ck_assert_uint_eq(guest_got.frame.sequence, 5001);
		}
	}
	ck_assert_mem_eq(said, hello_bytes, length);
	ck_assert_uint_eq(said_length, length);
	end_filter();
}
END_TEST

/* Speaks on a fresh connection; true if the peer heard any of it, false if both got a reset. */
static bool heard(uint32_t target, uint16_t port, const void *data, size_t length)
{
	bool passed;

	forget_output();
	ck_assert(connects(target, port));
	say(target, port, data, 0, length, 0);
	passed = said_length > 0;
	if (!passed) {
		ck_assert(guest_got.frame.tcp_flags & TCP_RST);
		ck_assert(peer_got.frame.tcp_flags & TCP_RST);
		ck_assert_uint_eq(peer_got.frame.sequence, 1001);
		ck_assert_uint_eq(stats_of_filter().flows, 0);
		ck_assert_uint_eq(stats_of_filter().peeks, 0);
	}
	return passed;
}

START_TEST(other_names_and_none_are_refused)
{
	size_t length;

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	pin("cdn.example.com", NET_PEER + 6);
	length = hello("tls.example.com");
	ck_assert(heard(NET_PEER + 5, 443, hello_bytes, length));
	filter_forget(filter);
	pin("tls.example.com", NET_PEER + 5);
	pin("cdn.example.com", NET_PEER + 6);
	length = hello("evil.example.com");
	ck_assert(!heard(NET_PEER + 5, 443, hello_bytes, length));
	ck_assert_str_eq(logged[0], "deny evil.example.com");
	/* A name that is allowed, but at another address. */
	length = hello("cdn.example.com");
	ck_assert(!heard(NET_PEER + 5, 443, hello_bytes, length));
	ck_assert_str_eq(logged[0], "flow-refused tls 93.184.216.39:443 cdn.example.com: the "
				    "address is not one that was answered for this name");
	length = hello(NULL);
	ck_assert(!heard(NET_PEER + 5, 443, hello_bytes, length));
	ck_assert_str_eq(logged[0],
			 "flow-refused tls 93.184.216.39:443: the ClientHello names no server");
	length = net_hello(hello_bytes,
			   &(struct net_hello){.name = "tls.example.com", .encrypted = true});
	ck_assert(!heard(NET_PEER + 5, 443, hello_bytes, length));
	ck_assert(!heard(NET_PEER + 5, 443, "SSH-2.0-x\r\n", 11));
	ck_assert(!heard(NET_PEER + 5, 443, "GET / HTTP/1.1\r\nHost: tls.example.com\r\n\r\n", 42));
	end_filter();
}
END_TEST

START_TEST(what_is_sent_twice_must_be_the_same)
{
	size_t length = net_hello(hello_bytes,
				  &(struct net_hello){.name = "tls.example.com", .padding = 200});
	static uint8_t lie[20000];

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	net_hello(lie, &(struct net_hello){.name = "bad.example.com", .padding = 200});
	ck_assert(connects(NET_PEER + 5, 443));
	say(NET_PEER + 5, 443, hello_bytes, 0, length - 2, 0);
	say(NET_PEER + 5, 443, hello_bytes, length - 1, 1, 0); /* a gap */
	say(NET_PEER + 5, 443, lie, 0, length, 0); /* another name over the first bytes */
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_PEEK_GAP], 2);
	say(NET_PEER + 5, 443, hello_bytes, 50, length - 50, 0); /* an overlap that agrees */
	ck_assert_uint_eq(said_length, length);
	said_length = 0;
	say(NET_PEER + 5, 443, lie, 0, length, 0); /* too late */
	ck_assert_uint_eq(said_length, 0);
	say(NET_PEER + 5, 443, hello_bytes, 0, length, 0); /* a true retransmission */
	ck_assert_uint_eq(said_length, length);
	end_filter();
}
END_TEST

START_TEST(a_peer_that_speaks_first_is_heard)
{
	struct net_segment segment = out_segment(NET_PEER + 5, 443);

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	ck_assert(connects(NET_PEER + 5, 443));
	segment.flags = TCP_ACK;
	segment.payload = "220 hello";
	segment.length = 9;
	segment.sequence = 5001;
	receive_tcp(segment);
	ck_assert_mem_eq(guest_got.bytes + guest_got.frame.payload, "220 hello", 9);
	/* The guest's acknowledgements go through, its data does not. */
	forget_output();
	say(NET_PEER + 5, 443, "", 0, 0, 0);
	ck_assert_uint_eq(peer_got.count, 1);
	say(NET_PEER + 5, 443, "\x16\x03", 0, 2, 0);
	ck_assert_uint_eq(peer_got.count, 1);
	say(NET_PEER + 5, 443, "\x16\x03", 2, 0, TCP_FIN);
	ck_assert(peer_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(said_length, 0);
	end_filter();
}
END_TEST

START_TEST(endless_first_bytes_are_refused)
{
	size_t length, at;

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	length = net_hello(hello_bytes,
			   &(struct net_hello){.name = "tls.example.com", .padding = 3000});
	ck_assert(connects(NET_PEER + 5, 443));
	for (at = 0; at < length && stats_of_filter().flows > 0; at++)
		say(NET_PEER + 5, 443, hello_bytes, at, 1, 0);
	ck_assert_uint_eq(at, FILTER_PEEK_SEGMENTS + 1);
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_eq(stats_of_filter().peeks, 0);
	end_filter();
}
END_TEST

/* Each segment has all bytes from the first on, and one that is new. */
START_TEST(only_fresh_bytes_are_held)
{
	size_t length = net_hello(hello_bytes,
				  &(struct net_hello){.name = "tls.example.com", .padding = 600}),
	       at;
	struct mallinfo2 before, after;

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	ck_assert(connects(NET_PEER + 5, 443));
	forget_output();
	before = mallinfo2();
	for (at = 1; at < length; at++)
		say(NET_PEER + 5, 443, hello_bytes, 0, at, 0);
	after = mallinfo2();
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_le(after.uordblks, before.uordblks + 4096);
	/* What brings nothing new is acknowledged, and does not count. */
	for (at = 0; at < 2 * FILTER_PEEK_SEGMENTS; at++)
		say(NET_PEER + 5, 443, hello_bytes, 0, length - 1, 0);
	ck_assert_uint_eq(guest_got.frame.acknowledged, 1001 + length - 1);
	ck_assert_uint_eq(peer_got.count, 0);
	say(NET_PEER + 5, 443, hello_bytes, 0, length, TCP_PSH);
	ck_assert_uint_eq(said_length, length);
	ck_assert_mem_eq(said, hello_bytes, length);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_ACK | TCP_PSH);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

/* What was held goes on in segments that the guest's network takes. */
START_TEST(held_bytes_go_on_in_segments_of_the_guests_size)
{
	size_t length = net_hello(hello_bytes,
				  &(struct net_hello){.name = "tls.example.com", .padding = 5000}),
	       size, at;
	static const size_t sizes[] = {100, 536, 1400};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_filter(some, ARRAY_SIZE(some));
		pin("tls.example.com", NET_PEER + 5);
		ck_assert(connects(NET_PEER + 5, 443));
		forget_output();
		for (at = 0; at < length; at += sizes[i])
			say(NET_PEER + 5, 443, hello_bytes, at, min_u64(sizes[i], length - at), 0);
		size = max_u64(sizes[i], 536);
		ck_assert_uint_eq(said_length, length);
		ck_assert_mem_eq(said, hello_bytes, length);
		ck_assert_uint_eq(peer_got.count, (length + size - 1) / size);
		end_filter();
	}
}
END_TEST

START_TEST(first_bytes_are_bounded_in_bytes)
{
	size_t at;

	begin_filter(some, ARRAY_SIZE(some));
	pin("web.example.com", NET_PEER + 7);
	/* A header without end: it is told by nothing but its length. */
	memset(hello_bytes, 'a', sizeof(hello_bytes));
	memcpy(hello_bytes, "GET / HTTP/1.1\r\nX: ", 19);
	ck_assert(connects(NET_PEER + 7, 8000));
	for (at = 0; at + 1000 < TLS_PEEK_MAX; at += 1000)
		say(NET_PEER + 7, 8000, hello_bytes, at, 1000, 0);
	ck_assert_uint_eq(stats_of_filter().peeks, 1);
	say(NET_PEER + 7, 8000, hello_bytes, at, 1000, 0);
	ck_assert_uint_eq(stats_of_filter().peeks, 0);
	ck_assert_uint_eq(said_length, 0);
	ck_assert(peer_got.frame.tcp_flags & TCP_RST);
	end_filter();
}
END_TEST

START_TEST(held_connections_are_bounded)
{
	struct net_segment segment = out_segment(NET_PEER + 5, 443);
	unsigned i;

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", NET_PEER + 5);
	for (i = 0; i < 400; i++) {
		segment.source_port = (uint16_t)(1000 + i);
		send_tcp(segment);
	}
	ck_assert_uint_eq(stats_of_filter().peeks, FILTER_PEEKS);
	ck_assert_uint_eq(peer_got.count, FILTER_PEEKS);
	ck_assert_uint_eq(guest_got.count, 400 - FILTER_PEEKS);
	now += 30 * SECOND;
	filter_expire(filter, now);
	ck_assert_uint_eq(stats_of_filter().peeks, 0);
	send_tcp(segment);
	ck_assert_uint_eq(stats_of_filter().peeks, 1);
	end_filter();
}
END_TEST

START_TEST(an_http_rule_checks_the_host)
{
	static const char good[] = "GET /a HTTP/1.1\r\nHost: web.example.com:8000\r\n\r\n";
	static const char other[] = "GET /a HTTP/1.1\r\nHost: evil.example.com\r\n\r\n";
	static const char port[] = "GET /a HTTP/1.1\r\nHost: web.example.com:80\r\n\r\n";
	static const char tunnel[] = "CONNECT web.example.com:8000 HTTP/1.1\r\n"
				     "Host: web.example.com:8000\r\n\r\n";

	begin_filter(some, ARRAY_SIZE(some));
	pin("web.example.com", NET_PEER + 7);
	ck_assert(!heard(NET_PEER + 7, 8000, other, sizeof(other) - 1));
	ck_assert(!heard(NET_PEER + 7, 8000, port, sizeof(port) - 1));
	ck_assert(!heard(NET_PEER + 7, 8000, tunnel, sizeof(tunnel) - 1));
	ck_assert(heard(NET_PEER + 7, 8000, good, sizeof(good) - 1));
	ck_assert_str_eq(logged[0], "allow web.example.com");
	end_filter();
}
END_TEST

/* --- floods --------------------------------------------------------------------------------------
 */

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
	snprintf(sum, sizeof(sum), "flow-end 7 more: end=dropped out=%u in=0", 4 * 7);
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

UNIT_MAIN("net_filter", arp_is_answered_by_us, the_router_answers_pings_and_refuses_the_rest,
	  another_source_is_dropped, the_card_may_get_another_address,
	  an_allowed_connection_lives_and_is_logged, a_forbidden_connection_is_reset_at_once,
	  segments_of_no_connection_are_reset,
	  a_reset_ends_a_connection_and_a_port_may_be_used_again,
	  a_refusal_by_the_peer_is_understood,
	  a_syn_that_comes_again_is_sent_on_where_it_may_be_lost,
	  a_syn_that_crosses_the_answer_ends_nothing, data_in_front_of_the_handshake_is_refused,
	  only_published_ports_are_reached_from_outside, a_published_connection_lives_and_ends,
	  a_client_may_use_its_port_again, a_published_port_opens_nothing_else,
	  published_datagrams_come_and_are_answered, a_flood_at_a_published_port_is_bounded,
	  a_log_that_takes_nothing_stops_new_flows, a_changed_policy_ends_flows,
	  datagrams_pass_by_rule_and_come_back, echoes_are_small_and_seldom,
	  a_name_opens_what_was_answered_for_it, other_names_do_not_exist,
	  private_answers_are_stripped, a_resolver_that_flips_opens_public_addresses_only,
	  the_name_host_is_the_monitors_own, questions_are_bounded_in_rate_and_number,
	  late_and_unknown_answers_are_nothing, a_tls_rule_lets_its_name_through,
	  a_name_split_at_every_byte_is_read, other_names_and_none_are_refused,
	  what_is_sent_twice_must_be_the_same, a_peer_that_speaks_first_is_heard,
	  endless_first_bytes_are_refused, only_fresh_bytes_are_held,
	  held_bytes_go_on_in_segments_of_the_guests_size, first_bytes_are_bounded_in_bytes,
	  held_connections_are_bounded, an_http_rule_checks_the_host, the_first_rule_counts,
	  a_card_that_is_reset_has_a_bounded_log, the_card_is_usable_after_floods)
