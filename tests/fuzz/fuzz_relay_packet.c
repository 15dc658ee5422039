/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the guest: a valid one, of either IP version, of which the input changes bytes and
 * lengths; or the input itself, in memory of the exact size. A frame that parses, written again,
 * must parse the same; a partial checksum must complete right.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/support/relay_frames.h"

static uint8_t base[PACKET_FRAME_MAX + 1], again[PACKET_FRAME_MAX];

/* --- written again ---------------------------------------------------------------------------- */

/* Puts a payload behind headers, completes what is partial, and parses. */
static void parse_again(size_t headers, const uint8_t *payload, size_t length,
			const struct packet_offload *offload, struct packet *out)
{
	FUZZ_REQUIRE(headers > 0 && headers <= PACKET_HEADERS_MAX);
	if (length > 0)
		memcpy(again + headers, payload, length);
	if (offload->partial)
		relay_complete(again, headers + length, offload);
	FUZZ_REQUIRE(relay_header_sum(again) == 0);
	FUZZ_REQUIRE(relay_message_sum(again) == 0);
	FUZZ_REQUIRE(packet_parse(again, headers + length, false, out) == PACKET_OK);
}

static void same_ends(const struct packet *a, const struct packet *b)
{
	FUZZ_REQUIRE(a->kind == b->kind);
	FUZZ_REQUIRE(ip_same(&a->source, &b->source) && ip_same(&a->target, &b->target));
	FUZZ_REQUIRE(a->source_port == b->source_port && a->target_port == b->target_port);
}

static void rewrite_tcp(const struct packet *packet, const struct packet_ends *ends, uint16_t gso)
{
	struct tcp_segment segment = packet->tcp;
	struct packet_offload offload;
	struct packet out;
	size_t headers;

	segment.gso_size = gso;
	headers = packet_write_tcp(ends, &packet->source, packet->source_port, &packet->target,
				   packet->target_port, &segment, again, &offload);
	FUZZ_REQUIRE(offload.gso_size == (gso && segment.length > gso ? gso : 0));
	FUZZ_REQUIRE(offload.partial == (ends->partial || offload.gso_size > 0));
	parse_again(headers, segment.data, segment.length, &offload, &out);
	same_ends(packet, &out);
	FUZZ_REQUIRE(out.tcp.sequence == segment.sequence);
	FUZZ_REQUIRE(out.tcp.acknowledged == segment.acknowledged);
	FUZZ_REQUIRE(out.tcp.window == segment.window && out.tcp.flags == segment.flags);
	FUZZ_REQUIRE(out.tcp.mss == segment.mss && out.tcp.has_scale == segment.has_scale);
	FUZZ_REQUIRE(out.tcp.scale == segment.scale && out.tcp.length == segment.length);
	FUZZ_REQUIRE(memcmp(out.tcp.data, segment.data, segment.length) == 0);
}

static void same_payload(const struct packet *a, const struct packet *b)
{
	FUZZ_REQUIRE(a->payload_length == b->payload_length);
	FUZZ_REQUIRE(memcmp(a->payload, b->payload, a->payload_length) == 0);
}

static void rewrite_udp(const struct packet *packet, const struct packet_ends *ends)
{
	struct packet_offload offload;
	struct packet out;
	size_t headers;

	headers = packet_write_udp(ends, &packet->source, packet->source_port, &packet->target,
				   packet->target_port, packet->payload, packet->payload_length,
				   again, &offload);
	FUZZ_REQUIRE(offload.partial == ends->partial && offload.gso_size == 0);
	parse_again(headers, packet->payload, packet->payload_length, &offload, &out);
	same_ends(packet, &out);
	same_payload(packet, &out);
}

