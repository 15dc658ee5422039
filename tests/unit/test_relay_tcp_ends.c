/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint of the relay: half-closes, resets, TIME-WAIT and the next connection. */
#include "tests/unit/relay_tcp_common.h"

static void shut(void)
{
	wire_clear(&wire);
	tcp_shutdown(talk.tcp);
	tcp_flush(talk.tcp, talk.now_ns);
}

START_TEST(the_guest_ends_first)
{
	talk_open();
	talk_text(GUEST(0), "last");
	talk_bare(TCP_FIN | TCP_ACK, GUEST(4), OURS(0));
	talk_sent(TCP_ACK, OURS(0), GUEST(5));
	ck_assert_uint_eq(tcp_look(talk.tcp) & TCP_LOOK_ENDED, 0); /* bytes come first */
	talk_reads("last");
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_ENDED | TCP_LOOK_WRITABLE);
	talk_write(1500); /* the other direction goes on */
	ck_assert_uint_eq(wire.used, 1500);
	talk_bare(TCP_ACK, GUEST(5), OURS(1500));
	talk_text(GUEST(5), "more"); /* behind its FIN */
	talk_reads("");
	shut();
	talk_sent(TCP_FIN | TCP_ACK, OURS(1500), GUEST(5));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_LAST_ACK);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_ENDED);
	talk_bare(TCP_ACK, GUEST(5), OURS(1501));
	talk_silent();
	ck_assert_uint_eq(tcp_look(talk.tcp),
			  TCP_LOOK_OPEN | TCP_LOOK_ENDED | TCP_LOOK_SENT | TCP_LOOK_CLOSED);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ENDED);
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

START_TEST(the_owner_ends_first)
{
	talk_open();
	talk_write(300);
	shut();
	talk_sent(TCP_FIN | TCP_ACK, OURS(300), GUEST(0));
	ck_assert_uint_eq(talk_write(5), 0);
	talk_bare(TCP_ACK, GUEST(0), OURS(300));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_FIN_WAIT_1);
	talk_bare(TCP_ACK, GUEST(0), OURS(301));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_FIN_WAIT_2);
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER); /* a half-close may last */
	struct tcp_segment segment = {.sequence = GUEST(0),
				      .acknowledged = OURS(301),
				      .flags = TCP_ACK | TCP_FIN,
				      .window = 1000,
				      .data = (const uint8_t *)"reply",
				      .length = 5};
	talk_in(&segment);
	talk_sent(TCP_ACK, OURS(301), GUEST(6));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_TIME_WAIT);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_READABLE | TCP_LOOK_SENT);
	talk_tick();
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ENDED);
	talk_reads("reply"); /* also after the end */
	ck_assert_uint_eq(tcp_look(talk.tcp),
			  TCP_LOOK_OPEN | TCP_LOOK_ENDED | TCP_LOOK_SENT | TCP_LOOK_CLOSED);
}
END_TEST

START_TEST(a_fin_leaves_with_the_last_bytes)
{
	talk_open();
	tcp_write(talk.tcp, "bye", 3);
	shut();
	ck_assert_uint_eq(wire.sent[0].length, 3);
	talk_sent(TCP_FIN | TCP_PSH | TCP_ACK, OURS(0), GUEST(0));
	talk_tick(); /* both were dropped */
	ck_assert_uint_eq(wire.sent[0].length, 3);
	talk_sent(TCP_FIN | TCP_PSH | TCP_ACK, OURS(0), GUEST(0));
	talk_bare(TCP_ACK, GUEST(0), OURS(3)); /* the FIN was not taken */
	talk_tick();
	talk_sent(TCP_FIN | TCP_ACK, OURS(3), GUEST(0));
	talk_bare(TCP_ACK, GUEST(0), OURS(4));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_FIN_WAIT_2);
}
END_TEST

START_TEST(a_fin_waits_for_the_window)
{
	talk.window = 1000;
	talk_open();
	talk_write(2000);
	shut();
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk_acknowledge(OURS(1000));
	ck_assert_uint_eq(wire.sent[0].flags, TCP_PSH | TCP_ACK);
	talk.window = 0;
	talk_acknowledge(OURS(2000));
	talk_silent();
	talk_tick(); /* it is the probe of a closed window */
	talk_sent(TCP_FIN | TCP_ACK, OURS(2000), GUEST(0));
	talk_acknowledge(OURS(2001));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_FIN_WAIT_2);
}
END_TEST

