/* SPDX-License-Identifier: Apache-2.0 */
/* Many streams, greedy streams, and a guest that takes nothing: what stays bounded and fair. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"

#define PORT 1000u /* of the in-process service that accepts all connections */

static struct fake_vsock fake;
static struct fake_packet packet;
static char bytes[256 << 10];

static struct vsock_stream *accepted[VSOCK_STREAMS_MAX];
static unsigned accepted_count;

static const struct vsock_stream_ops no_ops;

static int accept_all(void *arg, struct vsock_stream *stream)
{
	(void)arg;
	vsock_stream_set_ops(stream, &no_ops, NULL);
	accepted[accepted_count++] = stream;
	return 0;
}

static void begin(bool unix_socket)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	accepted_count = 0;
	fake_vsock_begin(&fake, unix_socket);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_all, NULL), 0);
}

static void finish(void)
{
	fake_vsock_end(&fake);
}

/* Takes all packets that wait, and gives as many buffers again. Returns the last one's operation.
 */
static unsigned take_all(void)
{
	unsigned count = 0, op = 0;

	while (fake_vsock_take(&fake, &packet)) {
		op = packet.header.op;
		count++;
	}
	if (count > 0)
		fake_vsock_give(&fake, count);
	return op;
}

static void open_streams(unsigned count, uint32_t first_port)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, first_port + i);
		ck_assert_uint_eq(take_all(), VSOCK_OP_RESPONSE);
	}
}

START_TEST(a_thousand_connections_at_once)
{
	char in[32], out[32];
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 64);
	open_streams(1000, 1);
	ck_assert_uint_eq(accepted_count, 1000);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1000);
	/* Each has its own bytes, in both directions. */
	for (i = 0; i < 1000; i++) {
		snprintf(out, sizeof(out), "to host %u", i);
		fake_vsock_send_data(&fake, PORT, 1 + i, out, sizeof(out));
	}
	for (i = 0; i < 1000; i++) {
		snprintf(out, sizeof(out), "to host %u", i);
		ck_assert_int_eq(vsock_stream_read(accepted[i], in, sizeof(in)), sizeof(in));
		ck_assert_str_eq(in, out);
		ck_assert_int_eq(vsock_stream_write(accepted[i], &i, sizeof(i)), sizeof(i));
	}
	fake_vsock_run(&fake);
	for (i = 0; i < 1000; i++) {
		if (!fake_vsock_take(&fake, &packet)) {
			fake_vsock_give(&fake, 64);
			ck_assert(fake_vsock_take(&fake, &packet));
		}
		ck_assert_uint_eq(packet.header.op, VSOCK_OP_RW);
		ck_assert_uint_eq(load_le32(packet.payload), packet.header.dst_port - 1);
	}
	for (i = 0; i < 1000; i++)
		vsock_stream_close(accepted[i]);
	fake_vsock_run(&fake);
	while (take_all() != 0)
		;
	for (i = 0; i < 1000; i++)
		fake_vsock_send(&fake, VSOCK_OP_RST, PORT, 1 + i);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams_peak, 1000);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 0);
	ck_assert_uint_eq(fake.vsock->pool_used, 0);
	finish();
}
END_TEST

START_TEST(a_thousand_host_programs_at_once)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct rlimit many = {4096, 4096};
	static int client[1000];
	unsigned i, requests = 0;
	char line[64];

	ck_assert_msg(setrlimit(RLIMIT_NOFILE, &many) == 0, "needs 4096 descriptors");
	begin(true);
	fake_vsock_give(&fake, 64);
	strcpy(address.sun_path, fake.path);
	for (i = 0; i < 1000; i++) {
		client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(connect(client[i], (void *)&address, sizeof(address)), 0);
		snprintf(line, sizeof(line), "CONNECT %u\nI am %u", 5000 + i, i);
		ck_assert_int_eq(send(client[i], line, strlen(line), 0), strlen(line));
		if (i % 100 == 99)
			fake_vsock_run(&fake);
	}
	while (requests < 1000) {
		fake_vsock_run(&fake);
		while (fake_vsock_take(&fake, &packet)) {
			fake_vsock_give(&fake, 1);
			if (packet.header.op == VSOCK_OP_REQUEST) {
				fake_vsock_send(&fake, VSOCK_OP_RESPONSE, packet.header.src_port,
						packet.header.dst_port);
				requests++;
				continue;
			}
			ck_assert_uint_eq(packet.header.op, VSOCK_OP_RW);
			snprintf(line, sizeof(line), "I am %u", packet.header.dst_port - 5000);
			ck_assert_uint_eq(packet.header.length, strlen(line));
		}
	}
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1000);
	for (i = 0; i < 1000; i++) {
		ck_assert_int_gt(read(client[i], line, sizeof(line)), 5);
		ck_assert_mem_eq(line, "OK ", 3);
		close(client[i]);
	}
	finish();
}
END_TEST

