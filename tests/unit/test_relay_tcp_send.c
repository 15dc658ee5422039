/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint of the relay: what it sends, and what it does when the guest drops some of it. */
#include "tests/unit/relay_tcp_common.h"

static uint64_t retransmitted(void)
{
	struct tcp_counts counts;

	tcp_counts(talk.tcp, &counts);
	return counts.retransmitted;
}

START_TEST(bytes_leave_in_segments)
{
	talk_open();
	ck_assert_uint_eq(talk_write(2500), 2500);
	ck_assert_uint_eq(wire.count, 3);
	ck_assert_uint_eq(wire.sent[0].flags, TCP_ACK);
	ck_assert_uint_eq(wire.sent[0].length, 1000);
	ck_assert_uint_eq(wire.sent[2].sequence, OURS(2000));
	ck_assert_uint_eq(wire.sent[2].length, 500);
	ck_assert_uint_eq(wire.sent[2].flags, TCP_ACK | TCP_PSH);
	ck_assert_uint_eq(wire.sent[2].gso_size, 0);
	talk_acknowledge(OURS(2500));
	talk_silent();
	ck_assert_uint_eq(talk.memory.used, 0);
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

START_TEST(a_card_with_tso_gets_large_segments)
{
	talk.config.gso = TCP_LIMIT_GSO;
	talk.window = UINT16_MAX;
	talk_open();
	talk_write(70000);
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.sent[0].length, 65000); /* whole packets while there is more */
	ck_assert_uint_eq(wire.sent[0].gso_size, 1000);
	talk_acknowledge(OURS(65000));
	ck_assert_uint_eq(wire.sent[0].length, 5000);
	ck_assert_uint_eq(wire.sent[0].gso_size, 1000);
	talk_acknowledge(OURS(70000));
	talk_write(1000);
	ck_assert_uint_eq(wire.sent[0].gso_size, 0); /* fits into one packet */
}
END_TEST

START_TEST(a_tiny_or_huge_mss_is_bounded)
{
	struct tcp_segment syn = {.sequence = S1, .flags = TCP_SYN, .window = 60000, .mss = 1};

	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, ISN), 0);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_acknowledge(OURS(0));
	talk_write(5000);
	ck_assert_uint_eq(wire.sent[0].length, TCP_LIMIT_MSS_MIN);
	tcp_destroy(talk.tcp);
	talk_setup();
	syn.mss = UINT16_MAX;
	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, ISN), 0);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_acknowledge(OURS(0));
	talk_write(5000);
	ck_assert_uint_eq(wire.sent[0].length, talk.config.mss);
}
END_TEST

START_TEST(a_full_buffer_takes_no_more)
{
	uint8_t *to;
	size_t room;

	talk.config.send = 5000; /* rounded down */
	talk.window = 0;
	talk_open();
	ck_assert_uint_eq(talk_write(3000), 3000);
	ck_assert_uint_eq(talk_write(3000), 1096);
	ck_assert_uint_eq(talk_write(1), 0);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN);
	talk.window = 3000;
	talk_acknowledge(OURS(0));
	ck_assert_uint_eq(wire.used, 3000);
	talk_acknowledge(OURS(3000));
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_WRITABLE);
	to = tcp_reserve(talk.tcp, 10000, &room); /* without a copy */
	ck_assert_uint_eq(room, 3000);
	memset(to, 'r', 3);
	tcp_commit(talk.tcp, 3);
	wire_clear(&wire);
	talk_acknowledge(OURS(4096));
	ck_assert_uint_eq(wire.sent[0].length, 3);
	ck_assert_mem_eq(wire.sent[0].data, "rrr", 3);
}
END_TEST

START_TEST(bytes_written_before_the_handshake_follow_it)
{
	talk_syn();
	ck_assert_uint_eq(talk_write(700), 700);
	talk_silent();
	tcp_accept(talk.tcp, talk.now_ns);
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	talk_acknowledge(OURS(0));
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.sent[0].length, 700);
}
END_TEST

