/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports that are used again. The backend here is one that may not have taken an end for one: what
 * the guest says on a connection that it has made up must not reach the one that is still there.
 * Each attack has a client beside it that does the same honestly.
 */
#include "tests/support/net_filter_host.h"

#define SERVER (NET_PEER + 5)
#define FIRST  1001u /* the number of the first byte of the first connection */

static void from_guest(uint32_t sequence, uint8_t flags, const void *data, size_t length)
{
	struct net_segment segment = out_segment(SERVER, 443);

	segment.sequence = sequence;
	segment.flags = flags;
	segment.acknowledged = 5001;
	segment.payload = data;
	segment.length = length;
	send_tcp(segment);
}

static void from_peer(uint32_t sequence, uint8_t flags, uint32_t acknowledged, const char *text)
{
	struct net_segment segment = out_segment(SERVER, 443);

	segment.sequence = sequence;
	segment.flags = flags;
	segment.acknowledged = acknowledged;
	segment.payload = text;
	segment.length = strlen(text);
	receive_tcp(segment);
}

static void begin_tls(void)
{
	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", SERVER);
	ck_assert(connects(SERVER, 443));
	forget_output();
}

/* The guest says a permitted name from just before FIRST on, and another one behind it. */
static void say_both(void)
{
	size_t length = hello("tls.example.com");

	from_guest(FIRST - (uint32_t)length, TCP_ACK, hello_bytes, length);
	length = hello("evil.example.com");
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
}

/* A new connection whose first bytes would be old ones of the first connection. */
static void attack(void)
{
	from_guest(FIRST - (uint32_t)hello("tls.example.com") - 1, TCP_SYN, NULL, 0);
	say_both();
	/* The backend's old connection tells where it is. */
	from_peer(5001, TCP_ACK, FIRST, "");
	say_both();
	ck_assert_uint_eq(said_length, 0);
}

/* The same ports again, of a backend that has begun a new connection. */
static void honest(void)
{
	size_t length = hello("tls.example.com");
	struct net_segment segment = out_segment(SERVER, 443);

	forget_output();
	segment.sequence = 70000;
	send_tcp(segment);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_SYN);
	from_peer(90000, TCP_SYN | TCP_ACK, 70001, "");
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_SYN | TCP_ACK);
	from_guest(70001, TCP_ACK, hello_bytes, length);
	ck_assert_uint_eq(said_length, length);
	ck_assert_mem_eq(said, hello_bytes, length);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
}

/* Tells the guest at which number it is, and passes nothing. */
static bool was_challenged(void)
{
	return guest_got.frame.tcp_flags == TCP_ACK && guest_got.frame.acknowledged == FIRST &&
	       guest_got.frame.sequence == 5001 && peer_got.count == 0;
}

START_TEST(a_syn_on_a_live_connection_is_answered_by_us)
{
	begin_tls();
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert(was_challenged());
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_IN_USE], 1);
	ck_assert_uint_eq(log_count, 0);
	/* Data, or what looks like an answer, does not make it valid. */
	from_guest(70000, TCP_SYN, "early", 5);
	from_guest(70000, TCP_SYN | TCP_ACK, NULL, 0);
	from_guest(70000, TCP_SYN | TCP_ACK, "early", 5);
	ck_assert_uint_eq(peer_got.count, 0);
	/* A guest that has lost the connection resets it, and may begin anew. */
	from_guest(FIRST, TCP_RST, NULL, 0);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_RST);
	ck_assert_uint_eq(peer_got.frame.sequence, FIRST);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	honest();
	end_filter();
	/* One that has not makes up bytes that went before: the others are looked at. */
	begin_tls();
	attack();
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_str_eq(logged[0], "deny evil.example.com");
	honest();
	end_filter();
}
END_TEST

/* The backend may not have listened to the reset. */
START_TEST(after_a_reset_a_connection_begins_with_the_answer)
{
	begin_tls();
	from_guest(FIRST, TCP_RST, NULL, 0);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	attack();
	/* Nor does an answer to another SYN, or to none, begin it. */
	from_peer(5000, TCP_SYN | TCP_ACK, FIRST, "");
	say_both();
	from_peer(5001, TCP_ACK, FIRST, "bytes of the old one");
	say_both();
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_eq(guest_got.frame.payload_length, 0);
	/* The caller resets what it does not know. */
	from_guest(FIRST, TCP_RST, NULL, 0);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	honest();
	end_filter();
}
END_TEST

START_TEST(a_reset_out_of_the_window_is_ignored)
{
	static const uint32_t far[] = {FIRST - 1, FIRST + 1, FIRST + 100000, FIRST + 0x80000000u};
	size_t i;

	begin_tls();
	for (i = 0; i < ARRAY_SIZE(far); i++)
		from_guest(far[i], TCP_RST, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], ARRAY_SIZE(far));
	from_peer(4000, TCP_RST, 0, "");
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_OUT_OF_PLACE], 1);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert(was_challenged());
	/* The peer's own, in its window: it has ended. */
	from_peer(5001, TCP_RST, 0, "");
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	honest();
	end_filter();
}
END_TEST

