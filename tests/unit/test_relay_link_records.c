/* SPDX-License-Identifier: Apache-2.0 */
/* Links whose messages are several records: gathered, looked at whole, delivered one by one. */
#include "tests/unit/relay_link_common.h"

#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define HEAD 6 /* bytes of a record's number and length */

/* A number, then the record's length. */
static size_t record(void *arg, const uint8_t *data, size_t length)
{
	(void)arg;
	return length < HEAD ? 0 : load_le16(data + 4);
}

static struct link_ops ops;

static void begin(void)
{
	ops = all_ops;
	ops.record = record;
	setup_with(&ops);
	owner.numbered = true;
}

static void put(uint8_t *at, uint32_t number, size_t length)
{
	memset(at, 0, length);
	store_le32(at, number);
	store_le16(at + 4, (uint16_t)length);
}

static bool sends(uint32_t number, size_t length)
{
	static uint8_t bytes[MOST];
	const struct iovec part[2] = {{bytes, 3}, {bytes + 3, length - 3}};

	put(bytes, number, length);
	return link_send(owner.link, part, 2);
}

/* The peer's next message: its length; the numbers of its records must follow *next. -1: none. */
static long receives(uint32_t *next)
{
	static uint8_t bytes[MOST];
	ssize_t got = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t at;

	for (at = 0; got > 0 && at < (size_t)got; at += load_le16(bytes + at + 4))
		ck_assert_uint_eq(load_le32(bytes + at), (*next)++);
	return got;
}

/* --- sending ---------------------------------------------------------------------------------- */

START_TEST(short_records_leave_with_the_flush)
{
	uint32_t next = 0;

	begin();
	ck_assert(sends(0, 100));
	ck_assert_int_eq(receives(&next), 100); /* not gathered */
	link_gather(owner.link);
	ck_assert(sends(1, 100) && sends(2, HEAD) && sends(3, LINK_SMALL));
	ck_assert_int_eq(receives(&next), -1);
	ck_assert(link_has_room(owner.link));
	link_flush(owner.link);
	ck_assert_int_eq(receives(&next), 100 + HEAD + LINK_SMALL);
	ck_assert(sends(4, 50));
	ck_assert_int_eq(receives(&next), 50);
	link_flush(owner.link);
	ck_assert_int_eq(receives(&next), -1);
	teardown();
}
END_TEST

START_TEST(a_long_record_goes_behind_what_is_gathered)
{
	uint32_t next = 0;

	begin();
	link_gather(owner.link);
	ck_assert(sends(0, 100) && sends(1, 100) && sends(2, LINK_SMALL + 1) && sends(3, 100));
	ck_assert_int_eq(receives(&next), 200);
	ck_assert_int_eq(receives(&next), LINK_SMALL + 1);
	ck_assert_int_eq(receives(&next), -1);
	link_flush(owner.link);
	ck_assert_int_eq(receives(&next), 100);
	teardown();
}
END_TEST

START_TEST(a_full_message_leaves_at_once)
{
	uint32_t sent = 0, next = 0;

	begin();
	link_gather(owner.link);
	while (sent <= LINK_GATHER / 1024)
		ck_assert(sends(sent++, 1024));
	ck_assert_int_eq(receives(&next), LINK_GATHER);
	link_flush(owner.link);
	ck_assert_int_eq(receives(&next), 1024);
	ck_assert_uint_eq(next, sent);
	teardown();
}
END_TEST

/* The order stays, whatever waits where. */
START_TEST(what_is_gathered_waits_for_a_full_socket)
{
	uint32_t sent = 0, next = 0;
	unsigned i;

	begin();
	owner.numbered = false;
	for (i = 0; i < 3; i++) {
		link_gather(owner.link);
		for (; link_has_room(owner.link); sent++)
			ck_assert(sends(sent, sent % 3 == 0 ? LARGE : 500));
		ck_assert(sends(sent++, 500));
		link_flush(owner.link);
		ck_assert(!link_has_room(owner.link));
		while (next < sent) {
			receives(&next);
			turn(1);
		}
		turn(2);
		ck_assert(link_has_room(owner.link));
		ck_assert_uint_eq(owner.drained, i + 1);
	}
	/* A refused one leaves no gap. */
	while (sends(sent, LARGE))
		sent++;
	link_flush(owner.link);
	while (next < sent) {
		receives(&next);
		turn(1);
	}
	ck_assert_int_eq(receives(&next), -1);
	teardown();
}
END_TEST

START_TEST(what_is_gathered_goes_with_the_link)
{
	begin();
	link_gather(owner.link);
	ck_assert(sends(0, 100));
	fd_close(&peer);
	link_flush(owner.link);
	ck_assert(!sends(1, 100));
	link_gather(owner.link);
	ck_assert(!sends(1, 100));
	link_flush(owner.link);
	turn(5);
	ck_assert_uint_eq(owner.closed, 1);
	teardown();
	begin();
	link_gather(owner.link);
	ck_assert(sends(0, 100));
	teardown();
}
END_TEST

START_TEST(a_link_without_records_gathers_nothing)
{
	setup();
	link_gather(owner.link);
	ck_assert(send_numbered(7, 100));
	ck_assert_int_eq(peer_receives(100), 7);
	link_flush(owner.link);
	ck_assert_int_eq(peer_receives(0), -1);
	teardown();
}
END_TEST

/* --- receiving -------------------------------------------------------------------------------- */

/* A message of so many records, from a number on. */
static void peer_sends_records(uint32_t from, unsigned count, size_t length)
{
	static uint8_t bytes[MOST];
	unsigned i;

	for (i = 0; i < count; i++)
		put(bytes + i * length, from + i, length);
	ck_assert_int_eq(send(peer, bytes, count * length, MSG_DONTWAIT),
			 (ssize_t)(count * length));
}

