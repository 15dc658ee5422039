/* SPDX-License-Identifier: Apache-2.0 */
/* 'ask' rules: what is held, for how long, and what the decision does. */
#include "tests/support/net_filter_host.h"
#include "tests/unit/net_ask_common.h"

static size_t datagram(const char *payload, uint16_t from)
{
	struct net_segment segment = out_segment(NET_PEER, 123);

	segment.source_port = from;
	segment.payload = payload;
	segment.length = strlen(payload);
	return net_udp(bytes, &segment);
}

START_TEST(the_first_segment_waits_for_a_decision)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	ck_assert_uint_eq(peer_got.count + guest_got.count + log_count, 0);
	ck_assert_str_eq(question, "0 - 93.184.216.34:22");
	/* The same once more is no other question. */
	knock(22, 40000);
	now += 3 * SECOND;
	filter_expire(filter, now);
	knock(22, 40000);
	ck_assert_int_eq(questions, 1);
	ck_assert_uint_eq(stats_of_filter().asks, 1);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	/* Others go on meanwhile. */
	knock(80, 40001);
	ck_assert_uint_eq(peer_got.count, 1);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 2);
	ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_SYN);
	ck_assert_uint_eq(peer_got.frame.target_port, 22);
	ck_assert_uint_eq(stats_of_filter().flows, 2);
	ck_assert_uint_eq(stats_of_filter().asks, 0);
	ck_assert_str_eq(logged[1], "allow -, approved");
	/* "once": the next one opens a question again. */
	knock(22, 40002);
	ck_assert_int_eq(questions, 2);
	ck_assert_uint_eq(peer_got.count, 2);
	end_filter();
}
END_TEST

START_TEST(a_refused_connection_is_reset)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	answer(FILTER_DECLINED);
	ck_assert(was_reset());
	ck_assert_str_eq(logged[0], "deny -, declined");
	/* A late decision is ignored. */
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 0);
	forget_output();
	knock(22, 40000);
	/* It waits as long as its question is open. */
	now += UINT64_C(86400000000000);
	filter_expire(filter, now);
	ck_assert_uint_eq(guest_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().asks, 1);
	answer(FILTER_DECLINED);
	ck_assert(was_reset());
	ck_assert_str_eq(logged[0], "deny -, declined");
	ck_assert_uint_eq(peer_got.count, 0);
	end_filter();
}
END_TEST

START_TEST(without_an_operator_it_is_refused_at_once)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	ask_result = -ENOENT;
	knock(22, 40000);
	ck_assert(was_reset());
	ck_assert_str_eq(logged[0], "deny -, unattended");
	ask_result = -EBUSY;
	knock(22, 40000);
	ck_assert_str_eq(logged[1], "deny -, overasked");
	ask_result = -EACCES;
	knock(22, 40000);
	ck_assert_str_eq(logged[2], "deny -, unaskable");
	ck_assert_uint_eq(stats_of_filter().asks, 0);
	ck_assert_uint_eq(peer_got.count, 0);
	ask_result = 0;
	knock(22, 40000);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

START_TEST(datagrams_wait_in_order_and_in_bounds)
{
	char text[8];
	unsigned i;

	begin_filter(asks, ARRAY_SIZE(asks));
	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%c", 'a' + i);
		filter_from_guest(filter, bytes, datagram(text, 40000), false, now);
	}
	ck_assert_int_eq(questions, 1);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_FLOODED], 20 - FILTER_ASK_FRAMES);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(said_length, FILTER_ASK_FRAMES);
	ck_assert_mem_eq(said, "abcdefgh", FILTER_ASK_FRAMES);
	filter_from_guest(filter, bytes, datagram("z", 40000), false, now);
	ck_assert_uint_eq(said_length, FILTER_ASK_FRAMES + 1);
	forget_output();
	/* A refused one is reported as for datagrams, by an ICMP message. */
	filter_from_guest(filter, bytes, datagram("x", 40001), false, now);
	answer(FILTER_DECLINED);
	ck_assert_uint_eq(guest_got.bytes[FRAME_TRANSPORT], 3);
	ck_assert_uint_eq(guest_got.bytes[FRAME_TRANSPORT + 1], 13);
	ck_assert_uint_eq(said_length, 0);
	end_filter();
}
END_TEST

START_TEST(an_echo_waits)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	filter_from_guest(filter, bytes,
			  net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER, 7, 56), false,
			  now);
	ck_assert_uint_eq(peer_got.count, 0);
	ck_assert_str_eq(question, "4 - 93.184.216.34:0");
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_int_eq(peer_got.frame.icmp_type, ICMP_ECHO_REQUEST);
	end_filter();
}
END_TEST

