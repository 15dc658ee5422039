/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vsock_stream_common.h"

struct fake_vsock fake;
struct fake_packet packet;
char bytes[512 << 10];
struct endpoint end;

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

const struct vsock_stream_ops ops = {
	.readable = on_readable, .writable = on_writable, .closed = on_closed};

int accept_it(void *arg, struct vsock_stream *stream)
{
	struct endpoint *at = arg;

	at->stream = stream;
	vsock_stream_set_ops(stream, &ops, at);
	return 0;
}

void begin(void)
{
	size_t i;

	memset(&end, 0, sizeof(end));
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	fake_vsock_begin(&fake, false);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_it, &end), 0);
}

void finish(void)
{
	if (end.stream)
		vsock_stream_close(end.stream);
	end.stream = NULL;
	fake_vsock_end(&fake);
}

void open_from_guest(void)
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