START_TEST(a_shutdown_before_the_handshake_follows_it)
{
	talk_syn();
	tcp_write(talk.tcp, "x", 1);
	shut();
	talk_silent();
	tcp_accept(talk.tcp, talk.now_ns);
	wire_clear(&wire);
	talk_bare(TCP_ACK, GUEST(0), OURS(0));
	talk_sent(TCP_FIN | TCP_PSH | TCP_ACK, OURS(0), GUEST(0));
}
END_TEST

START_TEST(both_ends_close_at_once)
{
	talk_open();
	shut();
	talk_bare(TCP_FIN | TCP_ACK, GUEST(0), OURS(0));
	talk_sent(TCP_ACK, OURS(1), GUEST(1));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_CLOSING);
	talk_bare(TCP_ACK, GUEST(1), OURS(0)); /* not of the FIN */
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_CLOSING);
	talk_bare(TCP_ACK, GUEST(1), OURS(1));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_TIME_WAIT);
	talk_tick();
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ENDED);
}
END_TEST

START_TEST(a_fin_behind_a_gap_ends_nothing)
{
	talk.config.receive = 4096;
	talk_open();
	talk_bare(TCP_FIN | TCP_ACK, GUEST(1), OURS(0));
	talk_sent(TCP_ACK, OURS(0), GUEST(0));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	struct tcp_segment segment = {.sequence = GUEST(0),
				      .acknowledged = OURS(0),
				      .flags = TCP_ACK | TCP_FIN,
				      .data = wire.bytes,
				      .length = 4097};
	talk_in(&segment); /* one byte before the FIN is beyond the window */
	talk_sent(TCP_ACK, OURS(0), GUEST(4096));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk_bare(TCP_FIN | TCP_ACK, GUEST(4096), OURS(0)); /* needs no room */
	talk_sent(TCP_ACK, OURS(0), GUEST(4097));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_CLOSE_WAIT);
	talk_bare(TCP_RST, GUEST(5000), 0); /* the window is closed: not in it */
	talk_silent();
	talk_bare(TCP_FIN | TCP_ACK, GUEST(4096), OURS(0)); /* repeated */
	talk_sent(TCP_ACK, OURS(0), GUEST(4097));
}
END_TEST

START_TEST(the_owner_resets)
{
	talk_open();
	talk_text(GUEST(0), "unread");
	talk_write(1500);
	wire_clear(&wire);
	tcp_abort(talk.tcp);
	talk_sent(TCP_RST | TCP_ACK, OURS(1500), GUEST(6));
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ABORTED);
	ck_assert_uint_eq(talk.memory.used, 0);
	talk_bare(TCP_ACK, GUEST(6), OURS(700)); /* the guest had less: it learns of it now */
	talk_sent(TCP_RST, OURS(700), 0);
	tcp_abort(talk.tcp);
	talk_silent();
	ck_assert_uint_eq(talk_write(1), 0);
	tcp_shutdown(talk.tcp);
	tcp_flush(talk.tcp, talk.now_ns);
	talk_silent();
}
END_TEST

START_TEST(a_reset_ends_every_state)
{
	talk_open();
	shut();
	talk_bare(TCP_RST | TCP_ACK, GUEST(0), OURS(1));
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
	tcp_destroy(talk.tcp);
	talk_setup();
	talk_open();
	talk_bare(TCP_FIN | TCP_ACK, GUEST(0), OURS(0));
	talk_bare(TCP_RST, GUEST(0), 0); /* before its FIN */
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_CLOSE_WAIT);
	talk_bare(TCP_RST, GUEST(1), 0);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
	tcp_destroy(talk.tcp);
	talk_setup();
	talk_syn();
	tcp_accept(talk.tcp, talk.now_ns);
	talk_bare(TCP_RST, GUEST(0), 0);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_CLOSED);
}
END_TEST

static void to_time_wait(void)
{
	talk_open();
	shut();
	talk_bare(TCP_FIN | TCP_ACK, GUEST(0), OURS(1));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_TIME_WAIT);
}

START_TEST(time_wait_is_bounded)
{
	uint64_t deadline;

	to_time_wait();
	deadline = tcp_deadline(talk.tcp);
	ck_assert_uint_eq(deadline, talk.now_ns + TCP_LIMIT_TIME_WAIT_NS);
	talk.now_ns += TCP_LIMIT_TIME_WAIT_NS / 2;
	talk_bare(TCP_FIN | TCP_ACK, GUEST(0), OURS(1)); /* the last ACK was dropped */
	talk_sent(TCP_ACK, OURS(1), GUEST(1));
	talk_text(GUEST(1), "data");
	ck_assert_uint_eq(tcp_deadline(talk.tcp), deadline); /* nothing prolongs it */
	tcp_tick(talk.tcp, deadline - 1);
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_TIME_WAIT);
	talk_tick();
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ENDED);
	talk_reads("");
}
END_TEST

