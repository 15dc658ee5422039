/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between a guest and in-process endpoints: their whole life, packet by packet. */
#include <errno.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"

#define PORT  1000u /* the host's */
#define GUEST 77u

static struct fake_vsock fake;
static struct fake_packet packet;
static char bytes[512 << 10];

/* An endpoint that writes down what it hears. */
static struct endpoint {
	struct vsock_stream *stream;
	unsigned readable, writable, closed;
	bool is_closed;
	bool close_when_readable, close_when_closed;
} end;

static void on_readable(void *arg)
{
	struct endpoint *at = arg;

	at->readable++;
	if (at->close_when_readable && at->stream) {
		vsock_stream_close(at->stream);
		at->stream = NULL;
	}
}

static void on_writable(void *arg)
{
	((struct endpoint *)arg)->writable++;
}

static void on_closed(void *arg)
{
	struct endpoint *at = arg;

	at->closed++;
	at->is_closed = true;
	if (at->close_when_closed && at->stream) {
		vsock_stream_close(at->stream);
		at->stream = NULL;
	}
}

static const struct vsock_stream_ops ops = {
	.readable = on_readable, .writable = on_writable, .closed = on_closed};

static int accept_it(void *arg, struct vsock_stream *stream)
{
	struct endpoint *at = arg;

	at->stream = stream;
	vsock_stream_set_ops(stream, &ops, at);
	return 0;
}

static int refuse_it(void *arg, struct vsock_stream *stream)
{
	(void)arg;
	ck_assert_uint_eq(vsock_stream_peer_port(stream), GUEST);
	/* What it wrote before it changed its mind is lost with it. */
	ck_assert_int_eq(vsock_stream_write(stream, "hello", 5), 5);
	return -EACCES;
}

static void begin(void)
{
	size_t i;

	memset(&end, 0, sizeof(end));
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	fake_vsock_begin(&fake, false);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_it, &end), 0);
}

static void finish(void)
{
	if (end.stream)
		vsock_stream_close(end.stream);
	end.stream = NULL;
	fake_vsock_end(&fake);
}

#define EXPECT_OP(wanted)                                                     \
	do {                                                                  \
		ck_assert(fake_vsock_take(&fake, &packet));                   \
		ck_assert_uint_eq(packet.header.op, wanted);                  \
		ck_assert_uint_eq(packet.header.src_cid, 2);                  \
		ck_assert_uint_eq(packet.header.dst_cid, 3);                  \
		ck_assert_uint_eq(packet.header.type, 1);                     \
		ck_assert_uint_eq(packet.written, 44 + packet.header.length); \
	} while (0)

#define EXPECT_NOTHING() ck_assert(!fake_vsock_take(&fake, &packet))

/* A connection that the guest asked for. */
static void open_from_guest(void)
{
	begin();
	fake_vsock_give(&fake, 32);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	ck_assert_uint_eq(packet.header.src_port, PORT);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	ck_assert_ptr_nonnull(end.stream);
	ck_assert_uint_eq(vsock_stream_peer_port(end.stream), GUEST);
}

/* --- connecting --------------------------------------------------------------------------------
 */

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

START_TEST(the_guest_connects_to_nobody)
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

/* The host connects, and the guest has answered nothing yet. */
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

/* --- bytes --------------------------------------------------------------------------------------
 */

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
	/* Every packet tells what was taken so far. */
	ck_assert_uint_eq(packet.header.fwd_cnt, 4);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bytes_from_guest, 4);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bytes_to_guest, 4);
	finish();
}
END_TEST

START_TEST(a_packet_without_bytes_is_nothing)
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
	/* From the guest, never more than the credit that it knows. */
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
	ck_assert_uint_eq(alloc, VSOCK_STREAM_BUFFER); /* it has grown while it was used */
	/* And to the guest, which gives credit for 10000 bytes at a time. */
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
	/* As if 4 GiB less 150 bytes had gone both ways. */
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

	/* Positive: all of it, to the last byte. */
	open_from_guest();
	window = packet.header.buf_alloc;
	fake_vsock_send_data(&fake, PORT, GUEST, bytes, window);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, window);
	/* One more is too much. */
	fake_vsock_send_data(&fake, PORT, GUEST, bytes, 1);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
	/* What came before is still there to be read. */
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, sizeof(bytes)), window);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, sizeof(bytes)), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	finish();
}
END_TEST

