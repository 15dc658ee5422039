/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint of the relay: what the guest sends, its window, and segments out of place. */
#include "tests/unit/relay_tcp_common.h"

#include <string.h>

START_TEST(bytes_arrive_in_order)
{
	talk_open();
	talk_text(GUEST(0), "one");
	talk_sent(TCP_ACK, OURS(0), GUEST(3));
	talk_text(GUEST(3), "two");
	ck_assert_uint_eq(tcp_look(talk.tcp),
			  TCP_LOOK_OPEN | TCP_LOOK_READABLE | TCP_LOOK_WRITABLE);
	talk_reads("onetwo");
	talk_reads("");
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_WRITABLE);
	ck_assert_uint_eq(talk.memory.used, 0);
}
END_TEST

START_TEST(one_ack_answers_a_batch)
{
	struct tcp_segment segment = {.sequence = GUEST(0),
				      .acknowledged = OURS(0),
				      .flags = TCP_ACK,
				      .window = 1000,
				      .data = (const uint8_t *)"ab",
				      .length = 2};

	talk_open();
	tcp_input(talk.tcp, &segment, talk.now_ns);
	segment.sequence += 2;
	tcp_input(talk.tcp, &segment, talk.now_ns);
	talk_silent();
	ck_assert_uint_eq(tcp_deadline(talk.tcp), 0);
	tcp_flush(talk.tcp, talk.now_ns);
	talk_sent(TCP_ACK, OURS(0), GUEST(4));
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
	talk_reads("abab");
}
END_TEST

static struct {
	size_t most; /* bytes that the owner takes at a time */
	unsigned calls;
	char got[64];
} owner;

static size_t owner_takes(void *arg, const uint8_t *bytes, size_t length)
{
	size_t n = min_u64(owner.most, length);

	(void)arg;
	ck_assert_uint_gt(length, 0);
	owner.calls++;
	strncat(owner.got, (const char *)bytes, n);
	return n;
}

static void open_to_owner(size_t most)
{
	owner.most = most;
	owner.calls = 0;
	owner.got[0] = 0;
	talk.config.pass = owner_takes;
	talk_open();
}

START_TEST(an_owner_takes_new_bytes_at_once)
{
	open_to_owner(1000);
	talk_text(GUEST(0), "one");
	talk_sent(TCP_ACK, OURS(0), GUEST(3));
	talk_text(GUEST(0), "XXXtwo"); /* half of it is old */
	talk_sent(TCP_ACK, OURS(0), GUEST(6));
	talk_text(GUEST(0), "YYY"); /* all of it */
	talk_text(GUEST(8), "gap");
	talk_bare(TCP_ACK | TCP_FIN, GUEST(6), OURS(0));
	talk_sent(TCP_ACK, OURS(0), GUEST(7));
	talk_text(GUEST(7), "late");
	ck_assert_str_eq(owner.got, "onetwo");
	ck_assert_uint_eq(owner.calls, 2);
	talk_reads("");
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_ENDED | TCP_LOOK_WRITABLE);
}
END_TEST

START_TEST(what_an_owner_leaves_waits_in_order)
{
	struct tcp_counts counts;

	open_to_owner(2);
	talk_text(GUEST(0), "abcde");
	talk_sent(TCP_ACK, OURS(0), GUEST(5));
	owner.most = 1000;
	talk_text(GUEST(5), "fgh"); /* behind bytes that wait */
	ck_assert_str_eq(owner.got, "ab");
	ck_assert_uint_eq(owner.calls, 1);
	talk_reads("cdefgh");
	talk_text(GUEST(8), "ij");
	ck_assert_str_eq(owner.got, "abij");
	owner.most = 0;
	talk_text(GUEST(10), "kl");
	talk_reads("kl");
	tcp_counts(talk.tcp, &counts);
	ck_assert_uint_eq(counts.received, 12);
	ck_assert_uint_eq(counts.dropped, 0);
}
END_TEST

