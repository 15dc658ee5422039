/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets that the guest connects to, and bytes in both directions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "vmm/base/budget.h"
#include "tests/unit/vsock_unix_common.h"

/* --- connections from the guest --------------------------------------------------------------- */

START_TEST(a_guest_program_connects)
{
	int fd = open_from_guest(PORT);

	fake_vsock_send_data(&fake, PORT, GUEST, "hello", 5);
	expect_read(fd, "hello", 5);
	client_send(fd, "world", 5);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "world", 5);
	finish(fd);
}
END_TEST

START_TEST(any_port_will_do)
{
	static const uint32_t ports[] = {0, 1, 65535, 65536, UINT32_C(1) << 31, UINT32_MAX};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		fd = open_from_guest(ports[i]);
		fake_vsock_send_data(&fake, ports[i], GUEST, "hello", 5);
		expect_read(fd, "hello", 5);
		finish(fd);
	}
}
END_TEST

START_TEST(no_host_program_listens)
{
	int listener;

	begin();
	/* No file; then a file without a listener. */
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	listener = listen_on(PORT, 4);
	close(listener);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).refused, 2);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	fake_vsock_end(&fake);
}
END_TEST

/*
 * A symbolic link in place of a port's socket could connect the guest to any socket of the host; so
 * could another directory in place of the sockets' one.
 */
START_TEST(a_link_is_not_followed_to_another_socket)
{
	char link[128], moved[160], directory[128];
	int other, listener, fd;

	begin();
	other = listen_on(PORT + 1, 4);
	snprintf(link, sizeof(link), "%s_%u", fake.path, PORT);
	snprintf(moved, sizeof(moved), "%s_%u", fake.path, PORT + 1);
	ck_assert_int_eq(symlink(moved, link), 0);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	ck_assert_int_lt(accept(other, NULL, NULL), 0);
	unlink(link);
	/* A file of another type is refused, too. */
	ck_assert_int_eq(mkfifo(link, 0600), 0);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	unlink(link);
	/* The twin: the socket itself, even after its directory was renamed. */
	listener = listen_on(PORT, 4);
	snprintf(directory, sizeof(directory), "%s", fake.path);
	*strrchr(directory, '/') = '\0';
	snprintf(moved, sizeof(moved), "%s.moved", directory);
	ck_assert_int_eq(rename(directory, moved), 0);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rename(moved, directory), 0);
	close(listener);
	close(other);
	snprintf(link, sizeof(link), "%s_%u", fake.path, PORT + 1);
	unlink(link);
	finish(fd);
}
END_TEST

START_TEST(a_full_backlog_is_tried_again)
{
	int listener, fd, before = 0;
	struct vsock_header header;

	begin();
	fake.vsock->retrying.delay_ns = 1000000;
	listener = listen_on(PORT, 0);
	/* A backlog of 0 holds one connection; the second has to wait. */
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST + 1);
	EXPECT_NOTHING();
	before = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(before, 0);
	EXPECT_OP_LATER(VSOCK_OP_RESPONSE);
	ck_assert_uint_eq(packet.header.dst_port, GUEST + 1);
	/* The third is never accepted: after some tries it is refused. */
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST + 2);
	EXPECT_NOTHING();
	EXPECT_OP_LATER(VSOCK_OP_RST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST + 2);
	/* The guest gives up the fourth. */
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST + 3);
	header = fake_vsock_header(&fake, VSOCK_OP_RST, PORT, GUEST + 3);
	fake_vsock_send_raw(&fake, &header, NULL, 0);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 2);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	close(listener);
	close(before);
	finish(fd);
}
END_TEST

/* --- bytes ------------------------------------------------------------------------------------ */

START_TEST(a_slow_host_reader_holds_the_guest_back)
{
	int fd = open_from_guest(PORT);
	uint32_t sent = fill_the_host();

	/* When the host reads again, everything arrives, and the guest gets credit. */
	drain_the_host(fd, sent);
	EXPECT_OP(VSOCK_OP_CREDIT_UPDATE);
	finish(fd);
}
END_TEST

START_TEST(many_bytes_arrive_in_order)
{
	static char in[400 << 10];
	size_t sent = 0, got = 0;
	ssize_t n;
	int fd = open_from_guest(PORT);

	while (got < sizeof(in)) {
		n = send(fd, bytes + sent, sizeof(in) - sent, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		fake_vsock_run(&fake);
		while (fake_vsock_take(&fake, &packet)) {
			ck_assert_uint_eq(packet.header.op, VSOCK_OP_RW);
			ck_assert_uint_le(packet.header.length, FAKE_VSOCK_BUFFER - 44);
			memcpy(in + got, packet.payload, packet.header.length);
			got += packet.header.length;
			fake_vsock_give(&fake, 1);
		}
		fake.fwd_cnt = (uint32_t)got;
		fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	}
	ck_assert_mem_eq(in, bytes, sizeof(in));
	finish(fd);
}
END_TEST

UNIT_MAIN("vsock_unix_guest", a_guest_program_connects, any_port_will_do, no_host_program_listens,
	  a_link_is_not_followed_to_another_socket, a_full_backlog_is_tried_again,
	  a_slow_host_reader_holds_the_guest_back, many_bytes_arrive_in_order)
