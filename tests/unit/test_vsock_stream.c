/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between a guest and in-process endpoints: their whole life, packet by packet. */
#include <errno.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "tests/unit/vsock_stream_common.h"

static int refuse_it(void *arg, struct vsock_stream *stream)
{
	(void)arg;
	ck_assert_uint_eq(vsock_stream_peer_port(stream), GUEST);
	/* What the endpoint wrote before it refuses the stream is lost. */
	ck_assert_int_eq(vsock_stream_write(stream, "hello", 5), 5);
	return -EACCES;
}

/* --- connecting ------------------------------------------------------------------------------- */

START_TEST(the_guest_connects)
{
	open_from_guest();
	ck_assert_uint_ge(packet.header.buf_alloc, VSOCK_STREAM_MIN);
	ck_assert_uint_eq(packet.header.fwd_cnt, 0);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 0);
	EXPECT_NOTHING();
	finish();
}
END_TEST

START_TEST(the_guest_connects_to_an_unused_port)
{
	begin();
	fake_vsock_give(&fake, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT + 1, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.src_port, PORT + 1);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 1);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(an_endpoint_refuses)
{
	begin();
	ck_assert_int_eq(vsock_listen(fake.vsock, 5, refuse_it, NULL), 0);
	fake_vsock_give(&fake, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, 5, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(two_cannot_listen_on_one_port)
{
	begin();
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_it, &end), -EADDRINUSE);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT + 1, accept_it, &end), 0);
	finish();
}
END_TEST

/* The host connects, and the guest has not replied yet. */
static uint32_t connect_to_guest(void)
{
	begin();
	fake_vsock_give(&fake, 8);
	ck_assert_int_eq(vsock_connect(fake.vsock, GUEST, &ops, &end, &end.stream), 0);
	ck_assert_int_eq(vsock_stream_write(end.stream, "early", 5), -EAGAIN);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_REQUEST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	return packet.header.src_port;
}

START_TEST(the_host_connects)
{
	uint32_t port = connect_to_guest();

	ck_assert_uint_eq(end.writable, 0);
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	ck_assert_uint_eq(end.writable, 1);
	ck_assert_int_eq(vsock_stream_write(end.stream, "hello", 5), 5);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(packet.header.length, 5);
	ck_assert_mem_eq(packet.payload, "hello", 5);
	ck_assert_uint_eq(end.closed, 0);
	finish();
}
END_TEST

START_TEST(the_guest_refuses)
{
	uint32_t port = connect_to_guest();

	fake_vsock_send(&fake, VSOCK_OP_RST, port, GUEST);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_eq(end.writable, 0);
	EXPECT_NOTHING();
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 1), 0);
	ck_assert_int_eq(vsock_stream_write(end.stream, bytes, 1), -EPIPE);
	vsock_stream_close(end.stream);
	end.stream = NULL;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(the_guest_does_not_answer)
{
	uint32_t port;

	begin();
	fake.vsock->connecting.delay_ns = 1000000; /* not 2 s */
	fake_vsock_give(&fake, 8);
	ck_assert_int_eq(vsock_connect(fake.vsock, GUEST, &ops, &end, &end.stream), 0);
	fake_vsock_run_until(&fake, &end.is_closed);
	EXPECT_OP(VSOCK_OP_REQUEST);
	port = packet.header.src_port;
	ck_assert_uint_eq(end.closed, 1);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.src_port, port);
	/* A late response finds no connection. */
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(end.writable, 0);
	finish();
}
END_TEST

START_TEST(a_request_that_was_never_sent_is_forgotten)
{
	begin();
	fake.vsock->connecting.delay_ns = 1000000;
	ck_assert_int_eq(vsock_connect(fake.vsock, GUEST, &ops, &end, &end.stream), 0);
	fake_vsock_run_until(&fake, &end.is_closed);
	fake_vsock_give(&fake, 8);
	EXPECT_NOTHING();
	finish();
}
END_TEST

START_TEST(an_established_stream_has_no_time_limit)
{
	uint32_t port = connect_to_guest();

	ck_assert(vsock_deadline_armed(&end.stream->deadline));
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	ck_assert(!vsock_deadline_armed(&end.stream->deadline));
	ck_assert_uint_eq(end.writable, 1);
	finish();
}
END_TEST

/* --- bytes ------------------------------------------------------------------------------------ */

START_TEST(bytes_go_both_ways)
{
	char back[64];

	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "ping", 4);
	ck_assert_uint_eq(end.readable, 1);
	ck_assert_int_eq(vsock_stream_read(end.stream, back, sizeof(back)), 4);
	ck_assert_mem_eq(back, "ping", 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, back, sizeof(back)), -EAGAIN);
	ck_assert_int_eq(vsock_stream_write(end.stream, "pong", 4), 4);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "pong", 4);
	/* Every packet announces the bytes taken so far. */
	ck_assert_uint_eq(packet.header.fwd_cnt, 4);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bytes_from_guest, 4);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bytes_to_guest, 4);
	finish();
}
END_TEST

