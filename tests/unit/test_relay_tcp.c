/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint of the relay: headers, handshakes and the owner's decision. */
#include "tests/unit/relay_tcp_common.h"

#include <errno.h>

START_TEST(a_written_header_is_read_back)
{
	struct tcp_segment syn = {.sequence = 0x01020304,
				  .acknowledged = 0xf1f2f3f4,
				  .flags = TCP_SYN | TCP_ACK,
				  .window = 65000,
				  .mss = 1460,
				  .has_scale = true,
				  .scale = 7};
	struct tcp_segment plain = {.sequence = 7, .flags = TCP_ACK | TCP_PSH}, got;
	uint8_t bytes[TCP_SEGMENT_HEADER_MAX + 4] = {0};
	size_t length = tcp_segment_header(&syn, 80, 40000, bytes);

	ck_assert_uint_eq(length, 28);
	ck_assert_uint_eq(load_be16(bytes), 80);
	ck_assert_uint_eq(load_be16(bytes + 2), 40000);
	ck_assert_int_eq(tcp_segment_parse(bytes, length + 4, &got), 0);
	ck_assert_uint_eq(got.sequence, syn.sequence);
	ck_assert_uint_eq(got.acknowledged, syn.acknowledged);
	ck_assert_uint_eq(got.flags, syn.flags);
	ck_assert_uint_eq(got.window, 65000);
	ck_assert_uint_eq(got.mss, 1460);
	ck_assert(got.has_scale && got.scale == 7);
	ck_assert_uint_eq(got.length, 4);
	ck_assert_uint_eq(tcp_segment_header(&plain, 80, 40000, bytes), 20);
	ck_assert_int_eq(tcp_segment_parse(bytes, 20, &got), 0);
	ck_assert(got.flags == plain.flags && !got.mss && !got.has_scale && got.length == 0);
}
END_TEST

START_TEST(a_header_cut_at_every_length_is_refused)
{
	struct tcp_segment syn = {.flags = TCP_SYN, .mss = 1460, .has_scale = true}, got;
	uint8_t bytes[TCP_SEGMENT_HEADER_MAX];
	size_t length = tcp_segment_header(&syn, 1, 2, bytes), cut;

	for (cut = 0; cut < length; cut++)
		ck_assert_int_eq(tcp_segment_parse(bytes, cut, &got), -EINVAL);
	ck_assert_int_eq(tcp_segment_parse(bytes, length, &got), 0);
	bytes[12] = 4 << 4; /* 16 bytes */
	ck_assert_int_eq(tcp_segment_parse(bytes, length, &got), -EINVAL);
}
END_TEST

/* The MSS that a SYN with these option bytes has. */
static uint16_t mss_of(const char *options)
{
	uint8_t bytes[60] = {[12] = 0xf0, [13] = TCP_SYN};
	struct tcp_segment got;

	memcpy(bytes + 20, options, 40);
	ck_assert_int_eq(tcp_segment_parse(bytes, 60, &got), 0);
	return got.mss;
}

#define FILL "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

START_TEST(malformed_options_end_the_list)
{
	ck_assert_uint_eq(mss_of("\x02\x04\x05\xb4" FILL), 1460);
	ck_assert_uint_eq(mss_of("\x01\x01\x08\x0a........\x02\x04\x05\xb4" FILL), 1460);
	ck_assert_uint_eq(mss_of("\x00\x02\x04\x05\xb4" FILL), 0);     /* behind the end */
	ck_assert_uint_eq(mss_of("\x02\x03\x05\x02\x04" FILL), 0);     /* of a wrong length */
	ck_assert_uint_eq(mss_of("\x09\x00\x02\x04\x05\xb4" FILL), 0); /* of no length */
	ck_assert_uint_eq(mss_of("\x09\x01\x02\x04\x05\xb4" FILL), 0);
	ck_assert_uint_eq(mss_of("\x09\xff\x02\x04\x05\xb4" FILL), 0); /* beyond the header */
	ck_assert_uint_eq(mss_of("\x08\x24..................................\x01\x01\x02\x04"), 0);
	ck_assert_uint_eq(mss_of("\x08\x27.....................................\x02"), 0);
}
END_TEST