/* What is written is a reply, which the parser ignores: made a request, it is the same. */
static void rewrite_echo(const struct packet *packet, const struct packet_ends *ends)
{
	bool six = packet->source.family == AF_INET6;
	struct packet_offload none = {.partial = false};
	struct packet out;
	size_t headers;

	headers = packet_write_echo(ends, &packet->source, &packet->target, packet->echo_id,
				    packet->echo_sequence, packet->payload, packet->payload_length,
				    again);
	if (packet->payload_length > 0)
		memcpy(again + headers, packet->payload, packet->payload_length);
	FUZZ_REQUIRE(relay_message_sum(again) == 0);
	FUZZ_REQUIRE(packet_parse(again, headers + packet->payload_length, false, &out) ==
		     PACKET_IGNORED);
	again[six ? AT_IPV6_UP : AT_IPV4_UP] = six ? 128 : 8;
	relay_fix(again);
	parse_again(headers, packet->payload, packet->payload_length, &none, &out);
	same_ends(packet, &out);
	same_payload(packet, &out);
	FUZZ_REQUIRE(out.echo_id == packet->echo_id);
	FUZZ_REQUIRE(out.echo_sequence == packet->echo_sequence);
}

/* Of an advertisement the parser says only that it is well-formed. */
static void reply_to_neighbour(const struct packet *packet, const struct packet_ends *ends)
{
	uint8_t *reply = malloc(PACKET_REPLY_MAX);
	struct packet out;
	size_t length;

	FUZZ_REQUIRE(reply);
	length = packet_write_neighbour(ends, packet, reply);
	FUZZ_REQUIRE(length > 0 && length <= PACKET_REPLY_MAX);
	FUZZ_REQUIRE(packet_parse(reply, length, false, &out) == PACKET_IGNORED);
	FUZZ_REQUIRE(packet->kind == PACKET_ARP || relay_message_sum(reply) == 0);
	free(reply);
}

/* --- errors ----------------------------------------------------------------------------------- */

static void write_error(const uint8_t *ip, size_t length, unsigned error)
{
	uint8_t *reply = malloc(PACKET_REPLY_MAX);
	size_t written, header;

	FUZZ_REQUIRE(reply);
	written = packet_write_error(&relay_ends, error, 1400, ip, length, reply);
	if (written > 0) {
		header = reply[AT_IP] >> 4 == 4 ? AT_IPV4_UP + 8 : AT_IPV6_UP + 8;
		FUZZ_REQUIRE(written <= AT_IP + (header == AT_IPV4_UP + 8 ? 576 : 1280));
		FUZZ_REQUIRE(written - header <= length);
		FUZZ_REQUIRE(memcmp(reply + header, ip, written - header) == 0);
		FUZZ_REQUIRE(relay_header_sum(reply) == 0 && relay_message_sum(reply) == 0);
	}
	free(reply);
}

static void take(const uint8_t *data, size_t length, struct fuzz_script *script)
{
	struct packet_ends ends = relay_ends;
	bool partial = fuzz_rarely(script, 2);
	uint16_t gso = (uint16_t)fuzz_number(script, 2);
	unsigned error = fuzz_below(script, PACKET_TOO_BIG + 1);
	struct packet packet;
	enum packet_verdict verdict;

	ends.partial = fuzz_rarely(script, 2);
	verdict = packet_parse(data, length, partial, &packet);
	FUZZ_REQUIRE(verdict < PACKET_VERDICTS);
	if (length > PACKET_ETHERNET)
		write_error(data + PACKET_ETHERNET, length - PACKET_ETHERNET, error);
	if (verdict != PACKET_OK)
		return;
	if (packet.ip) {
		FUZZ_REQUIRE(packet.ip == data + PACKET_ETHERNET);
		FUZZ_REQUIRE(packet.ip_length <= length - PACKET_ETHERNET);
		write_error(packet.ip, packet.ip_length, error);
	}
	switch (packet.kind) {
	case PACKET_TCP:
		rewrite_tcp(&packet, &ends, gso);
		break;
	case PACKET_UDP:
		rewrite_udp(&packet, &ends);
		break;
	case PACKET_ECHO:
		rewrite_echo(&packet, &ends);
		break;
	case PACKET_ARP:
	case PACKET_NEIGHBOUR:
		reply_to_neighbour(&packet, &ends);
		break;
	case PACKET_ROUTER:
		FUZZ_REQUIRE(packet_write_neighbour(&ends, &packet, again) == 0);
		break;
	}
}