START_TEST(the_window_of_the_guest_is_kept)
{
	talk.window = 1500;
	talk_open();
	talk_write(10000);
	ck_assert_uint_eq(wire.used, 1000); /* 500 more would be a silly segment */
	talk_acknowledge(OURS(1000));
	ck_assert_uint_eq(wire.used, 1000);
	talk.window = 0;
	talk_acknowledge(OURS(2000));
	talk_silent();
	talk.window = 2000;
	talk_bare(TCP_ACK, GUEST(0) - 1, OURS(2000)); /* an old segment opens nothing */
	ck_assert_uint_eq(wire.used, 0);
	talk_acknowledge(OURS(2000));
	ck_assert_uint_eq(wire.used, 2000);
}
END_TEST

START_TEST(a_closed_window_is_probed)
{
	uint64_t before, wait = 0;
	unsigned i;

	talk.window = 0;
	talk_open();
	talk_write(5000);
	talk_silent();
	for (i = 0; i < 5 * TCP_LIMIT_RETRIES; i++) { /* for as long as the guest answers */
		before = talk.now_ns;
		talk_tick();
		ck_assert_uint_ge(talk.now_ns - before, wait);
		wait = talk.now_ns - before;
		ck_assert_uint_eq(wire.used, 1);
		talk_sent(TCP_ACK, OURS(0), GUEST(0));
		talk_acknowledge(OURS(0));
		talk_silent();
	}
	ck_assert_uint_eq(wait, TCP_LIMIT_RTO_MAX_NS);
	talk_text(GUEST(0), "ours"); /* its ACK has a number that the guest takes */
	talk_sent(TCP_ACK, OURS(0), GUEST(4));
	talk.window = 60000;
	talk_acknowledge(OURS(0));
	ck_assert_uint_eq(wire.used, 5000);
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(0));
}
END_TEST

START_TEST(a_guest_that_takes_a_probe_goes_on)
{
	talk.window = 0;
	talk_open();
	talk_write(1500);
	talk_tick();
	talk_acknowledge(OURS(1));
	talk_silent();
	talk.window = 60000;
	talk_acknowledge(OURS(1));
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(1));
	ck_assert_uint_eq(wire.used, 1499);
}
END_TEST

START_TEST(an_unanswered_probe_is_given_up)
{
	unsigned i;

	talk.window = 0;
	talk_open();
	talk_write(100);
	for (i = 0; i < TCP_LIMIT_RETRIES; i++) {
		talk_tick();
		ck_assert_uint_eq(wire.used, 1);
	}
	talk_tick();
	ck_assert_uint_eq(wire.sent[0].flags, TCP_RST | TCP_ACK);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_TIMEOUT);
}
END_TEST

START_TEST(a_dropped_segment_is_sent_again)
{
	talk_open();
	talk_write(3000);
	talk_tick();
	ck_assert_uint_eq(wire.count, 1); /* one at a time until the guest has caught up */
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(0));
	ck_assert_uint_eq(wire.sent[0].length, 1000);
	talk_acknowledge(OURS(1000));
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(1000));
	talk_write(2000);
	talk_silent();
	talk_acknowledge(OURS(3000)); /* it had the third one */
	ck_assert_uint_eq(wire.count, 2);
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(3000));
	ck_assert_uint_eq(retransmitted(), 2);
}
END_TEST

START_TEST(three_duplicate_acks_are_enough)
{
	unsigned i;

	talk_open();
	talk_write(5000);
	for (i = 0; i < TCP_LIMIT_DUPLICATES - 1; i++) {
		talk_acknowledge(OURS(0));
		talk_silent();
	}
	talk_acknowledge(OURS(0));
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(0));
	talk_acknowledge(OURS(0)); /* further ones start nothing */
	talk_acknowledge(OURS(0));
	talk_acknowledge(OURS(0));
	talk_acknowledge(OURS(0));
	talk_silent();
	ck_assert_uint_eq(retransmitted(), 1);
	talk_acknowledge(OURS(5000));
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

