/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small packets that wait in the ring together reach the Unix socket by one system call. This
 * program counts these calls.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/vsock_unix_common.h"

#define SMALL 1000u
#define LARGE (VSOCK_GATHER_BYTES + 1)

static unsigned calls;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	calls++;
	return syscall(SYS_sendmsg, fd, message, flags);
}

/* The next packet waits in the ring until pass(). */
static void queue_packet(enum vsock_op op, uint32_t guest_port, uint32_t flags, uint32_t at,
			 uint32_t length)
{
	struct vsock_header header = fake_vsock_header(&fake, op, PORT, guest_port);

	header.length = length;
	header.flags = flags;
	ck_assert(fake_vsock_queue_raw(&fake, &header, bytes + at, length));
}

static void queue_data(uint32_t at, uint32_t length)
{
	queue_packet(VSOCK_OP_RW, GUEST, 0, at, length);
}

static void pass(void)
{
	calls = 0;
	fake_queue_kick(fake.tx);
	fake_vsock_run(&fake);
}

START_TEST(small_packets_go_by_one_call)
{
	int fd = open_from_guest(PORT);
	uint32_t i;

	for (i = 0; i < 3; i++)
		queue_data(SMALL * i, SMALL);
	pass();
	ck_assert_uint_eq(calls, 1);
	expect_read(fd, bytes, 3 * SMALL);
	/* A packet that is alone does not wait for anything. */
	queue_data(0, SMALL);
	pass();
	ck_assert_uint_eq(calls, 1);
	expect_read(fd, bytes, SMALL);
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, 0);
	finish(fd);
}
END_TEST

START_TEST(a_large_packet_keeps_its_place)
{
	int fd = open_from_guest(PORT);

	queue_data(0, SMALL);
	queue_data(SMALL, LARGE);
	queue_data(SMALL + LARGE, SMALL);
	pass();
	ck_assert_uint_eq(calls, 3);
	expect_read(fd, bytes, 2 * SMALL + LARGE);
	finish(fd);
}
END_TEST

START_TEST(streams_do_not_mix)
{
	int fd = open_from_guest(PORT), other, listener = -1;
	char path[128];

	snprintf(path, sizeof(path), "%s_%u", fake.path, PORT);
	unlink(path);
	listener = listen_on(PORT, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST + 1);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	other = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(other, 0);
	queue_packet(VSOCK_OP_RW, GUEST, 0, 0, SMALL);
	queue_packet(VSOCK_OP_RW, GUEST + 1, 0, 5 * SMALL, SMALL);
	queue_packet(VSOCK_OP_RW, GUEST, 0, SMALL, SMALL);
	pass();
	expect_read(fd, bytes, 2 * SMALL);
	expect_read(other, bytes + 5 * SMALL, SMALL);
	close(other);
	close(listener);
	finish(fd);
}
END_TEST

START_TEST(an_end_comes_after_the_bytes_before_it)
{
	static const struct {
		enum vsock_op op;
		uint32_t flags;
	} ends[] = {{VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND},
		    {VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH},
		    {VSOCK_OP_RST, 0}};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		fd = open_from_guest(PORT);
		queue_data(0, SMALL);
		queue_data(SMALL, SMALL);
		queue_packet(ends[i].op, GUEST, ends[i].flags, 0, 0);
		pass();
		expect_read(fd, bytes, 2 * SMALL);
		expect_end(fd);
		finish(fd);
	}
}
END_TEST

START_TEST(a_host_that_is_gone_gets_nothing)
{
	static const uint32_t lengths[] = {SMALL, LARGE};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		fd = open_from_guest(PORT);
		close(fd);
		queue_data(0, SMALL);
		queue_data(SMALL, lengths[i]);
		queue_data(0, SMALL);
		pass();
		EXPECT_OP(VSOCK_OP_SHUTDOWN);
		ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, 0);
		fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
		ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
		fake_vsock_end(&fake);
	}
}
END_TEST

/* The window counts bytes that wait as any others. */
START_TEST(a_slow_host_gets_all)
{
	int fd = open_from_guest(PORT);
	uint32_t sent = fill_the_host();

	drain_the_host(fd, sent);
	queue_data(0, SMALL);
	queue_data(SMALL, SMALL);
	pass();
	expect_read(fd, bytes, 2 * SMALL);
	finish(fd);
}
END_TEST

UNIT_MAIN("vsock_unix_gather", small_packets_go_by_one_call, a_large_packet_keeps_its_place,
	  streams_do_not_mix, an_end_comes_after_the_bytes_before_it,
	  a_host_that_is_gone_gets_nothing, a_slow_host_gets_all)