/* --- what is parsed --------------------------------------------------------------------------- */

static size_t make_tcp(unsigned family, struct fuzz_script *script)
{
	static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0};
	struct relay_ends_text path = relay_path(family);
	uint8_t payload[sizeof(options) + 64] = {0};
	bool syn = fuzz_below(script, 2);
	size_t length, more = fuzz_below(script, 64), at;

	memcpy(payload, options, syn ? sizeof(options) : 0);
	length = relay_frame_tcp(base, path.source, path.target, syn ? TCP_SYN : TCP_ACK, payload,
				 (syn ? sizeof(options) : 0) + more);
	at = family == AF_INET ? AT_IPV4_UP : AT_IPV6_UP;
	base[at + 12] = (uint8_t)((syn ? 8 : 5) << 4);
	relay_fix(base);
	return length;
}

static size_t make(struct fuzz_script *script)
{
	unsigned family = fuzz_below(script, 2) ? AF_INET6 : AF_INET;
	struct relay_ends_text path = relay_path(family);
	static const uint8_t payload[256];
	size_t length;

	switch (fuzz_below(script, 6)) {
	case 0:
		return make_tcp(family, script);
	case 1:
		return relay_frame_udp(base, path.source, path.target, payload,
				       fuzz_below(script, 256));
	case 2:
		return relay_frame_echo(base, path.source, path.target, fuzz_below(script, 2),
					fuzz_below(script, 256));
	case 3:
		return relay_frame_arp(base, (uint16_t)(1 + fuzz_below(script, 2)), GUEST4,
				       ROUTER4);
	case 4:
		return relay_frame_ask(base, fuzz_below(script, 2) ? "::" : GUEST6,
				       "ff02::1:ff00:1", ROUTER6, "\x0e\x01......\x01\x01......",
				       8 * fuzz_below(script, 3));
	default:
		length = relay_frame_icmp(base, LINK6, "ff02::2", 133, "\0\0\0\0\x01\x01......",
					  4 + 8 * fuzz_below(script, 2));
		base[AT_IP + 7] = 255;
		return length;
	}
}

/* Whether a frame's lengths are such that its checksums can be filled in. */
static bool can_fix(size_t length)
{
	const uint8_t *ip = base + AT_IP;

	if (load_be16(base + 12) == 0x0800 && length >= AT_IPV4_UP)
		return ip[0] == 0x45 && load_be16(ip + 2) >= 20 &&
		       load_be16(ip + 2) <= length - AT_IP;
	return load_be16(base + 12) == 0x86dd && length >= AT_IPV6_UP && ip[0] >> 4 == 6 &&
	       load_be16(ip + 4) <= length - AT_IPV6_UP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	size_t length;
	unsigned changes;
	uint8_t *copy;

	if (fuzz_rarely(&script, 8)) {
		length = min_u64(script.left, sizeof(base));
		memset(base, 0, 64);
		if (length > 0)
			memcpy(base, script.at, length);
	} else {
		length = make(&script);
		for (changes = fuzz_below(&script, 8); changes > 0; changes--)
			base[fuzz_number(&script, 2) % length] = (uint8_t)fuzz_number(&script, 1);
		/* Zeros behind it are padding; without some bytes of it, it is cut. */
		memset(base + length, 0, 64);
		if (fuzz_rarely(&script, 8))
			length = fuzz_number(&script, 2) % (length + 64);
	}
	if (!fuzz_rarely(&script, 8) && can_fix(length))
		relay_fix(base);
	copy = malloc(length ? length : 1);
	FUZZ_REQUIRE(copy);
	memcpy(copy, base, length);
	take(copy, length, &script);
	free(copy);
	return 0;
}