/* --- credit -------------------------------------------------------------------------------------
 */

START_TEST(a_credit_request_is_answered)
{
	open_from_guest();
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_CREDIT_UPDATE);
	ck_assert_uint_ge(packet.header.buf_alloc, VSOCK_STREAM_MIN);
	EXPECT_NOTHING();
	finish();
}
END_TEST

START_TEST(no_credit_no_bytes)
{
	open_from_guest();
	fake.buf_alloc = 0;
	fake.vsock->blocked.delay_ns = 1000000;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	ck_assert_int_eq(vsock_stream_write(end.stream, "hello", 5), 5);
	/* It asks, once. */
	ck_assert(fake_vsock_wait(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_CREDIT_REQUEST);
	fake_vsock_run_for(&fake, 10000000);
	EXPECT_NOTHING();
	/* One byte, then as many as there can be. */
	fake.buf_alloc = 1;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(packet.header.length, 1);
	fake.buf_alloc = UINT32_MAX;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(packet.header.length, 4);
	ck_assert_mem_eq(packet.payload, "ello", 4);
	EXPECT_NOTHING();
	finish();
}
END_TEST

START_TEST(end_of_file_needs_no_credit)
{
	open_from_guest();
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	vsock_stream_shutdown_write(end.stream);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_SEND);
	finish();
}
END_TEST

START_TEST(a_full_stream_says_when_there_is_room)
{
	size_t written = 0;
	long n;

	open_from_guest();
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	while ((n = vsock_stream_write(end.stream, bytes, sizeof(bytes))) > 0)
		written += (size_t)n;
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_uint_eq(written, VSOCK_STREAM_BUFFER);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.writable, 0);
	fake.buf_alloc = 200 << 10;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	while (fake_vsock_take(&fake, &packet))
		fake_vsock_give(&fake, 1);
	ck_assert_uint_eq(end.writable, 1);
	ck_assert_int_eq(vsock_stream_write(end.stream, bytes, 100), 100);
	finish();
}
END_TEST

/* --- endings -------------------------------------------------------------------------------------
 */

START_TEST(the_guest_shuts_down_sending)
{
	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "last", 4);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 0);
	/* The other direction goes on. */
	ck_assert_int_eq(vsock_stream_write(end.stream, "more", 4), 4);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(end.closed, 0);
	/* Until it ends too: then the stream is closed on both sides. */
	vsock_stream_shutdown_write(end.stream);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	ck_assert_uint_eq(end.closed, 1);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	EXPECT_NOTHING();
	vsock_stream_close(end.stream);
	end.stream = NULL;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(data_after_shutdown_resets)
{
	open_from_guest();
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	fake_vsock_send_data(&fake, PORT, GUEST, "x", 1);
	EXPECT_OP(VSOCK_OP_RST);
	finish();
}
END_TEST

START_TEST(the_guest_shuts_down_receiving)
{
	open_from_guest();
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	ck_assert_int_eq(vsock_stream_write(end.stream, "lost", 4), 4);
	fake.buf_alloc = 1000;
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_RCV);
	EXPECT_NOTHING();
	ck_assert_int_eq(vsock_stream_write(end.stream, "x", 1), -EPIPE);
	/* The other direction goes on. */
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	ck_assert_uint_eq(end.closed, 0);
	finish();
}
END_TEST

START_TEST(the_guest_closes)
{
	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "last words", 10);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_BOTH);
	/* It need not wait until the host has read all. */
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(end.closed, 0);
	/* And may use the same ports again. */
	ck_assert_int_eq(vsock_stream_write(end.stream, "x", 1), -EPIPE);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 10);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	vsock_stream_close(end.stream);
	end.stream = NULL;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(shutdown_flags_add_up)
{
	open_from_guest();
	fake_vsock_send_shutdown(&fake, PORT, GUEST, 0);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_RCV | 0xfff0);
	EXPECT_NOTHING();
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(end.closed, 1);
	finish();
}
END_TEST