START_TEST(a_syn_waits_for_the_owner)
{
	struct tcp_segment other = {.sequence = S1 + 77, .flags = TCP_SYN, .window = 9};

	talk_syn();
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
	talk_bare(TCP_SYN, S1, 0); /* repeated */
	talk_silent();
	talk_in(&other);
	talk_silent();
	talk_text(GUEST(0), "early");
	talk_silent();
	talk_bare(TCP_RST, S1 + 2, 0);
	talk_bare(TCP_FIN | TCP_ACK, GUEST(0), OURS(0));
	talk_silent();
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ASKED);
	tcp_accept(talk.tcp, talk.now_ns);
	ck_assert_uint_eq(wire.sent[0].mss, 1000);
	ck_assert(!wire.sent[0].has_scale); /* the guest offered none */
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	ck_assert_uint_eq(tcp_look(talk.tcp) & TCP_LOOK_OPEN, 0);
	talk_acknowledge(OURS(0));
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_OPEN | TCP_LOOK_WRITABLE);
	tcp_accept(talk.tcp, talk.now_ns); /* once only */
	tcp_refuse(talk.tcp);
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk_silent();
}
END_TEST

START_TEST(the_owner_refuses_a_syn)
{
	talk_syn();
	tcp_refuse(talk.tcp);
	talk_sent(TCP_RST | TCP_ACK, 0, S1 + 1);
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_CLOSED);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_ABORTED);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_silent();
}
END_TEST

START_TEST(the_guest_withdraws_a_syn)
{
	talk_syn();
	talk_bare(TCP_RST, S1 + 1, 0);
	talk_silent();
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_silent();
}
END_TEST

START_TEST(only_a_plain_syn_opens)
{
	static const uint8_t flags[] = {0, TCP_ACK, TCP_SYN | TCP_ACK, TCP_SYN | TCP_RST,
					TCP_SYN | TCP_FIN};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct tcp_segment segment = {.flags = flags[i]};

		ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &segment, ISN),
				 -EINVAL);
	}
}
END_TEST

START_TEST(data_in_a_syn_is_sent_again)
{
	struct tcp_segment syn = {.sequence = S1,
				  .flags = TCP_SYN,
				  .window = 60000,
				  .data = (const uint8_t *)"early",
				  .length = 5};

	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, ISN), 0);
	tcp_accept(talk.tcp, talk.now_ns);
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	talk_text(GUEST(0), "again"); /* completes the handshake, too */
	talk_sent(TCP_ACK, OURS(0), GUEST(5));
	talk_reads("again");
}
END_TEST

START_TEST(a_lost_syn_ack_is_sent_again)
{
	unsigned i;

	talk_syn();
	tcp_accept(talk.tcp, talk.now_ns);
	wire_clear(&wire);
	talk_bare(TCP_SYN, S1, 0); /* the guest asks for it */
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	for (i = 0; i < TCP_LIMIT_SYN_RETRIES; i++) {
		talk_tick();
		talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	}
	talk_tick();
	talk_sent(TCP_RST | TCP_ACK, ISN + 1, S1 + 1);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_TIMEOUT);
	ck_assert_uint_eq(tcp_deadline(talk.tcp), TCP_NEVER);
}
END_TEST

START_TEST(a_wrong_ack_does_not_complete_a_handshake)
{
	talk_syn();
	tcp_accept(talk.tcp, talk.now_ns);
	wire_clear(&wire);
	talk_bare(TCP_ACK, GUEST(0), OURS(0) + 1);
	talk_sent(TCP_RST, OURS(0) + 1, 0);
	talk_bare(TCP_ACK, GUEST(0), ISN);
	talk_sent(TCP_RST, ISN, 0);
	talk_bare(0, GUEST(0), 0); /* no ACK at all */
	talk_silent();
	talk_bare(TCP_SYN, S1 + 5, 0); /* another SYN */
	talk_sent(TCP_ACK, OURS(0), GUEST(0));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_SYN_RECEIVED);
	talk_bare(TCP_ACK, GUEST(0), OURS(0));
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
}
END_TEST

static void open_active(void)
{
	talk.config.receive = 1 << 17;
	ck_assert_int_eq(tcp_open_active(&talk.tcp, &talk.config, &wire, ISN, talk.now_ns), 0);
	ck_assert_uint_eq(wire.sent[0].mss, 1000);
	ck_assert(wire.sent[0].has_scale && wire.sent[0].scale == 2);
	talk_sent(TCP_SYN, ISN, 0);
}