START_TEST(there_are_not_more_than_so_many)
{
	begin(false);
	fake_vsock_give(&fake, 64);
	open_streams(VSOCK_STREAMS_MAX, 1);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, VSOCK_STREAMS_MAX + 1);
	ck_assert_uint_eq(take_all(), VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 1);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, VSOCK_STREAMS_MAX);
	/* When one has gone there is room for another. */
	vsock_stream_close(accepted[--accepted_count]);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, VSOCK_STREAMS_MAX);
	take_all();
	open_streams(1, VSOCK_STREAMS_MAX + 1);
	finish();
}
END_TEST

START_TEST(memory_is_bounded_in_all)
{
	uint64_t windows = 0, buffered;
	unsigned i, rounds;

	begin(false);
	fake_vsock_give(&fake, 64);
	open_streams(VSOCK_STREAMS_MAX, 1);
	/*
	 * Every stream is greedy in both directions: the guest fills its window, the host reads
	 * half of it so that the window grows, and the host writes as much as it may.
	 */
	fake.buf_alloc = 0;
	for (rounds = 0; rounds < 8; rounds++) {
		for (i = 0; i < VSOCK_STREAMS_MAX; i++) {
			uint32_t room = vsock_window_room(&accepted[i]->window);

			room = (uint32_t)min_u64(room, FAKE_VSOCK_PAYLOAD);
			if (room > 0)
				fake_vsock_send_data(&fake, PORT, 1 + i, bytes, room);
			vsock_stream_read(accepted[i], bytes, accepted[i]->window.alloc / 2 + 1);
			while (vsock_stream_write(accepted[i], bytes, sizeof(bytes)) > 0)
				;
			if (i % 32 == 31) {
				fake_vsock_run(&fake);
				take_all();
			}
		}
		ck_assert_uint_le(fake.vsock->pool_used, VSOCK_POOL);
	}
	buffered = fake_vsock_stats(&fake).buffered_bytes;
	ck_assert_uint_le(buffered, MIB(64));
	ck_assert_uint_gt(buffered, MIB(32)); /* it was a real attempt */
	for (i = 0; i < VSOCK_STREAMS_MAX; i++) {
		ck_assert_uint_ge(accepted[i]->from_guest.size, VSOCK_STREAM_MIN / 2);
		windows += accepted[i]->from_guest.size + accepted[i]->inproc.to_guest.size;
	}
	ck_assert_uint_le(windows, MIB(64));
	/* The smallest still get their bytes through. */
	ck_assert_int_gt(vsock_stream_read(accepted[4000], bytes, 100), 0);
	finish();
}
END_TEST

/* --- fairness
 * -------------------------------------------------------------------------------------- */

START_TEST(streams_take_turns)
{
	uint64_t got[8] = {0}, least, most;
	unsigned i, buffers;

	begin(false);
	fake_vsock_give(&fake, 8);
	open_streams(8, 1);
	/* Seven that always have much; the last one only a little. */
	for (buffers = 0; buffers < 3000; buffers++) {
		for (i = 0; i < 7; i++)
			vsock_stream_write(accepted[i], bytes, sizeof(bytes));
		vsock_stream_write(accepted[7], bytes, 100);
		if (!fake_vsock_take(&fake, &packet)) {
			fake_vsock_give(&fake, 1);
			ck_assert(fake_vsock_take(&fake, &packet));
		}
		ck_assert_uint_eq(packet.header.op, VSOCK_OP_RW);
		i = packet.header.dst_port - 1;
		got[i] += packet.header.length;
		fake.fwd_cnt = (uint32_t)got[i];
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, 1 + i);
		fake_vsock_give(&fake, 1);
	}
	least = most = got[0];
	for (i = 1; i < 7; i++) {
		least = min_u64(least, got[i]);
		most = max_u64(most, got[i]);
	}
	ck_assert_uint_gt(least, MIB(1));
	/* No stream is ahead of another by more than two turns. */
	ck_assert_uint_le(most - least, 2 * VSOCK_TURN_BYTES);
	/* The small one has its turns as often, and gets all that it had each time. */
	ck_assert_uint_gt(got[7], 0);
	finish();
}
END_TEST

START_TEST(one_that_is_stuck_does_not_hold_up_others)
{
	unsigned i, received = 0;

	begin(false);
	fake_vsock_give(&fake, 32);
	open_streams(2, 1);
	fake.buf_alloc = 0; /* the first has no credit, and its endpoint does not read */
	fake_vsock_send_data(&fake, PORT, 1, bytes, 40000);
	vsock_stream_write(accepted[0], bytes, sizeof(bytes));
	fake.buf_alloc = FAKE_VSOCK_WINDOW;
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(vsock_stream_write(accepted[1], bytes, 1000), 1000);
		fake_vsock_send_data(&fake, PORT, 2, bytes, 1000);
		ck_assert_int_eq(vsock_stream_read(accepted[1], bytes, sizeof(bytes)), 1000);
		while (fake_vsock_take(&fake, &packet)) {
			ck_assert_uint_eq(packet.header.dst_port, 2);
			received += packet.header.length;
			fake_vsock_give(&fake, 1);
		}
	}
	ck_assert_uint_eq(received, 20000);
	finish();
}
END_TEST

