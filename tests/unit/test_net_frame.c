/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/frame.h"

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/net/reply.h"

static uint8_t bytes[FRAME_MAX + 64];
static struct frame frame;

static const struct net_segment segment = {
	.source = ADDRESS_GUEST,
	.target = NET_PEER,
	.source_port = 40000,
	.target_port = 443,
	.flags = TCP_ACK | TCP_PSH,
	.sequence = 1000,
	.acknowledged = 2000,
	.payload = "hello",
	.length = 5,
};

static enum frame_verdict parse(size_t length)
{
	return frame_parse(bytes, length, false, &frame);
}

/* The verdict after one 16-bit field has another value, with right checksums. */
static enum frame_verdict changed(size_t length, size_t at, uint16_t value)
{
	store_be16(bytes + at, value);
	net_fix(bytes, length);
	return parse(length);
}

START_TEST(a_tcp_segment_is_read)
{
	size_t length = net_tcp(bytes, &segment);

	ck_assert_int_eq(parse(length), FRAME_OK);
	ck_assert_int_eq(frame.kind, FRAME_IS_TCP);
	ck_assert_uint_eq(frame.source, ADDRESS_GUEST);
	ck_assert_uint_eq(frame.target, NET_PEER);
	ck_assert_uint_eq(frame.source_port, 40000);
	ck_assert_uint_eq(frame.target_port, 443);
	ck_assert_uint_eq(frame.sequence, 1000);
	ck_assert_uint_eq(frame.acknowledged, 2000);
	ck_assert_uint_eq(frame.tcp_flags, TCP_ACK | TCP_PSH);
	ck_assert_uint_eq(frame.payload_length, 5);
	ck_assert_mem_eq(bytes + frame.payload, "hello", 5);
}
END_TEST

START_TEST(a_datagram_and_an_echo_are_read)
{
	size_t length = net_udp(bytes, &segment);

	ck_assert_int_eq(parse(length), FRAME_OK);
	ck_assert_int_eq(frame.kind, FRAME_IS_UDP);
	ck_assert_uint_eq(frame.payload_length, 5);
	length = net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER, 77, 56);
	ck_assert_int_eq(parse(length), FRAME_OK);
	ck_assert_int_eq(frame.kind, FRAME_IS_ECHO);
	ck_assert_uint_eq(frame.icmp_id, 77);
	ck_assert_uint_eq(frame.payload_length, 56);
}
END_TEST

START_TEST(padding_behind_a_packet_is_cut_off)
{
	size_t length = net_tcp(bytes, &segment);

	memset(bytes + length, 'x', 20);
	ck_assert_int_eq(parse(length + 20), FRAME_OK);
	ck_assert_uint_eq(frame.length, length);
	ck_assert_uint_eq(frame.payload_length, 5);
}
END_TEST

START_TEST(every_kind_cut_at_every_length_is_refused)
{
	size_t whole[4], cut;
	static uint8_t kind[4][256];
	unsigned i;

	whole[0] = net_tcp(kind[0], &segment);
	whole[1] = net_udp(kind[1], &segment);
	whole[2] = net_echo(kind[2], ICMP_ECHO_REQUEST, ADDRESS_GUEST, NET_PEER, 1, 8);
	whole[3] = net_arp(kind[3], ARP_REQUEST, net_guest_mac, ADDRESS_GUEST, ADDRESS_ROUTER);
	for (i = 0; i < 4; i++) {
		for (cut = 0; cut < whole[i]; cut++) {
			/* Memory of just that size: ASan sees every byte too many. */
			uint8_t *copy = malloc(cut ? cut : 1);

			memcpy(copy, kind[i], cut);
			ck_assert_int_eq(frame_parse(copy, cut, false, &frame), FRAME_TRUNCATED);
			free(copy);
		}
		ck_assert_int_eq(frame_parse(kind[i], whole[i], false, &frame), FRAME_OK);
	}
}
END_TEST

