/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest: what the headers of both IP versions, TCP and UDP may say. */
#include "tests/unit/relay_packet_common.h"
#include "vmm/base/special.h"

START_TEST(fragments_are_refused)
{
	static const struct {
		uint16_t field;
		enum packet_verdict verdict;
	} table[] = {
		{0x2000, PACKET_FRAGMENT}, /* the first */
		{0x2001, PACKET_FRAGMENT}, /* overlapping */
		{0x0001, PACKET_FRAGMENT}, /* the last */
		{0x1000, PACKET_FRAGMENT},
		{0x1fff, PACKET_FRAGMENT},
		{0x8000, PACKET_BAD_IP},
		{0x4000, PACKET_OK}, /* don't fragment */
		{0, PACKET_OK},
	};
	size_t length = udp(AF_INET), i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		store_be16(bytes + AT_IP + 6, table[i].field);
		relay_fix(bytes);
		ck_assert_int_eq(parse(length), table[i].verdict);
	}
	length = relay_frame(bytes, GUEST6, PEER6, IPPROTO_FRAGMENT, "\x11\0\0\1....12345678", 16);
	ck_assert_int_eq(parse(length), PACKET_FRAGMENT);
	length = relay_frame(bytes, GUEST6, PEER6, IPPROTO_FRAGMENT, "", 0);
	ck_assert_int_eq(parse(length), PACKET_FRAGMENT);
}
END_TEST

START_TEST(options_are_refused)
{
	size_t length = tcp(AF_INET);

	bytes[AT_IP] = 0x46; /* 4 bytes: loose source routes and the like */
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_OPTIONS);
	bytes[AT_IP] = 0x45;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_OK);
	/* More header than packet. */
	bytes[AT_IP] = 0x4f;
	store_be16(bytes + AT_IP + 2, 59);
	ck_assert_int_eq(parse(length + 40), PACKET_BAD_IP);
}
END_TEST

START_TEST(headers_of_ip_are_checked)
{
	static const uint8_t version4[] = {0x05, 0x44, 0x40, 0x55, 0x65, 0xf5},
			     version6[] = {0x00, 0x40, 0x45, 0x50, 0x70, 0xf0};
	size_t four, six, i;

	for (i = 0; i < ARRAY_SIZE(version4); i++) {
		four = tcp(AF_INET);
		bytes[AT_IP] = version4[i];
		ck_assert_int_eq(parse(four), PACKET_BAD_IP);
		six = tcp(AF_INET6);
		bytes[AT_IP] = version6[i];
		ck_assert_int_eq(parse(six), PACKET_BAD_IP);
	}
	four = tcp(AF_INET);
	bytes[AT_IP + 8] = 0;
	relay_fix(bytes);
	ck_assert_int_eq(parse(four), PACKET_BAD_IP);
	bytes[AT_IP + 8] = 1;
	bytes[AT_IP + 1] = 0xff; /* type of service, identification: anything */
	bytes[AT_IP + 4] = 0xff;
	relay_fix(bytes);
	ck_assert_int_eq(parse(four), PACKET_OK);
	six = tcp(AF_INET6);
	bytes[AT_IP + 7] = 0;
	ck_assert_int_eq(parse(six), PACKET_BAD_IP);
	bytes[AT_IP + 7] = 1;
	store_be32(bytes + AT_IP, 0x6fffffff); /* traffic class, flow label: anything */
	ck_assert_int_eq(parse(six), PACKET_OK);
}
END_TEST

static enum packet_verdict expected(unsigned family, unsigned protocol)
{
	static const uint8_t extensions[] = {0, 43, 50, 51, 60, 135, 139, 140, 253, 254};

	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return PACKET_TRUNCATED;
	if (protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return PACKET_TRUNCATED;
	if (family == AF_INET6 && protocol == 44)
		return PACKET_FRAGMENT;
	if (family == AF_INET6 && memchr(extensions, (int)protocol, sizeof(extensions)))
		return PACKET_OPTIONS;
	return PACKET_PROTOCOL;
}

START_TEST(other_protocols_are_refused)
{
	unsigned i, protocol;
	size_t length;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct relay_ends_text path = relay_path(families[i]);

		for (protocol = 0; protocol < 256; protocol++) {
			/* Too short for any of those that pass. */
			length = relay_frame(bytes, path.source, path.target, (uint8_t)protocol,
					     "1234567", 7);
			ck_assert_int_eq(parse(length), expected(families[i], protocol));
		}
	}
	length = tcp(AF_INET);
	store_be16(bytes + 12, 0x8100); /* a VLAN */
	ck_assert_int_eq(parse(length), PACKET_ETHERTYPE);
	store_be16(bytes + 12, 0x86dd);
	ck_assert_int_eq(parse(length), PACKET_BAD_IP);
	store_be16(bytes + 12, 0x0800);
	ck_assert_int_eq(parse(length), PACKET_OK);
}
END_TEST

