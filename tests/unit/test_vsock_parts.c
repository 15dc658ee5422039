/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the socket device that are functions of their arguments. */
#include <string.h>

#include "devices/vsock/credit.h"
#include "devices/vsock/deadline.h"
#include "devices/vsock/packet.h"
#include "devices/vsock/state.h"
#include "devices/vsock/table.h"
#include "devices/vsock/vsock.h"
#include "tests/support/unit.h"
#include "tests/support/vsock_numbers.h"

static const struct vsock_header good = {
	.src_cid = 3,
	.dst_cid = 2,
	.src_port = 0x01020304,
	.dst_port = 0xfffffffe,
	.length = 10,
	.type = VSOCK_TYPE_STREAM,
	.op = VSOCK_OP_RW,
	.flags = 3,
	.buf_alloc = 0x11223344,
	.fwd_cnt = 0x55667788,
};

START_TEST(a_header_is_laid_out_as_the_standard_says)
{
	static const uint8_t bytes[VSOCK_HEADER_BYTES] = {
		3,    0,    0,	  0,	0,    0,    0,	  0,	/* src_cid */
		2,    0,    0,	  0,	0,    0,    0,	  0,	/* dst_cid */
		4,    3,    2,	  1,	0xfe, 0xff, 0xff, 0xff, /* ports */
		10,   0,    0,	  0,	1,    0,    5,	  0,	/* len, type, op */
		3,    0,    0,	  0,	0x44, 0x33, 0x22, 0x11, /* flags, buf_alloc */
		0x88, 0x77, 0x66, 0x55,				/* fwd_cnt */
	};
	uint8_t raw[VSOCK_HEADER_BYTES];
	struct vsock_header back;

	vsock_header_encode(&good, raw);
	ck_assert_mem_eq(raw, bytes, sizeof(raw));
	vsock_header_decode(&back, bytes);
	memset(raw, 0, sizeof(raw));
	vsock_header_encode(&back, raw);
	ck_assert_mem_eq(raw, bytes, sizeof(raw));
	ck_assert_uint_eq(back.src_cid, 3);
	ck_assert_uint_eq(back.dst_port, 0xfffffffe);
	ck_assert_uint_eq(back.op, VSOCK_OP_RW);
	ck_assert_uint_eq(back.fwd_cnt, 0x55667788);
}
END_TEST

START_TEST(a_good_packet_is_good)
{
	ck_assert_int_eq(vsock_header_check(&good, 3, 10), VSOCK_PACKET_GOOD);
	ck_assert_int_eq(vsock_header_check(&good, 3, 11), VSOCK_PACKET_GOOD);
}
END_TEST

START_TEST(a_lying_length_is_broken)
{
	struct vsock_header header = good;

	ck_assert_int_eq(vsock_header_check(&header, 3, 9), VSOCK_PACKET_BROKEN);
	header.length = UINT32_MAX;
	ck_assert_int_eq(vsock_header_check(&header, 3, 65536), VSOCK_PACKET_BROKEN);
	header.length = 0;
	ck_assert_int_eq(vsock_header_check(&header, 3, 0), VSOCK_PACKET_GOOD);
}
END_TEST

START_TEST(unknown_operations_are_broken)
{
	struct vsock_header header = good;
	unsigned op;

	for (op = 0; op <= UINT16_MAX; op++) {
		header.op = (uint16_t)op;
		ck_assert_int_eq(vsock_header_check(&header, 3, 10),
				 op >= 1 && op <= 7 ? VSOCK_PACKET_GOOD : VSOCK_PACKET_BROKEN);
	}
}
END_TEST

START_TEST(wrong_addresses_and_types)
{
	struct vsock_header header = good;

	/* A forged source CID gets no reply: the reply would go to another guest. */
	header.src_cid = 4;
	ck_assert_int_eq(vsock_header_check(&header, 3, 10), VSOCK_PACKET_DROP);
	header.src_cid = 3 | UINT64_C(1) << 32;
	ck_assert_int_eq(vsock_header_check(&header, 3, 10), VSOCK_PACKET_DROP);
	header = good;
	header.dst_cid = 7;
	ck_assert_int_eq(vsock_header_check(&header, 3, 10), VSOCK_PACKET_NO_SOCKET);
	header = good;
	header.type = 2;
	ck_assert_int_eq(vsock_header_check(&header, 3, 10), VSOCK_PACKET_NO_SOCKET);
	/* The reply to an RST is never an RST. */
	header.op = VSOCK_OP_RST;
	ck_assert_int_eq(vsock_header_check(&header, 3, 10), VSOCK_PACKET_DROP);
	header.type = VSOCK_TYPE_STREAM;
	ck_assert_int_eq(vsock_header_check(&header, 3, 0), VSOCK_PACKET_GOOD);
}
END_TEST

START_TEST(credit_is_what_is_not_in_flight)
{
	struct vsock_credit credit = {.sent = 0, .peer_alloc = 1000};

	ck_assert_uint_eq(vsock_credit_free(&credit), 1000);
	credit.sent = 400;
	ck_assert_uint_eq(vsock_credit_free(&credit), 600);
	vsock_credit_told(&credit, 1000, 150);
	ck_assert_uint_eq(vsock_credit_free(&credit), 750);
	credit.sent += 750;
	ck_assert_uint_eq(vsock_credit_free(&credit), 0);
}
END_TEST

