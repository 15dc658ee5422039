/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest: each kind is read; lengths and checksums. */
#include "tests/unit/relay_packet_common.h"

static size_t echo(unsigned family)
{
	struct relay_ends_text path = relay_path(family);

	return relay_frame_echo(bytes, path.source, path.target, false, 56);
}

static size_t ask(unsigned family)
{
	(void)family;
	return relay_frame_ask(bytes, GUEST6, ROUTER6, ROUTER6, "\x01\x01\x02\0\0\0\0\x02", 8);
}

static size_t router(unsigned family)
{
	size_t length = relay_frame_icmp(bytes, LINK6, "ff02::2", 133,
					 "\0\0\0\0\x01\x01\x02\0\0\0\0\x02", 12);

	(void)family;
	bytes[AT_IP + 7] = 255;
	return length;
}

static size_t arp(unsigned family)
{
	(void)family;
	return relay_frame_arp(bytes, 1, GUEST4, ROUTER4);
}

/* Each kind of frame that is accepted. */
static const struct {
	size_t (*make)(unsigned family);
	unsigned family;
	enum packet_kind kind;
} kinds[] = {
	{tcp, AF_INET, PACKET_TCP},  {tcp, AF_INET6, PACKET_TCP},  {udp, AF_INET, PACKET_UDP},
	{udp, AF_INET6, PACKET_UDP}, {echo, AF_INET, PACKET_ECHO}, {echo, AF_INET6, PACKET_ECHO},
	{ask, 0, PACKET_NEIGHBOUR},  {router, 0, PACKET_ROUTER},   {arp, 0, PACKET_ARP},
};

static void check_ends(unsigned family)
{
	struct relay_ends_text path = relay_path(family);
	struct ip_address source = relay_address(path.source), target = relay_address(path.target);

	ck_assert(ip_same(&packet.source, &source) && ip_same(&packet.target, &target));
	ck_assert_mem_eq(packet.source_mac, relay_guest_mac, PACKET_MAC);
	ck_assert_mem_eq(packet.target_mac, relay_router_mac, PACKET_MAC);
	ck_assert_ptr_eq(packet.ip, bytes + AT_IP);
}

START_TEST(a_tcp_segment_is_read)
{
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		length = tcp(families[i]);
		ck_assert_int_eq(parse(length), PACKET_OK);
		ck_assert_int_eq(packet.kind, PACKET_TCP);
		check_ends(families[i]);
		ck_assert_uint_eq(packet.ip_length, length - AT_IP);
		ck_assert_uint_eq(packet.source_port, 40000);
		ck_assert_uint_eq(packet.target_port, 443);
		ck_assert_uint_eq(packet.tcp.sequence, 1000);
		ck_assert_uint_eq(packet.tcp.acknowledged, 2000);
		ck_assert_uint_eq(packet.tcp.window, 500);
		ck_assert_uint_eq(packet.tcp.flags, TCP_ACK | TCP_PSH);
		ck_assert_uint_eq(packet.tcp.length, 5);
		ck_assert_ptr_eq(packet.tcp.data, bytes + up(families[i]) + 20);
	}
}
END_TEST

START_TEST(a_datagram_and_an_echo_are_read)
{
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		length = udp(families[i]);
		ck_assert_int_eq(parse(length), PACKET_OK);
		ck_assert_int_eq(packet.kind, PACKET_UDP);
		check_ends(families[i]);
		ck_assert_uint_eq(packet.ip_length, length - AT_IP);
		ck_assert_uint_eq(packet.source_port, 40000);
		ck_assert_uint_eq(packet.target_port, 443);
		ck_assert_uint_eq(packet.payload_length, 5);
		ck_assert_ptr_eq(packet.payload, bytes + up(families[i]) + 8);
		length = echo(families[i]);
		ck_assert_int_eq(parse(length), PACKET_OK);
		ck_assert_int_eq(packet.kind, PACKET_ECHO);
		check_ends(families[i]);
		ck_assert_uint_eq(packet.echo_id, 77);
		ck_assert_uint_eq(packet.echo_sequence, 3);
		ck_assert_uint_eq(packet.payload_length, 56);
		ck_assert_ptr_eq(packet.payload, bytes + up(families[i]) + 8);
	}
}
END_TEST