START_TEST(a_port_is_used_again)
{
	to_time_wait();
	ck_assert(!talk_bare(TCP_SYN, S1, 0)); /* old ones */
	talk_sent(TCP_ACK, OURS(1), GUEST(1));
	ck_assert(!talk_bare(TCP_SYN, GUEST(0), 0));
	ck_assert(!talk_bare(TCP_SYN | TCP_ACK, GUEST(100), OURS(1)));
	ck_assert(!talk_bare(TCP_ACK, GUEST(100), OURS(1)));
	ck_assert(talk_bare(TCP_SYN, GUEST(100), 0));
	talk_silent();
	talk_tick();
	ck_assert(!talk_bare(TCP_ACK, GUEST(1), OURS(1)));
	talk_sent(TCP_RST, OURS(1), 0);
	ck_assert(talk_bare(TCP_SYN, S1, 0)); /* once closed, any */
	tcp_destroy(talk.tcp);
	talk_setup();
	talk_open();
	ck_assert(!talk_bare(TCP_SYN, GUEST(100), 0));
	talk_bare(TCP_RST, GUEST(0), 0); /* the reply to the challenge ACK */
	ck_assert(talk_bare(TCP_SYN, GUEST(100), 0));
}
END_TEST

/* --- two endpoints, each the other's guest --- */

#define HELD 64

static struct pair {
	struct tcp_config config;
	struct tcp *end[2];
	struct {
		struct tcp_segment segment;
		uint8_t bytes[64];
	} held[2][HELD];
	unsigned count[2];
} pair;

static void hold(void *arg, const struct tcp_segment *segment)
{
	unsigned to = *(const unsigned *)arg, at = pair.count[to]++;

	ck_assert_uint_lt(at, HELD);
	ck_assert_uint_le(segment->length, sizeof(pair.held[to][at].bytes));
	pair.held[to][at].segment = *segment;
	if (segment->length)
		memcpy(pair.held[to][at].bytes, segment->data, segment->length);
	pair.held[to][at].segment.data = pair.held[to][at].bytes;
}

/* Carries segments until both are silent. */
static void carry(void)
{
	unsigned to, i, round, count;

	for (round = 0; pair.count[0] + pair.count[1] > 0; round++) {
		ck_assert_uint_lt(round, 20);
		for (to = 0; to < 2; to++) {
			count = pair.count[to];
			for (i = 0; i < count; i++)
				tcp_input(pair.end[to], &pair.held[to][i].segment, 0);
			memmove(pair.held[to], pair.held[to] + count,
				(pair.count[to] - count) * sizeof(pair.held[to][0]));
			pair.count[to] -= count;
		}
		tcp_flush(pair.end[0], 0);
		tcp_flush(pair.end[1], 0);
	}
}

START_TEST(two_endpoints_open_and_close_at_once)
{
	static const unsigned other[2] = {1, 0};
	unsigned i;
	size_t length;

	pair.config = (struct tcp_config){.output = hold, .mss = 1460, .memory = &talk.memory};
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(
			tcp_open_active(&pair.end[i], &pair.config, (void *)&other[i], 7000 * i, 0),
			0);
	carry();
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(tcp_state(pair.end[i]), TCP_STATE_ESTABLISHED);
		tcp_write(pair.end[i], "hello", 5);
		tcp_shutdown(pair.end[i]);
	}
	tcp_flush(pair.end[0], 0);
	tcp_flush(pair.end[1], 0);
	carry();
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(tcp_state(pair.end[i]), TCP_STATE_TIME_WAIT);
		ck_assert_mem_eq(tcp_peek(pair.end[i], &length), "hello", 5);
		ck_assert_uint_eq(length, 5);
		tcp_destroy(pair.end[i]);
	}
	ck_assert_uint_eq(talk.memory.used, 0);
}
END_TEST

UNIT_MAIN_WITH(talk_setup, "relay_tcp_ends", the_guest_ends_first, the_owner_ends_first,
	       a_fin_leaves_with_the_last_bytes, a_fin_waits_for_the_window,
	       a_shutdown_before_the_handshake_follows_it, both_ends_close_at_once,
	       a_fin_behind_a_gap_ends_nothing, the_owner_resets, a_reset_ends_every_state,
	       time_wait_is_bounded, a_port_is_used_again, two_endpoints_open_and_close_at_once)
