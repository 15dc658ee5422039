/* SPDX-License-Identifier: Apache-2.0 */
/* A tap: frames and their headers pass as they are, to and from its descriptor. */
#include "vmm/net/tap.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/address.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"

#define HOST  ADDRESS(10, 99, 0, 1)
#define GUEST ADDRESS(10, 99, 0, 2)
#define PAUSE 50000000 /* ns; nothing else comes within it */

static struct loop *loop;
static struct tap *tap;
static int outside; /* what the tap's descriptor is connected to */

/* The owner. */
static bool has_room;
static unsigned frames, wanted, deaths, asked;
static uint8_t header[TAP_HEADER], last[TAP_FRAME_MAX];
static size_t last_length;
static const char *died;

static bool owner_room(void *arg)
{
	(void)arg;
	asked++;
	return has_room;
}

static void owner_frame(void *arg, const uint8_t *head, uint8_t *frame, size_t length)
{
	(void)arg;
	frames++;
	memcpy(header, head, sizeof(header));
	memcpy(last, frame, length);
	last_length = length;
	if (frames == wanted)
		loop_stop(loop);
}

static void owner_died(void *arg, const char *why)
{
	(void)arg;
	deaths++;
	died = why;
	loop_stop(loop);
}

static const struct tap_ops ops = {.room = owner_room, .frame = owner_frame, .died = owner_died};

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Runs the loop until so many frames have come in all, or for PAUSE. */
static void run(unsigned until)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	wanted = until;
	loop_timer_start(loop, &timer, until > 0 ? 100ull * PAUSE : PAUSE);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
}

/* A pair of sockets that keep the bounds of frames stands for the interface. */
static void begin(void)
{
	int pair[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	outside = pair[1];
	has_room = true;
	frames = deaths = asked = 0;
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(tap_create(&tap, loop, pair[0], &ops, NULL), 0);
}

static void end(void)
{
	tap_destroy(tap);
	loop_destroy(loop);
	fd_close(&outside);
}

static void fill(uint8_t *to, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		to[i] = (uint8_t)(i * 7 + i / 251);
}

static void put(const uint8_t *bytes, size_t length)
{
	ck_assert_int_eq(send(outside, bytes, length, 0), (ssize_t)length);
}

/* --- frames ----------------------------------------------------------------------------------- */

START_TEST(frames_pass_with_their_headers)
{
	static const size_t lengths[] = {1, 14, 60, 1514, 65534, TAP_FRAME_MAX};
	static uint8_t bytes[TAP_HEADER + TAP_FRAME_MAX], got[sizeof(bytes) + 1];
	size_t i;

	fill(bytes, sizeof(bytes));
	begin();
	tap_resume(tap);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		tap_send(tap, bytes, bytes + TAP_HEADER, lengths[i]);
		ck_assert_int_eq(recv(outside, got, sizeof(got), 0),
				 (ssize_t)(TAP_HEADER + lengths[i]));
		ck_assert_mem_eq(got, bytes, TAP_HEADER + lengths[i]);
		put(bytes, TAP_HEADER + lengths[i]);
		run((unsigned)i + 1);
		ck_assert_uint_eq(frames, i + 1);
		ck_assert_uint_eq(last_length, lengths[i]);
		ck_assert_mem_eq(header, bytes, TAP_HEADER);
		ck_assert_mem_eq(last, bytes + TAP_HEADER, lengths[i]);
	}
	end();
}
END_TEST

START_TEST(what_has_no_frame_is_dropped)
{
	uint8_t bytes[TAP_HEADER + 1] = {0};
	size_t length;

	begin();
	tap_resume(tap);
	for (length = 1; length <= TAP_HEADER; length++)
		put(bytes, length);
	run(0);
	ck_assert_uint_eq(frames, 0);
	put(bytes, sizeof(bytes));
	run(1);
	ck_assert_uint_eq(frames, 1);
	ck_assert_uint_eq(deaths, 0);
	end();
}
END_TEST

/* More frames than one turn takes, and none of them lost. */
START_TEST(an_owner_without_room_is_waited_for)
{
	uint8_t bytes[TAP_HEADER + 60] = {0};
	unsigned i;

	begin();
	for (i = 0; i < 200; i++) {
		bytes[TAP_HEADER] = (uint8_t)i;
		put(bytes, sizeof(bytes));
	}
	run(0);
	ck_assert_uint_eq(asked, 0); /* not before the first tap_resume() */
	has_room = false;
	tap_resume(tap);
	run(0);
	ck_assert_uint_eq(frames, 0);
	ck_assert_uint_eq(asked, 1); /* it does not spin */
	has_room = true;
	tap_resume(tap);
	run(200);
	ck_assert_uint_eq(frames, 200);
	ck_assert_uint_eq(last[0], 199);
	end();
}
END_TEST

START_TEST(the_end_of_the_interface_is_reported_once)
{
	uint8_t bytes[TAP_HEADER + 60] = {0};

	begin();
	tap_resume(tap);
	fd_close(&outside);
	run(1);
	ck_assert_uint_eq(deaths, 1);
	ck_assert_str_eq(died, "the interface is gone");
	/* All of this is harmless now. */
	tap_send(tap, bytes, bytes + TAP_HEADER, 60);
	tap_set_offloads(tap, true, true, true);
	tap_resume(tap);
	run(0);
	ck_assert_uint_eq(deaths, 1);
	ck_assert_uint_eq(frames, 0);
	end();
	/* Also of one that is not read. */
	begin();
	fd_close(&outside);
	run(1);
	ck_assert_uint_eq(deaths, 1);
	end();
	tap_destroy(NULL);
}
END_TEST

/* --- the interface ---------------------------------------------------------------------------- */

START_TEST(the_guest_is_beside_the_host)
{
	ck_assert_uint_eq(tap_guest_address(HOST, 30), GUEST);
	ck_assert_uint_eq(tap_guest_address(GUEST, 30), HOST);
	ck_assert_uint_eq(tap_guest_address(HOST, 24), GUEST);
	ck_assert_uint_eq(tap_guest_address(ADDRESS(10, 99, 7, 254), 16), HOST);
	ck_assert_uint_eq(tap_guest_address(ADDRESS(200, 0, 0, 1), 1), ADDRESS(128, 0, 0, 1));
	/* No room for two, and what is no network. */
	ck_assert_uint_eq(tap_guest_address(HOST, 31), 0);
	ck_assert_uint_eq(tap_guest_address(HOST, 32), 0);
	ck_assert_uint_eq(tap_guest_address(HOST, 0), 0);
}
END_TEST

START_TEST(bad_interfaces)
{
	static const char *const names[] = {"", "a/b", "..", "sixteen_letters_", "a b", "tap%d"};
	struct tap_wire wire;
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_int_eq(tap_open(names[i], &wire, &err), -EINVAL);
	ck_assert_int_lt(tap_open("no-such-if", &wire, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "no-such-if"));
}
END_TEST

UNIT_MAIN("net_tap", frames_pass_with_their_headers, what_has_no_frame_is_dropped,
	  an_owner_without_room_is_waited_for, the_end_of_the_interface_is_reported_once,
	  the_guest_is_beside_the_host, bad_interfaces)
