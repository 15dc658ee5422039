/* SPDX-License-Identifier: Apache-2.0 */
/* Whole frames for the guest: where an address is, and ICMP errors. */
#include "tests/support/relay_frames.h"
#include "tests/support/unit.h"

static uint8_t bytes[PACKET_FRAME_MAX], out[PACKET_REPLY_MAX];
static struct packet packet;

static void check_address(const uint8_t *at, const char *text)
{
	struct ip_address expected = relay_address(text);

	ck_assert_mem_eq(at, expected.bytes, expected.family == AF_INET ? 4 : 16);
}

static void check_frame(uint16_t type)
{
	ck_assert_mem_eq(out, relay_guest_mac, PACKET_MAC);
	ck_assert_mem_eq(out + PACKET_MAC, relay_router_mac, PACKET_MAC);
	ck_assert_uint_eq(load_be16(out + 12), type);
}

/* --- neighbours ------------------------------------------------------------------------------- */

START_TEST(arp_is_replied_to)
{
	static const char *const asked[] = {ROUTER4, PEER4};
	struct packet other;
	size_t length, i;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		length = relay_frame_arp(bytes, 1, GUEST4, asked[i]);
		ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_OK);
		length = packet_write_neighbour(&relay_ends, &packet, out);
		ck_assert_uint_eq(length, AT_IP + 28);
		check_frame(0x0806);
		ck_assert_mem_eq(out + AT_IP, "\0\x01\x08\0\x06\x04\0\x02", 8);
		ck_assert_mem_eq(out + AT_IP + 8, relay_router_mac, PACKET_MAC);
		check_address(out + AT_IP + 14, asked[i]);
		ck_assert_mem_eq(out + AT_IP + 18, relay_guest_mac, PACKET_MAC);
		check_address(out + AT_IP + 24, GUEST4);
		ck_assert_int_eq(packet_parse(out, length, false, &other), PACKET_IGNORED);
	}
}
END_TEST

static size_t advertise(const char *source, const char *target, const char *asked)
{
	size_t length = relay_frame_ask(bytes, source, target, asked, "", 0);

	ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_OK);
	return packet_write_neighbour(&relay_ends, &packet, out);
}

static void check_advertisement(size_t length, const char *source, const char *target,
				uint8_t flags)
{
	const uint8_t *icmp = out + AT_IPV6_UP;
	struct packet other;

	ck_assert_uint_eq(length, AT_IPV6_UP + 32);
	ck_assert_uint_eq(load_be16(out + 12), 0x86dd);
	ck_assert_mem_eq(out + AT_IP, "\x60\0\0\0\0\x20\x3a\xff", 8);
	check_address(out + AT_IP + 8, source);
	check_address(out + AT_IP + 24, target);
	ck_assert_uint_eq(relay_message_sum(out), 0);
	ck_assert_uint_eq(icmp[0], 136);
	ck_assert_uint_eq(icmp[1], 0);
	ck_assert_uint_eq(load_be32(icmp + 4), (uint32_t)flags << 24);
	check_address(icmp + 8, source);
	ck_assert_mem_eq(icmp + 24, "\x02\x01", 2);
	ck_assert_mem_eq(icmp + 26, relay_router_mac, PACKET_MAC);
	ck_assert_int_eq(packet_parse(out, length, false, &other), PACKET_IGNORED);
}

START_TEST(neighbours_are_advertised)
{
	check_advertisement(advertise(GUEST6, "ff02::1:ff00:1", ROUTER6), ROUTER6, GUEST6, 0xe0);
	check_frame(0x86dd);
	check_advertisement(advertise(LINK6, ROUTER6, ROUTER6), ROUTER6, LINK6, 0xe0);
	check_frame(0x86dd);
	/* Others than the router are hosts. */
	check_advertisement(advertise(GUEST6, "ff02::1:ff00:1", PEER6), PEER6, GUEST6, 0x60);
}
END_TEST

/* A conflict is told to all nodes, as the guest has no address to reply to (RFC 4861, 7.2.4). */
START_TEST(a_taken_address_is_advertised_to_all)
{
	check_advertisement(advertise("::", "ff02::1:ff00:1", ROUTER6), ROUTER6, "ff02::1", 0xa0);
	ck_assert_mem_eq(out, "\x33\x33\0\0\0\x01", PACKET_MAC);
}
END_TEST

