/* SPDX-License-Identifier: Apache-2.0 */
/* Host ends that are Unix sockets: the handshake, both directions, endings, the socket's file. */
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

/* A stream that a host program has opened. */
static int open_from_host(uint32_t *host_port)
{
	char line[32];
	int fd;

	begin();
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	*host_port = packet.header.src_port;
	expect_no_bytes(fd);
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, *host_port, GUEST);
	snprintf(line, sizeof(line), "OK %u\n", *host_port);
	expect_read(fd, line, strlen(line));
	return fd;
}

/* --- the handshake ---------------------------------------------------------------------------- */

START_TEST(a_host_program_connects)
{
	uint32_t port;
	int fd = open_from_host(&port);

	client_send(fd, "hello", 5);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(packet.header.length, 5);
	ck_assert_mem_eq(packet.payload, "hello", 5);
	fake_vsock_send_data(&fake, port, GUEST, "world", 5);
	expect_read(fd, "world", 5);
	finish(fd);
}
END_TEST

START_TEST(bytes_behind_the_line_belong_to_the_stream)
{
	uint32_t port;
	int fd;

	begin();
	fd = client_connect();
	client_send(fd, "CONN", 4);
	client_send(fd, "ECT 77\nearly bytes\n", 19);
	EXPECT_OP(VSOCK_OP_REQUEST);
	port = packet.header.src_port;
	EXPECT_NOTHING();
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_uint_eq(packet.header.length, 12);
	ck_assert_mem_eq(packet.payload, "early bytes\n", 12);
	finish(fd);
}
END_TEST

START_TEST(a_client_that_sends_and_leaves_is_served)
{
	uint32_t port;
	int fd;

	begin();
	fd = client_connect();
	client_send(fd, "CONNECT 77\nfire and forget", 26);
	close(fd);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_REQUEST);
	port = packet.header.src_port;
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "fire and forget", 15);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_send(&fake, VSOCK_OP_RST, port, GUEST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(good_lines)
{
	static const struct {
		const char *line;
		uint32_t port;
	} good[] = {
		{"CONNECT 0\n", 0},
		{"CONNECT 1\n", 1},
		{"connect 65536\n", 65536},
		{"CONNECT 1024\r\n", 1024},
		{"CONNECT 4294967295\n", UINT32_MAX},
		{"CONNECT 00000000000000000000052\n", 52},
	};
	size_t i;
	int fd;

	begin();
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		fd = client_connect();
		client_send(fd, good[i].line, strlen(good[i].line));
		EXPECT_OP(VSOCK_OP_REQUEST);
		ck_assert_uint_eq(packet.header.dst_port, good[i].port);
		close(fd);
	}
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(bad_lines)
{
	static const char *const bad[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT 4294967296\n",
		"CONNECT 99999999999999999999\n",
		"CONNECT -1\n",
		"CONNECT 5x\n",
		"CONNECT  5\n",
		"CONNECT 0x5\n",
		"GET / HTTP/1.1\n",
		"CONNECT 52 and a line that is much longer than it may be",
	};
	size_t i;
	int fd;

	begin();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = client_connect();
		client_send(fd, bad[i], strlen(bad[i]));
		errno = 0;
		ck_assert_msg(read(fd, bytes, 1) == 0 || errno == ECONNRESET, "%s", bad[i]);
		close(fd);
	}
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(a_refused_client_is_disconnected)
{
	int fd;

	begin();
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	fake_vsock_send(&fake, VSOCK_OP_RST, packet.header.src_port, GUEST);
	expect_end(fd);
	finish(fd);
}
END_TEST

START_TEST(a_guest_that_does_not_reply_is_given_up)
{
	int fd;

	begin();
	fake.vsock->connecting.delay_ns = 1000000;
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP_LATER(VSOCK_OP_REQUEST);
	EXPECT_OP_LATER(VSOCK_OP_RST);
	expect_end(fd);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish(fd);
}
END_TEST

START_TEST(a_client_that_says_nothing_costs_little)
{
	int idle[300], fd;
	size_t i;

	begin();
	/* More than may be in the handshake at a time, and than the test's loop accepts at once. */
	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		idle[i] = client_connect();
		if (i % 16 == 0)
			fake_vsock_run(&fake);
	}
	fake_vsock_run(&fake);
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_NOTHING(); /* the client waits in the backlog */
	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		close(idle[i]);
		fake_vsock_run(&fake);
	}
	EXPECT_OP(VSOCK_OP_REQUEST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	finish(fd);
}
END_TEST

/* However many streams a guest opens, there are descriptors for everything else. */
START_TEST(streams_leave_descriptors_for_others)
{
	const struct rlimit few = {512, 512};
	int listener, spare[100], i;
	uint32_t port = 0, streams;
	struct err err;

	begin();
	listener = listen_on(PORT, 1000);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(budget_divide(&err), 0);
	streams = budget(BUDGET_STREAMS);
	ck_assert_uint_lt(streams, 256);
	for (port = 0; port < streams + 20; port++) {
		fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST + port);
		EXPECT_OP(port < streams ? VSOCK_OP_RESPONSE : VSOCK_OP_RST);
		fake_vsock_give(&fake, 1);
	}
	for (i = 0; i < 100; i++)
		ck_assert_int_ge(spare[i] = dup(STDIN_FILENO), 0);
	while (i > 0)
		close(spare[--i]);
	finish(listener);
}
END_TEST

START_TEST(descriptors_run_out)
{
	const struct rlimit few = {64, 64};
	int spare[64], fd, count = 0;

	begin();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	fd = client_connect();
	while (count < 64 && (spare[count] = dup(fd)) >= 0)
		count++;
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_NOTHING(); /* no descriptor for accept(): the listener pauses, and retries */
	while (count > 0)
		close(spare[--count]);
	EXPECT_OP_LATER(VSOCK_OP_REQUEST);
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, packet.header.src_port, GUEST);
	ck_assert_int_eq(read(fd, bytes, 2), 2);
	finish(fd);
}
END_TEST

START_TEST(a_client_that_takes_too_long_is_disconnected)
{
	int fd;

	begin();
	vsock_listener_set_patience(fake.vsock->listener, 1000000);
	fd = client_connect();
	client_send(fd, "CONN", 4);
	fake_vsock_run_for(&fake, 20000000);
	ck_assert(read(fd, bytes, 1) == 0);
	close(fd);
	/* A client that is quick enough is not disconnected later. */
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	fake_vsock_run_for(&fake, 20000000);
	expect_no_bytes(fd);
	finish(fd);
}
END_TEST

UNIT_MAIN("vsock_unix", a_host_program_connects, bytes_behind_the_line_belong_to_the_stream,
	  a_client_that_sends_and_leaves_is_served, good_lines, bad_lines,
	  a_refused_client_is_disconnected, a_guest_that_does_not_reply_is_given_up,
	  a_client_that_says_nothing_costs_little, streams_leave_descriptors_for_others,
	  descriptors_run_out, a_client_that_takes_too_long_is_disconnected)