START_TEST(ports_can_be_used_again)
{
	struct vsock_stream *first;

	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "old", 3);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_BOTH);
	EXPECT_OP(VSOCK_OP_RST);
	first = end.stream;
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	ck_assert_ptr_ne(end.stream, first);
	fake_vsock_send_data(&fake, PORT, GUEST, "new", 3);
	ck_assert_int_eq(vsock_stream_read(first, bytes, 100), 3);
	ck_assert_mem_eq(bytes, "old", 3);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 3);
	ck_assert_mem_eq(bytes, "new", 3);
	vsock_stream_close(first);
	finish();
}
END_TEST

START_TEST(the_host_closes)
{
	open_from_guest();
	/* Without credit: what was written still goes out, and the end of file behind it. */
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	ck_assert_int_eq(vsock_stream_write(end.stream, "goodbye", 7), 7);
	vsock_stream_close(end.stream);
	end.stream = NULL;
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_RCV);
	/* The guest has not heard of it yet: its data is dropped, and credited. */
	fake_vsock_send_data(&fake, PORT, GUEST, "late", 4);
	fake.buf_alloc = 1000;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "goodbye", 7);
	ck_assert_uint_eq(packet.header.fwd_cnt, 4);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	EXPECT_NOTHING();
	finish();
}
END_TEST