START_TEST(padding_behind_a_packet_is_cut_off)
{
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		length = kinds[i].make(kinds[i].family);
		memset(bytes + length, 'x', 20);
		ck_assert_int_eq(parse(length + 20), PACKET_OK);
		ck_assert_int_eq(packet.kind, kinds[i].kind);
		if (packet.ip)
			ck_assert_uint_eq(packet.ip_length, length - AT_IP);
		if (packet.kind == PACKET_TCP)
			ck_assert_uint_eq(packet.tcp.length, 5);
		if (packet.kind == PACKET_UDP)
			ck_assert_uint_eq(packet.payload_length, 5);
	}
}
END_TEST

START_TEST(every_kind_cut_at_every_length_is_refused)
{
	size_t i, length, cut;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		length = kinds[i].make(kinds[i].family);
		for (cut = 0; cut < length; cut++) {
			/* Memory of just that size: ASan sees every byte too many. */
			uint8_t *copy = malloc(cut ? cut : 1);

			memcpy(copy, bytes, cut);
			ck_assert_int_eq(packet_parse(copy, cut, false, &packet), PACKET_TRUNCATED);
			ck_assert_int_eq(packet_parse(copy, cut, true, &packet), PACKET_TRUNCATED);
			free(copy);
		}
		ck_assert_int_eq(parse(length), PACKET_OK);
		ck_assert_int_eq(packet.kind, kinds[i].kind);
	}
}
END_TEST

/* Says that the message of the packet in bytes has a length; returns the frame's. */
static size_t say_length(unsigned family, size_t length)
{
	if (family == AF_INET)
		store_be16(bytes + AT_IP + 2, (uint16_t)(20 + length));
	else
		store_be16(bytes + AT_IP + 4, (uint16_t)length);
	relay_fix(bytes);
	return up(family) + length;
}

/* An IP length that fits the frame, and a message that is too short for its header. */
START_TEST(every_inner_length_is_checked)
{
	size_t i, cut, length, whole;

	for (i = 0; i < ARRAY_SIZE(kinds) - 1; i++) {
		unsigned family = kinds[i].family ? kinds[i].family : AF_INET6;

		whole = kinds[i].kind == PACKET_TCP	    ? 20
			: kinds[i].kind == PACKET_NEIGHBOUR ? 24
							    : 8;
		for (cut = 0; cut < whole; cut++) {
			enum packet_verdict verdict;

			kinds[i].make(kinds[i].family);
			length = say_length(family, cut);
			verdict = parse(length);
			/* Without a first byte it is no solicitation, and so only noise to a group.
			 */
			if (kinds[i].kind == PACKET_ROUTER && cut == 0)
				ck_assert_int_eq(verdict, PACKET_IGNORED);
			else
				ck_assert_int_eq(verdict, PACKET_TRUNCATED);
		}
		kinds[i].make(kinds[i].family);
		length = say_length(family, whole);
		if (kinds[i].kind == PACKET_UDP)
			store_be16(bytes + up(family) + 4, (uint16_t)whole);
		relay_fix(bytes);
		ck_assert_int_eq(parse(length), PACKET_OK);
	}
}
END_TEST

START_TEST(a_datagram_has_one_length)
{
	size_t i, length, at;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		length = udp(families[i]);
		at = up(families[i]) + 4;
		store_be16(bytes + at, 8 + 4);
		relay_fix(bytes);
		ck_assert_int_eq(parse(length), PACKET_BAD_UDP);
		store_be16(bytes + at, 8 + 6);
		relay_fix(bytes);
		ck_assert_int_eq(parse(length), PACKET_BAD_UDP);
		store_be16(bytes + at, 8 + 5);
		relay_fix(bytes);
		ck_assert_int_eq(parse(length), PACKET_OK);
	}
}
END_TEST

