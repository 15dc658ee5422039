/* SPDX-License-Identifier: Apache-2.0 */
/* Credit of in-process streams, and how they end. */
#include <errno.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "tests/unit/vsock_stream_common.h"

/* --- credit ----------------------------------------------------------------------------------- */

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
	/* The device sends one CREDIT_REQUEST. */
	ck_assert(fake_vsock_wait(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_CREDIT_REQUEST);
	fake_vsock_run_for(&fake, 10000000);
	EXPECT_NOTHING();
	/* Credit for one byte, then the largest credit possible. */
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

/* --- endings ---------------------------------------------------------------------------------- */

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
	/* Once it ends too, the stream is closed on both sides. */
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
	/* The guest need not wait until the host has read everything. */
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(end.closed, 0);
	/* And it may use the same ports again. */
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
	/* Without credit: bytes already written still go out later, and then the end of file. */
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	ck_assert_int_eq(vsock_stream_write(end.stream, "goodbye", 7), 7);
	vsock_stream_close(end.stream);
	end.stream = NULL;
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_RCV);
	/*
	 * The guest may not have seen the SHUTDOWN yet: its data is dropped, and its credit
	 * returned.
	 */
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
	ck_assert_uint_eq(end.closed, 0); /* there are bytes to read first */
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

UNIT_MAIN("vsock_stream_ends", a_credit_request_is_answered, no_credit_no_bytes,
	  end_of_file_needs_no_credit, a_full_stream_says_when_there_is_room,
	  the_guest_shuts_down_sending, data_after_shutdown_resets, the_guest_shuts_down_receiving,
	  the_guest_closes, shutdown_flags_add_up, ports_can_be_used_again, the_host_closes,
	  a_guest_that_does_not_confirm_is_reset, a_guest_that_closes_meanwhile_gets_its_rst,
	  the_guest_resets, an_endpoint_may_close_inside_its_callbacks)