START_TEST(a_packet_without_bytes_changes_nothing)
{
	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, NULL, 0);
	EXPECT_NOTHING();
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 1), -EAGAIN);
	ck_assert_uint_eq(end.closed, 0);
	finish();
}
END_TEST

START_TEST(much_goes_through_small_windows)
{
	static char out[300000], in[300000];
	size_t sent = 0, read = 0, received = 0, part;
	long n;

	open_from_guest();
	memcpy(out, bytes, sizeof(out));
	/* From the guest: never more than the credit announced to it. */
	uint32_t alloc = packet.header.buf_alloc, fwd = 0;

	while (read < sizeof(in)) {
		part = min_u64(alloc - ((uint32_t)sent - fwd), sizeof(out) - sent);
		part = min_u64(part, 65536);
		if (part > 0)
			fake_vsock_send_data(&fake, PORT, GUEST, out + sent, (uint32_t)part);
		sent += part;
		while ((n = vsock_stream_read(end.stream, in + read, 5000)) > 0)
			read += (size_t)n;
		ck_assert_int_eq(n, -EAGAIN);
		fake_vsock_run(&fake);
		while (fake_vsock_take(&fake, &packet)) {
			ck_assert_uint_eq(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
			alloc = packet.header.buf_alloc;
			fwd = packet.header.fwd_cnt;
			fake_vsock_give(&fake, 1);
		}
		ck_assert(part > 0 || sent == sizeof(out));
	}
	ck_assert_mem_eq(in, out, sizeof(in));
	ck_assert_uint_eq(alloc, VSOCK_STREAM_BUFFER); /* the window has grown with use */
	/* To the guest, which gives credit for 10000 bytes at a time. */
	fake.buf_alloc = 10000;
	memset(in, 0, sizeof(in));
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	for (sent = 0; received < sizeof(in);) {
		n = vsock_stream_write(end.stream, out + sent, sizeof(out) - sent);
		ck_assert(n > 0 || n == -EAGAIN || sent == sizeof(out));
		sent += n > 0 ? (size_t)n : 0;
		fake_vsock_run(&fake);
		while (fake_vsock_take(&fake, &packet)) {
			fake_vsock_give(&fake, 1);
			if (packet.header.op != VSOCK_OP_RW)
				continue;
			memcpy(in + received, packet.payload, packet.header.length);
			received += packet.header.length;
			ck_assert_uint_le(received - fake.fwd_cnt, 10000);
		}
		fake.fwd_cnt = (uint32_t)received;
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	}
	ck_assert_mem_eq(in, out, sizeof(in));
	finish();
}
END_TEST

START_TEST(counters_wrap_around)
{
	char back[100];
	unsigned i;

	open_from_guest();
	/* As if 4 GiB less 150 bytes had passed in both directions. */
	end.stream->credit.sent = end.stream->credit.peer_forwarded = UINT32_MAX - 149;
	end.stream->window.received = end.stream->window.forwarded = UINT32_MAX - 149;
	end.stream->window.told_forwarded = UINT32_MAX - 149;
	fake.buf_alloc = 120;
	fake.fwd_cnt = UINT32_MAX - 149;
	for (i = 0; i < 8; i++) {
		fake_vsock_send_data(&fake, PORT, GUEST, bytes + i, 100);
		ck_assert_int_eq(vsock_stream_read(end.stream, back, sizeof(back)), 100);
		ck_assert_mem_eq(back, bytes + i, 100);
		ck_assert_int_eq(vsock_stream_write(end.stream, bytes + i, 100), 100);
		fake_vsock_run(&fake);
		EXPECT_OP(VSOCK_OP_RW);
		ck_assert_uint_eq(packet.header.length, 100);
		ck_assert_mem_eq(packet.payload, bytes + i, 100);
		ck_assert_uint_eq(packet.header.fwd_cnt, UINT32_MAX - 149 + 100 * (i + 1));
		fake.fwd_cnt += 100;
	}
	ck_assert_uint_eq(fake.fwd_cnt, 650);
	finish();
}
END_TEST

START_TEST(data_beyond_the_credit_resets)
{
	uint32_t window;

	/* The positive twin: all of the credit, to the last byte. */
	open_from_guest();
	window = packet.header.buf_alloc;
	fake_vsock_send_data(&fake, PORT, GUEST, bytes, window);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, window);
	/* One more byte is too much. */
	fake_vsock_send_data(&fake, PORT, GUEST, bytes, 1);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
	/* The bytes before can still be read. */
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, sizeof(bytes)), window);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, sizeof(bytes)), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	finish();
}
END_TEST

UNIT_MAIN("vsock_stream", the_guest_connects, the_guest_connects_to_an_unused_port,
	  an_endpoint_refuses, two_cannot_listen_on_one_port, the_host_connects, the_guest_refuses,
	  the_guest_does_not_answer, a_request_that_was_never_sent_is_forgotten,
	  an_established_stream_has_no_time_limit, bytes_go_both_ways,
	  a_packet_without_bytes_changes_nothing, much_goes_through_small_windows,
	  counters_wrap_around, data_beyond_the_credit_resets)
