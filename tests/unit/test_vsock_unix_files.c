/* SPDX-License-Identifier: Apache-2.0 */
/* The files of Unix sockets, and published ports. */
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

/* --- the socket's file ------------------------------------------------------------------------ */

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
	fd = client_connect(); /* the first device still accepts */
	client_send(fd, "CONNECT 77\n", 11);
	EXPECT_OP(VSOCK_OP_REQUEST);
	close(fd);
	/* A socket that a killed process has left. */
	close(listen_on(PORT, 1));
	snprintf(path, sizeof(path), "%s_%u", fake.path, PORT);
	ck_assert_int_eq(vsock_create(&second, fake.loop, VSOCK_GUEST_CID, path, &err), 0);
	vsock_destroy(second);
	/* A file that is not a socket is left alone. */
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
	path[98] = '\0'; /* fits, but not with a port appended */
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
	/* The client waits for the guest, and all that it sends goes to the guest. */
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
	/* If the guest refuses, the connection is closed. */
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

/* The observer of clients. */
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

START_TEST(each_client_of_a_published_port_is_reported)
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
	/* The observer refuses: the guest gets no request. */
	welcome = false;
	fd = visit_socket(path);
	expect_end(fd);
	close(fd);
	EXPECT_NOTHING();
	ck_assert_uint_eq(began, 3);
	ck_assert_uint_eq(ended, 2);
	/* A client that is connected when the device is destroyed is reported, too. */
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

UNIT_MAIN("vsock_unix_files", a_published_port_has_no_handshake,
	  each_client_of_a_published_port_is_reported, a_published_socket_that_is_dead_is_replaced,
	  the_socket_is_private_and_removed, a_live_socket_is_not_replaced_and_a_dead_one_is,
	  bad_paths)
