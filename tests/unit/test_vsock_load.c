/* SPDX-License-Identifier: Apache-2.0 */
/* Many streams, greedy streams, stuck streams: memory stays bounded, and turns stay fair. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "tests/unit/vsock_load_common.h"

START_TEST(a_thousand_connections_at_once)
{
	char in[32], out[32];
	unsigned i;

	begin(false);
	fake_vsock_give(&fake, 64);
	open_streams(1000, 1);
	ck_assert_uint_eq(accepted_count, 1000);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1000);
	/* Each stream carries its own bytes, in both directions. */
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

START_TEST(connections_are_bounded)
{
	begin(false);
	fake_vsock_give(&fake, 64);
	open_streams(VSOCK_STREAMS_MAX, 1);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, VSOCK_STREAMS_MAX + 1);
	ck_assert_uint_eq(take_all(), VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 1);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, VSOCK_STREAMS_MAX);
	/* When one stream has gone there is room for another. */
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
	ck_assert_uint_gt(buffered, MIB(32)); /* the load was large enough */
	for (i = 0; i < VSOCK_STREAMS_MAX; i++) {
		ck_assert_uint_ge(accepted[i]->from_guest.size, VSOCK_STREAM_MIN / 2);
		windows += accepted[i]->from_guest.size + accepted[i]->inproc.to_guest.size;
	}
	ck_assert_uint_le(windows, MIB(64));
	/* Streams with the smallest buffers still get their bytes through. */
	ck_assert_int_gt(vsock_stream_read(accepted[4000], bytes, 100), 0);
	finish();
}
END_TEST

/* --- fairness --------------------------------------------------------------------------------- */

START_TEST(streams_take_turns)
{
	uint64_t got[8] = {0}, least, most;
	unsigned i, buffers;

	begin(false);
	fake_vsock_give(&fake, 8);
	open_streams(8, 1);
	/* Seven streams always have much to send; the last one only a little. */
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
	/* The small stream gets its turns, too. */
	ck_assert_uint_gt(got[7], 0);
	finish();
}
END_TEST

START_TEST(a_stuck_stream_does_not_stall_others)
{
	unsigned i, received = 0;

	begin(false);
	fake_vsock_give(&fake, 32);
	open_streams(2, 1);
	fake.buf_alloc = 0; /* the first stream has no credit, and its endpoint does not read */
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

UNIT_MAIN("vsock_load", a_thousand_connections_at_once, a_thousand_host_programs_at_once,
	  connections_are_bounded, memory_is_bounded_in_all, streams_take_turns,
	  a_stuck_stream_does_not_stall_others)