START_TEST(credit_counters_wrap)
{
	struct vsock_credit credit = {
		.sent = UINT32_MAX - 99, .peer_alloc = 1000, .peer_forwarded = UINT32_MAX - 99};

	ck_assert_uint_eq(vsock_credit_free(&credit), 1000);
	credit.sent += 300; /* now 200 */
	ck_assert_uint_eq(credit.sent, 200);
	ck_assert_uint_eq(vsock_credit_free(&credit), 700);
	vsock_credit_told(&credit, 1000, UINT32_MAX); /* the guest has taken 99 bytes */
	ck_assert_uint_eq(vsock_credit_free(&credit), 799);
	vsock_credit_told(&credit, 1000, 200);
	ck_assert_uint_eq(vsock_credit_free(&credit), 1000);
}
END_TEST

START_TEST(a_peer_may_shrink_its_buffer)
{
	struct vsock_credit credit = {.sent = 600, .peer_alloc = 1000};

	vsock_credit_told(&credit, 100, 0);
	ck_assert_uint_eq(vsock_credit_free(&credit), 0);
	vsock_credit_told(&credit, 100, 550);
	ck_assert_uint_eq(vsock_credit_free(&credit), 50);
	vsock_credit_told(&credit, 0, 600);
	ck_assert_uint_eq(vsock_credit_free(&credit), 0);
	vsock_credit_told(&credit, 1, 600);
	ck_assert_uint_eq(vsock_credit_free(&credit), 1);
	vsock_credit_told(&credit, UINT32_MAX, 600);
	ck_assert_uint_eq(vsock_credit_free(&credit), UINT32_MAX);
}
END_TEST

START_TEST(lies_about_fwd_cnt_give_nothing)
{
	struct vsock_credit credit = {.sent = 600, .peer_alloc = 1000, .peer_forwarded = 200};

	vsock_credit_told(&credit, 1000, 601); /* more than was sent */
	ck_assert_uint_eq(vsock_credit_free(&credit), 600);
	vsock_credit_told(&credit, 1000, 199); /* an old packet */
	ck_assert_uint_eq(vsock_credit_free(&credit), 600);
	vsock_credit_told(&credit, 1000, 600); /* the truth */
	ck_assert_uint_eq(vsock_credit_free(&credit), 1000);
}
END_TEST

START_TEST(a_window_is_announced_when_half_is_used)
{
	struct vsock_window window = {.alloc = 8192};

	vsock_window_was_told(&window);
	ck_assert(!vsock_window_half_used(&window));
	window.received = 8192;
	ck_assert_uint_eq(vsock_window_room(&window), 0);
	window.forwarded = 4095;
	ck_assert(!vsock_window_half_used(&window));
	window.forwarded = 4096;
	ck_assert(vsock_window_half_used(&window));
	ck_assert_uint_eq(vsock_window_room(&window), 4096);
	vsock_window_was_told(&window);
	ck_assert(!vsock_window_half_used(&window));
}
END_TEST

START_TEST(a_window_wraps)
{
	struct vsock_window window = {
		.alloc = 8192, .received = UINT32_MAX, .forwarded = UINT32_MAX};

	vsock_window_was_told(&window);
	window.received += 5000;
	ck_assert_uint_eq(vsock_window_room(&window), 8192 - 5000);
	window.forwarded += 4999;
	ck_assert(vsock_window_half_used(&window));
	ck_assert_uint_eq(vsock_window_room(&window), 8191);
}
END_TEST

/* Every operation in every state, whether or not it keeps to the rules. */
START_TEST(every_transition)
{
	static const struct {
		enum vsock_state state;
		enum vsock_action action[VSOCK_OPS]; /* from VSOCK_OP_REQUEST on */
	} expected[] = {
		{VSOCK_REQUESTED,
		 {0, VSOCK_RESET, VSOCK_ESTABLISH, VSOCK_END, VSOCK_RESET, VSOCK_RESET,
		  VSOCK_IGNORE, VSOCK_IGNORE}},
		{VSOCK_ANSWERING,
		 {0, VSOCK_RESET, VSOCK_RESET, VSOCK_END, VSOCK_RESET, VSOCK_RESET,
		  VSOCK_TAKE_CREDIT, VSOCK_TAKE_CREDIT}},
		{VSOCK_OPEN,
		 {0, VSOCK_RESET, VSOCK_RESET, VSOCK_END, VSOCK_TAKE_SHUTDOWN, VSOCK_TAKE_DATA,
		  VSOCK_TAKE_CREDIT, VSOCK_TELL_CREDIT}},
		{VSOCK_CLOSING,
		 {0, VSOCK_RESET, VSOCK_RESET, VSOCK_END, VSOCK_TAKE_SHUTDOWN, VSOCK_TAKE_DATA,
		  VSOCK_TAKE_CREDIT, VSOCK_TELL_CREDIT}},
		{VSOCK_RESETTING,
		 {0, VSOCK_IGNORE, VSOCK_IGNORE, VSOCK_END, VSOCK_IGNORE, VSOCK_IGNORE,
		  VSOCK_IGNORE, VSOCK_IGNORE}},
		{VSOCK_GONE, {0}},
	};
	size_t i;
	int op;

	ck_assert_uint_eq(ARRAY_SIZE(expected), VSOCK_STATES);
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		for (op = VSOCK_OP_REQUEST; op < VSOCK_OPS; op++)
			ck_assert_msg(vsock_action(expected[i].state, (uint16_t)op) ==
					      expected[i].action[op],
				      "state %d, operation %d", expected[i].state, op);
}
END_TEST