/* What a reset carries is not looked at, and does not leave. */
START_TEST(a_reset_takes_nothing_along)
{
	size_t length = hello("tls.example.com");

	begin_tls();
	from_guest(FIRST, TCP_ACK, hello_bytes, 50); /* is held, and acknowledged by us */
	ck_assert_uint_eq(guest_got.frame.acknowledged, FIRST + 50);
	from_guest(FIRST + 50, TCP_RST, "secret", 6);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_RST);
	ck_assert_uint_eq(peer_got.frame.sequence, FIRST); /* as far as the peer knows */
	ck_assert_uint_eq(said_length, 0);
	honest();
	ck_assert_uint_eq(said_length, length);
	end_filter();
}
END_TEST

/* FINs that the backend does not take: ahead of the stream, before its end, over other bytes. */
START_TEST(a_forged_end_is_ignored)
{
	size_t length = hello("tls.example.com");

	begin_tls();
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
	from_guest(FIRST + (uint32_t)length - 1, TCP_ACK | TCP_FIN, NULL, 0);
	from_guest(FIRST + (uint32_t)length - 1, TCP_ACK | TCP_FIN, "", 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], 2);
	from_peer(5001, TCP_ACK | TCP_FIN, FIRST + (uint32_t)length, "");
	from_guest(FIRST + (uint32_t)length, TCP_ACK, NULL, 0);
	forget_output();
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	/* One that is ahead counts, but has not come when less is acknowledged. */
	from_guest(FIRST + (uint32_t)length + 100, TCP_ACK | TCP_FIN, NULL, 0);
	forget_output();
	from_peer(5002, TCP_ACK, FIRST + (uint32_t)length, "");
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_ACK);
	/* And nothing goes past it, by which the number could be reached all the same. */
	from_guest(FIRST + (uint32_t)length, TCP_ACK, hello_bytes, 101);
	from_guest(FIRST + (uint32_t)length, TCP_ACK | TCP_FIN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	from_guest(FIRST + (uint32_t)length, TCP_ACK, hello_bytes, 100);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	end_filter();
}
END_TEST

/* Numbers far from what the peer has acknowledged would turn "behind" into "before". */
START_TEST(numbers_out_of_any_window_do_not_pass)
{
	size_t length = hello("tls.example.com");
	unsigned step;

	begin_tls();
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
	forget_output();
	for (step = 1; step < 4; step++)
		from_guest(FIRST + step * 0x3fffffffu, TCP_ACK, "x", 1);
	ck_assert_uint_eq(peer_got.count, 1); /* the first one is within the largest window */
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], 2);
	from_guest(FIRST + (uint32_t)length, TCP_ACK | TCP_FIN, NULL, 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], 3);
	end_filter();
}
END_TEST

START_TEST(after_both_ends_have_closed_the_ports_are_free)
{
	size_t length = hello("tls.example.com");
	uint32_t at = FIRST + (uint32_t)length;

	begin_tls();
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
	from_peer(5001, TCP_ACK, at, "");
	from_guest(at, TCP_ACK | TCP_FIN, NULL, 0);
	from_guest(at, TCP_ACK | TCP_FIN, NULL, 0); /* once more: the acknowledgement was lost */
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], 0);
	from_peer(5001, TCP_ACK, at + 1, "");
	/* Half of it: the peer may still speak. */
	forget_output();
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	from_peer(5001, TCP_ACK | TCP_FIN, at + 1, "bye");
	ck_assert_uint_eq(guest_got.frame.payload_length, 3);
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	{
		struct net_segment segment = out_segment(SERVER, 443);

		segment.flags = TCP_ACK;
		segment.sequence = at + 1;
		segment.acknowledged = 5005;
		send_tcp(segment);
	}
	honest();
	ck_assert_ptr_nonnull(strstr(logged[0], "flow-end"));
	end_filter();
}
END_TEST

/* The filter ends a connection by itself: the backend gets a reset. */
START_TEST(what_the_filter_gives_up_is_reset_outside)
{
	unsigned way;

	for (way = 0; way < 4; way++) {
		begin_tls();
		if (way == 0) {
			now += 31 * SECOND;
			filter_expire(filter, now);
		} else if (way == 1) {
			rule_count = 0;
			filter_policy_changed(filter, now);
			rule_count = ARRAY_SIZE(some);
		} else if (way == 2) {
			filter_forget(filter);
			pin("tls.example.com", SERVER);
		}
		if (way < 3) {
			ck_assert_uint_eq(stats_of_filter().flows, 0);
			attack();
		}
		if (way == 2) /* there, one more question went out */
			from_guest(FIRST, TCP_RST, NULL, 0);
		if (way < 2) {
			ck_assert_uint_eq(stats_of_filter().flows, 1);
			from_guest(FIRST, TCP_RST, NULL, 0);
		}
		if (way < 3)
			honest();
		forget_output();
		end_filter();
		/* The last one is that of what was open to the end. */
		ck_assert_uint_eq(peer_got.count, 1);
		ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_RST | TCP_ACK);
		ck_assert_uint_eq(peer_got.frame.sequence, way < 3 ? 70001 : FIRST);
	}
	/* Not what has ended by itself. */
	begin_tls();
	from_peer(5001, TCP_RST, 0, "");
	forget_output();
	end_filter();
	ck_assert_uint_eq(peer_got.count, 0);
}
END_TEST

