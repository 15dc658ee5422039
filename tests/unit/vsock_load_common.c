/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vsock_load_common.h"

struct fake_vsock fake;
struct fake_packet packet;
char bytes[256 << 10];
struct vsock_stream *accepted[VSOCK_STREAMS_MAX];
unsigned accepted_count;
static const struct vsock_stream_ops no_ops;

static int accept_all(void *arg, struct vsock_stream *stream)
{
	(void)arg;
	vsock_stream_set_ops(stream, &no_ops, NULL);
	accepted[accepted_count++] = stream;
	return 0;
}

void begin(bool unix_socket)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	accepted_count = 0;
	fake_vsock_begin(&fake, unix_socket);
	ck_assert_int_eq(vsock_listen(fake.vsock, PORT, accept_all, NULL), 0);
}

void finish(void)
{
	fake_vsock_end(&fake);
}

unsigned take_all(void)
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

void open_streams(unsigned count, uint32_t first_port)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, first_port + i);
		ck_assert_uint_eq(take_all(), VSOCK_OP_RESPONSE);
	}
}