START_TEST(records_come_one_by_one)
{
	begin();
	peer_sends_records(0, 3, 100);
	peer_sends_records(3, 1, HEAD);
	peer_sends_records(4, 1, LARGE);
	turn(3);
	ck_assert(owner.got == 5 && owner.length == LARGE);
	ck_assert(loop_sleeps());
	teardown();
}
END_TEST

START_TEST(a_wake_up_takes_256_records)
{
	begin();
	peer_sends_records(0, 600, HEAD);
	peer_sends_records(600, 2, HEAD);
	turn(0);
	/* The rest has a turn of its own, in the same round or the next. */
	ck_assert(owner.got <= 512 && owner.batches <= 2);
	turn(5);
	ck_assert(owner.got == 602);
	ck_assert(loop_sleeps());
	teardown();
}
END_TEST

START_TEST(a_full_owner_gets_the_rest_later)
{
	begin();
	owner.least = 5;
	peer_sends_records(0, 8, 100);
	peer_sends_records(8, 1, 100);
	turn(5);
	ck_assert_uint_eq(owner.got, 5);
	ck_assert(loop_sleeps());
	owner.least = 7;
	link_resume(owner.link);
	ck_assert_uint_eq(owner.got, 5); /* never from within a call */
	turn(3);
	ck_assert_uint_eq(owner.got, 7);
	owner.least = 0;
	link_resume(owner.link);
	turn(3);
	ck_assert_uint_eq(owner.got, 9);
	ck_assert(loop_sleeps());
	teardown();
}
END_TEST

START_TEST(the_rest_comes_before_the_end)
{
	begin();
	owner.least = 2;
	peer_sends_records(0, 4, 100);
	peer_sends_records(4, 2, 100);
	turn(3);
	fd_close(&peer);
	turn(3);
	ck_assert(owner.got == 2 && owner.closed == 0);
	ck_assert(loop_sleeps());
	owner.least = 0;
	link_resume(owner.link);
	turn(5);
	ck_assert(owner.got == 6 && owner.closed == 1);
	teardown();
	/* Nor is it needed. */
	begin();
	owner.least = 2;
	peer_sends_records(0, 4, 100);
	turn(3);
	teardown();
}
END_TEST

/* Nothing of a message is delivered whose last record is malformed. */
START_TEST(a_malformed_record_ends_the_link)
{
	static const size_t says[] = {0, HEAD + 1, 100, UINT16_MAX};
	uint8_t bytes[100 + HEAD];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(says); i++) {
		begin();
		put(bytes, 0, 100);
		put(bytes + 100, 1, HEAD);
		ck_assert_int_eq(send(peer, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
		turn(2);
		ck_assert(owner.got == 2 && owner.closed == 0);
		put(bytes, 2, 100);
		store_le16(bytes + 104, (uint16_t)says[i]);
		ck_assert_int_eq(send(peer, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
		turn(3);
		ck_assert(owner.got == 2 && owner.closed == 1);
		teardown();
	}
}
END_TEST

/* --- both ends -------------------------------------------------------------------------------- */

#define OFTEN 60000

static uint32_t drawn;

static unsigned below(unsigned limit)
{
	drawn = drawn * 1664525 + 1013904223;
	return (drawn >> 8) % limit;
}

/* Records of all lengths, gathered or not; the other end has room now and then. */
START_TEST(records_arrive_once_and_in_order)
{
	static const unsigned lengths[] = {HEAD, 60, 1500, LINK_SMALL, LINK_SMALL + 1, LARGE};
	static struct link_ops both;
	struct owner from = {.fd = -1};
	uint32_t sent = 0;
	unsigned i;

	begin();
	both = ops;
	both.drained = NULL;
	ck_assert_int_eq(link_create(&from.link, loop, peer, MOST, &both, &from), 0);
	peer = -1;
	for (drawn = 1, i = 0; i < OFTEN; i++) {
		static uint8_t bytes[MOST];
		size_t length = lengths[below(64) ? below(5) : 5];
		const struct iovec part = {bytes, length};

		put(bytes, sent, length);
		sent += link_send(from.link, &part, 1);
		if (below(4) == 0)
			link_gather(from.link);
		if (below(8) == 0)
			link_flush(from.link);
		if (below(16) == 0)
			owner.least = owner.got + below(40);
		if (below(16) == 0)
			link_resume(owner.link);
		if (below(8) == 0)
			turn(below(3));
	}
	ck_assert_uint_gt(owner.got, OFTEN / 10);
	ck_assert_uint_lt(sent, OFTEN); /* some were refused */
	link_flush(from.link);
	owner.least = 0;
	for (i = 0; i < 1000 && owner.got < sent; i++) {
		link_resume(owner.link);
		turn(2);
	}
	ck_assert_uint_eq(owner.got, sent);
	link_destroy(from.link);
	turn(3);
	ck_assert(owner.got == sent && owner.closed == 1);
	teardown();
}
END_TEST

UNIT_MAIN("relay link records", short_records_leave_with_the_flush,
	  a_long_record_goes_behind_what_is_gathered, a_full_message_leaves_at_once,
	  what_is_gathered_waits_for_a_full_socket, what_is_gathered_goes_with_the_link,
	  a_link_without_records_gathers_nothing, records_come_one_by_one,
	  a_wake_up_takes_256_records, a_full_owner_gets_the_rest_later,
	  the_rest_comes_before_the_end, a_malformed_record_ends_the_link,
	  records_arrive_once_and_in_order)
