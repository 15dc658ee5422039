/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the guest with a payload: they parse again, with right or rightly partial checksums.
 */
#include "tests/support/relay_frames.h"
#include "tests/support/unit.h"

#define GSO_MOST (PACKET_MTU - 60) /* payload of a segment that fits both IP versions */

static const unsigned families[] = {AF_INET, AF_INET6};

static uint8_t bytes[PACKET_FRAME_MAX + 64], payload[PACKET_FRAME_MAX];
static struct packet packet;
static struct packet_offload offload;
static struct packet_ends ends;

/* From the peer to the guest. */
static struct ip_address from, to;

static void setup(void)
{
	uint32_t noise = 1;
	size_t i;

	ends = relay_ends;
	for (i = 0; i < sizeof(payload); i++) {
		noise = noise * 1664525 + 1013904223;
		payload[i] = (uint8_t)(noise >> 24);
	}
}

static void use(unsigned family)
{
	struct relay_ends_text path = relay_path(family);

	from = relay_address(path.target);
	to = relay_address(path.source);
}

static size_t up(unsigned family)
{
	return family == AF_INET ? AT_IPV4_UP : AT_IPV6_UP;
}

/* Puts the payload behind headers, and parses. */
static size_t join(size_t headers, size_t length)
{
	ck_assert_uint_gt(headers, 0);
	ck_assert_uint_le(headers, PACKET_HEADERS_MAX);
	memcpy(bytes + headers, payload, length);
	ck_assert_uint_eq(relay_header_sum(bytes), 0);
	ck_assert_int_eq(packet_parse(bytes, headers + length, offload.partial, &packet),
			 PACKET_OK);
	return headers + length;
}

static void check_ends(void)
{
	ck_assert(ip_same(&packet.source, &from) && ip_same(&packet.target, &to));
	ck_assert_mem_eq(packet.source_mac, relay_router_mac, PACKET_MAC);
	ck_assert_mem_eq(packet.target_mac, relay_guest_mac, PACKET_MAC);
}

static size_t write_tcp(const struct tcp_segment *segment)
{
	memset(&offload, 0xff, sizeof(offload));
	return packet_write_tcp(&ends, &from, 443, &to, 40000, segment, bytes, &offload);
}

static size_t write_udp(size_t length)
{
	memset(&offload, 0xff, sizeof(offload));
	return packet_write_udp(&ends, &from, 443, &to, 40000, payload, length, bytes, &offload);
}

static void no_offload(void)
{
	ck_assert(!offload.partial && !offload.gso6);
	ck_assert_uint_eq(offload.start | offload.offset | offload.headers | offload.gso_size, 0);
}

START_TEST(a_segment_is_read_back)
{
	struct tcp_segment segment = {.sequence = 7,
				      .acknowledged = 9,
				      .window = 1234,
				      .flags = TCP_ACK | TCP_PSH,
				      .data = payload};
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		for (length = 0; length < 70; length++) {
			segment.length = length;
			join(write_tcp(&segment), length);
			check_ends();
			no_offload();
			ck_assert_int_eq(packet.kind, PACKET_TCP);
			ck_assert_uint_eq(packet.source_port, 443);
			ck_assert_uint_eq(packet.target_port, 40000);
			ck_assert_uint_eq(packet.tcp.sequence, 7);
			ck_assert_uint_eq(packet.tcp.acknowledged, 9);
			ck_assert_uint_eq(packet.tcp.window, 1234);
			ck_assert_uint_eq(packet.tcp.flags, TCP_ACK | TCP_PSH);
			ck_assert_uint_eq(packet.tcp.length, length);
			ck_assert_uint_eq(relay_message_sum(bytes), 0);
			if (length > 0)
				ck_assert_mem_eq(packet.tcp.data, payload, length);
		}
	}
}
END_TEST

START_TEST(a_syn_has_its_options)
{
	struct tcp_segment syn = {
		.flags = TCP_SYN | TCP_ACK, .mss = 1460, .has_scale = true, .scale = 7};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		ck_assert_uint_eq(join(write_tcp(&syn), 0), up(families[i]) + 28);
		ck_assert_uint_eq(relay_message_sum(bytes), 0);
		ck_assert_uint_eq(packet.tcp.mss, 1460);
		ck_assert(packet.tcp.has_scale && packet.tcp.scale == 7);
	}
}
END_TEST

START_TEST(a_datagram_is_read_back)
{
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		for (length = 0; length < 70; length++) {
			join(write_udp(length), length);
			check_ends();
			no_offload();
			ck_assert_int_eq(packet.kind, PACKET_UDP);
			ck_assert_uint_eq(packet.source_port, 443);
			ck_assert_uint_eq(packet.target_port, 40000);
			ck_assert_uint_eq(packet.payload_length, length);
			ck_assert_uint_eq(relay_message_sum(bytes), 0);
			if (length > 0)
				ck_assert_mem_eq(packet.payload, payload, length);
		}
	}
}
END_TEST

