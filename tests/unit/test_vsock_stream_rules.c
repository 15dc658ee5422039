/* SPDX-License-Identifier: Apache-2.0 */
/* Packets out of order, and the socket device itself. */
#include <errno.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "tests/unit/vsock_stream_common.h"

/* --- out of order ----------------------------------------------------------------------------- */

START_TEST(packets_without_a_stream_get_an_rst)
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
	/* The same ports with another socket type are another connection. */
	header = fake_vsock_header(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	header.type = 2;
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	ck_assert(fake_vsock_take(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.type, 2);
	/* The stream is unaffected. */
	ck_assert_uint_eq(end.closed, 0);
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 4);
	finish();
}
END_TEST

START_TEST(a_header_may_span_segments)
{
	struct vsock_header header;
	struct fake_segment segment[5];
	uint64_t at;
	unsigned i;

	open_from_guest();
	header = fake_vsock_header(&fake, VSOCK_OP_RW, PORT, GUEST);
	header.length = 8;
	at = fake.tx_buffer;
	vsock_header_encode(&header, fake_guest_at(&fake.guest, at));
	memcpy((char *)fake_guest_at(&fake.guest, at) + 44, "abcdefgh", 8);
	/* 1, 20, 22, 5 and 4 bytes: segments end in the middle of header and payload. */
	for (i = 0; i < 5; i++) {
		static const uint32_t lengths[] = {1, 20, 22, 5, 4};

		segment[i] = (struct fake_segment){at, lengths[i], false};
		at += lengths[i];
	}
	fake_queue_add(fake.tx, segment, 5);
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	EXPECT_NOTHING();
	ck_assert_int_eq(vsock_stream_read(end.stream, bytes, 100), 8);
	ck_assert_mem_eq(bytes, "abcdefgh", 8);
	/* And a packet that ends within its header. */
	fake_queue_add(fake.tx, segment, 2);
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
	ck_assert_uint_eq(end.closed, 0);
	finish();
}
END_TEST

/* --- the device ------------------------------------------------------------------------------- */

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
	/* The device comes up again. */
	fake_guest_forget(&fake.guest);
	ck_assert(fake_guest_bring_up(&fake.guest, 0));
	fake.given = fake.taken = 0;
	fake_vsock_give(&fake, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	finish();
}
END_TEST

START_TEST(a_transport_reset_is_reported)
{
	uint32_t head, written;

	open_from_guest();
	/* The event waits for a buffer. */
	vsock_transport_reset(fake.vsock);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert(!fake_queue_take_used(fake.event, &head, &written));
	/* A buffer that is too small comes back empty. */
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
	/* The event comes once. */
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
	/* A new device that no driver has brought up yet. */
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

UNIT_MAIN("vsock_stream_rules", packets_without_a_stream_get_an_rst, operations_out_of_order_reset,
	  broken_packets_reset_their_stream, wrong_cids_touch_no_stream, a_header_may_span_segments,
	  the_cid_can_be_read, a_cid_must_be_a_guests, a_device_reset_ends_all_streams,
	  a_transport_reset_is_reported, a_connection_waits_for_the_driver,
	  a_broken_ring_needs_a_reset)