START_TEST(an_owner_takes_no_byte_beyond_the_window)
{
	struct tcp_segment segment = {.sequence = GUEST(0),
				      .acknowledged = OURS(0),
				      .flags = TCP_ACK | TCP_FIN,
				      .window = 1000,
				      .data = (const uint8_t *)"1234567890",
				      .length = 10};

	talk.config.receive = 8;
	open_to_owner(1000);
	talk_in(&segment);
	ck_assert_str_eq(owner.got, "12345678");
	talk_sent(TCP_ACK, OURS(0), GUEST(8)); /* nor the FIN behind it */
	segment.data += 8;
	segment.length = 2;
	segment.sequence += 8;
	talk_in(&segment);
	talk_sent(TCP_ACK, OURS(0), GUEST(11));
	ck_assert_str_eq(owner.got, "1234567890");
}
END_TEST

START_TEST(the_first_bytes_win)
{
	talk_open();
	talk_text(GUEST(0), "first");
	talk_text(GUEST(0), "other"); /* resent with other bytes */
	talk_sent(TCP_ACK, OURS(0), GUEST(5));
	talk_text(GUEST(2), "XXXnew"); /* an overlap */
	talk_text(GUEST(0), "YYYYYYYY");
	talk_text(S1, "Zfirstnew!"); /* from before the first byte */
	talk_reads("firstnew!");
	talk_text(GUEST(0), "ZZZZZZZZZZ?"); /* also once they are consumed */
	talk_reads("Z?");
}
END_TEST

START_TEST(bytes_behind_a_gap_are_dropped)
{
	struct tcp_counts counts;

	talk_open();
	talk_text(GUEST(3), "later");
	talk_sent(TCP_ACK, OURS(0), GUEST(0)); /* at once, one each: the guest counts them */
	talk_text(GUEST(4), "later");
	talk_sent(TCP_ACK, OURS(0), GUEST(0));
	talk_reads("");
	talk_text(GUEST(0), "abc");
	talk_text(GUEST(3), "d");
	talk_reads("abcd");
	tcp_counts(talk.tcp, &counts);
	ck_assert_uint_eq(counts.received, 4);
	ck_assert_uint_eq(counts.dropped, 10);
}
END_TEST

START_TEST(sequence_numbers_wrap)
{
	struct tcp_segment syn = {.sequence = UINT32_MAX - 1, .flags = TCP_SYN, .window = 1000};

	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, UINT32_MAX), 0);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_sent(TCP_SYN | TCP_ACK, UINT32_MAX, UINT32_MAX);
	talk_bare(TCP_ACK, UINT32_MAX, 0);
	ck_assert_uint_eq(talk_write(3), 3);
	ck_assert_uint_eq(wire.sent[0].sequence, 0);
	talk.config.mss = 1000;
	struct tcp_segment data = {.sequence = UINT32_MAX,
				   .acknowledged = 3,
				   .flags = TCP_ACK,
				   .window = 1000,
				   .data = (const uint8_t *)"wrapped",
				   .length = 7};
	talk_in(&data);
	talk_sent(TCP_ACK, 3, 6);
	talk_reads("wrapped");
}
END_TEST

START_TEST(the_window_closes_and_opens)
{
	size_t length;

	talk.config.receive = 4096;
	talk_open();
	talk_bulk(0, 3000);
	ck_assert_uint_eq(wire_last(&wire)->window, 1096);
	talk_bulk(3000, 2000); /* 904 beyond it */
	ck_assert_uint_eq(wire_last(&wire)->acknowledged, GUEST(4096));
	ck_assert_uint_eq(wire_last(&wire)->window, 0);
	talk_bulk(4096, 1); /* a probe */
	talk_sent(TCP_ACK, OURS(0), GUEST(4096));
	tcp_peek(talk.tcp, &length);
	ck_assert_uint_eq(length, 4096);
	tcp_consume(talk.tcp, 100); /* too little to tell */
	wire_clear(&wire);
	tcp_flush(talk.tcp, talk.now_ns);
	talk_silent();
	talk_bulk(4096, 1);
	ck_assert_uint_eq(wire_last(&wire)->window, 0);
	tcp_consume(talk.tcp, 2000);
	wire_clear(&wire);
	tcp_flush(talk.tcp, talk.now_ns);
	ck_assert_uint_eq(wire_last(&wire)->window, 2100);
	talk_sent(TCP_ACK, OURS(0), GUEST(4096));
	talk_bulk(4096, 2100);
	tcp_peek(talk.tcp, &length);
	ck_assert_uint_eq(length, 4096);
}
END_TEST

