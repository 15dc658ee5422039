/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are saved and restored; the guest and the contents of its rings stay as they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "vmm/base/pack.h"

#define PORT  1100u /* the host's */
#define GUEST 1000u

static struct fake_vsock fake;
static struct fake_packet packet;
static struct pack saved, others;
static uint8_t text[100 << 10];

static struct endpoint {
	struct vsock_stream *stream;
	unsigned readable, writable;
} end;

static void on_readable(void *arg)
{
	((struct endpoint *)arg)->readable++;
}

static void on_writable(void *arg)
{
	((struct endpoint *)arg)->writable++;
}

static void on_closed(void *arg)
{
	struct endpoint *at = arg;

	vsock_stream_close(at->stream);
	at->stream = NULL;
}

static const struct vsock_stream_ops ops = {
	.readable = on_readable, .writable = on_writable, .closed = on_closed};

static int accept_it(void *arg, struct vsock_stream *stream)
{
	((struct endpoint *)arg)->stream = stream;
	vsock_stream_set_ops(stream, &ops, arg);
	return 0;
}

static void begin(void)
{
	size_t i;

	memset(&end, 0, sizeof(end));
	for (i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	saved = others = (struct pack){.data = NULL};
	fake_vsock_begin(&fake, false);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_it, &end), 0);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	ck_assert_ptr_nonnull(end.stream);
	fake_vsock_give(&fake, 1);
	ck_assert(fake_vsock_wait(&fake, &packet));
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RESPONSE);
}

static void finish(void)
{
	pack_free(&saved);
	pack_free(&others);
	fake_vsock_end(&fake);
}

/* Makes the device like a new one with the old one's queues: it knows no stream. */
static void forget(void)
{
	vsock_stream_close(end.stream);
	vsock_forget_streams(fake.vsock);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
}

static int restore(const uint8_t *data, size_t length)
{
	/* A copy of the exact size, so that the sanitizer detects a read beyond it. */
	uint8_t *copy = memcpy(malloc(length + 1), data, length);
	struct unpack from = {.data = copy, .length = length};
	int ret = vsock_stream_restore(fake.vsock, PORT, &from, &ops, &end, &end.stream);

	if (ret == 0 && !unpack_done(&from)) {
		vsock_stream_close(end.stream);
		ret = -EINVAL;
	}
	free(copy);
	return ret;
}

static int restore_others(const struct pack *list)
{
	struct unpack from = {.data = list->data, .length = list->length};

	return vsock_restore_others(fake.vsock, &from);
}

START_TEST(bytes_both_ways_go_on)
{
	uint8_t got[64 << 10];
	size_t received = 0;

	begin();
	/*
	 * Bytes from the guest stay unread; bytes to the guest stay unsent, since it gives no
	 * buffers.
	 */
	fake_vsock_send_data(&fake, PORT, GUEST, text, 5000);
	ck_assert_int_eq(vsock_stream_read(end.stream, got, 1000), 1000);
	ck_assert_int_eq(vsock_stream_write(end.stream, text, sizeof(text)), sizeof(text));
	ck_assert(vsock_stream_save(end.stream, &saved));
	vsock_save_others(fake.vsock, &others);
	forget();
	ck_assert_int_eq(restore(saved.data, saved.length), 0);
	ck_assert_int_eq(restore_others(&others), 0);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(end.readable, 2); /* the first time before the save */
	ck_assert_int_eq(vsock_stream_read(end.stream, got, sizeof(got)), 4000);
	ck_assert_mem_eq(got, text + 1000, 4000);
	while (received < sizeof(text)) {
		fake_vsock_give(&fake, 1);
		ck_assert(fake_vsock_wait(&fake, &packet));
		ck_assert_uint_eq(packet.header.src_port, PORT);
		ck_assert_uint_eq(packet.header.dst_port, GUEST);
		ck_assert_uint_eq(packet.header.fwd_cnt, 5000);
		if (packet.header.op != VSOCK_OP_RW)
			continue;
		ck_assert_mem_eq(packet.payload, text + received, packet.header.length);
		received += packet.header.length;
	}
	/* And more bytes go through. */
	fake_vsock_send_data(&fake, PORT, GUEST, text, 77);
	ck_assert_int_eq(vsock_stream_read(end.stream, got, sizeof(got)), 77);
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 0);
	finish();
}
END_TEST

