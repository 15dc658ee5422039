/* SPDX-License-Identifier: Apache-2.0 */
/* The tap's wire: addresses are translated with their checksums; spoofed ones are dropped. */
#include "vmm/net/tap.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/net/address.h"

#define HOST  ADDRESS(10, 99, 0, 1)
#define GUEST ADDRESS(10, 99, 0, 2)

static const struct tap_wire wire = {.guest = GUEST, .host = HOST, .mtu = 1500};
static uint8_t bytes[FRAME_MAX];

static struct frame parsed(size_t length)
{
	struct frame frame;

	ck_assert_int_eq(frame_parse(bytes, length, false, &frame), FRAME_OK);
	return frame;
}

static size_t make(bool udp, uint32_t source, uint32_t target)
{
	struct net_segment segment = {.source = source,
				      .target = target,
				      .source_port = 40000,
				      .target_port = 80,
				      .flags = TCP_ACK,
				      .payload = "some words",
				      .length = 10};

	return udp ? net_udp(bytes, &segment) : net_tcp(bytes, &segment);
}

START_TEST(addresses_and_checksums_change)
{
	/* Some of them make sums overflow. */
	static const uint32_t peers[] = {ADDRESS(8, 8, 8, 8), ADDRESS(255, 255, 255, 254) >> 4,
					 ADDRESS(1, 0, 0, 0), ADDRESS(172, 31, 255, 255)};
	struct frame frame;
	size_t i, length;
	int udp;

	for (udp = 0; udp < 2; udp++) {
		for (i = 0; i < ARRAY_SIZE(peers); i++) {
			length = make(udp, ADDRESS_GUEST, peers[i]);
			ck_assert(tap_to_wire(&wire, bytes, length));
			frame = parsed(length);
			ck_assert_uint_eq(frame.source, GUEST);
			ck_assert_uint_eq(frame.target, peers[i]);
			length = make(udp, peers[i], GUEST);
			ck_assert(tap_from_wire(&wire, bytes, length));
			frame = parsed(length);
			ck_assert_uint_eq(frame.source, peers[i]);
			ck_assert_uint_eq(frame.target, ADDRESS_GUEST);
		}
		length = make(udp, ADDRESS_GUEST, ADDRESS_HOST);
		ck_assert(tap_to_wire(&wire, bytes, length));
		ck_assert_uint_eq(parsed(length).target, HOST);
		length = make(udp, HOST, GUEST);
		ck_assert(tap_from_wire(&wire, bytes, length));
		ck_assert_uint_eq(parsed(length).source, ADDRESS_HOST);
	}
}
END_TEST

START_TEST(a_datagram_without_checksum_has_none_afterwards)
{
	size_t length = make(true, HOST, GUEST);

	store_be16(bytes + FRAME_TRANSPORT + 6, 0);
	ck_assert(tap_from_wire(&wire, bytes, length));
	ck_assert_uint_eq(load_be16(bytes + FRAME_TRANSPORT + 6), 0);
	ck_assert_uint_eq(parsed(length).source, ADDRESS_HOST);
}
END_TEST

START_TEST(own_addresses_on_the_wire_are_dropped)
{
	static const uint32_t own[] = {ADDRESS_HOST, ADDRESS_GUEST, ADDRESS_ROUTER};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		ck_assert(!tap_from_wire(&wire, bytes, make(false, own[i], GUEST)));
		ck_assert(!tap_from_wire(&wire, bytes, make(true, HOST, own[i])));
	}
	/* Nor does such an address get out. */
	ck_assert(!tap_to_wire(&wire, bytes, make(false, ADDRESS_GUEST, ADDRESS_ROUTER)));
	ck_assert(!tap_to_wire(&wire, bytes, make(false, GUEST, HOST)));
	ck_assert(tap_to_wire(&wire, bytes, make(false, ADDRESS_GUEST, ADDRESS_HOST)));
}
END_TEST

START_TEST(arp_requests_for_the_guest)
{
	static const uint8_t mac[FRAME_MAC] = {2, 1, 1, 1, 1, 1};
	size_t length = net_arp(bytes, ARP_REQUEST, mac, HOST, GUEST);

	ck_assert(tap_from_wire(&wire, bytes, length));
	ck_assert_uint_eq(parsed(length).target, ADDRESS_GUEST);
	length = net_arp(bytes, ARP_REQUEST, mac, HOST, ADDRESS_GUEST);
	ck_assert(!tap_from_wire(&wire, bytes, length));
	length = net_arp(bytes, ARP_REPLY, mac, ADDRESS_GUEST, HOST);
	ck_assert(tap_to_wire(&wire, bytes, length));
	ck_assert_uint_eq(parsed(length).source, GUEST);
}
END_TEST

/* Truncated at every length and with every byte of the headers changed: nothing is touched beyond
 * the end (ASan), and what passes is still correct or does not parse. */
START_TEST(what_is_broken_stays_broken)
{
	size_t whole, length, i;
	uint8_t *copy;
	struct frame frame;
	int udp;

	for (udp = 0; udp < 2; udp++) {
		whole = make(udp, HOST, GUEST);
		for (length = 1; length < whole; length++) {
			copy = malloc(length);
			make(udp, HOST, GUEST);
			memcpy(copy, bytes, length);
			tap_from_wire(&wire, copy, length);
			tap_to_wire(&wire, copy, length);
			ck_assert_int_ne(frame_parse(copy, length, false, &frame), FRAME_OK);
			free(copy);
		}
		for (i = 0; i < min_u64(54, whole); i++) {
			make(udp, HOST, GUEST);
			bytes[i] ^= 0x41;
			if (i >= FRAME_ETHERNET && tap_from_wire(&wire, bytes, whole))
				ck_assert_int_ne(frame_parse(bytes, whole, false, &frame),
						 FRAME_OK);
		}
	}
}
END_TEST

START_TEST(the_guest_is_beside_the_host)
{
	ck_assert_uint_eq(tap_guest_address(HOST, 30), GUEST);
	ck_assert_uint_eq(tap_guest_address(GUEST, 30), HOST);
	ck_assert_uint_eq(tap_guest_address(HOST, 24), GUEST);
	ck_assert_uint_eq(tap_guest_address(ADDRESS(10, 99, 7, 254), 16), HOST);
	ck_assert_uint_eq(tap_guest_address(ADDRESS(10, 0, 0, 0), 31), ADDRESS(10, 0, 0, 1));
	ck_assert_uint_eq(tap_guest_address(ADDRESS(10, 0, 0, 1), 31), ADDRESS(10, 0, 0, 0));
	ck_assert_uint_eq(tap_guest_address(HOST, 32), 0);
}
END_TEST

START_TEST(bad_interfaces)
{
	static const char *const names[] = {"", "a/b", "..", "sixteen_letters_", "a b", "tap%d"};
	struct backend_ops ops = {.room = NULL};
	struct loop *loop;
	struct tap *tap;
	struct err err;
	size_t i;

	ck_assert_int_eq(loop_create(&loop), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_int_eq(tap_create(&tap, loop, names[i], &ops, NULL, &err), -EINVAL);
	ck_assert_int_lt(tap_create(&tap, loop, "no-such-if", &ops, NULL, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "no-such-if"));
	ck_assert_ptr_null(tap);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN("net_tap", addresses_and_checksums_change,
	  a_datagram_without_checksum_has_none_afterwards, own_addresses_on_the_wire_are_dropped,
	  arp_requests_for_the_guest, what_is_broken_stays_broken, the_guest_is_beside_the_host,
	  bad_interfaces)