START_TEST(a_guest_that_does_not_confirm_is_reset)
{
	open_from_guest();
	fake.vsock->lingering.delay_ns = 1000000; /* not 8 s */
	vsock_stream_close(end.stream);
	end.stream = NULL;
	ck_assert(fake_vsock_wait(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_SHUTDOWN);
	ck_assert(fake_vsock_wait(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(a_guest_that_closes_meanwhile_gets_its_rst)
{
	open_from_guest();
	vsock_stream_close(end.stream);
	end.stream = NULL;
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	EXPECT_NOTHING();
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_RCV);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

START_TEST(the_guest_resets)
{
	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	EXPECT_NOTHING();
	ck_assert_uint_eq(end.closed, 0); /* there is something to read first */
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	finish();
}
END_TEST

START_TEST(an_endpoint_may_close_inside_its_callbacks)
{
	open_from_guest();
	end.close_when_readable = true;
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	ck_assert_ptr_null(end.stream);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	ck_assert_uint_eq(end.closed, 0);
	end.close_when_readable = false;
	end.close_when_closed = true;
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_ptr_null(end.stream);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

/* --- out of order
 * --------------------------------------------------------------------------------- */

START_TEST(packets_for_nobody_get_an_rst)
{
	unsigned op;

	begin();
	fake_vsock_give(&fake, 16);
	for (op = VSOCK_OP_RESPONSE; op < VSOCK_OPS; op++) {
		fake_vsock_send(&fake, (enum vsock_op)op, PORT, GUEST);
		if (op != VSOCK_OP_RST) {
			EXPECT_OP(VSOCK_OP_RST);
			ck_assert_uint_eq(packet.header.src_port, PORT);
		}
		EXPECT_NOTHING();
	}
	finish();
}
END_TEST

START_TEST(operations_out_of_order_reset)
{
	static const enum vsock_op wrong[] = {VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		open_from_guest();
		fake_vsock_send(&fake, wrong[i], PORT, GUEST);
		EXPECT_OP(VSOCK_OP_RST);
		EXPECT_NOTHING();
		ck_assert_uint_eq(end.closed, 1);
		finish();
	}
}
END_TEST

START_TEST(broken_packets_reset_their_stream)
{
	struct vsock_header header;
	unsigned i;

	for (i = 0; i < 4; i++) {
		open_from_guest();
		header = fake_vsock_header(&fake, VSOCK_OP_RW, PORT, GUEST);
		header.length = 4;
		if (i == 1)
			header.length = 5;
		else if (i == 2)
			header.op = 0;
		else if (i == 3)
			header.op = 8;
		fake_vsock_send_raw(&fake, &header, "data", 4);
		if (i == 0) {
			EXPECT_NOTHING();
			ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
		} else {
			EXPECT_OP(VSOCK_OP_RST);
			ck_assert_uint_eq(end.closed, 1);
			ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
		}
		finish();
	}
}
END_TEST

START_TEST(wrong_cids_touch_no_stream)
{
	struct vsock_header header;

	open_from_guest();
	header = fake_vsock_header(&fake, VSOCK_OP_RST, PORT, GUEST);
	header.src_cid = 4;
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	header.op = VSOCK_OP_REQUEST;
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	EXPECT_NOTHING();
	header = fake_vsock_header(&fake, VSOCK_OP_REQUEST, PORT, GUEST + 1);
	header.dst_cid = 9;
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	ck_assert(fake_vsock_take(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.src_cid, 9);
	ck_assert_uint_eq(packet.header.dst_port, GUEST + 1);
	/* A connection of another type with the same ports is another one. */
	header = fake_vsock_header(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	header.type = 2;
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	ck_assert(fake_vsock_take(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.type, 2);
	/* The stream is as it was. */
	ck_assert_uint_eq(end.closed, 0);
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	finish();
}
END_TEST

START_TEST(a_header_may_be_in_pieces)
{
	struct vsock_header header;
	struct fake_piece piece[5];
	uint64_t at;
	unsigned i;

	open_from_guest();
	header = fake_vsock_header(&fake, VSOCK_OP_RW, PORT, GUEST);
	header.length = 8;
	at = fake.tx_buffer;
	vsock_header_encode(&header, fake_guest_at(&fake.guest, at));
	memcpy((char *)fake_guest_at(&fake.guest, at) + 44, "abcdefgh", 8);
	/* 1, 20, 22, 5 and 4 bytes: pieces end in the middle of header and payload. */
	for (i = 0; i < 5; i++) {
		static const uint32_t lengths[] = {1, 20, 22, 5, 4};

		piece[i] = (struct fake_piece){at, lengths[i], false};
		at += lengths[i];
	}
	fake_queue_add(fake.tx, piece, 5);
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	EXPECT_NOTHING();
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 8);
	ck_assert_mem_eq(bytes, "abcdefgh", 8);
	/* And one that ends before its header does. */
	fake_queue_add(fake.tx, piece, 2);
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
	ck_assert_uint_eq(end.closed, 0);
	finish();
}
END_TEST

/* --- the device
 * ------------------------------------------------------------------------------------ */

START_TEST(the_cid_can_be_read)
{
	begin();
	ck_assert_uint_eq(fake_read(&fake.guest, FAKE_REG_DEVICE_ID), 19);
	ck_assert_uint_eq(fake_read_size(&fake.guest, FAKE_REG_CONFIG, 8), VSOCK_GUEST_CID);
	ck_assert_uint_eq(fake_read_size(&fake.guest, FAKE_REG_CONFIG + 4, 4), 0);
	ck_assert_uint_eq(fake_read_size(&fake.guest, FAKE_REG_CONFIG, 1), VSOCK_GUEST_CID);
	finish();
}
END_TEST

START_TEST(a_cid_must_be_a_guests)
{
	static const uint64_t bad[] = {0, 1, 2, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
	struct vsock *vsock;
	struct loop *loop;
	struct err err;
	size_t i;

	ck_assert_int_eq(loop_create(&loop), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(vsock_create(&vsock, loop, bad[i], NULL, &err), -EINVAL);
	ck_assert_int_eq(vsock_create(&vsock, loop, UINT32_MAX - 1, NULL, &err), 0);
	vsock_destroy(vsock);
	loop_destroy(loop);
}
END_TEST

START_TEST(a_device_reset_ends_all_streams)
{
	open_from_guest();
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	fake_write(&fake.guest, FAKE_REG_STATUS, 0);
	fake_vsock_run(&fake);
	ck_assert_int_eq(vsock_stream_write(end.stream, "x", 1), -EPIPE);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	vsock_stream_close(end.stream);
	end.stream = NULL;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	/* It comes up again. */
	fake_guest_forget(&fake.guest);
	ck_assert(fake_guest_bring_up(&fake.guest, 0));
	fake.given = fake.taken = 0;
	fake_vsock_give(&fake, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	finish();
}
END_TEST

START_TEST(a_transport_reset_is_told)
{
	uint32_t head, written;

	open_from_guest();
	/* No event buffer yet: it waits for one. */
	vsock_transport_reset(fake.vsock);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert(!fake_queue_take_used(fake.event, &head, &written));
	/* One that is too small goes back. */
	memset(fake_guest_at(&fake.guest, fake.event_buffer), 0xff, 16);
	fake_queue_add_one(fake.event, fake.event_buffer, 3, true);
	fake_queue_kick(fake.event);
	fake_vsock_run(&fake);
	ck_assert(fake_queue_take_used(fake.event, &head, &written));
	ck_assert_uint_eq(written, 0);
	fake_queue_add_one(fake.event, fake.event_buffer, 4, true);
	fake_guest_interrupts(&fake.guest);
	fake_queue_kick(fake.event);
	fake_vsock_run(&fake);
	ck_assert(fake_queue_take_used(fake.event, &head, &written));
	ck_assert_uint_eq(written, 4);
	ck_assert_uint_eq(load_le32(fake_guest_at(&fake.guest, fake.event_buffer)), 0);
	/* Once. */
	fake_queue_add_one(fake.event, fake.event_buffer, 4, true);
	fake_queue_kick(fake.event);
	fake_vsock_run(&fake);
	ck_assert(!fake_queue_take_used(fake.event, &head, &written));
	/* The guest's old connections are unknown; new ones work. */
	fake_vsock_send_data(&fake, PORT, GUEST, "x", 1);
	EXPECT_OP(VSOCK_OP_RST);
	vsock_stream_close(end.stream);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	finish();
}
END_TEST

START_TEST(a_connection_waits_for_the_driver)
{
	struct err err;

	memset(&end, 0, sizeof(end));
	fake_vsock_begin(&fake, false);
	/* A device that no driver has brought up yet. */
	vsock_destroy(fake.vsock);
	ck_assert_int_eq(vsock_create(&fake.vsock, fake.loop, VSOCK_GUEST_CID, NULL, &err), 0);
	fake_guest_attach(&fake.guest, vsock_device(fake.vsock));
	ck_assert_int_eq(vsock_connect(fake.vsock, GUEST, &ops, &end, &end.stream), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 0);
	fake_guest_forget(&fake.guest);
	ck_assert(fake_guest_bring_up(&fake.guest, 0));
	fake_vsock_give(&fake, 4);
	EXPECT_OP(VSOCK_OP_REQUEST);
	finish();
}
END_TEST

START_TEST(a_broken_ring_needs_a_reset)
{
	open_from_guest();
	fake_queue_set_avail_index(fake.tx, (uint16_t)(fake.tx->avail_index + 1000));
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	ck_assert(fake_status(&fake.guest) & FAKE_ST_NEEDS_RESET);
	fake_write(&fake.guest, FAKE_REG_STATUS, 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	finish();
}
END_TEST

UNIT_MAIN("vsock_stream", the_guest_connects, the_guest_connects_to_nobody, an_endpoint_refuses,
	  two_cannot_listen_on_one_port, the_host_connects, the_guest_refuses,
	  the_guest_does_not_answer, a_request_that_was_never_sent_is_forgotten,
	  an_established_stream_has_no_time_limit, bytes_go_both_ways,
	  a_packet_without_bytes_is_nothing, much_goes_through_small_windows, counters_wrap_around,
	  data_beyond_the_credit_resets, a_credit_request_is_answered, no_credit_no_bytes,
	  end_of_file_needs_no_credit, a_full_stream_says_when_there_is_room,
	  the_guest_shuts_down_sending, data_after_shutdown_resets, the_guest_shuts_down_receiving,
	  the_guest_closes, shutdown_flags_add_up, ports_can_be_used_again, the_host_closes,
	  a_guest_that_does_not_confirm_is_reset, a_guest_that_closes_meanwhile_gets_its_rst,
	  the_guest_resets, an_endpoint_may_close_inside_its_callbacks,
	  packets_for_nobody_get_an_rst, operations_out_of_order_reset,
	  broken_packets_reset_their_stream, wrong_cids_touch_no_stream, a_header_may_be_in_pieces,
	  the_cid_can_be_read, a_cid_must_be_a_guests, a_device_reset_ends_all_streams,
	  a_transport_reset_is_told, a_connection_waits_for_the_driver, a_broken_ring_needs_a_reset)
