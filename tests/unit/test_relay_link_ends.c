/* SPDX-License-Identifier: Apache-2.0 */
/* How a link between monitor and relay ends: closed, or because the peer breaks the rules. */
#include "tests/unit/relay_link_common.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "vmm/base/fd.h"

/* --- a peer that breaks the rules ------------------------------------------------------------- */

START_TEST(a_message_too_long_ends_the_link)
{
	setup();
	peer_sends(0, MOST);
	turn(2);
	ck_assert(owner.got == 1 && owner.closed == 0);
	peer_sends(1, MOST + 1);
	peer_sends(2, 4);
	turn(3);
	ck_assert(owner.got == 1 && owner.closed == 1);
	turn(20);
	ck_assert(owner.closed == 1 && !send_numbered(1, 4) && !link_has_room(owner.link));
	link_resume(owner.link);
	turn(20);
	ck_assert(owner.closed == 1 && owner.got == 1);
	teardown();
}
END_TEST

START_TEST(one_descriptor_comes_and_two_end_the_link)
{
	unsigned before;

	setup();
	before = open_fds();
	peer_sends_fds(1);
	turn(2);
	ck_assert(owner.got == 1 && owner.fd >= 0);
	ck_assert(fcntl(owner.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_uint_eq(open_fds(), before + 1);
	peer_sends_fds(2);
	peer_sends_fds(1);
	turn(3);
	ck_assert(owner.got == 1 && owner.closed == 1);
	ck_assert_uint_eq(open_fds(), before); /* one came, and the socket is closed */
	teardown();
}
END_TEST

START_TEST(eight_descriptors_leave_none_behind)
{
	unsigned before;

	setup();
	before = open_fds();
	peer_sends_fds(8);
	turn(3);
	ck_assert(owner.got == 0 && owner.closed == 1);
	ck_assert_uint_eq(open_fds(), before - 1);
	teardown();
}
END_TEST

START_TEST(an_empty_message_ends_the_link)
{
	setup();
	peer_sends(3, 4);
	ck_assert_int_eq(send(peer, "", 0, 0), 0);
	peer_sends(4, 4);
	turn(3);
	ck_assert(owner.got == 1 && owner.closed == 1);
	teardown();
}
END_TEST

/* A peer that sends without end gets 64 messages a round, and no more. */
START_TEST(a_flood_leaves_the_loop_to_others)
{
	unsigned round, sent = 0;

	setup();
	owner.numbered = true;
	for (round = 0; round < 20; round++) {
		uint8_t bytes[4];

		for (store_le32(bytes, sent); send(peer, bytes, 4, MSG_DONTWAIT) == 4;
		     store_le32(bytes, sent))
			sent++;
		turn(0);
		ck_assert_uint_le(owner.got, 64 * (round + 1));
	}
	ck_assert_uint_eq(owner.got, 64 * 20);
	teardown();
}
END_TEST

/* --- the end ---------------------------------------------------------------------------------- */

START_TEST(what_a_closed_peer_has_sent_is_delivered)
{
	unsigned i;

	setup();
	owner.numbered = true;
	for (i = 0; i < 100; i++)
		peer_sends(i, 16);
	/* Neither has it read what it was sent: the socket reports a reset first. */
	ck_assert(send_numbered(1, 8));
	fd_close(&peer);
	turn(10);
	ck_assert(owner.got == 100 && owner.closed == 1);
	turn(50);
	ck_assert_uint_eq(owner.closed, 1);
	teardown();
}
END_TEST

START_TEST(a_send_that_finds_the_peer_closed_loses_no_message)
{
	setup();
	owner.numbered = true;
	peer_sends(0, 16);
	peer_sends(1, 16);
	fd_close(&peer);
	ck_assert(!send_numbered(1, 8));
	ck_assert(owner.closed == 0 && owner.got == 0);
	ck_assert(!send_numbered(1, 8));
	turn(10);
	ck_assert(owner.got == 2 && owner.closed == 1);
	teardown();
}
END_TEST

START_TEST(a_reply_that_finds_the_peer_closed_loses_no_message)
{
	setup();
	owner.numbered = true;
	owner.reply = "reply";
	peer_sends(0, 16);
	peer_sends(1, 16);
	peer_sends(2, 16);
	fd_close(&peer);
	turn(10);
	ck_assert(owner.got == 3 && owner.reply_failed && owner.closed == 1);
	teardown();
}
END_TEST

START_TEST(a_queue_is_dropped_when_the_peer_closes)
{
	setup();
	while (send_numbered(1, LARGE))
		;
	peer_sends(9, 16);
	fd_close(&peer);
	turn(10);
	ck_assert(owner.got == 1 && owner.closed == 1 && owner.drained == 0);
	teardown();
}
END_TEST

START_TEST(a_hang_up_does_not_wake_a_full_owner)
{
	unsigned rooms;

	setup();
	owner.full = true;
	peer_sends(0, 16);
	turn(3);
	fd_close(&peer);
	turn(3);
	rooms = owner.rooms;
	ck_assert(owner.got == 0 && owner.closed == 0);
	ck_assert(loop_sleeps());
	ck_assert_uint_eq(owner.rooms, rooms);
	ck_assert(!link_has_room(owner.link));
	link_resume(owner.link); /* too early: still full */
	ck_assert(loop_sleeps());
	ck_assert(owner.got == 0 && owner.closed == 0);
	owner.full = false;
	link_resume(owner.link);
	turn(5);
	ck_assert(owner.got == 1 && owner.closed == 1);
	ck_assert(loop_sleeps());
	teardown();
}
END_TEST

/* Half-closed ends: the peer sends no more, or reads no more. */
START_TEST(a_peer_that_shuts_one_direction_ends_the_link)
{
	setup();
	peer_sends(0, 16);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	turn(5);
	ck_assert(owner.got == 1 && owner.closed == 1);
	teardown();

	setup();
	peer_sends(0, 16);
	ck_assert_int_eq(shutdown(peer, SHUT_RD), 0);
	turn(5);
	ck_assert(owner.got == 1 && owner.closed == 0); /* nothing to send has met it yet */
	peer_sends(1, 16);
	ck_assert(!send_numbered(1, 16));
	turn(5);
	ck_assert(owner.got == 2 && owner.closed == 1);
	teardown();
}
END_TEST

static void destroy_link(void *arg)
{
	struct owner *of = arg;

	of->closed++;
	link_destroy(of->link);
	of->link = NULL;
}

START_TEST(the_owner_may_destroy_a_link_that_closed)
{
	static const struct link_ops last = {.message = on_message, .closed = destroy_link};

	setup_with(&last);
	peer_sends(0, 8);
	fd_close(&peer);
	turn(5);
	ck_assert(owner.got == 1 && owner.closed == 1);
	teardown();
}
END_TEST

START_TEST(destroying_stops_everything)
{
	unsigned before;

	setup();
	before = open_fds();
	peer_sends(0, 16);
	send_numbered(0, 16);
	link_destroy(owner.link);
	owner.link = NULL;
	turn(5);
	ck_assert(owner.got == 0 && owner.closed == 0);
	ck_assert_uint_eq(open_fds(), before - 1);
	ck_assert_int_eq(peer_receives(16), -1); /* a reset: its message was not read */
	ck_assert_int_eq(peer_receives(16), 0);
	link_destroy(NULL);
	teardown();
}
END_TEST

START_TEST(a_bad_descriptor_is_reported)
{
	struct link *none = (struct link *)&owner;
	unsigned before;
	int fd;

	setup();
	before = open_fds();
	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC); /* epoll takes no files */
	ck_assert_int_eq(link_create(&none, loop, fd, MOST, &all_ops, &owner), -EPERM);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(link_create(&none, loop, -1, MOST, &all_ops, &owner), -EBADF);
	ck_assert_uint_eq(open_fds(), before);
	teardown();
}
END_TEST

UNIT_MAIN("relay link ends", a_message_too_long_ends_the_link,
	  one_descriptor_comes_and_two_end_the_link, eight_descriptors_leave_none_behind,
	  an_empty_message_ends_the_link, a_flood_leaves_the_loop_to_others,
	  what_a_closed_peer_has_sent_is_delivered,
	  a_send_that_finds_the_peer_closed_loses_no_message,
	  a_reply_that_finds_the_peer_closed_loses_no_message,
	  a_queue_is_dropped_when_the_peer_closes, a_hang_up_does_not_wake_a_full_owner,
	  a_peer_that_shuts_one_direction_ends_the_link, the_owner_may_destroy_a_link_that_closed,
	  destroying_stops_everything, a_bad_descriptor_is_reported)