/* A datagram whose sum is 0 carries 0xffff, since 0 says that there is none. */
START_TEST(a_checksum_of_0_is_written_as_its_twin)
{
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		at = up(families[i]) + 6;
		memset(payload, 0, 2);
		write_udp(2);
		/* With its own checksum as data the sum is all ones. */
		memcpy(payload, bytes + at, 2);
		join(write_udp(2), 2);
		ck_assert_uint_eq(load_be16(bytes + at), 0xffff);
		ck_assert_uint_eq(relay_message_sum(bytes), 0);
	}
}
END_TEST

START_TEST(a_partial_checksum_completes_right)
{
	struct tcp_segment segment = {.flags = TCP_ACK, .data = payload, .length = 1461};
	size_t i, length;

	ends.partial = true;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		length = join(write_tcp(&segment), segment.length);
		ck_assert(offload.partial);
		ck_assert_uint_eq(offload.start, up(families[i]));
		ck_assert_uint_eq(offload.offset, 16);
		ck_assert_uint_eq(offload.gso_size | offload.headers, 0);
		ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_BAD_CHECKSUM);
		relay_complete(bytes, length, &offload);
		ck_assert_uint_eq(relay_message_sum(bytes), 0);
		ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_OK);
		length = join(write_udp(333), 333);
		ck_assert(offload.partial);
		ck_assert_uint_eq(offload.start, up(families[i]));
		ck_assert_uint_eq(offload.offset, 6);
		ck_assert_uint_eq(offload.gso_size | offload.headers, 0);
		relay_complete(bytes, length, &offload);
		ck_assert_uint_eq(relay_message_sum(bytes), 0);
		ck_assert_int_eq(packet_parse(bytes, length, false, &packet), PACKET_OK);
	}
}
END_TEST

/* A partial field is the pseudo header's sum, with the length of the whole segment. */
START_TEST(a_partial_checksum_does_not_depend_on_the_payload)
{
	struct tcp_segment segment = {.flags = TCP_ACK, .data = payload, .length = 100};
	uint16_t field;
	size_t i;

	ends.partial = true;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		write_tcp(&segment);
		field = load_be16(bytes + up(families[i]) + 16);
		payload[50] ^= 0xff;
		segment.sequence++;
		write_tcp(&segment);
		ck_assert_uint_eq(load_be16(bytes + up(families[i]) + 16), field);
		segment.length++;
		write_tcp(&segment);
		ck_assert_uint_eq(load_be16(bytes + up(families[i]) + 16), field + 1);
		segment.length--;
	}
}
END_TEST

START_TEST(a_segment_to_be_cut_says_how)
{
	struct tcp_segment segment = {
		.flags = TCP_ACK, .data = payload, .length = GSO_MOST, .gso_size = 1448};
	size_t i, length, partial;

	for (partial = 0; partial < 2; partial++) {
		/* A card that takes such segments takes partial checksums too. */
		ends.partial = partial;
		for (i = 0; i < ARRAY_SIZE(families); i++) {
			use(families[i]);
			length = join(write_tcp(&segment), segment.length);
			ck_assert(offload.partial);
			ck_assert_uint_eq(offload.start, up(families[i]));
			ck_assert_uint_eq(offload.offset, 16);
			ck_assert_uint_eq(offload.headers, up(families[i]) + 20);
			ck_assert_uint_eq(offload.gso_size, 1448);
			ck_assert_int_eq(offload.gso6, families[i] == AF_INET6);
			relay_complete(bytes, length, &offload);
			ck_assert_uint_eq(relay_message_sum(bytes), 0);
		}
	}
}
END_TEST

START_TEST(a_segment_of_one_packet_is_not_cut)
{
	struct tcp_segment segment = {.flags = TCP_ACK, .data = payload, .gso_size = 1448};

	use(AF_INET6);
	segment.length = 1448;
	join(write_tcp(&segment), segment.length);
	no_offload();
	segment.length = 1449;
	join(write_tcp(&segment), segment.length);
	ck_assert_uint_eq(offload.gso_size, 1448);
	segment.length = 0;
	join(write_tcp(&segment), 0);
	no_offload();
}
END_TEST

static size_t write_echo(size_t length)
{
	return packet_write_echo(&ends, &from, &to, 77, 3, payload, length, bytes);
}