START_TEST(only_questions_about_neighbours_are_replied_to)
{
	size_t length = relay_frame_udp(bytes, GUEST6, PEER6, "", 0);

	ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_OK);
	ck_assert_uint_eq(packet_write_neighbour(&relay_ends, &packet, out), 0);
}
END_TEST

/* --- errors ----------------------------------------------------------------------------------- */

static size_t write_error(enum packet_error error, uint16_t mtu, size_t length)
{
	return packet_write_error(&relay_ends, error, mtu, bytes + AT_IP, length - AT_IP, out);
}

START_TEST(errors_have_their_type_and_code)
{
	static const struct {
		enum packet_error error;
		uint16_t four, six; /* type and code */
	} table[] = {
		{PACKET_PROHIBITED, 0x030d, 0x0101},
		{PACKET_NET_UNREACHABLE, 0x0300, 0x0100},
		{PACKET_HOST_UNREACHABLE, 0x0301, 0x0103},
		{PACKET_PORT_UNREACHABLE, 0x0303, 0x0104},
		{PACKET_TOO_BIG, 0x0304, 0x0200},
	};
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		uint32_t mtu = table[i].error == PACKET_TOO_BIG ? 1400 : 0;

		length = relay_frame_udp(bytes, GUEST4, PEER4, "hello", 5);
		ck_assert_uint_eq(write_error(table[i].error, 1400, length),
				  AT_IPV4_UP + 8 + length - AT_IP);
		check_frame(0x0800);
		check_address(out + AT_IP + 12, ROUTER4);
		check_address(out + AT_IP + 16, GUEST4);
		ck_assert_uint_eq(out[AT_IP + 9], IPPROTO_ICMP);
		ck_assert_uint_eq(load_be16(out + AT_IPV4_UP), table[i].four);
		ck_assert_uint_eq(load_be32(out + AT_IPV4_UP + 4), mtu);
		ck_assert_mem_eq(out + AT_IPV4_UP + 8, bytes + AT_IP, length - AT_IP);
		ck_assert_uint_eq(relay_header_sum(out), 0);
		ck_assert_uint_eq(relay_message_sum(out), 0);
		length = relay_frame_udp(bytes, GUEST6, PEER6, "hello", 5);
		ck_assert_uint_eq(write_error(table[i].error, 1400, length),
				  AT_IPV6_UP + 8 + length - AT_IP);
		check_frame(0x86dd);
		check_address(out + AT_IP + 8, ROUTER6);
		check_address(out + AT_IP + 24, GUEST6);
		ck_assert_uint_eq(out[AT_IP + 6], IPPROTO_ICMPV6);
		ck_assert_uint_eq(load_be16(out + AT_IPV6_UP), table[i].six);
		ck_assert_uint_eq(load_be32(out + AT_IPV6_UP + 4), mtu);
		ck_assert_mem_eq(out + AT_IPV6_UP + 8, bytes + AT_IP, length - AT_IP);
		ck_assert_uint_eq(relay_message_sum(out), 0);
	}
}
END_TEST

/* As much as fits, of packets of every length around the bound. */
START_TEST(errors_quote_up_to_their_bound)
{
	static uint8_t payload[PACKET_MTU];
	size_t length, extra, written;

	for (extra = 500; extra < 1300; extra++) {
		length = relay_frame_udp(bytes, GUEST4, PEER4, payload, extra);
		written = write_error(PACKET_PROHIBITED, 0, length);
		ck_assert_uint_eq(written, min_u64(AT_IP + 576, AT_IPV4_UP + 8 + length - AT_IP));
		ck_assert_uint_eq(relay_message_sum(out), 0);
		length = relay_frame_udp(bytes, GUEST6, PEER6, payload, extra);
		written = write_error(PACKET_PROHIBITED, 0, length);
		ck_assert_uint_eq(written, min_u64(AT_IP + 1280, AT_IPV6_UP + 8 + length - AT_IP));
		ck_assert_uint_eq(relay_message_sum(out), 0);
	}
	length = relay_frame_udp(bytes, GUEST6, PEER6, payload, PACKET_MTU - 48);
	ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0, length), AT_IP + 1280);
}
END_TEST

