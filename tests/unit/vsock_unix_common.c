/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vsock_unix_common.h"

struct fake_vsock fake;
struct fake_packet packet;
char bytes[512 << 10];

void begin(void)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	fake_vsock_begin(&fake, true);
	fake_vsock_give(&fake, 32);
}

struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	return address;
}

int client_connect(void)
{
	struct sockaddr_un address = address_of(fake.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void client_send(int fd, const void *from, size_t length)
{
	ck_assert_int_eq(send(fd, from, length, MSG_NOSIGNAL), length);
	fake_vsock_run(&fake);
}

void expect_read(int fd, const void *wanted, size_t length)
{
	static char got[512 << 10];

	ck_assert_int_eq(read(fd, got, sizeof(got)), length);
	ck_assert_mem_eq(got, wanted, length);
}

void expect_no_bytes(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

void expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 0);
}

int listen_on(uint32_t port, int backlog)
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

int open_from_guest(uint32_t port)
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

void finish(int fd)
{
	close(fd);
	fake_vsock_run(&fake);
	fake_vsock_end(&fake);
}

uint32_t fill_the_host(void)
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
	/* Bytes that the socket did not take are stored, at most a window's worth. */
	ck_assert_uint_gt(fake_vsock_stats(&fake).buffered_bytes, 0);
	ck_assert_uint_le(fake_vsock_stats(&fake).buffered_bytes, alloc);
	return sent;
}

void drain_the_host(int fd, uint32_t sent)
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