/* The window announced to the guest must still hold after a restore. */
START_TEST(the_window_that_the_guest_knows_stays_open)
{
	uint8_t got[64 << 10];
	uint32_t window = 0, sent = 0, part;

	begin();
	while (window < VSOCK_STREAM_BUFFER) {
		window = end.stream->window.alloc;
		fake_vsock_send_data(&fake, PORT, GUEST, text, 60 << 10);
		while (vsock_stream_read(end.stream, got, sizeof(got)) > 0)
			;
		fake_vsock_give(&fake, 1);
		fake_vsock_run(&fake);
		while (fake_vsock_take(&fake, &packet))
			;
	}
	ck_assert(vsock_stream_save(end.stream, &saved));
	vsock_save_others(fake.vsock, &others);
	forget();
	ck_assert_int_eq(restore(saved.data, saved.length), 0);
	ck_assert_uint_eq(end.stream->window.alloc, window);
	for (sent = 0; sent < window; sent += part) {
		part = window - sent < sizeof(text) / 2 ? window - sent : sizeof(text) / 2;
		fake_vsock_send_data(&fake, PORT, GUEST, text, part);
	}
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 0);
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, window);
	fake_vsock_send_data(&fake, PORT, GUEST, text, 1); /* one byte too many */
	ck_assert_uint_eq(fake_vsock_stats(&fake).bad_packets, 1);
	finish();
}
END_TEST

START_TEST(all_other_connections_are_reset)
{
	static struct endpoint other[4];
	bool seen[4] = {false};
	unsigned i;

	begin();
	for (i = 1; i < 4; i++) {
		ck_assert_int_eq(vsock_listen(fake.vsock, PORT + i, accept_it, &other[i]), 0);
		fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT + i, GUEST + i);
	}
	/* A request to a port without a listener: its reply, an RST, is still owed. */
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, 1, GUEST);
	ck_assert(vsock_stream_save(end.stream, &saved));
	vsock_save_others(fake.vsock, &others);
	ck_assert_uint_eq(others.length, 4 + 4 * 8);
	forget();
	ck_assert_int_eq(restore(saved.data, saved.length), 0);
	ck_assert_int_eq(restore_others(&others), 0);
	fake_vsock_give(&fake, 16);
	fake_vsock_run(&fake);
	while (fake_vsock_take(&fake, &packet)) {
		if (packet.header.op == VSOCK_OP_CREDIT_UPDATE) {
			ck_assert_uint_eq(packet.header.dst_port, GUEST);
			continue;
		}
		ck_assert_uint_eq(packet.header.op, VSOCK_OP_RST);
		i = packet.header.dst_port - GUEST;
		ck_assert_uint_lt(i, 4);
		ck_assert_uint_eq(packet.header.src_port, i == 0 ? 1 : PORT + i);
		ck_assert(!seen[i]);
		seen[i] = true;
	}
	ck_assert(seen[0] && seen[1] && seen[2] && seen[3]);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1);
	finish();
}
END_TEST

START_TEST(one_that_is_ending_does_not_go_on)
{
	begin();
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	ck_assert(!vsock_stream_save(end.stream, &saved));
	ck_assert_uint_eq(saved.length, 0);
	vsock_save_others(fake.vsock, &others);
	ck_assert_uint_eq(others.length, 4 + 8);
	finish();
}
END_TEST

START_TEST(forged_bytes_are_refused)
{
	const size_t alloc = 5 + 4 * 4, in = alloc + 4; /* offsets of fields */
	uint32_t was;
	size_t i;

	begin();
	fake_vsock_send_data(&fake, PORT, GUEST, text, 100);
	vsock_stream_write(end.stream, text, 100);
	ck_assert(vsock_stream_save(end.stream, &saved));
	forget();
	for (i = 0; i < saved.length; i++) {
		ck_assert_int_eq(restore(saved.data, i), -EINVAL);
		fake_vsock_run(&fake);
		ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	}
	was = load_le32(saved.data + alloc);
	store_le32(saved.data + alloc, VSOCK_STREAM_BUFFER + 1);
	ck_assert_int_eq(restore(saved.data, saved.length), -EINVAL);
	store_le32(saved.data + alloc, was);
	store_le32(saved.data + in, UINT32_MAX);
	ck_assert_int_eq(restore(saved.data, saved.length), -EINVAL);
	store_le32(saved.data + in, 100);
	ck_assert_int_eq(restore(saved.data, saved.length), 0);
	/* The same ports twice. */
	ck_assert_int_eq(restore(saved.data, saved.length), -EINVAL);
	pack_u32(&others, UINT32_MAX);
	ck_assert_int_eq(restore_others(&others), -EINVAL);
	store_le32(others.data, 2);
	pack_u32(&others, 7);
	ck_assert_int_eq(restore_others(&others), -EINVAL);
	finish();
}
END_TEST

UNIT_MAIN("vsock_save", bytes_both_ways_go_on, the_window_that_the_guest_knows_stays_open,
	  all_other_connections_are_reset, one_that_is_ending_does_not_go_on,
	  forged_bytes_are_refused)
