/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_tcp_common.h"

#include <string.h>

struct talk talk;
struct wire wire;

void talk_setup(void)
{
	talk = (struct talk){.window = 60000, .now_ns = 1000 * MS};
	memset(&wire, 0, sizeof(wire));
	talk.memory.max = MIB(4);
	talk.config = (struct tcp_config){.output = wire_output, .mss = 1000};
	talk.config.memory = &talk.memory;
}

void talk_syn(void)
{
	struct tcp_segment syn = {
		.sequence = S1, .flags = TCP_SYN, .window = talk.window, .mss = 1000};

	ck_assert_int_eq(tcp_open_passive(&talk.tcp, &talk.config, &wire, &syn, ISN), 0);
	talk_silent();
}

void talk_open(void)
{
	talk_syn();
	tcp_accept(talk.tcp, talk.now_ns);
	talk_sent(TCP_SYN | TCP_ACK, ISN, S1 + 1);
	talk_acknowledge(OURS(0));
	talk_silent();
	ck_assert_int_eq(tcp_state(talk.tcp), TCP_STATE_ESTABLISHED);
}

bool talk_in(const struct tcp_segment *segment)
{
	bool reopen;

	wire_clear(&wire);
	reopen = tcp_input(talk.tcp, segment, talk.now_ns);
	tcp_flush(talk.tcp, talk.now_ns);
	return reopen;
}

bool talk_bare(uint8_t flags, uint32_t sequence, uint32_t acknowledged)
{
	struct tcp_segment segment = {.sequence = sequence,
				      .acknowledged = acknowledged,
				      .flags = flags,
				      .window = talk.window};

	return talk_in(&segment);
}

void talk_text(uint32_t sequence, const char *text)
{
	struct tcp_segment segment = {.sequence = sequence,
				      .acknowledged = OURS(0),
				      .flags = TCP_ACK,
				      .window = talk.window,
				      .data = (const uint8_t *)text,
				      .length = strlen(text)};

	talk_in(&segment);
}

void talk_acknowledge(uint32_t acknowledged)
{
	talk_bare(TCP_ACK, wire.acknowledged, acknowledged);
}

static const uint8_t *pattern(uint32_t offset, size_t length)
{
	static uint8_t bytes[1 << 19];
	size_t i;

	ck_assert_uint_le(length, sizeof(bytes));
	for (i = 0; i < length; i++)
		bytes[i] = (uint8_t)((offset + i) * 31 + ((offset + i) >> 8));
	return bytes;
}

void talk_bulk(uint32_t offset, size_t length)
{
	struct tcp_segment segment = {.sequence = GUEST(offset),
				      .acknowledged = OURS(0),
				      .flags = TCP_ACK,
				      .window = talk.window,
				      .data = pattern(offset, length),
				      .length = length};

	talk_in(&segment);
}

size_t talk_write(size_t length)
{
	size_t took = tcp_write(talk.tcp, pattern(0, length), length);

	wire_clear(&wire);
	tcp_flush(talk.tcp, talk.now_ns);
	return took;
}

void talk_tick(void)
{
	uint64_t deadline = tcp_deadline(talk.tcp);

	ck_assert_uint_ne(deadline, TCP_NEVER);
	talk.now_ns = max_u64(talk.now_ns, deadline);
	wire_clear(&wire);
	tcp_tick(talk.tcp, talk.now_ns);
}

void talk_reads(const char *text)
{
	size_t length;
	const uint8_t *bytes = tcp_peek(talk.tcp, &length);

	ck_assert_uint_eq(length, strlen(text));
	if (length)
		ck_assert_mem_eq(bytes, text, length);
	tcp_consume(talk.tcp, length);
}

void talk_sent(uint8_t flags, uint32_t sequence, uint32_t acknowledged)
{
	ck_assert_uint_eq(wire.count, 1);
	ck_assert_uint_eq(wire.sent[0].flags, flags);
	ck_assert_uint_eq(wire.sent[0].sequence, sequence);
	ck_assert_uint_eq(wire.sent[0].acknowledged, acknowledged);
	wire_clear(&wire);
}

void talk_silent(void)
{
	ck_assert_uint_eq(wire.count, 0);
}