START_TEST(an_ack_counts_while_the_window_is_closed)
{
	struct tcp_segment segment = {.sequence = GUEST(4096),
				      .flags = TCP_ACK | TCP_PSH,
				      .acknowledged = OURS(500),
				      .window = 1000,
				      .data = (const uint8_t *)"x",
				      .length = 1};
	struct tcp_counts counts;

	talk.config.receive = 4096;
	talk_open();
	talk_bulk(0, 4096);
	talk_write(500);
	talk_in(&segment);
	tcp_counts(talk.tcp, &counts);
	ck_assert_uint_eq(counts.sent, 500);
	ck_assert_uint_eq(counts.received, 4096);
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

START_TEST(a_scaled_window_has_all_of_the_buffer)
{
	struct tcp_segment syn = {.sequence = S1, .flags = TCP_SYN, .has_scale = true, .scale = 99};

	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, ISN), 0);
	tcp_accept(talk.tcp, talk.now_ns);
	ck_assert_uint_eq(wire.sent[0].scale, 3);
	ck_assert_uint_eq(wire.sent[0].window, UINT16_MAX); /* not scaled in a SYN */
	talk.window = 1;
	talk_bare(TCP_ACK, GUEST(0), OURS(0));
	talk_bulk(0, 60000);
	ck_assert_uint_eq((uint32_t)wire_last(&wire)->window << 3, TCP_LIMIT_RECEIVE - 60000);
	ck_assert_uint_eq(talk_write(TCP_LIMIT_SEND + 1), TCP_LIMIT_SEND);
	ck_assert_uint_eq(wire.used, (1 << TCP_LIMIT_SCALE) / 536 * 536); /* 99 counts as 14 */
}
END_TEST

START_TEST(keep_alives_are_answered)
{
	talk_open();
	talk_text(GUEST(0), "abc");
	talk_bare(TCP_ACK, GUEST(2), OURS(0));
	talk_sent(TCP_ACK, OURS(0), GUEST(3));
	talk_text(GUEST(2), "?"); /* with a byte of garbage */
	talk_sent(TCP_ACK, OURS(0), GUEST(3));
	talk_reads("abc");
	talk_bare(TCP_ACK, GUEST(3), OURS(0)); /* a plain ACK has no reply */
	talk_silent();
}
END_TEST

START_TEST(a_syn_changes_nothing)
{
	static const int32_t offset[] = {0, 1, -1, -2, -100, 100, 30000, 70000, INT32_MAX};
	struct tcp_counts counts;
	size_t i;

	talk_open();
	for (i = 0; i < ARRAY_SIZE(offset); i++) {
		talk_bare(TCP_SYN, S1 + (uint32_t)offset[i], 0);
		talk_sent(TCP_ACK, OURS(0), GUEST(0));
		talk_bare(TCP_SYN | TCP_ACK, S1 + (uint32_t)offset[i], OURS(0));
		talk_sent(TCP_ACK, OURS(0), GUEST(0));
	}
	tcp_counts(talk.tcp, &counts);
	ck_assert_uint_eq(counts.challenges, 2 * ARRAY_SIZE(offset));
	talk_text(GUEST(0), "still here");
	talk_reads("still here");
}
END_TEST

START_TEST(only_an_exact_reset_counts)
{
	talk_open();
	talk_text(GUEST(0), "abc");
	talk_bare(TCP_RST, GUEST(2), 0); /* before the window */
	talk_bare(TCP_RST | TCP_ACK, GUEST(3) + 100000, OURS(0));
	talk_silent();
	talk_bare(TCP_RST, GUEST(4), 0); /* in it */
	talk_sent(TCP_ACK, OURS(0), GUEST(3));
	talk_reads("abc");
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk_text(GUEST(3), "unread");
	wire_clear(&wire);
	talk_bare(TCP_RST, GUEST(9), 0);
	talk_silent();
	talk_reads("");
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_CLOSED);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
	ck_assert_uint_eq(talk.memory.used, 0);
}
END_TEST