/* The same with an IPv4 length that fits what is left: the inner headers are too short. */
START_TEST(every_inner_length_is_checked)
{
	size_t whole, cut;

	for (cut = 0; cut < FRAME_TCP; cut++) {
		net_tcp(bytes, &segment);
		ck_assert_int_eq(changed(FRAME_TRANSPORT + cut, 16, (uint16_t)(FRAME_IPV4 + cut)),
				 FRAME_TRUNCATED);
	}
	for (cut = 0; cut < FRAME_UDP; cut++) {
		net_udp(bytes, &segment);
		store_be16(bytes + 16, (uint16_t)(FRAME_IPV4 + cut));
		store_be16(bytes + 24, 0);
		store_be16(bytes + 24, frame_fold(frame_sum(0, bytes + 14, 20)));
		ck_assert_int_eq(parse(FRAME_TRANSPORT + cut), FRAME_TRUNCATED);
	}
	whole = net_udp(bytes, &segment);
	ck_assert_int_eq(changed(whole, FRAME_TRANSPORT + 4, FRAME_UDP + 4), FRAME_BAD_UDP);
	ck_assert_int_eq(changed(whole, FRAME_TRANSPORT + 4, FRAME_UDP + 6), FRAME_BAD_UDP);
	ck_assert_int_eq(changed(whole, FRAME_TRANSPORT + 4, FRAME_UDP + 5), FRAME_OK);
}
END_TEST

START_TEST(wrong_checksums_are_refused)
{
	size_t length = net_tcp(bytes, &segment), at;

	for (at = FRAME_ETHERNET; at < length; at++) {
		bytes[at] ^= 0x10;
		ck_assert_int_ne(parse(length), FRAME_OK);
		bytes[at] ^= 0x10;
	}
	ck_assert_int_eq(parse(length), FRAME_OK);
	bytes[length - 1] ^= 1;
	ck_assert_int_eq(parse(length), FRAME_BAD_CHECKSUM);
	/* Not filled in yet: then it does not count, and is filled in. */
	ck_assert_int_eq(frame_parse(bytes, length, true, &frame), FRAME_OK);
	frame_complete(&frame, bytes);
	ck_assert_int_eq(parse(length), FRAME_OK);
	length = net_udp(bytes, &segment);
	bytes[length - 1] ^= 1;
	ck_assert_int_eq(parse(length), FRAME_BAD_CHECKSUM);
	store_be16(bytes + FRAME_TRANSPORT + 6, 0); /* there is none */
	ck_assert_int_eq(parse(length), FRAME_OK);
}
END_TEST

START_TEST(fragments_are_refused)
{
	size_t length = net_udp(bytes, &segment);

	ck_assert_int_eq(changed(length, 20, 0x2000), FRAME_FRAGMENT); /* the first */
	ck_assert_int_eq(changed(length, 20, 0x2001), FRAME_FRAGMENT); /* overlapping */
	ck_assert_int_eq(changed(length, 20, 0x0001), FRAME_FRAGMENT); /* the last */
	ck_assert_int_eq(changed(length, 20, 0x1fff), FRAME_FRAGMENT);
	ck_assert_int_eq(changed(length, 20, 0x8000), FRAME_BAD_IP);
	ck_assert_int_eq(changed(length, 20, 0x4000), FRAME_OK); /* don't fragment */
	ck_assert_int_eq(changed(length, 20, 0), FRAME_OK);
}
END_TEST

START_TEST(options_are_refused)
{
	size_t length = net_tcp(bytes, &segment);

	bytes[14] = 0x46; /* 4 bytes of options: loose source routes and the like */
	ck_assert_int_eq(parse(length), FRAME_IP_OPTIONS);
	bytes[14] = 0x44;
	ck_assert_int_eq(parse(length), FRAME_BAD_IP);
	bytes[14] = 0x65;
	ck_assert_int_eq(parse(length), FRAME_BAD_IP);
	bytes[14] = 0x45;
	ck_assert_int_eq(parse(length), FRAME_OK);
}
END_TEST

