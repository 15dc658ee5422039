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

#define PORT  1000u
#define GUEST 77u

static struct fake_vsock fake;
static struct fake_packet packet;
static char bytes[512 << 10];

#define EXPECT_OP(wanted)                                    \
	do {                                                 \
		ck_assert(fake_vsock_take(&fake, &packet));  \
		ck_assert_uint_eq(packet.header.op, wanted); \
	} while (0)
#define EXPECT_OP_LATER(wanted)                              \
	do {                                                 \
		ck_assert(fake_vsock_wait(&fake, &packet));  \
		ck_assert_uint_eq(packet.header.op, wanted); \
	} while (0)
#define EXPECT_NOTHING() ck_assert(!fake_vsock_take(&fake, &packet))

static void begin(void)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	fake_vsock_begin(&fake, true);
	fake_vsock_give(&fake, 32);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	return address;
}

static int client_connect(void)
{
	struct sockaddr_un address = address_of(fake.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void client_send(int fd, const void *from, size_t length)
{
	ck_assert_int_eq(send(fd, from, length, MSG_NOSIGNAL), length);
	fake_vsock_run(&fake);
}

static void expect_read(int fd, const void *wanted, size_t length)
{
	static char got[512 << 10];

	ck_assert_int_eq(read(fd, got, sizeof(got)), length);
	ck_assert_mem_eq(got, wanted, length);
}

static void expect_no_bytes(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 0);
}

/* A listener for a port of the host. */
static int listen_on(uint32_t port, int backlog)
{
	char path[128];
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "%s_%u", fake.path, port);
	address = address_of(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

/* A stream that a guest program has opened; returns the host's end. */
static int open_from_guest(uint32_t port)
{
	int listener, fd;

	begin();
	listener = listen_on(port, 4);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, port, GUEST);
	EXPECT_OP(VSOCK_OP_RESPONSE);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	close(listener);
	return fd;
}

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

static void finish(int fd)
{
	close(fd);
	fake_vsock_run(&fake);
	fake_vsock_end(&fake);
}

/* --- the handshake
 * -------------------------------------------------------------------------------- */

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

START_TEST(a_client_that_sends_and_leaves_is_heard)
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

START_TEST(a_refused_client_is_hung_up)
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

START_TEST(a_guest_that_does_not_answer_is_given_up)
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
	/* More than may be in the handshake, and than the test's loop takes at once. */
	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		idle[i] = client_connect();
		if (i % 16 == 0)
			fake_vsock_run(&fake);
	}
	fake_vsock_run(&fake);
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_NOTHING(); /* it waits in the backlog */
	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		close(idle[i]);
		fake_vsock_run(&fake);
	}
	EXPECT_OP(VSOCK_OP_REQUEST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	finish(fd);
}
END_TEST

/* A guest that opens all the streams it can leaves descriptors for everything else. */
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
	EXPECT_NOTHING(); /* no descriptor for accept(): it pauses, and retries */
	while (count > 0)
		close(spare[--count]);
	EXPECT_OP_LATER(VSOCK_OP_REQUEST);
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, packet.header.src_port, GUEST);
	ck_assert_int_eq(read(fd, bytes, 2), 2);
	finish(fd);
}
END_TEST

START_TEST(a_client_that_takes_too_long_is_hung_up)
{
	int fd;

	begin();
	vsock_listener_set_patience(fake.vsock->listener, 1000000);
	fd = client_connect();
	client_send(fd, "CONN", 4);
	fake_vsock_run_for(&fake, 20000000);
	ck_assert(read(fd, bytes, 1) == 0);
	close(fd);
	/* One that is quick enough is not cut off later. */
	fd = client_connect();
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	fake_vsock_run_for(&fake, 20000000);
	expect_no_bytes(fd);
	finish(fd);
}
END_TEST

/* --- connections from the guest
 * -------------------------------------------------------------------- */

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

START_TEST(nobody_listens)
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

