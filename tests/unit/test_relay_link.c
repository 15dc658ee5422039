/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between monitor and relay: bounds, back-pressure, descriptors. */
#include "tests/unit/relay_link_common.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "vmm/base/fd.h"

/* --- sending ---------------------------------------------------------------------------------- */

START_TEST(a_message_of_parts_arrives_whole)
{
	setup();
	ck_assert(send_numbered(7, 4));
	ck_assert(send_numbered(8, LARGE));
	ck_assert_int_eq(peer_receives(4), 7);
	ck_assert_int_eq(peer_receives(LARGE), 8);
	ck_assert_int_eq(peer_receives(0), -1);
	ck_assert(link_has_room(owner.link));
	teardown();
}
END_TEST

START_TEST(what_the_socket_does_not_take_waits_in_order)
{
	uint32_t sent = 0, got = 0;
	unsigned first, i;

	setup();
	while (link_has_room(owner.link))
		ck_assert(send_numbered(sent++, LARGE));
	first = sent;
	/* Beyond that the queue takes some more, then none. */
	while (send_numbered(sent, LARGE))
		sent++;
	ck_assert_uint_eq(sent - first, LINK_QUEUE / (LARGE + 4) - 1);
	/* A short one has room still; once it has not, no message passes those that wait. */
	ck_assert(send_numbered(sent++, 100));
	turn(20);
	ck_assert_uint_eq(owner.drained, 0);
	while (got < sent) {
		long number = peer_receives(got + 1 == sent ? 100 : LARGE);

		if (number >= 0)
			ck_assert_int_eq(number, (long)got++);
		turn(1);
	}
	ck_assert_uint_eq(owner.drained, 1);
	ck_assert(link_has_room(owner.link));
	/* Again, so that the queue wraps around. */
	for (i = 0; i < 100; i++) {
		while (send_numbered(sent, 5000 + 4 * i))
			sent++;
		while (got < sent) {
			if (peer_receives(5000 + 4 * i) >= 0)
				got++;
			turn(1);
		}
	}
	ck_assert_uint_eq(owner.drained, 101);
	teardown();
}
END_TEST

START_TEST(messages_that_never_fit_are_refused)
{
	struct iovec none = {"", 0}, many[LINK_PARTS + 1], huge[2] = {{"x", SIZE_MAX}, {"x", 2}};
	unsigned i;

	setup();
	for (i = 0; i <= LINK_PARTS; i++)
		many[i] = (struct iovec){"x", 1};
	ck_assert(!link_send(owner.link, &none, 1));
	ck_assert(!link_send(owner.link, &none, 0));
	ck_assert(!link_send(owner.link, huge, 2));
	ck_assert(!link_send(owner.link, many, LINK_PARTS + 1));
	ck_assert_int_eq(recv(peer, many, 1, MSG_DONTWAIT), -1);
	ck_assert(link_send(owner.link, many, LINK_PARTS));
	turn(3);
	ck_assert(owner.closed == 0 && link_has_room(owner.link));
	teardown();
}
END_TEST

START_TEST(nothing_is_watched_while_nothing_waits)
{
	setup();
	send_numbered(1, 100);
	ck_assert(loop_sleeps());
	ck_assert(owner.drained == 0 && owner.rooms == 0);
	teardown();
}
END_TEST

START_TEST(a_descriptor_goes_with_its_message)
{
	struct iovec part = {"policy", 6};
	struct stat was, is;
	uint32_t sent = 0;
	unsigned before;
	int fd, again;

	setup();
	before = open_fds();
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert(link_send_fd(owner.link, &part, 1, fd));
	/* And once more through the queue. */
	while (link_has_room(owner.link))
		send_numbered(sent++, LARGE);
	ck_assert(!link_send_fd(owner.link, &part, 1, fd));
	ck_assert(!link_send_fd(owner.link, &part, 1, -1));
	ck_assert_int_eq(fstat(fd, &was), 0);
	close(fd);
	ck_assert_uint_eq(open_fds(), before);

	/* The test's own end as a link, too. */
	link_destroy(owner.link);
	owner.link = NULL;
	ck_assert_int_eq(link_create(&owner.link, loop, peer, MOST, &few_ops, &owner), 0);
	peer = -1;
	turn(5);
	ck_assert_uint_ge(owner.got, 2);
	ck_assert_int_ge(owner.fd, 0);
	again = fcntl(owner.fd, F_GETFD);
	ck_assert(again & FD_CLOEXEC);
	ck_assert_int_eq(fstat(owner.fd, &is), 0);
	ck_assert(was.st_rdev == is.st_rdev);
	teardown();
}
END_TEST

