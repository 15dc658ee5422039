/* SPDX-License-Identifier: Apache-2.0 */
/* How streams to Unix sockets end. */
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

/* --- endings ---------------------------------------------------------------------------------- */

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
	/* Until it sends its end of file as well. */
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

	/*
	 * Bytes in both directions: those of the host program are delivered, those to it are lost.
	 */
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
	/* Bytes before the end of file have to go first. */
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

START_TEST(a_transport_reset_disconnects)
{
	int fd = open_from_guest(PORT);

	vsock_transport_reset(fake.vsock);
	fake_vsock_run(&fake);
	expect_end(fd);
	ck_assert_uint_eq(fake_vsock_stats(&fake).streams, 0);
	finish(fd);
}
END_TEST

UNIT_MAIN("vsock_unix_ends", the_host_shuts_down_writing, the_guest_shuts_down_sending,
	  the_guest_shuts_down_receiving, the_host_shuts_down_reading,
	  the_guest_closes_and_a_slow_host_gets_all,
	  the_guest_resets_and_a_host_that_vanishes_frees_all, the_host_vanishes,
	  the_host_vanishes_with_bytes_unread, the_host_vanishes_while_the_guest_gives_no_credit,
	  a_transport_reset_disconnects)