START_TEST(an_echo_reply_has_a_whole_checksum)
{
	size_t i, length, at;

	ends.partial = true;
	memset(&offload, 0, sizeof(offload));
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		at = up(families[i]);
		for (length = 0; length < 70; length++) {
			ck_assert_uint_eq(write_echo(length), at + 8);
			memcpy(bytes + at + 8, payload, length);
			ck_assert_uint_eq(relay_header_sum(bytes), 0);
			ck_assert_uint_eq(relay_message_sum(bytes), 0);
			ck_assert_int_eq(packet_parse(bytes, at + 8 + length, false, &packet),
					 PACKET_IGNORED);
			ck_assert_uint_eq(load_be16(bytes + at), i == 0 ? 0 : 129 << 8);
			/* The request that it replies to is the same, but for the type. */
			bytes[at] = i == 0 ? 8 : 128;
			relay_fix(bytes);
			join(at + 8, length);
			check_ends();
			ck_assert_uint_eq(packet.echo_id, 77);
			ck_assert_uint_eq(packet.echo_sequence, 3);
			ck_assert_uint_eq(packet.payload_length, length);
		}
	}
}
END_TEST

START_TEST(the_longest_packets_are_written_and_longer_ones_not)
{
	struct tcp_segment segment = {.flags = TCP_ACK, .data = payload};
	size_t i, most;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		use(families[i]);
		most = PACKET_FRAME_MAX - up(families[i]);
		segment.length = most - 20;
		ck_assert_uint_eq(join(write_tcp(&segment), segment.length), PACKET_FRAME_MAX);
		ck_assert_uint_eq(join(write_udp(most - 8), most - 8), PACKET_FRAME_MAX);
		ck_assert_uint_eq(write_echo(most - 8), up(families[i]) + 8);
		segment.length++;
		ck_assert_uint_eq(write_tcp(&segment), 0);
		ck_assert_uint_eq(write_udp(most - 7), 0);
		ck_assert_uint_eq(write_echo(most - 7), 0);
		segment.length = SIZE_MAX;
		ck_assert_uint_eq(write_tcp(&segment), 0);
		ck_assert_uint_eq(write_udp(SIZE_MAX), 0);
		ck_assert_uint_eq(write_echo(SIZE_MAX), 0);
	}
}
END_TEST

/* An IPv4 packet without fragments needs no identification, but must say so (RFC 6864). */
START_TEST(headers_of_ip_are_complete)
{
	struct tcp_segment segment = {.flags = TCP_ACK};

	use(AF_INET);
	write_tcp(&segment);
	ck_assert_mem_eq(bytes + AT_IP, "\x45\0\0\x28\0\0\x40\0\x40\x06", 10);
	use(AF_INET6);
	write_tcp(&segment);
	ck_assert_mem_eq(bytes + AT_IP, "\x60\0\0\0\0\x14\x06\x40", 8);
}
END_TEST

/* (An assertion of check that holds costs a system call.) */
static void compare_sums(uint32_t before, const uint8_t *data, size_t length)
{
	if (packet_fold(packet_sum(before, data, length)) != relay_plain_sum(before, data, length))
		ck_abort_msg("the sum of %zu bytes from %#x is wrong", length, before);
}

START_TEST(a_sum_is_that_of_the_words)
{
	static const uint8_t fill[] = {0, 0xff, 1, 0x80};
	static const size_t longest[] = {1460, 4097, 65534, 65535};
	static const uint32_t before[] = {0, 1, 0xffff, UINT32_MAX};
	size_t length, offset, i, k;

	for (k = 0; k <= ARRAY_SIZE(fill); k++) {
		if (k < ARRAY_SIZE(fill))
			memset(bytes, fill[k], sizeof(bytes));
		else
			memcpy(bytes, payload, sizeof(payload));
		for (length = 0; length < 300; length++)
			for (offset = 0; offset < 9; offset++)
				compare_sums(before[length % 4], bytes + offset, length);
		for (i = 0; i < ARRAY_SIZE(longest); i++)
			compare_sums(before[i], bytes, longest[i]);
	}
	/* In two steps, the first of an even length. */
	for (length = 0; length < 300; length += 2)
		ck_assert_uint_eq(
			packet_fold(packet_sum(packet_sum(0, bytes, length), bytes + length, 301)),
			relay_plain_sum(0, bytes, length + 301));
}
END_TEST

UNIT_MAIN_WITH(setup, "relay_packet_write", a_segment_is_read_back, a_syn_has_its_options,
	       a_datagram_is_read_back, a_checksum_of_0_is_written_as_its_twin,
	       a_partial_checksum_completes_right,
	       a_partial_checksum_does_not_depend_on_the_payload, a_segment_to_be_cut_says_how,
	       a_segment_of_one_packet_is_not_cut, an_echo_reply_has_a_whole_checksum,
	       the_longest_packets_are_written_and_longer_ones_not, headers_of_ip_are_complete,
	       a_sum_is_that_of_the_words)