/* --- a guest that takes nothing
 * ---------------------------------------------------------------------- */

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

START_TEST(replies_that_nobody_takes_are_bounded)
{
	unsigned sent = 0, now, i;

	begin(false);
	while ((now = flood(sent, 16)) > 0) {
		sent += now;
		ck_assert_uint_lt(sent, 1000);
	}
	/* What could be answered was taken; the rest waits in the guest's own queue. */
	ck_assert_uint_eq(fake.vsock->stats.packets_from_guest, VSOCK_STRAYS);
	ck_assert_uint_gt(sent, VSOCK_STRAYS);
	/* With buffers all of it goes on, in order, and nothing is lost. */
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
	/* No buffers from now on. The guest asks and asks, and goes on sending. */
	for (i = 0; i < 1000; i++)
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_REQUEST, PORT, 1);
	ck_assert_uint_eq(fake.vsock->stats.packets_from_guest, 1001);
	fake_vsock_send_data(&fake, PORT, 1, "data", 4);
	ck_assert_int_eq(vsock_stream_read(accepted[0], bytes, 100), 4);
	/* One answer tells all. */
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
	/* Without buffers a guest opens and closes; nothing can be told to it. */
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
	/* With buffers all of them are told and gone. */
	fake_vsock_give(&fake, 64);
	while (take_all() != 0)
		;
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish();
}
END_TEST

/* --- buffers and interrupts
 * ---------------------------------------------------------------------------- */

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

START_TEST(taken_packets_are_told_together)
{
	uint32_t head, written;
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 8);
	open_streams(1, 1);
	fake_guest_interrupts(&fake.guest);
	/* As Linux does: an interrupt for the next element of each queue. */
	fake_queue_set_used_event(fake.rx, fake_queue_used_index(fake.rx));
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	/* One packet is taken and given back, but the guest is not told yet. */
	fake_vsock_send_data(&fake, PORT, 1, bytes, 10);
	ck_assert_int_eq(vsock_stream_read(accepted[0], bytes, 100), 10);
	ck_assert(fake_queue_take_used(fake.tx, &head, &written));
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 0);
	/* With an answer it is, by one interrupt for both. */
	vsock_stream_write(accepted[0], bytes, 10);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	ck_assert(!fake.vsock->tell_taken.armed);
	/* Without one, when there are many. */
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	for (i = 0; i < VSOCK_TX_QUEUE_SIZE / 4; i++) {
		ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 0);
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, 1);
	}
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	/* Or after a while. */
	fake_queue_set_used_event(fake.tx, fake_queue_used_index(fake.tx));
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, 1);
	ck_assert(fake.vsock->tell_taken.armed);
	fake_vsock_run_for(&fake, 2 * VSOCK_TAKEN_NS);
	ck_assert_uint_eq(fake_guest_interrupts(&fake.guest), 1);
	finish();
}
END_TEST

START_TEST(buffers_of_any_shape)
{
	struct fake_piece piece[3];
	uint32_t head, written;
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 1);
	open_streams(1, 1);
	ck_assert_uint_eq(accepted_count, 1);
	/* The one that take_all() gave: 4052 bytes of payload. */
	vsock_stream_write(accepted[0], bytes, 4052);
	fake_vsock_run(&fake);
	ck_assert(fake_vsock_take(&fake, &packet));
	vsock_stream_write(accepted[0], bytes, 100);
	/* Too small for a header, then for any payload: they come back empty. */
	fake_queue_add_one(fake.rx, fake.rx_buffer[0], 43, true);
	fake_queue_add_one(fake.rx, fake.rx_buffer[1], 44, true);
	/* In three pieces, the header in two of them. */
	for (i = 0; i < 3; i++)
		piece[i] = (struct fake_piece){fake.rx_buffer[2] + 40 * i, 40, true};
	fake_queue_add(fake.rx, piece, 3);
	/* Only readable. */
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

UNIT_MAIN("vsock_load", a_thousand_connections_at_once, a_thousand_host_programs_at_once,
	  there_are_not_more_than_so_many, memory_is_bounded_in_all, streams_take_turns,
	  one_that_is_stuck_does_not_hold_up_others, replies_that_nobody_takes_are_bounded,
	  replies_of_a_stream_are_bounded_without_waiting, streams_that_owe_an_rst_count_as_streams,
	  one_interrupt_for_a_batch, taken_packets_are_told_together, buffers_of_any_shape)