/* A link in the place of a port's socket would choose which socket of the host the guest talks to;
 * so would another directory in the place of this one. */
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
	/* What is not a socket is not one either. */
	ck_assert_int_eq(mkfifo(link, 0600), 0);
	fake_vsock_send(&fake, VSOCK_OP_REQUEST, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RST);
	unlink(link);
	/* The twin: the socket itself. */
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
	/* The fourth is given up by the guest. */
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

/* --- bytes
 * ------------------------------------------------------------------------------------------ */

/* The guest sends as long as it has credit, and the host reads nothing. Returns the bytes sent. */
static uint32_t fill_the_host(void)
{
	uint32_t sent = 0, room, alloc = packet.header.buf_alloc, fwd = 0;

	while ((room = alloc - (sent - fwd)) > 0) {
		room = (uint32_t)min_u64(room, 60000);
		ck_assert_uint_le(sent + room, sizeof(bytes));
		fake_vsock_send_data(&fake, PORT, GUEST, bytes + sent, room);
		sent += room;
		while (fake_vsock_take(&fake, &packet)) {
			ck_assert_uint_eq(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
			alloc = packet.header.buf_alloc;
			fwd = packet.header.fwd_cnt;
			fake_vsock_give(&fake, 1);
		}
	}
	/* What the socket did not take is stored, at most a window's worth. */
	ck_assert_uint_gt(fake_vsock_stats(&fake).buffered_bytes, 0);
	ck_assert_uint_le(fake_vsock_stats(&fake).buffered_bytes, alloc);
	return sent;
}

/* The host reads all of it, and it is what fill_the_host() sent. */
static void drain_the_host(int fd, uint32_t sent)
{
	static char got[sizeof(bytes)];
	uint32_t received = 0;
	ssize_t n;

	while (received < sent) {
		n = read(fd, got + received, 5000);
		ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
		received += n > 0 ? (uint32_t)n : 0;
		fake_vsock_run(&fake);
	}
	ck_assert_uint_eq(received, sent);
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, 0);
	ck_assert_mem_eq(got, bytes, sent);
}

START_TEST(a_slow_host_reader_holds_the_guest_back)
{
	int fd = open_from_guest(PORT);
	uint32_t sent = fill_the_host();

	/* When it reads again, all of it comes, and the guest gets credit. */
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

/* --- endings
 * ----------------------------------------------------------------------------------------- */

START_TEST(the_host_shuts_down_writing)
{
	int fd = open_from_guest(PORT);

	client_send(fd, "last", 4);
	shutdown(fd, SHUT_WR);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_RW);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_SEND);
	/* The guest may go on sending. */
	fake_vsock_send_data(&fake, PORT, GUEST, "still here", 10);
	expect_read(fd, "still here", 10);
	EXPECT_NOTHING();
	/* Until it ends as well. */
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	expect_end(fd);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish(fd);
}
END_TEST

START_TEST(the_guest_shuts_down_sending)
{
	int fd = open_from_guest(PORT);

	fake_vsock_send_data(&fake, PORT, GUEST, "last", 4);
	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_SEND);
	expect_read(fd, "last", 4);
	expect_end(fd);
	client_send(fd, "answer", 6);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "answer", 6);
	close(fd);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(the_guest_shuts_down_receiving)
{
	int fd = open_from_guest(PORT);

	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_RCV);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	fake_vsock_send_data(&fake, PORT, GUEST, "data", 4);
	expect_read(fd, "data", 4);
	EXPECT_NOTHING();
	close(fd);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(the_host_shuts_down_reading)
{
	int fd = open_from_guest(PORT);

	shutdown(fd, SHUT_RD);
	fake_vsock_send_data(&fake, PORT, GUEST, "unwanted", 8);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_RCV);
	client_send(fd, "other way", 9);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "other way", 9);
	/* Data that was under way is dropped without harm. */
	fake_vsock_send_data(&fake, PORT, GUEST, "unwanted", 8);
	EXPECT_NOTHING();
	finish(fd);
}
END_TEST

