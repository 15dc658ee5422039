/* SPDX-License-Identifier: Apache-2.0 */
/* A tap: frames and their headers pass as they are, to and from its descriptor. */
#include "vmm/net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/address.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/net/tap_internal.h"

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

static void parse(const char *text, uint8_t to[TAP_IPV6])
{
	ck_assert_int_eq(inet_pton(AF_INET6, text, to), 1);
}

static void is_beside(const char *host, unsigned prefix, const char *beside)
{
	uint8_t at[TAP_IPV6], guest[TAP_IPV6], expected[TAP_IPV6];

	parse(host, at);
	ck_assert(tap_guest_address6(at, prefix, guest) == (beside != NULL));
	if (!beside)
		return;
	parse(beside, expected);
	ck_assert_mem_eq(guest, expected, TAP_IPV6);
}

START_TEST(the_guest_is_beside_the_host_in_ipv6)
{
	is_beside("fd99::1", 64, "fd99::2");
	is_beside("fd99::2", 64, "fd99::1");
	is_beside("fd99::", 64, "fd99::1");
	is_beside("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::1");
	is_beside("2001:db8:1:2:3:4:5:6", 61, "2001:db8:1::1");
	is_beside("2001:db8::ff01", 120, "2001:db8::ff02");
	is_beside("2001:db8::5", 126, "2001:db8::6");
	is_beside("2001:db8::6", 126, "2001:db8::5");
	is_beside("ffff::1", 1, "8000::1");
	is_beside("fd99::1", 0, NULL);
	is_beside("fd99::1", 127, NULL);
	is_beside("fd99::1", 128, NULL);
}
END_TEST

/* Lines of /proc/net/if_inet6: address, index, prefix, scope, flags and name. */
#define LINK	   "fe800000000000000000000000000001 07 40 20 80    tap9\n"
#define OTHER	   "fd980000000000000000000000000001 08 40 00 80    tap90\n"
#define PRIVATE	   "fd990000000000000000000000000001 07 40 00 c0    tap9\n"
#define GLOBAL	   "20010db8000000000000000000000002 07 7e 00 80    tap9\n"
#define DEPRECATED "20010db8000000000000000000000003 07 40 00 a0    tap9\n"
#define TEMPORARY  "20010db8000000000000000000000004 07 40 00 01    tap9\n"
#define FAILED	   "20010db8000000000000000000000005 07 40 00 c8    tap9\n"
#define NARROW	   "20010db8000000000000000000000006 07 80 00 80    tap9\n"

START_TEST(addresses_of_ipv6_are_found)
{
	static const struct {
		const char *text, *host;
		unsigned prefix;
	} all[] = {
		{"", NULL, 0},
		{LINK OTHER, NULL, 0},
		{LINK OTHER PRIVATE GLOBAL, "fd99::1", 64}, /* its DAD waits for a carrier */
		{GLOBAL PRIVATE, "2001:db8::2", 126},
		{DEPRECATED TEMPORARY FAILED NARROW, NULL, 0},
		{DEPRECATED TEMPORARY FAILED NARROW PRIVATE, "fd99::1", 64},
		{"zz\n\n20010db8 07 40 00 80 tap9\n" PRIVATE, "fd99::1", 64},
		{"fd990000000000000000000000000001 07 40 00 80", NULL, 0},
	};
	uint8_t host[TAP_IPV6];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct tap_wire wire = {.mtu = 1280, .prefix6 = 1};

		tap_read_ipv6(&wire, "tap9", all[i].text);
		ck_assert_uint_eq(wire.prefix6, all[i].prefix);
		if (!all[i].host)
			continue;
		parse(all[i].host, host);
		ck_assert_mem_eq(wire.host6, host, TAP_IPV6);
		/* IPv6 needs an MTU of 1,280. */
		wire.mtu = 1279;
		tap_read_ipv6(&wire, "tap9", all[i].text);
		ck_assert_uint_eq(wire.prefix6, 0);
	}
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
	  the_guest_is_beside_the_host, the_guest_is_beside_the_host_in_ipv6,
	  addresses_of_ipv6_are_found, bad_interfaces)