START_TEST(nothing_is_sent_before_the_answer)
{
	size_t length = hello("tls.example.com");

	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", SERVER);
	send_tcp(out_segment(SERVER, 443));
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
	from_guest(FIRST, TCP_ACK | TCP_FIN, NULL, 0);
	from_guest(FIRST, TCP_ACK, NULL, 0);
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(stats_of_filter().peeks, 1);
	/* The caller has given up and begins anew, with another number: it has to reset the first.
	 */
	from_guest(70000, TCP_SYN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_ACK);
	ck_assert_uint_eq(guest_got.frame.acknowledged, FIRST);
	from_guest(FIRST, TCP_RST, NULL, 0);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_RST);
	honest();
	end_filter();
}
END_TEST

/* A reset of an old connection crosses the SYN of a new one. */
START_TEST(a_refusal_of_another_connection_is_ignored)
{
	begin_filter(some, ARRAY_SIZE(some));
	pin("tls.example.com", SERVER);
	send_tcp(out_segment(SERVER, 443));
	from_peer(0, TCP_RST | TCP_ACK, FIRST + 5, "");
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	ck_assert_uint_eq(guest_got.count, 0);
	from_peer(0, TCP_RST | TCP_ACK, FIRST, "");
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	ck_assert_uint_eq(guest_got.count, 1);
	honest();
	end_filter();
}
END_TEST

/*
 * An acknowledgement is numbered behind a FIN that was lost, or that another queue has still: the
 * FIN counts when it comes.
 */
START_TEST(an_end_counts_after_the_data_before_it)
{
	size_t length = hello("tls.example.com");
	uint32_t at = FIRST + (uint32_t)length;
	struct net_segment last = out_segment(SERVER, 443);

	begin_tls();
	from_guest(FIRST, TCP_ACK, hello_bytes, length);
	from_peer(5001, TCP_ACK, at, "");
	forget_output();
	from_guest(at + 1, TCP_ACK, NULL, 0);
	from_guest(at, TCP_ACK | TCP_FIN, NULL, 0);
	ck_assert_uint_eq(peer_got.count, 2);
	from_peer(5002, TCP_ACK, at + 1, "");
	from_peer(5001, TCP_ACK | TCP_FIN, at + 1, "");
	last.flags = TCP_ACK;
	last.sequence = at + 1;
	last.acknowledged = 5002;
	send_tcp(last);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE], 0);
	ck_assert_uint_eq(stats_of_filter().peer_drop[FILTER_OUT_OF_PLACE], 0);
	honest();
	end_filter();
}
END_TEST

/* A network may deliver the SYN once more when the connection has begun. */
START_TEST(a_syn_from_outside_that_comes_twice_ends_nothing)
{
	struct net_segment call = out_segment(SERVER, 50000), answer;

	begin_filter(some, ARRAY_SIZE(some));
	call.source_port = 8080;
	receive_tcp(call);
	answer = call;
	answer.flags = TCP_SYN | TCP_ACK;
	answer.sequence = 7000;
	answer.acknowledged = 1001;
	send_tcp(answer);
	call.flags = TCP_ACK;
	call.sequence = 1001;
	call.acknowledged = 7001;
	receive_tcp(call);
	forget_output();
	call.flags = TCP_SYN;
	call.sequence = 1000;
	receive_tcp(call);
	ck_assert_uint_eq(guest_got.count, 0);
	answer.flags = TCP_ACK;
	answer.sequence = 7001;
	answer.payload = "hello";
	answer.length = 5;
	send_tcp(answer);
	ck_assert_uint_eq(said_length, 5);
	ck_assert_uint_eq(log_count, 0);
	/* Another one begins anew. */
	call.sequence = 70000;
	receive_tcp(call);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_SYN);
	ck_assert_ptr_nonnull(strstr(logged[0], "flow-end"));
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	end_filter();
}
END_TEST

UNIT_MAIN("net_reuse", an_end_counts_after_the_data_before_it,
	  a_syn_from_outside_that_comes_twice_ends_nothing,
	  a_syn_on_a_live_connection_is_answered_by_us,
	  after_a_reset_a_connection_begins_with_the_answer, a_reset_out_of_the_window_is_ignored,
	  a_reset_takes_nothing_along, a_forged_end_is_ignored,
	  numbers_out_of_any_window_do_not_pass, after_both_ends_have_closed_the_ports_are_free,
	  what_the_filter_gives_up_is_reset_outside, nothing_is_sent_before_the_answer,
	  a_refusal_of_another_connection_is_ignored)