START_TEST(other_protocols_are_refused)
{
	static const uint8_t protocol[] = {0, 2, 4, 41, 47, 50, 51, 89, 132, 255};
	size_t length = net_tcp(bytes, &segment), i;

	for (i = 0; i < ARRAY_SIZE(protocol); i++) {
		net_tcp(bytes, &segment);
		bytes[23] = protocol[i];
		store_be16(bytes + 24, 0);
		store_be16(bytes + 24, frame_fold(frame_sum(0, bytes + 14, 20)));
		ck_assert_int_eq(parse(length), FRAME_PROTOCOL);
	}
	net_tcp(bytes, &segment);
	store_be16(bytes + 12, 0x86dd);
	ck_assert_int_eq(parse(length), FRAME_IPV6);
	store_be16(bytes + 12, 0x8100); /* a VLAN */
	ck_assert_int_eq(parse(length), FRAME_ETHERTYPE);
	store_be16(bytes + 12, 0x0800);
	ck_assert_int_eq(parse(length), FRAME_OK);
}
END_TEST

START_TEST(impossible_addresses_are_refused)
{
	static const uint32_t bad[] = {0, ADDRESS(127, 0, 0, 1), ADDRESS(224, 0, 0, 1),
				       ADDRESS(240, 0, 0, 1), UINT32_MAX};
	struct net_segment other;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		other = segment;
		other.target = bad[i];
		ck_assert_int_eq(parse(net_tcp(bytes, &other)), FRAME_BAD_ADDRESS);
		other = segment;
		other.source = bad[i];
		ck_assert_int_eq(parse(net_tcp(bytes, &other)), FRAME_BAD_ADDRESS);
	}
	i = net_tcp(bytes, &segment);
	bytes[6] |= 1; /* a group's MAC as source */
	ck_assert_int_eq(parse(i), FRAME_BAD_ADDRESS);
	other = segment;
	other.target = ADDRESS(223, 255, 255, 255);
	ck_assert_int_eq(parse(net_tcp(bytes, &other)), FRAME_OK);
}
END_TEST

START_TEST(tcp_headers_are_checked)
{
	static const uint8_t bad[] = {0,    TCP_FIN, TCP_PSH, TCP_SYN | TCP_FIN, TCP_SYN | TCP_RST,
				      0x20, 0x3f};
	static const uint8_t good[] = {TCP_SYN,		  TCP_SYN | TCP_ACK, TCP_ACK,	    TCP_RST,
				       TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK | 0xc0};
	struct net_segment other = segment;
	size_t length = net_tcp(bytes, &segment), i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		other.flags = bad[i];
		ck_assert_int_eq(parse(net_tcp(bytes, &other)), FRAME_BAD_TCP);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		other.flags = good[i];
		ck_assert_int_eq(parse(net_tcp(bytes, &other)), FRAME_OK);
	}
	for (i = 0; i < 16; i++) {
		net_tcp(bytes, &segment);
		bytes[FRAME_TRANSPORT + 12] = (uint8_t)(i << 4);
		net_fix(bytes, length);
		ck_assert_int_eq(parse(length), i == 5 || i == 6 ? FRAME_OK : FRAME_BAD_TCP);
	}
	net_tcp(bytes, &segment);
	ck_assert_int_eq(changed(length, FRAME_TRANSPORT, 0), FRAME_BAD_TCP);
}
END_TEST

START_TEST(only_echoes_of_icmp_pass)
{
	unsigned type;
	size_t length;

	for (type = 0; type < 256; type++) {
		length = net_echo(bytes, (uint8_t)type, ADDRESS_GUEST, NET_PEER, 1, 8);
		ck_assert_int_eq(parse(length), type == 0 || type == 8 ? FRAME_OK : FRAME_BAD_ICMP);
	}
	length = net_echo(bytes, 8, ADDRESS_GUEST, NET_PEER, 1, 8);
	bytes[FRAME_TRANSPORT + 1] = 1;
	net_fix(bytes, length);
	ck_assert_int_eq(parse(length), FRAME_BAD_ICMP);
}
END_TEST

