/* SPDX-License-Identifier: Apache-2.0 */
/* The filter reads the first bytes of TLS and HTTP. */
#include <malloc.h>

#include "tests/support/net_filter_host.h"
#include "tests/unit/net_filter_common.h"

/* --- TLS and HTTP ----------------------------------------------------------------------------- */

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
		/* Each is acknowledged, or the guest would send no more than a window. */
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
	ck_assert_str_eq(logged[0], "flow-refused tls 93.184.216.39:443 cdn.example.com: "
				    "no DNS reply gave this address for the name");
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

START_TEST(data_sent_twice_must_be_equal)
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

START_TEST(a_peer_may_send_first)
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
	/* A header without end is recognised by its length alone. */
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

UNIT_MAIN("net_filter_peek", a_tls_rule_lets_its_name_through, a_name_split_at_every_byte_is_read,
	  other_names_and_none_are_refused, data_sent_twice_must_be_equal, a_peer_may_send_first,
	  endless_first_bytes_are_refused, only_fresh_bytes_are_held,
	  held_bytes_go_on_in_segments_of_the_guests_size, first_bytes_are_bounded_in_bytes,
	  held_connections_are_bounded, an_http_rule_checks_the_host)