START_TEST(the_table_finds_what_is_in_it)
{
	static struct vsock_table table;
	static struct vsock_ports ports[5000];
	unsigned i;

	ck_assert_int_eq(vsock_table_init(&table), 0);
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		/* One host port with many guest ports, the reverse, and both ends of the range. */
		ports[i].host = i % 2 ? 1024 : UINT32_MAX - i;
		ports[i].guest = i % 2 ? i : 0;
		ck_assert_ptr_null(vsock_table_find(&table, ports[i].host, ports[i].guest));
		vsock_table_add(&table, &ports[i]);
	}
	for (i = 0; i < ARRAY_SIZE(ports); i++)
		ck_assert_ptr_eq(vsock_table_find(&table, ports[i].host, ports[i].guest),
				 &ports[i]);
	for (i = 0; i < ARRAY_SIZE(ports); i += 3) {
		vsock_table_remove(&table, &ports[i]);
		vsock_table_remove(&table, &ports[i]);
	}
	for (i = 0; i < ARRAY_SIZE(ports); i++)
		ck_assert_ptr_eq(vsock_table_find(&table, ports[i].host, ports[i].guest),
				 i % 3 ? &ports[i] : NULL);
}
END_TEST

START_TEST(free_ports_are_free)
{
	static struct vsock_table table;
	struct vsock_ports taken[3] = {{.guest = 5}, {.guest = 5}, {.guest = 5}};
	uint32_t first, port;
	unsigned i;

	ck_assert_int_eq(vsock_table_init(&table), 0);
	first = vsock_table_free_port(&table, 5);
	for (i = 0; i < 3; i++) {
		taken[i].host = first + 1 + i;
		vsock_table_add(&table, &taken[i]);
	}
	ck_assert_uint_eq(vsock_table_free_port(&table, 5), first + 4);
	/* At the end of the range the search begins again, and skips ports in use. */
	table.next_port = 0x7fffffff;
	ck_assert_uint_eq(vsock_table_free_port(&table, 5), 0x7fffffff);
	ck_assert_uint_eq(vsock_table_free_port(&table, 5), first);
	port = vsock_table_free_port(&table, 5);
	ck_assert_uint_eq(port, first + 4);
	/* A host port is in use only for the same guest port. */
	table.next_port = first + 1;
	ck_assert_uint_eq(vsock_table_free_port(&table, 6), first + 1);
}
END_TEST

static struct loop *loop;
static unsigned expired_count;
static struct vsock_deadline *expired_order[8];

static void note(struct vsock_deadline *deadline)
{
	expired_order[expired_count++ % 8] = deadline;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

START_TEST(deadlines_expire_in_order_unless_stopped)
{
	struct vsock_deadlines deadlines;
	struct vsock_deadline deadline[4];
	struct loop_timer end = {.expired = stop};
	unsigned i;

	ck_assert_int_eq(loop_create(&loop), 0);
	end.arg = loop;
	vsock_deadlines_init(&deadlines, loop, 5000000, note);
	for (i = 0; i < 4; i++) {
		vsock_deadline_init(&deadline[i]);
		ck_assert(!vsock_deadline_armed(&deadline[i]));
		vsock_deadline_start(&deadlines, &deadline[i]);
		ck_assert(vsock_deadline_armed(&deadline[i]));
	}
	vsock_deadline_start(&deadlines, &deadline[0]); /* restarted: now the last one */
	vsock_deadline_stop(&deadline[2]);
	vsock_deadline_stop(&deadline[2]);
	loop_timer_start(loop, &end, 50000000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(expired_count, 3);
	ck_assert_ptr_eq(expired_order[0], &deadline[1]);
	ck_assert_ptr_eq(expired_order[1], &deadline[3]);
	ck_assert_ptr_eq(expired_order[2], &deadline[0]);
	ck_assert(!vsock_deadline_armed(&deadline[0]));
	vsock_deadlines_stop(&deadlines);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN("vsock_parts", a_header_is_laid_out_as_the_standard_says, a_good_packet_is_good,
	  a_lying_length_is_broken, unknown_operations_are_broken, wrong_addresses_and_types,
	  credit_is_what_is_not_in_flight, credit_counters_wrap, a_peer_may_shrink_its_buffer,
	  lies_about_fwd_cnt_give_nothing, a_window_is_announced_when_half_is_used, a_window_wraps,
	  every_transition, the_table_finds_what_is_in_it, free_ports_are_free,
	  deadlines_expire_in_order_unless_stopped)