START_TEST(the_guest_closes_and_a_slow_host_gets_all)
{
	int fd = open_from_guest(PORT);
	uint32_t sent = fill_the_host();

	fake_vsock_send_shutdown(&fake, PORT, GUEST, VSOCK_SHUTDOWN_BOTH);
	EXPECT_OP(VSOCK_OP_RST);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1);
	drain_the_host(fd, sent);
	expect_end(fd);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish(fd);
}
END_TEST

START_TEST(the_guest_resets_and_a_host_that_vanishes_frees_all)
{
	int fd = open_from_guest(PORT);

	fill_the_host();
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	EXPECT_NOTHING();
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 1);
	close(fd);
	fake_vsock_run(&fake);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	ck_assert_uint_eq(fake_vsock_stats(&fake).buffered_bytes, 0);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(the_host_vanishes)
{
	int fd = open_from_guest(PORT);

	close(fd);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags & VSOCK_SHUTDOWN_RCV, VSOCK_SHUTDOWN_RCV);
	if (packet.header.flags != VSOCK_SHUTDOWN_BOTH)
		EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_send(&fake, VSOCK_OP_RST, PORT, GUEST);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(the_host_vanishes_with_bytes_unread)
{
	int fd = open_from_guest(PORT);

	/* Bytes in both directions: its own are delivered, ours are lost. */
	fake_vsock_send_data(&fake, PORT, GUEST, "unread", 6);
	ck_assert_int_eq(send(fd, "last", 4, MSG_NOSIGNAL), 4);
	close(fd);
	fake_vsock_run(&fake);
	do {
		ck_assert(fake_vsock_take(&fake, &packet));
	} while (packet.header.op == VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.op, VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "last", 4);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(the_host_vanishes_while_the_guest_gives_no_credit)
{
	int fd = open_from_guest(PORT);

	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	shutdown(fd, SHUT_WR);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(packet.header.flags, VSOCK_SHUTDOWN_SEND);
	finish(fd);
	/* With bytes before the end, those have to go first. */
	fd = open_from_guest(PORT);
	fake.buf_alloc = 0;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	shutdown(fd, SHUT_WR);
	fake_vsock_run(&fake);
	EXPECT_NOTHING();
	fake.buf_alloc = 10;
	fake_vsock_send(&fake, VSOCK_OP_CREDIT_UPDATE, PORT, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	EXPECT_OP(VSOCK_OP_SHUTDOWN);
	finish(fd);
}
END_TEST

START_TEST(a_transport_reset_hangs_up)
{
	int fd = open_from_guest(PORT);

	vsock_transport_reset(fake.vsock);
	fake_vsock_run(&fake);
	expect_end(fd);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish(fd);
}
END_TEST

/* --- the socket's file
 * --------------------------------------------------------------------------------- */

START_TEST(the_socket_is_private_and_removed)
{
	struct stat status;

	umask(0);
	begin();
	ck_assert_int_eq(lstat(fake.path, &status), 0);
	ck_assert(S_ISSOCK(status.st_mode));
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	vsock_destroy(fake.vsock);
	fake.vsock = NULL;
	ck_assert_int_eq(lstat(fake.path, &status), -1);
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(a_live_socket_is_not_replaced_and_a_dead_one_is)
{
	struct vsock *second;
	struct err err = {""};
	struct stat status;
	char path[100];
	int fd;

	begin();
	ck_assert_int_eq(vsock_create(&second, fake.loop, VSOCK_GUEST_CID, fake.path, &err),
			 -EADDRINUSE);
	ck_assert_ptr_null(second);
	ck_assert(strstr(err.text, fake.path));
	ck_assert_int_eq(lstat(fake.path, &status), 0);
	fd = client_connect(); /* the first one still answers */
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	close(fd);
	/* One that a killed process has left. */
	close(listen_on(PORT, 1));
	snprintf(path, sizeof(path), "%s_%u", fake.path, PORT);
	ck_assert_int_eq(vsock_create(&second, fake.loop, VSOCK_GUEST_CID, path, &err), 0);
	vsock_destroy(second);
	/* A foreign file is left alone. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(vsock_create(&second, fake.loop, VSOCK_GUEST_CID, path, &err),
			 -EADDRINUSE);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISREG(status.st_mode));
	fake_vsock_end(&fake);
}
END_TEST

START_TEST(bad_paths)
{
	struct vsock *vsock;
	struct loop *loop;
	struct err err;
	char path[200];

	ck_assert_int_eq(loop_create(&loop), 0);
	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[98] = '\0'; /* fits, but not with a port behind it */
	ck_assert_int_eq(vsock_create(&vsock, loop, 3, path, &err), -ENAMETOOLONG);
	path[97] = '\0';
	ck_assert_int_eq(vsock_create(&vsock, loop, 3, path, &err), -ENAMETOOLONG);
	path[96] = '\0';
	ck_assert_int_eq(vsock_create(&vsock, loop, 3, path, &err), 0);
	vsock_destroy(vsock);
	ck_assert_int_eq(vsock_create(&vsock, loop, 3, "", &err), -EINVAL);
	ck_assert_int_eq(vsock_create(&vsock, loop, 3, "/nowhere/at/all", &err), -ENOENT);
	ck_assert(strstr(err.text, "/nowhere/at/all"));
	loop_destroy(loop);
}
END_TEST

START_TEST(a_published_port_has_no_handshake)
{
	struct sockaddr_un address;
	char path[128];
	struct stat status;
	struct err err;
	uint32_t port;
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s.published", fake.path);
	ck_assert_msg(vsock_publish(fake.vsock, path, GUEST, &err) == 0, "%s", err.text);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	address = address_of(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	/* It waits until the guest is there; what it says is for the guest. */
	client_send(fd, "CONNECT 1\n", 10);
	EXPECT_NOTHING();
	vsock_publish_open(fake.vsock);
	fake_vsock_run(&fake);
	EXPECT_OP(VSOCK_OP_REQUEST);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	port = packet.header.src_port;
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	ck_assert_mem_eq(packet.payload, "CONNECT 1\n", 10);
	expect_no_bytes(fd);
	fake_vsock_send_data(&fake, port, GUEST, "world", 5);
	expect_read(fd, "world", 5);
	close(fd);
	/* A refusal is a closed connection. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fake_vsock_run(&fake);
	do {
		ck_assert(fake_vsock_wait(&fake, &packet));
	} while (packet.header.op != VSOCK_OP_REQUEST);
	fake_vsock_send(&fake, VSOCK_OP_RST, packet.header.src_port, GUEST);
	expect_end(fd);
	finish(fd);
	ck_assert_int_eq(stat(path, &status), -1);
}
END_TEST

/* Who is told of clients. */
static unsigned began, ended;
static bool welcome;
static struct vsock_visit last_visit;
static char last_path[128];

static bool visit_began(void *arg, const struct vsock_visit *visit)
{
	ck_assert_ptr_eq(arg, &fake);
	began++;
	last_visit = *visit;
	snprintf(last_path, sizeof(last_path), "%s", visit->path);
	return welcome;
}

static void visit_ended(void *arg, const struct vsock_visit *visit)
{
	ck_assert_ptr_eq(arg, &fake);
	ended++;
	last_visit = *visit;
	snprintf(last_path, sizeof(last_path), "%s", visit->path);
}

static int visit_socket(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fake_vsock_run(&fake);
	return fd;
}

START_TEST(somebody_is_told_of_each_client_of_a_published_port)
{
	static const struct vsock_visit_ops ops = {.began = visit_began, .ended = visit_ended};
	char path[128];
	struct err err;
	uint32_t port;
	int fd, left;

	begin();
	began = ended = 0;
	welcome = true;
	snprintf(path, sizeof(path), "%s.published", fake.path);
	vsock_publish_watch(fake.vsock, &ops, &fake);
	ck_assert_msg(vsock_publish(fake.vsock, path, GUEST, &err) == 0, "%s", err.text);
	vsock_publish_open(fake.vsock);
	fd = visit_socket(path);
	ck_assert_uint_eq(began, 1);
	ck_assert_str_eq(last_path, path);
	ck_assert_uint_eq(last_visit.port, GUEST);
	ck_assert_uint_eq(last_visit.number, 1);
	ck_assert_uint_eq(last_visit.uid, getuid());
	ck_assert_int_eq(last_visit.pid, getpid());
	EXPECT_OP(VSOCK_OP_REQUEST);
	port = packet.header.src_port;
	client_send(fd, "hello", 5);
	fake_vsock_send(&fake, VSOCK_OP_RESPONSE, port, GUEST);
	EXPECT_OP(VSOCK_OP_RW);
	fake_vsock_send_data(&fake, port, GUEST, "a world", 7);
	expect_read(fd, "a world", 7);
	ck_assert_uint_eq(ended, 0);
	fake_vsock_send(&fake, VSOCK_OP_RST, port, GUEST);
	expect_end(fd);
	close(fd);
	ck_assert_uint_eq(ended, 1);
	ck_assert_uint_eq(last_visit.number, 1);
	ck_assert_uint_eq(last_visit.to_guest, 5);
	ck_assert_uint_eq(last_visit.from_guest, 7);
	/* The guest refuses. */
	fd = visit_socket(path);
	EXPECT_OP(VSOCK_OP_REQUEST);
	fake_vsock_send(&fake, VSOCK_OP_RST, packet.header.src_port, GUEST);
	expect_end(fd);
	close(fd);
	ck_assert_uint_eq(began, 2);
	ck_assert_uint_eq(ended, 2);
	ck_assert_uint_eq(last_visit.to_guest + last_visit.from_guest, 0);
	/* Who is told refuses: the guest hears nothing. */
	welcome = false;
	fd = visit_socket(path);
	expect_end(fd);
	close(fd);
	EXPECT_NOTHING();
	ck_assert_uint_eq(began, 3);
	ck_assert_uint_eq(ended, 2);
	/* And of those who are there when all ends. */
	welcome = true;
	left = visit_socket(path);
	ck_assert_uint_eq(began, 4);
	finish(left);
	ck_assert_uint_eq(ended, 3);
	ck_assert_str_eq(last_path, path);
}
END_TEST

START_TEST(a_published_socket_that_is_dead_is_replaced)
{
	struct sockaddr_un address;
	char path[128];
	struct err err;
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s.published", fake.path);
	address = address_of(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(vsock_publish(fake.vsock, path, GUEST, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "in use"));
	close(fd);
	ck_assert_msg(vsock_publish(fake.vsock, path, GUEST, &err) == 0, "%s", err.text);
	ck_assert_int_eq(vsock_publish(fake.vsock, path, GUEST, &err), -EADDRINUSE);
	ck_assert_int_eq(vsock_publish(fake.vsock, "", GUEST, &err), -EINVAL);
	fake_vsock_end(&fake);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

UNIT_MAIN("vsock_unix", a_published_port_has_no_handshake,
	  somebody_is_told_of_each_client_of_a_published_port,
	  a_published_socket_that_is_dead_is_replaced, a_host_program_connects,
	  bytes_behind_the_line_belong_to_the_stream, a_client_that_sends_and_leaves_is_heard,
	  good_lines, bad_lines, a_refused_client_is_hung_up,
	  a_guest_that_does_not_answer_is_given_up, a_client_that_says_nothing_costs_little,
	  streams_leave_descriptors_for_others, descriptors_run_out,
	  a_client_that_takes_too_long_is_hung_up, a_guest_program_connects, any_port_will_do,
	  nobody_listens, a_link_is_not_followed_to_another_socket, a_full_backlog_is_tried_again,
	  a_slow_host_reader_holds_the_guest_back, many_bytes_arrive_in_order,
	  the_host_shuts_down_writing, the_guest_shuts_down_sending, the_guest_shuts_down_receiving,
	  the_host_shuts_down_reading, the_guest_closes_and_a_slow_host_gets_all,
	  the_guest_resets_and_a_host_that_vanishes_frees_all, the_host_vanishes,
	  the_host_vanishes_with_bytes_unread, the_host_vanishes_while_the_guest_gives_no_credit,
	  a_transport_reset_hangs_up, the_socket_is_private_and_removed,
	  a_live_socket_is_not_replaced_and_a_dead_one_is, bad_paths)