/* A link whose socket was filled by another: it does not know yet that there is no room. */
START_TEST(a_descriptor_waits_for_a_full_socket)
{
	static uint8_t bytes[40000];
	struct iovec part = {"policy", 6};
	unsigned before, filled = 0;
	int other, fd;

	setup();
	other = fcntl(link_fd, F_DUPFD_CLOEXEC, 3);
	while (send(other, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		filled++;
	close(other);
	before = open_fds();
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert(link_has_room(owner.link));
	ck_assert(link_send_fd(owner.link, &part, 1, fd));
	ck_assert(!link_has_room(owner.link));
	close(fd);
	ck_assert_uint_eq(open_fds(), before + 1); /* a duplicate waits */
	ck_assert(link_send(owner.link, &part, 1));
	turn(5);
	ck_assert(!link_has_room(owner.link));
	while (filled-- > 0)
		ck_assert_int_eq(peer_receives(sizeof(bytes)), 0);
	turn(5);
	ck_assert(link_has_room(owner.link));
	ck_assert_uint_eq(open_fds(), before);
	fd = peer_gets_fd();
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(peer_gets_fd(), -1); /* the message behind it has none */
	teardown();
}
END_TEST

START_TEST(a_waiting_descriptor_is_closed_with_the_link)
{
	static uint8_t bytes[40000];
	struct iovec part = {"policy", 6};
	unsigned before;
	int other;

	setup();
	before = open_fds();
	other = fcntl(link_fd, F_DUPFD_CLOEXEC, 3);
	while (send(other, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	ck_assert(link_send_fd(owner.link, &part, 1, other));
	close(other);
	ck_assert_uint_eq(open_fds(), before + 1);
	fd_close(&peer);
	turn(5);
	ck_assert_uint_eq(owner.closed, 1);
	ck_assert_uint_eq(open_fds(), before - 2); /* nor has the link its socket any more */
	teardown();
}
END_TEST

/* --- receiving -------------------------------------------------------------------------------- */

START_TEST(messages_come_one_by_one_then_a_batch_ends)
{
	setup();
	owner.numbered = true;
	peer_sends(0, 4);
	peer_sends(1, LARGE);
	peer_sends(2, 12);
	turn(2);
	ck_assert(owner.got == 3 && owner.batches == 1 && owner.length == 12 && owner.fd == -1);
	turn(50);
	ck_assert(owner.got == 3 && owner.batches == 1);
	teardown();
}
END_TEST

START_TEST(a_wake_up_takes_64_messages)
{
	unsigned i;

	setup();
	owner.numbered = true;
	for (i = 0; i < 150; i++)
		peer_sends(i, 16);
	turn(0);
	ck_assert(owner.got == 64 && owner.batches == 1);
	turn(0);
	ck_assert(owner.got == 128 && owner.batches == 2);
	turn(0);
	ck_assert(owner.got == 150 && owner.batches == 3);
	teardown();
}
END_TEST

START_TEST(a_wake_up_takes_64_kib)
{
	unsigned i;

	setup();
	owner.numbered = true;
	for (i = 0; i < 4; i++)
		peer_sends(i, i < 2 ? 65536 : 40000);
	turn(0);
	ck_assert(owner.got == 1 && owner.batches == 1);
	turn(0);
	ck_assert(owner.got == 2 && owner.batches == 2);
	turn(0);
	ck_assert(owner.got == 4 && owner.batches == 3);
	teardown();
}
END_TEST

START_TEST(an_owner_without_room_is_left_alone)
{
	unsigned i;

	setup();
	owner.numbered = true;
	owner.least = 5;
	for (i = 0; i < 20; i++)
		peer_sends(i, 16);
	turn(1);
	ck_assert(owner.got == 5 && owner.rooms == 6 && owner.batches == 1);
	turn(50);
	ck_assert(owner.got == 5 && owner.rooms == 6); /* it is not asked again */
	owner.least = 0;
	turn(5);
	ck_assert_uint_eq(owner.got, 5);
	link_resume(owner.link);
	ck_assert_uint_eq(owner.got, 5); /* never from within a call */
	turn(2);
	ck_assert_uint_eq(owner.got, 20);
	link_resume(owner.link);
	turn(2);
	ck_assert_uint_eq(owner.got, 20);
	/* What it says meanwhile goes out. */
	owner.full = true;
	peer_sends(20, 16);
	turn(2);
	ck_assert(send_numbered(1, 8));
	ck_assert_int_eq(peer_receives(8), 1);
	teardown();
}
END_TEST

START_TEST(a_full_owner_is_told_when_its_queue_drains)
{
	setup();
	owner.full = true;
	peer_sends(0, 16);
	turn(2);
	while (link_has_room(owner.link))
		send_numbered(1, LARGE);
	while (peer_receives(LARGE) >= 0)
		turn(1);
	turn(2);
	ck_assert(owner.drained == 1 && owner.got == 0);
	teardown();
}
END_TEST

START_TEST(an_owner_may_leave_out_what_it_does_not_need)
{
	uint32_t sent = 0;

	setup_with(&few_ops);
	peer_sends(1, 9);
	turn(2);
	ck_assert_uint_eq(owner.got, 1);
	while (link_has_room(owner.link))
		send_numbered(sent++, LARGE);
	while (peer_receives(LARGE) >= 0)
		turn(1);
	ck_assert(link_has_room(owner.link));
	teardown();
}
END_TEST

UNIT_MAIN("relay link", a_message_of_parts_arrives_whole,
	  what_the_socket_does_not_take_waits_in_order, messages_that_never_fit_are_refused,
	  nothing_is_watched_while_nothing_waits, a_descriptor_goes_with_its_message,
	  a_descriptor_waits_for_a_full_socket, a_waiting_descriptor_is_closed_with_the_link,
	  messages_come_one_by_one_then_a_batch_ends, a_wake_up_takes_64_messages,
	  a_wake_up_takes_64_kib, an_owner_without_room_is_left_alone,
	  a_full_owner_is_told_when_its_queue_drains, an_owner_may_leave_out_what_it_does_not_need)
