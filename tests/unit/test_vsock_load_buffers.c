/* SPDX-License-Identifier: Apache-2.0 */
/* The socket device and a guest that gives no receive buffers, or odd ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "tests/unit/vsock_load_common.h"

/* --- a guest that gives no buffers ------------------------------------------------------------ */

/* Queues requests to a port without a listener until the queue is full. Returns how many. */
static unsigned flood(uint32_t first_port, unsigned most)
{
	struct vsock_header header;
	unsigned sent;

	for (sent = 0; sent < most; sent++) {
		header = fake_vsock_header(&fake, VSOCK_OP_REQUEST, PORT + 1, first_port + sent);
		if (!fake_vsock_queue_raw(&fake, &header, NULL, 0))
			break;
	}
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	return sent;
}

START_TEST(unread_replies_are_bounded)
{
	unsigned sent = 0, now, i;

	begin(false);
	while ((now = flood(sent, 16)) > 0) {
		sent += now;
		ck_assert_uint_lt(sent, 1000);
	}
	/* The device has taken what it can reply to; the rest waits in the guest's own queue. */
	ck_assert_uint_eq(fake.vsock->stats.packets_from_guest, VSOCK_STRAYS);
	ck_assert_uint_gt(sent, VSOCK_STRAYS);
	/* With buffers every request gets its reply, in order, and none is lost. */
	for (i = 0; i < sent; i++) {
		if (!fake_vsock_take(&fake, &packet)) {
			fake_vsock_give(&fake, 8);
			ck_assert(fake_vsock_take(&fake, &packet));
		}
		ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
		ck_assert_uint_eq(packet.header.dst_port, i);
	}
	fake_vsock_give(&fake, 8);
	ck_assert(!fake_vsock_take(&fake, &packet));
	ck_assert_uint_eq(fake.vsock->stats.packets_from_guest, sent);
	ck_assert_uint_gt(flood(sent, 16), 0); /* there is room again */
	finish();
}
END_TEST

START_TEST(replies_of_a_stream_are_bounded_without_waiting)
{
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 1);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, 1);
	ck_assert(fake_vsock_take(&fake, &packet));
	/* No buffers from now on. The guest keeps requesting credit, and goes on sending. */
	for (i = 0; i < 1000; i++)
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_REQUEST, PORT, 1);
	ck_assert_uint_eq(fake.vsock->stats.packets_from_guest, 1001);
	fake_vsock_send_data(&fake, PORT, 1, "data", 4);
	ck_assert_int_eq(vsock_stream_read(accepted[0], bytes, 100), 4);
	/* One reply covers all requests. */
	fake_vsock_give(&fake, 8);
	ck_assert(fake_vsock_take(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
	ck_assert_uint_eq(packet.header.fwd_cnt, 4);
	ck_assert(!fake_vsock_take(&fake, &packet));
	finish();
}
END_TEST

START_TEST(streams_that_owe_an_rst_count_as_streams)
{
	unsigned i;

	begin(false);
	/* Without buffers a guest opens and closes streams, and no packet can reach it. */
	for (i = 0; i < VSOCK_STREAMS_MAX; i++) {
		fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, 1 + i);
		fake_vsock_send_shutdown(&fake, PORT, 1 + i, VSOCK_SHUTDOWN_BOTH);
		vsock_stream_close(accepted[i]);
	}
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, VSOCK_STREAMS_MAX);
	for (; i < VSOCK_STREAMS_MAX + 100; i++)
		if (!fake_vsock_queue_raw(&fake,
					  &(struct vsock_header){.src_cid = VSOCK_GUEST_CID,
								 .dst_cid = VSOCK_HOST_CID,
								 .src_port = 1 + i,
								 .dst_port = PORT,
								 .type = VSOCK_TYPE_STREAM,
								 .op = VSOCK_OP_REQUEST},
					  NULL, 0))
			break;
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, VSOCK_STREAMS_MAX);
	/* With buffers all of them are reset and gone. */
	fake_vsock_give(&fake, 64);
	while (take_all() != 0)
		;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

/* --- buffers and interrupts ------------------------------------------------------------------- */

START_TEST(one_interrupt_for_a_batch)
{
	unsigned i, count = 0;

	begin(false);
	fake_vsock_give(&fake, 32);
	open_streams(10, 1);
	fake_guest_interrupts(&fake.guest);
	fake_queue_set_used_event(fake.rx, fake_queue_used_index(fake.rx));
	for (i = 0; i < 10; i++)
		vsock_stream_write(accepted[i], bytes, 9000);
	fake_vsock_run(&fake);
	while (fake_vsock_take(&fake, &packet))
		count++;
	ck_assert_uint_eq(count, 30);
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	finish();
}
END_TEST