START_TEST(no_error_is_about_an_error)
{
	unsigned type;

	for (type = 0; type < 256; type++) {
		size_t four = write_error(
			       PACKET_PROHIBITED, 0,
			       relay_frame_icmp(bytes, GUEST4, PEER4, (uint8_t)type, "1234", 4)),
		       six = write_error(
			       PACKET_PROHIBITED, 0,
			       relay_frame_icmp(bytes, GUEST6, PEER6, (uint8_t)type, "1234", 4));

		ck_assert_int_eq(four > 0, type == 0 || type == 8);
		ck_assert_int_eq(six > 0, type >= 128 && type != 137);
	}
	/* None either if its type is not there to see. */
	ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0,
				      relay_frame(bytes, GUEST4, PEER4, IPPROTO_ICMP, "", 0)),
			  0);
	ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0,
				      relay_frame(bytes, GUEST6, PEER6, IPPROTO_ICMPV6, "", 0)),
			  0);
	ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0,
				      relay_frame(bytes, GUEST6, PEER6, IPPROTO_DSTOPTS,
						  "\x3a\0\x01\x04....\x01\0......", 16)),
			  0);
}
END_TEST

START_TEST(no_error_goes_to_or_is_about_a_group)
{
	static const struct {
		const char *source, *target;
		bool written;
	} table[] = {
		{GUEST4, PEER4, true},
		{GUEST4, "192.0.2.254", true},
		{GUEST4, "224.0.0.1", false},
		{GUEST4, "255.255.255.255", false},
		{GUEST4, "192.0.2.255", false},
		{"192.0.2.255", PEER4, false},
		{"0.0.0.0", PEER4, false},
		{"127.0.0.1", PEER4, false},
		{"224.0.0.1", PEER4, false},
		{"255.255.255.255", PEER4, false},
		{GUEST6, PEER6, true},
		{LINK6, PEER6, true},
		{GUEST6, "ff02::1", false},
		{"::", PEER6, false},
		{"::1", PEER6, false},
		{"ff02::1", PEER6, false},
		{GUEST6, "::ffff:1.2.3.4", false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		ck_assert_int_eq(write_error(PACKET_PROHIBITED, 0,
					     relay_frame_udp(bytes, table[i].source,
							     table[i].target, "", 0)) > 0,
				 table[i].written);
}
END_TEST

START_TEST(no_error_is_about_a_later_fragment)
{
	size_t length = relay_frame_udp(bytes, GUEST4, PEER4, "hello", 5);

	store_be16(bytes + AT_IP + 6, 0x2000);
	ck_assert_uint_gt(write_error(PACKET_PROHIBITED, 0, length), 0);
	store_be16(bytes + AT_IP + 6, 0x0001);
	ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0, length), 0);
}
END_TEST

START_TEST(bytes_that_are_no_packet_have_no_error)
{
	static const struct {
		const char *source, *target;
		size_t header;
	} table[] = {{GUEST4, PEER4, 20}, {GUEST6, PEER6, 40}};
	size_t i, cut;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		size_t length = relay_frame_udp(bytes, table[i].source, table[i].target, "hi", 2);

		for (cut = 0; cut < length - AT_IP; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);

			memcpy(copy, bytes + AT_IP, cut);
			ck_assert_int_eq(packet_write_error(&relay_ends, PACKET_PROHIBITED, 0, copy,
							    cut, out) > 0,
					 cut >= table[i].header);
			free(copy);
		}
		bytes[AT_IP] = 0x44; /* less than a header */
		ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0, length), 0);
		bytes[AT_IP] = 0x4f; /* more than the packet */
		ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0, AT_IP + 59), 0);
		bytes[AT_IP] = 0x55;
		ck_assert_uint_eq(write_error(PACKET_PROHIBITED, 0, length), 0);
	}
}
END_TEST

UNIT_MAIN("relay_packet_reply", arp_is_replied_to, neighbours_are_advertised,
	  a_taken_address_is_advertised_to_all, only_questions_about_neighbours_are_replied_to,
	  errors_have_their_type_and_code, errors_quote_up_to_their_bound,
	  no_error_is_about_an_error, no_error_goes_to_or_is_about_a_group,
	  no_error_is_about_a_later_fragment, bytes_that_are_no_packet_have_no_error)
