/* SPDX-License-Identifier: Apache-2.0 */
/* What the vsock stream tests share. */
#ifndef CORDON_TEST_VSOCK_STREAM_COMMON_H
#define CORDON_TEST_VSOCK_STREAM_COMMON_H

#include <errno.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"

#define PORT  1000u /* the host's */
#define GUEST 77u

extern struct fake_vsock fake;
extern struct fake_packet packet;
extern char bytes[512 << 10];

/* An endpoint that records its callbacks. */
struct endpoint {
	struct vsock_stream *stream;
	unsigned readable, writable, closed;
	bool is_closed;
	bool close_when_readable, close_when_closed;
};
extern struct endpoint end;
extern const struct vsock_stream_ops ops;

int accept_it(void *arg, struct vsock_stream *stream);
void begin(void);
void finish(void);

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

/* Opens a connection that the guest has requested. */
void open_from_guest(void);

#endif