START_TEST(window_updates_are_no_duplicates)
{
	unsigned i;

	talk_open();
	talk_write(5000);
	for (i = 0; i < 10; i++) {
		talk.window++;
		talk_acknowledge(OURS(0));
	}
	for (i = 0; i < 10; i++)
		talk_text(GUEST(i), "d"); /* nor is data */
	ck_assert_uint_eq(retransmitted(), 0);
}
END_TEST

START_TEST(a_guest_that_is_gone_is_given_up)
{
	uint64_t begun = talk.now_ns, before, wait = 0;
	unsigned i;

	talk_open();
	talk_text(GUEST(0), "unread");
	talk_write(3000);
	for (i = 0; i < TCP_LIMIT_RETRIES; i++) {
		before = talk.now_ns;
		talk_tick();
		ck_assert_uint_ge(talk.now_ns - before, wait);
		wait = talk.now_ns - before;
		ck_assert_uint_eq(wire.count, 1);
	}
	talk_tick();
	ck_assert_uint_eq(wire.sent[0].flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_CLOSED);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_TIMEOUT);
	ck_assert_uint_gt(talk.now_ns - begun, 60000 * MS);
	ck_assert_uint_lt(talk.now_ns - begun, 180000 * MS);
	ck_assert_uint_eq(talk.memory.used, 0);
}
END_TEST

START_TEST(the_time_out_follows_the_round_trip)
{
	unsigned i;
	uint64_t sent;

	talk_open();
	for (i = 0; i < 50; i++) {
		talk_write(100);
		talk.now_ns += 400 * MS;
		talk_acknowledge(OURS(100 * (i + 1)));
	}
	talk_write(100);
	sent = talk.now_ns;
	ck_assert_uint_ge(tcp_deadline(talk.tcp) - sent, 400 * MS);
	ck_assert_uint_lt(tcp_deadline(talk.tcp) - sent, 450 * MS);
	for (; i < 150; i++) {
		talk_acknowledge(OURS(100 * (i + 1)));
		talk_write(100);
	}
	ck_assert_uint_eq(tcp_deadline(talk.tcp) - talk.now_ns, TCP_LIMIT_RTO_MIN_NS);
	/* Of a segment that was sent twice nothing is learnt (Karn). */
	talk_tick();
	talk.now_ns += 100000 * MS;
	talk_acknowledge(OURS(100 * (i + 1)));
	talk_write(100);
	ck_assert_uint_eq(tcp_deadline(talk.tcp) - talk.now_ns, TCP_LIMIT_RTO_MIN_NS);
}
END_TEST

START_TEST(a_guest_that_takes_its_window_back_is_survived)
{
	talk_open();
	talk_write(5000);
	talk.window = 0;
	talk_acknowledge(OURS(1000));
	talk_silent();
	talk_tick();
	ck_assert_uint_eq(wire.used, 1);
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(1000));
	talk.window = 10000;
	talk_acknowledge(OURS(1000));
	ck_assert_uint_eq(wire.sent[0].sequence, OURS(1000));
	talk_acknowledge(OURS(5000));
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

UNIT_MAIN_WITH(talk_setup, "relay_tcp_send", bytes_leave_in_segments,
	       a_card_with_tso_gets_large_segments, a_tiny_or_huge_mss_is_bounded,
	       a_full_buffer_takes_no_more, bytes_written_before_the_handshake_follow_it,
	       the_window_of_the_guest_is_kept, a_closed_window_is_probed,
	       a_guest_that_takes_a_probe_goes_on, an_unanswered_probe_is_given_up,
	       a_dropped_segment_is_sent_again, three_duplicate_acks_are_enough,
	       window_updates_are_no_duplicates, a_guest_that_is_gone_is_given_up,
	       the_time_out_follows_the_round_trip, a_guest_that_takes_its_window_back_is_survived)