/* Whether a change of this byte is seen only by what it means: nothing sums it up. */
static bool unsummed(const uint8_t *frame, size_t at)
{
	return at < AT_IP || (frame[AT_IP] >> 4 == 6 && (at < AT_IP + 4 || at == AT_IP + 7));
}

START_TEST(every_byte_is_summed_up)
{
	size_t i, length, at;

	for (i = 0; i < ARRAY_SIZE(kinds) - 1; i++) {
		length = kinds[i].make(kinds[i].family);
		for (at = AT_IP; at < length; at++) {
			if (unsummed(bytes, at))
				continue;
			bytes[at] ^= 0x10;
			ck_assert_int_ne(parse(length), PACKET_OK);
			bytes[at] ^= 0x10;
		}
		ck_assert_int_eq(parse(length), PACKET_OK);
		bytes[length - 1] ^= 1;
		ck_assert_int_eq(parse(length), PACKET_BAD_CHECKSUM);
		/* Not filled in yet: then it does not count. */
		ck_assert_int_eq(packet_parse(bytes, length, true, &packet), PACKET_OK);
		ck_assert_int_eq(packet.kind, kinds[i].kind);
	}
	/* That of the IPv4 header always counts. */
	length = tcp(AF_INET);
	bytes[AT_IP + 10] ^= 1;
	ck_assert_int_eq(packet_parse(bytes, length, true, &packet), PACKET_BAD_CHECKSUM);
}
END_TEST

START_TEST(only_a_datagram_of_ipv4_may_have_no_checksum)
{
	size_t length = udp(AF_INET);

	bytes[length - 1] ^= 1;
	ck_assert_int_eq(parse(length), PACKET_BAD_CHECKSUM);
	store_be16(bytes + AT_IPV4_UP + 6, 0);
	ck_assert_int_eq(parse(length), PACKET_OK);
	length = udp(AF_INET6);
	store_be16(bytes + AT_IPV6_UP + 6, 0);
	ck_assert_int_eq(parse(length), PACKET_BAD_CHECKSUM);
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_OK);
}
END_TEST

START_TEST(the_largest_frame_passes_and_a_larger_one_not)
{
	static uint8_t payload[PACKET_MTU];
	size_t i, header;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct relay_ends_text path = relay_path(families[i]);

		header = up(families[i]) + 20;
		ck_assert_uint_eq(relay_frame_tcp(bytes, path.source, path.target, TCP_ACK, payload,
						  PACKET_FRAME_MAX - header),
				  PACKET_FRAME_MAX);
		ck_assert_int_eq(parse(PACKET_FRAME_MAX), PACKET_OK);
		ck_assert_uint_eq(packet.tcp.length, PACKET_FRAME_MAX - header);
		ck_assert_int_eq(parse(PACKET_FRAME_MAX + 1), PACKET_OVERSIZED);
	}
}
END_TEST

START_TEST(every_verdict_has_its_name)
{
	unsigned i, k;

	for (i = 0; i <= PACKET_VERDICTS; i++)
		for (k = 0; k < i; k++)
			ck_assert_str_ne(packet_verdict_text(i), packet_verdict_text(k));
}
END_TEST

UNIT_MAIN("relay_packet", a_tcp_segment_is_read, a_datagram_and_an_echo_are_read,
	  padding_behind_a_packet_is_cut_off, every_kind_cut_at_every_length_is_refused,
	  every_inner_length_is_checked, a_datagram_has_one_length, every_byte_is_summed_up,
	  only_a_datagram_of_ipv4_may_have_no_checksum,
	  the_largest_frame_passes_and_a_larger_one_not, every_verdict_has_its_name)