START_TEST(arp_is_checked)
{
	size_t length = net_arp(bytes, ARP_REQUEST, net_guest_mac, ADDRESS_GUEST, ADDRESS_ROUTER);
	static const size_t fixed[] = {14, 16, 18, 20}; /* hardware, protocol, lengths, operation */
	size_t i;

	ck_assert_int_eq(parse(length), FRAME_OK);
	ck_assert_int_eq(frame.kind, FRAME_IS_ARP);
	ck_assert_uint_eq(frame.target, ADDRESS_ROUTER);
	for (i = 0; i < ARRAY_SIZE(fixed); i++) {
		bytes[fixed[i] + 1] ^= 0x40;
		ck_assert_int_eq(parse(length), FRAME_BAD_ARP);
		bytes[fixed[i] + 1] ^= 0x40;
	}
	ck_assert_int_eq(parse(length), FRAME_OK);
}
END_TEST

START_TEST(the_largest_frame_passes_and_a_larger_one_not)
{
	static uint8_t payload[FRAME_MTU - 40];
	struct net_segment large = segment;

	large.payload = payload;
	large.length = sizeof(payload);
	ck_assert_uint_eq(net_tcp(bytes, &large), FRAME_MAX);
	ck_assert_int_eq(parse(FRAME_MAX), FRAME_OK);
	ck_assert_int_eq(parse(FRAME_MAX + 1), FRAME_OVERSIZED);
}
END_TEST

/* --- answers ---------------------------------------------------------------------------------- */