START_TEST(what_waits_is_bounded)
{
	static char large[60000];
	unsigned i;

	begin_filter(asks, ARRAY_SIZE(asks));
	for (i = 0; i < 100; i++)
		knock(22, (uint16_t)(1000 + i));
	ck_assert_uint_eq(stats_of_filter().asks, FILTER_ASKS);
	ck_assert_uint_eq(guest_got.count, 100 - FILTER_ASKS);
	ck_assert_str_eq(logged[0], "deny -, overasked");
	knock(80, 999);
	ck_assert_uint_eq(peer_got.count, 1);
	for (i = 1; i <= FILTER_ASKS; i++)
		filter_answered(filter, i, FILTER_DECLINED, now);
	ck_assert_uint_eq(stats_of_filter().asks, 0);
	now += 60 * SECOND;
	filter_expire(filter, now); /* the flow to port 80 */
	forget_output();
	/* In bytes, too. */
	memset(large, 'x', sizeof(large) - 1);
	for (i = 0; i < 4; i++)
		filter_from_guest(filter, bytes, datagram(large, (uint16_t)(1000 + i)), false, now);
	ck_assert_uint_eq(stats_of_filter().asks, FILTER_ASK_BYTES / sizeof(large));
	filter_forget(filter);
	ck_assert_uint_eq(stats_of_filter().asks, 0);
	filter_from_guest(filter, bytes, datagram(large, 1000), false, now);
	ck_assert_uint_eq(stats_of_filter().asks, 1);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	end_filter();
}
END_TEST

/* A SYN that has options, and so is longer than the one before. */
static void knock_longer(uint16_t from, uint32_t sequence)
{
	struct net_segment segment = out_segment(NET_PEER, 22);
	size_t length;

	segment.source_port = from;
	segment.sequence = sequence;
	segment.payload = "\1\1\1\1";
	segment.length = 4;
	length = net_tcp(bytes, &segment);
	bytes[FRAME_TRANSPORT + 12] = 6 << 4;
	net_fix(bytes, length);
	filter_from_guest(filter, bytes, length, false, now);
}

/* There is no room for it: the first one stays. */
START_TEST(a_syn_that_can_not_be_held_leaves_the_one_before)
{
	static char large[50000];
	const size_t headers = FRAME_TRANSPORT + FRAME_UDP;
	size_t left = FILTER_ASK_BYTES - (FRAME_TRANSPORT + FRAME_TCP), size;
	uint16_t from = 2000;
	unsigned round;

	memset(large, 'x', sizeof(large) - 1);
	for (round = 0; round < 3; round++) {
		begin_filter(asks, ARRAY_SIZE(asks));
		knock(22, 40000);
		for (size = left; size > 0; size -= min_u64(size, sizeof(large) - 1 + headers)) {
			large[min_u64(size, sizeof(large) - 1 + headers) - headers] = '\0';
			filter_from_guest(filter, bytes, datagram(large, from++), false, now);
			memset(large, 'x', sizeof(large) - 1);
		}
		ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_FLOODED], 0);
		questions = 1;
		knock_longer(40000, 77777);
		ck_assert_uint_eq(stats_of_filter().guest_drop[FILTER_FLOODED], 1);
		ck_assert_uint_eq(stats_of_filter().asks, 4);
		if (round == 0) {
			answer(FILTER_APPROVED);
			ck_assert_uint_eq(peer_got.frame.tcp_flags, TCP_SYN);
			ck_assert_uint_eq(peer_got.frame.sequence, 1000);
		} else if (round == 1) {
			answer(FILTER_DECLINED);
			ck_assert(was_reset());
		} else {
			filter_forget(filter);
			ck_assert_uint_eq(stats_of_filter().asks, 0);
		}
		end_filter();
	}
	/* With room the last one counts, and the same once more is nothing new. */
	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	knock_longer(40000, 77777);
	knock(22, 40000);
	knock_longer(40000, 88888);
	knock_longer(40000, 88888);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_uint_eq(peer_got.frame.sequence, 88888);
	end_filter();
}
END_TEST

/* The other end begins a connection at the same ports, to a published one. */
START_TEST(what_comes_in_meanwhile_is_no_second_flow)
{
	struct net_segment segment = out_segment(NET_PEER, 22);

	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 8080);
	segment.source_port = 8080;
	segment.sequence = 7000;
	receive_tcp(segment);
	ck_assert_uint_eq(guest_got.count, 1);
	ck_assert_uint_eq(taken_back, 1);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(stats_of_filter().asks, 0);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	ck_assert_uint_eq(peer_got.count, 0);
	/* What waits at other ports goes on. */
	knock(22, 8081);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(stats_of_filter().flows, 2);
	end_filter();
}
END_TEST

START_TEST(one_decision_holds_for_all_that_wait)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	questions = 0; /* the operator's side knows it is the same */
	knock(22, 40001);
	ck_assert_int_eq(questions, 1);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 2);
	ck_assert_uint_eq(stats_of_filter().flows, 2);
	end_filter();
}
END_TEST

UNIT_MAIN("net_ask", the_first_segment_waits_for_a_decision, a_refused_connection_is_reset,
	  without_an_operator_it_is_refused_at_once, datagrams_wait_in_order_and_in_bounds,
	  an_echo_waits, what_waits_is_bounded, a_syn_that_can_not_be_held_leaves_the_one_before,
	  what_comes_in_meanwhile_is_no_second_flow, one_decision_holds_for_all_that_wait)