/* What is on the wire after a segment with a byte and that acknowledgement. */
static unsigned taken_with(uint32_t acknowledged)
{
	struct tcp_segment segment = {.sequence = wire.acknowledged,
				      .acknowledged = acknowledged,
				      .flags = TCP_ACK,
				      .window = 2000,
				      .data = (const uint8_t *)"x",
				      .length = 1};
	size_t before, after;

	tcp_peek(talk.tcp, &before);
	talk_in(&segment);
	tcp_peek(talk.tcp, &after);
	return after > before;
}

START_TEST(data_needs_a_possible_ack)
{
	talk.window = 2000;
	talk_open();
	talk_write(1000);
	talk_acknowledge(OURS(1000));
	talk_write(500);
	ck_assert_uint_eq(taken_with(OURS(1501)), 0); /* never sent */
	talk_sent(TCP_ACK, OURS(1500), GUEST(0));
	ck_assert_uint_eq(taken_with(OURS(1000) - 2001), 0); /* older than any window */
	talk_sent(TCP_ACK, OURS(1500), GUEST(0));
	ck_assert_uint_eq(taken_with(OURS(1000) + (UINT32_C(1) << 31)), 0);
	ck_assert_uint_eq(taken_with(OURS(1000) - 2000), 1);
	ck_assert_uint_eq(taken_with(OURS(1000)), 1);
	ck_assert_uint_eq(taken_with(OURS(1500)), 1);
	struct tcp_segment bare = {
		.sequence = wire.acknowledged, .data = (const uint8_t *)"x", .length = 1};
	talk_in(&bare); /* no ACK flag */
	talk_silent();
	talk_reads("xxx");
}
END_TEST

START_TEST(bytes_without_memory_are_sent_again)
{
	talk.memory.max = 4096;
	talk_open();
	/* The first buffer of a queue is a small one, if there is no memory for more. */
	talk_bulk(0, 8000);
	ck_assert_uint_eq(wire_last(&wire)->acknowledged, GUEST(4096));
	ck_assert_uint_eq(talk_write(10), 0);
	tcp_consume(talk.tcp, 4096);
	talk_bulk(4096, 4000);
	ck_assert_uint_eq(wire_last(&wire)->acknowledged, GUEST(8096));
}
END_TEST

/* Each byte is moved a bounded number of times, whatever the reads and writes are. */
START_TEST(a_buffer_stays_within_twice_its_limit)
{
	struct relay_memory memory = {.max = MIB(1)};
	struct relay_buffer buffer = {.data = NULL};
	size_t limit = 65536, room, i, k, wrong = 0;
	uint8_t in = 0, out = 0, *to;

	for (i = 0; i < 20000; i++) {
		to = relay_buffer_reserve(&buffer, &memory, limit, 1 + i * 7 % 5000, &room);
		ck_assert_uint_le(buffer.size, 2 * limit);
		for (k = 0; to && k < room; k++)
			to[k] = in++;
		relay_buffer_commit(&buffer, &memory, room);
		ck_assert_uint_le(buffer.used, limit);
		k = i % 1000 < 500 ? i * 3 % 3000 : i * 5 % 9000;
		/* One assertion for all: check(3) takes a microsecond for each. */
		for (room = 0; room < min_u64(k, buffer.used); room++)
			wrong += relay_buffer_bytes(&buffer)[room] != out++;
		relay_buffer_consume(&buffer, &memory, k);
		ck_assert_uint_eq(memory.used, buffer.size);
	}
	ck_assert_uint_eq(wrong, 0);
	relay_buffer_clear(&buffer, &memory);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

UNIT_MAIN_WITH(talk_setup, "relay_tcp_receive", bytes_arrive_in_order, one_ack_answers_a_batch,
	       an_owner_takes_new_bytes_at_once, what_an_owner_leaves_waits_in_order,
	       an_owner_takes_no_byte_beyond_the_window, the_first_bytes_win,
	       bytes_behind_a_gap_are_dropped, sequence_numbers_wrap, the_window_closes_and_opens,
	       an_ack_counts_while_the_window_is_closed, a_scaled_window_has_all_of_the_buffer,
	       keep_alives_are_answered, a_syn_changes_nothing, only_an_exact_reset_counts,
	       data_needs_a_possible_ack, bytes_without_memory_are_sent_again,
	       a_buffer_stays_within_twice_its_limit)