START_TEST(impossible_addresses_are_refused)
{
	static const char *const bad4[] = {"0.0.0.0", "0.0.0.1", "127.0.0.1", "240.0.0.1",
					   "255.255.255.255"},
				 *const bad6[] = {"::", "::1", "::192.0.2.2",
						  "::ffff:93.184.216.34", "::ffff:0:93.184.216.34"},
				 *const good4[] = {"10.0.0.1", "169.254.169.254",
						   "223.255.255.255"},
				 *const good6[] = {"fe80::1", "fd00::1", "64:ff9b::1", "fec0::1",
						   "2001:db8::4"};
	const char *const *bad, *const *good;
	size_t i, k, count;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct relay_ends_text path = relay_path(families[i]);

		bad = i == 0 ? bad4 : bad6;
		good = i == 0 ? good4 : good6;
		count = i == 0 ? ARRAY_SIZE(bad4) : ARRAY_SIZE(bad6);
		for (k = 0; k < count; k++) {
			ck_assert_int_eq(parse(relay_frame_udp(bytes, bad[k], path.target, "", 0)),
					 PACKET_BAD_ADDRESS);
			ck_assert_int_eq(parse(relay_frame_udp(bytes, path.source, bad[k], "", 0)),
					 PACKET_BAD_ADDRESS);
		}
		count = i == 0 ? ARRAY_SIZE(good4) : ARRAY_SIZE(good6);
		for (k = 0; k < count; k++) {
			ck_assert_int_eq(parse(relay_frame_udp(bytes, good[k], path.target, "", 0)),
					 PACKET_OK);
			ck_assert_int_eq(parse(relay_frame_udp(bytes, path.source, good[k], "", 0)),
					 PACKET_OK);
		}
	}
	i = tcp(AF_INET);
	bytes[6] |= 1; /* a group's MAC as source */
	ck_assert_int_eq(parse(i), PACKET_BAD_ADDRESS);
}
END_TEST

/* The parser searches the table only for addresses that begin so. */
START_TEST(what_stays_of_ipv6_begins_with_0_or_ff)
{
	const struct special_range *range;
	size_t i, found = 0;

	for (i = 0; (range = special_range_at(i)) != NULL; i++) {
		if (range->family != AF_INET6 || !range->stays)
			continue;
		ck_assert_uint_ge(range->prefix, 8);
		ck_assert(range->network[0] == 0 || range->network[0] == 0xff);
		found++;
	}
	ck_assert_uint_gt(found, 0);
}
END_TEST

START_TEST(headers_of_tcp_and_ports_are_checked)
{
	size_t i, k, length, at;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		at = up(families[i]);
		for (k = 0; k < 16; k++) {
			length = tcp(families[i]);
			bytes[at + 12] = (uint8_t)(k << 4);
			relay_fix(bytes);
			ck_assert_int_eq(parse(length),
					 k == 5 || k == 6 ? PACKET_OK : PACKET_BAD_TCP);
		}
		for (k = 0; k < 4; k += 2) {
			length = tcp(families[i]);
			store_be16(bytes + at + k, 0);
			relay_fix(bytes);
			ck_assert_int_eq(parse(length), PACKET_BAD_TCP);
			length = udp(families[i]);
			store_be16(bytes + at + k, 0);
			relay_fix(bytes);
			ck_assert_int_eq(parse(length), PACKET_BAD_UDP);
			store_be16(bytes + at + k, 1);
			relay_fix(bytes);
			ck_assert_int_eq(parse(length), PACKET_OK);
		}
	}
}
END_TEST

UNIT_MAIN("relay_packet_ip", fragments_are_refused, options_are_refused, headers_of_ip_are_checked,
	  other_protocols_are_refused, impossible_addresses_are_refused,
	  what_stays_of_ipv6_begins_with_0_or_ff, headers_of_tcp_and_ports_are_checked)