/* In place of the timer's callback: on a busy host VSOCK_TAKEN_NS may pass at any point. */
static void pass(void *arg)
{
	(void)arg;
}

START_TEST(consumed_packets_are_reported_together)
{
	void (*interrupt)(void *arg);
	uint32_t head, written;
	uint64_t interrupts;
	unsigned i;

	begin(false);
	interrupt = fake.vsock->tell_taken.expired;
	fake.vsock->tell_taken.expired = pass;
	fake_vsock_give(&fake, 8);
	open_streams(1, 1);
	fake_guest_interrupts(&fake.guest);
	/* As in Linux: an interrupt for the next element of each queue. */
	fake_queue_set_used_event(fake.rx, fake_queue_used_index(fake.rx));
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	/* The device has used one packet's chain, but does not interrupt the guest yet. */
	fake_vsock_send_data(&fake, PORT, 1, bytes, 10);
	ck_assert_int_eq(vsock_stream_read(accepted[0], bytes, 100), 10);
	ck_assert(fake_queue_take_used(fake.tx, &head, &written));
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 0);
	/* With a packet to the guest it does, once for both queues. */
	vsock_stream_write(accepted[0], bytes, 10);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	ck_assert(!fake.vsock->tell_taken.armed);
	/* Without one it interrupts when many chains have been used. */
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	for (i = 0; i < VSOCK_TX_QUEUE_SIZE / 4; i++) {
		ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 0);
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, 1);
	}
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	/* Or after VSOCK_TAKEN_NS. */
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	fake.vsock->tell_taken.expired = interrupt;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, 1);
	interrupts = fake_guest_interrupts(&fake.guest);
	ck_assert_uint_eq(interrupts + fake.vsock->tell_taken.armed, 1);
	fake_vsock_run_for(&fake, 2 * VSOCK_TAKEN_NS);
	ck_assert_uint_eq(interrupts + fake_guest_interrupts(&fake.guest), 1);
	finish();
}
END_TEST

START_TEST(buffers_of_any_shape)
{
	struct fake_segment segment[3];
	uint32_t head, written;
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 1);
	open_streams(1, 1);
	ck_assert_uint_eq(accepted_count, 1);
	/* The buffer that take_all() gave: 4052 bytes of payload. */
	vsock_stream_write(accepted[0], bytes, 4052);
	fake_vsock_run(&fake);
	ck_assert(fake_vsock_take(&fake, &packet));
	vsock_stream_write(accepted[0], bytes, 100);
	/* Too small for a header, and for any payload: both come back empty. */
	fake_queue_add_one(fake.rx, fake.rx_buffer[0], 43, true);
	fake_queue_add_one(fake.rx, fake.rx_buffer[1], 44, true);
	/* In three segments, the header across two of them. */
	for (i = 0; i < 3; i++)
		segment[i] = (struct fake_segment){fake.rx_buffer[2] + 40 * i, 40, true};
	fake_queue_add(fake.rx, segment, 3);
	/* A buffer that is only readable. */
	fake_queue_add_one(fake.rx, fake.rx_buffer[3], 4096, false);
	fake_queue_add_one(fake.rx, fake.rx_buffer[4], 4096, true);
	fake_queue_kick(fake.rx);
	fake_vsock_run(&fake);
	for (i = 0; i < 2; i++) {
		ck_assert(fake_queue_take_used(fake.rx, &head, &written));
		ck_assert_uint_eq(written, 0);
	}
	ck_assert(fake_queue_take_used(fake.rx, &head, &written));
	ck_assert_uint_eq(written, 120);
	ck_assert_mem_eq((char *)fake_guest_at(&fake.guest, fake.rx_buffer[2]) + 44, bytes, 76);
	ck_assert(fake_queue_take_used(fake.rx, &head, &written));
	ck_assert_uint_eq(written, 0);
	ck_assert(fake_queue_take_used(fake.rx, &head, &written));
	ck_assert_uint_eq(written, 44 + 24);
	ck_assert_mem_eq((char *)fake_guest_at(&fake.guest, fake.rx_buffer[4]) + 44, bytes + 76,
			 24);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 3);
	finish();
}
END_TEST

UNIT_MAIN("vsock_load_buffers", unread_replies_are_bounded,
	  replies_of_a_stream_are_bounded_without_waiting, streams_that_owe_an_rst_count_as_streams,
	  one_interrupt_for_a_batch, consumed_packets_are_reported_together, buffers_of_any_shape)