START_TEST(a_connection_to_the_guest_opens)
{
	struct tcp_segment reply = {.sequence = S1,
				    .acknowledged = ISN + 1,
				    .flags = TCP_SYN | TCP_ACK,
				    .window = 1000,
				    .has_scale = true,
				    .scale = 3,
				    .mss = 900};

	open_active();
	talk_bare(TCP_SYN | TCP_ACK, S1, ISN); /* of something else */
	talk_sent(TCP_RST, ISN, 0);
	talk_bare(TCP_RST, S1, 0); /* without an ACK */
	talk_bare(TCP_RST | TCP_ACK, S1, ISN + 2);
	talk_bare(TCP_ACK, S1, ISN + 1); /* without a SYN */
	talk_silent();
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_SYN_SENT);
	talk_in(&reply);
	ck_assert_uint_eq(wire.sent[0].window, 131072 >> 2);
	talk_sent(TCP_ACK, ISN + 1, S1 + 1);
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk.window = 1000; /* times 8 */
	talk_acknowledge(OURS(0));
	talk_write(20000);
	ck_assert_uint_eq(wire.used, 7200); /* the rest of the window is too small */
	ck_assert_uint_eq(wire.sent[0].length, 900);
}
END_TEST

START_TEST(the_guest_refuses_a_connection)
{
	open_active();
	talk_bare(TCP_RST | TCP_ACK, 0, ISN + 1);
	talk_silent();
	ck_assert_uint_eq(tcp_look(talk.tcp), TCP_LOOK_CLOSED);
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_RESET);
}
END_TEST

START_TEST(a_connection_without_a_reply_is_given_up)
{
	unsigned i;

	open_active();
	for (i = 0; i < TCP_LIMIT_SYN_RETRIES; i++) {
		talk_tick();
		talk_sent(TCP_SYN, ISN, 0);
	}
	talk_tick();
	talk_silent();
	ck_assert_int_eq(tcp_cause(talk.tcp), TCP_CAUSE_TIMEOUT);
}
END_TEST

START_TEST(both_ends_open_at_once)
{
	open_active();
	talk_bare(TCP_SYN, S1, 0);
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_SYN_RECEIVED);
	talk_bare(TCP_SYN | TCP_ACK, S1, ISN + 2); /* a wrong one */
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_SYN_RECEIVED);
	talk_bare(TCP_SYN | TCP_ACK, S1, ISN + 1);
	talk_sent(TCP_ACK, ISN + 1, S1 + 1);
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
	talk_text(GUEST(0), "hello");
	talk_reads("hello");
}
END_TEST

START_TEST(a_segment_without_connection_is_reset)
{
	struct tcp_segment segment = {.sequence = 7, .acknowledged = 9, .flags = TCP_ACK};

	tcp_stray(&talk.config, &wire, &segment);
	talk_sent(TCP_RST, 9, 0);
	segment.flags = TCP_SYN;
	segment.length = 10;
	tcp_stray(&talk.config, &wire, &segment);
	talk_sent(TCP_RST | TCP_ACK, 0, 18);
	segment.flags = TCP_RST | TCP_ACK;
	tcp_stray(&talk.config, &wire, &segment);
	talk_silent();
}
END_TEST

static void teardown(void)
{
	tcp_destroy(talk.tcp);
	talk.tcp = NULL;
	ck_assert_uint_eq(talk.memory.used, 0);
}

START_TEST(a_destroyed_connection_leaves_no_memory)
{
	talk_open();
	talk_text(GUEST(0), "unread");
	talk_write(5000);
	ck_assert_uint_gt(talk.memory.used, 0);
	teardown();
	tcp_destroy(NULL);
}
END_TEST

UNIT_MAIN_WITH(talk_setup, "relay_tcp", a_written_header_is_read_back,
	       a_header_cut_at_every_length_is_refused, malformed_options_end_the_list,
	       a_syn_waits_for_the_owner, the_owner_refuses_a_syn, the_guest_withdraws_a_syn,
	       only_a_plain_syn_opens, data_in_a_syn_is_sent_again, a_lost_syn_ack_is_sent_again,
	       a_wrong_ack_does_not_complete_a_handshake, a_connection_to_the_guest_opens,
	       the_guest_refuses_a_connection, a_connection_without_a_reply_is_given_up,
	       both_ends_open_at_once, a_segment_without_connection_is_reset,
	       a_destroyed_connection_leaves_no_memory)