START_TEST(a_reset_answers_a_syn_and_a_segment)
{
	struct net_segment syn = segment;
	uint8_t out[REPLY_MAX];
	struct frame reset;

	syn.flags = TCP_SYN;
	syn.length = 0;
	ck_assert_int_eq(parse(net_tcp(bytes, &syn)), FRAME_OK);
	ck_assert_int_eq(frame_parse(out, reply_reset(&frame, out), false, &reset), FRAME_OK);
	ck_assert_uint_eq(reset.tcp_flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(reset.acknowledged, 1001);
	ck_assert_uint_eq(reset.source, NET_PEER);
	ck_assert_uint_eq(reset.target_port, 40000);
	ck_assert_mem_eq(reset.target_mac, net_guest_mac, FRAME_MAC);
	ck_assert_int_eq(parse(net_tcp(bytes, &segment)), FRAME_OK);
	ck_assert_int_eq(frame_parse(out, reply_reset(&frame, out), false, &reset), FRAME_OK);
	ck_assert_uint_eq(reset.tcp_flags, TCP_RST);
	ck_assert_uint_eq(reset.sequence, 2000);
	syn.flags = TCP_RST;
	ck_assert_int_eq(parse(net_tcp(bytes, &syn)), FRAME_OK);
	ck_assert_uint_eq(reply_reset(&frame, out), 0);
}
END_TEST

START_TEST(a_prohibition_quotes_the_packet)
{
	uint8_t out[REPLY_MAX];
	size_t length;

	ck_assert_int_eq(parse(net_udp(bytes, &segment)), FRAME_OK);
	length = reply_prohibited(&frame, ADDRESS_ROUTER, out);
	ck_assert_uint_eq(length, FRAME_TRANSPORT + 8 + 28);
	ck_assert_uint_eq(out[FRAME_TRANSPORT], 3);
	ck_assert_uint_eq(out[FRAME_TRANSPORT + 1], 13);
	ck_assert_uint_eq(load_be32(out + 26), ADDRESS_ROUTER);
	ck_assert_uint_eq(load_be32(out + 30), ADDRESS_GUEST);
	ck_assert_mem_eq(out + FRAME_TRANSPORT + 8, bytes + 14, 28);
	ck_assert_uint_eq(frame_transport_checksum(out, IP_ICMP, 36), 0);
	ck_assert_uint_eq(frame_fold(frame_sum(0, out + 14, 20)), 0);
}
END_TEST

START_TEST(arp_echo_and_datagrams_are_answered)
{
	static uint8_t out[FRAME_MAX];
	struct frame reply;

	ck_assert_int_eq(
		parse(net_arp(bytes, ARP_REQUEST, net_guest_mac, ADDRESS_GUEST, ADDRESS_ROUTER)),
		FRAME_OK);
	ck_assert_int_eq(frame_parse(out, reply_arp(&frame, net_router_mac, out), false, &reply),
			 FRAME_OK);
	ck_assert_uint_eq(reply.arp_operation, ARP_REPLY);
	ck_assert_uint_eq(reply.source, ADDRESS_ROUTER);
	ck_assert_mem_eq(reply.arp_sender, net_router_mac, FRAME_MAC);
	ck_assert_int_eq(
		parse(net_echo(bytes, ICMP_ECHO_REQUEST, ADDRESS_GUEST, ADDRESS_ROUTER, 9, 33)),
		FRAME_OK);
	ck_assert_int_eq(frame_parse(out, reply_echo(&frame, out), false, &reply), FRAME_OK);
	ck_assert_uint_eq(reply.icmp_type, ICMP_ECHO_REPLY);
	ck_assert_uint_eq(reply.payload_length, 33);
	ck_assert_int_eq(parse(net_udp(bytes, &segment)), FRAME_OK);
	ck_assert_int_eq(frame_parse(out, reply_udp(&frame, "yes", 3, out), false, &reply),
			 FRAME_OK);
	ck_assert_uint_eq(reply.source_port, 443);
	ck_assert_mem_eq(out + reply.payload, "yes", 3);
}
END_TEST

START_TEST(every_verdict_has_its_name)
{
	unsigned i, k;

	for (i = 0; i < FRAME_VERDICTS; i++)
		for (k = 0; k < i; k++)
			ck_assert_str_ne(frame_verdict_text(i), frame_verdict_text(k));
}
END_TEST

/* Word by word, as RFC 1071 begins. */
static uint16_t plain_sum(uint32_t before, const uint8_t *data, size_t length)
{
	uint64_t sum = before;
	size_t i;

	for (i = 0; i + 1 < length; i += 2)
		sum += load_be16(data + i);
	if (length % 2)
		sum += (uint32_t)data[length - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

START_TEST(a_sum_is_that_of_the_words)
{
	static const uint8_t fill[] = {0, 0xff, 1, 0x80};
	static const size_t longest[] = {1460, 4097, 65534, 65535};
	uint32_t before[] = {0, 1, 0xffff, UINT32_MAX};
	size_t length, offset, i, k;
	uint32_t noise = 1;

	for (k = 0; k <= ARRAY_SIZE(fill); k++) {
		for (i = 0; i < sizeof(bytes); i++) {
			noise = noise * 1664525 + 1013904223;
			bytes[i] = k < ARRAY_SIZE(fill) ? fill[k] : (uint8_t)(noise >> 24);
		}
		for (length = 0; length < 300; length++)
			for (offset = 0; offset < 9; offset++)
				ck_assert_uint_eq(
					frame_fold(frame_sum(before[length % 4], bytes + offset,
							     length)),
					plain_sum(before[length % 4], bytes + offset, length));
		for (i = 0; i < ARRAY_SIZE(longest); i++)
			ck_assert_uint_eq(frame_fold(frame_sum(before[i], bytes, longest[i])),
					  plain_sum(before[i], bytes, longest[i]));
	}
}
END_TEST

UNIT_MAIN("net_frame", a_sum_is_that_of_the_words, a_tcp_segment_is_read,
	  a_datagram_and_an_echo_are_read, padding_behind_a_packet_is_cut_off,
	  every_kind_cut_at_every_length_is_refused, every_inner_length_is_checked,
	  wrong_checksums_are_refused, fragments_are_refused, options_are_refused,
	  other_protocols_are_refused, impossible_addresses_are_refused, tcp_headers_are_checked,
	  only_echoes_of_icmp_pass, arp_is_checked, the_largest_frame_passes_and_a_larger_one_not,
	  a_reset_answers_a_syn_and_a_segment, a_prohibition_quotes_the_packet,
	  arp_echo_and_datagrams_are_answered, every_verdict_has_its_name)
