/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest: ARP, ICMP, neighbour discovery, and what goes to groups. */
#include "tests/support/relay_frames.h"
#include "tests/support/unit.h"

static uint8_t bytes[PACKET_FRAME_MAX];
static struct packet packet;

static enum packet_verdict parse(size_t length)
{
	return packet_parse(bytes, length, false, &packet);
}

static bool is(const struct ip_address *address, const char *text)
{
	struct ip_address expected = relay_address(text);

	return ip_same(address, &expected);
}

/* --- ARP -------------------------------------------------------------------------------------- */

START_TEST(arp_is_checked)
{
	/* hardware, protocol, lengths, operation */
	static const size_t fixed[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 13};
	size_t length = relay_frame_arp(bytes, 1, GUEST4, ROUTER4), i;

	ck_assert_int_eq(parse(length), PACKET_OK);
	ck_assert_int_eq(packet.kind, PACKET_ARP);
	ck_assert(is(&packet.source, GUEST4) && is(&packet.target, ROUTER4));
	ck_assert_ptr_null(packet.ip);
	for (i = 0; i < ARRAY_SIZE(fixed); i++) {
		bytes[AT_IP + fixed[i]] ^= 0x40;
		ck_assert_int_eq(parse(length), PACKET_BAD_ARP);
		bytes[AT_IP + fixed[i]] ^= 0x40;
	}
	ck_assert_int_eq(parse(length), PACKET_OK);
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 0, GUEST4, ROUTER4)), PACKET_BAD_ARP);
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 3, GUEST4, ROUTER4)), PACKET_BAD_ARP);
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 2, GUEST4, ROUTER4)), PACKET_IGNORED);
}
END_TEST

START_TEST(addresses_of_arp_are_checked)
{
	static const char *const bad[] = {"127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(parse(relay_frame_arp(bytes, 1, bad[i], ROUTER4)),
				 PACKET_BAD_ADDRESS);
		ck_assert_int_eq(parse(relay_frame_arp(bytes, 1, GUEST4, bad[i])),
				 PACKET_BAD_ADDRESS);
	}
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 1, GUEST4, "0.0.0.0")), PACKET_BAD_ADDRESS);
	/* A probe whether an address is free. */
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 1, "0.0.0.0", GUEST4)), PACKET_OK);
	ck_assert(is(&packet.source, "0.0.0.0") && is(&packet.target, GUEST4));
	ck_assert_int_eq(parse(relay_frame_arp(bytes, 1, GUEST4, PEER4)), PACKET_OK);
}
END_TEST

/* --- ICMP ------------------------------------------------------------------------------------- */

START_TEST(only_echo_requests_of_icmp_pass)
{
	enum packet_verdict verdict;
	unsigned type;

	for (type = 0; type < 256; type++) {
		verdict = parse(relay_frame_icmp(bytes, GUEST4, PEER4, (uint8_t)type, "1234", 4));
		ck_assert_int_eq(verdict, type == 8   ? PACKET_OK
					  : type == 0 ? PACKET_IGNORED
						      : PACKET_BAD_ICMP);
		verdict = parse(relay_frame_icmp(bytes, GUEST6, PEER6, (uint8_t)type, "1234", 4));
		ck_assert_int_eq(verdict, type == 128		       ? PACKET_OK
					  : type == 129 || type == 136 ? PACKET_IGNORED
								       : PACKET_BAD_ICMP);
	}
}
END_TEST

START_TEST(messages_of_icmp_have_no_code)
{
	size_t length = relay_frame_echo(bytes, GUEST4, PEER4, false, 8);

	bytes[AT_IPV4_UP + 1] = 1;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_BAD_ICMP);
	length = relay_frame_echo(bytes, GUEST6, PEER6, false, 8);
	bytes[AT_IPV6_UP + 1] = 1;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_BAD_ICMP);
	bytes[AT_IPV6_UP + 1] = 0;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_OK);
	length = relay_frame_ask(bytes, GUEST6, ROUTER6, ROUTER6, "", 0);
	bytes[AT_IPV6_UP + 1] = 1;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_BAD_ICMP);
}
END_TEST

/* One family's ICMP in the other one's packets. */
START_TEST(icmp_of_the_other_version_is_refused)
{
	ck_assert_int_eq(
		parse(relay_frame(bytes, GUEST4, PEER4, IPPROTO_ICMPV6, "\x80\0......", 8)),
		PACKET_PROTOCOL);
	ck_assert_int_eq(parse(relay_frame(bytes, GUEST6, PEER6, IPPROTO_ICMP, "\x08\0......", 8)),
			 PACKET_PROTOCOL);
	ck_assert_int_eq(
		parse(relay_frame(bytes, GUEST6, PEER6, IPPROTO_ICMPV6, "\x80\0......", 8)),
		PACKET_OK);
	ck_assert_int_eq(parse(relay_frame(bytes, GUEST4, PEER4, IPPROTO_ICMP, "\x08\0......", 8)),
			 PACKET_OK);
}
END_TEST

/* --- neighbour discovery ---------------------------------------------------------------------- */

#define SOURCE_LINK "\x01\x01\x02\0\0\0\0\x02"
#define NONCE	    "\x0e\x01nonce."

START_TEST(a_solicitation_is_read)
{
	size_t length = relay_frame_ask(bytes, GUEST6, "ff02::1:ff00:1", ROUTER6, SOURCE_LINK, 8);

	ck_assert_int_eq(parse(length), PACKET_OK);
	ck_assert_int_eq(packet.kind, PACKET_NEIGHBOUR);
	ck_assert(is(&packet.source, GUEST6) && is(&packet.target, ROUTER6));
	/* To the address itself: the neighbour is known, and is probed. */
	ck_assert_int_eq(parse(relay_frame_ask(bytes, LINK6, ROUTER6, ROUTER6, SOURCE_LINK, 8)),
			 PACKET_OK);
	ck_assert(is(&packet.source, LINK6) && is(&packet.target, ROUTER6));
	ck_assert_int_eq(parse(relay_frame_ask(bytes, GUEST6, ROUTER6, ROUTER6, "", 0)), PACKET_OK);
}
END_TEST

/* Without an address yet, the guest asks whether one is free (RFC 4862, 5.4.2). */
START_TEST(a_question_whether_an_address_is_free_is_read)
{
	static const struct {
		const char *target, *asked, *options;
		size_t length;
		enum packet_verdict verdict;
	} table[] = {
		{"ff02::1:ff00:2", GUEST6, "", 0, PACKET_OK},
		{"ff02::1:ff00:2", LINK6, "", 0, PACKET_OK},
		{"ff02::1:ff00:2", LINK6, NONCE, 8, PACKET_OK},
		{"ff02::1:ff00:2", LINK6, SOURCE_LINK, 8, PACKET_BAD_ICMP},
		{"ff02::1:ff00:3", LINK6, "", 0, PACKET_BAD_ICMP}, /* another group */
		{"ff02::1", LINK6, "", 0, PACKET_BAD_ICMP},
		{LINK6, LINK6, "", 0, PACKET_BAD_ADDRESS},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_int_eq(parse(relay_frame_ask(bytes, "::", table[i].target, table[i].asked,
						       table[i].options, table[i].length)),
				 table[i].verdict);
		if (table[i].verdict == PACKET_OK) {
			ck_assert_int_eq(packet.kind, PACKET_NEIGHBOUR);
			ck_assert(is(&packet.source, "::") && is(&packet.target, table[i].asked));
		}
	}
}
END_TEST

START_TEST(solicitations_are_checked)
{
	static const struct {
		const char *source, *target, *asked;
		enum packet_verdict verdict;
	} table[] = {
		{GUEST6, ROUTER6, PEER6, PACKET_BAD_ICMP}, /* to another than it asks for */
		{GUEST6, "ff02::1:ff00:2", ROUTER6, PACKET_BAD_ICMP},
		{GUEST6, "ff02::1:ff01:1", ROUTER6, PACKET_BAD_ICMP},
		{GUEST6, "ff05::1:ff00:1", ROUTER6, PACKET_BAD_ICMP},
		{GUEST6, "ff02::1:ff00:1", "ff02::1", PACKET_BAD_ADDRESS},
		{GUEST6, "ff02::1:ff00:1", "::1", PACKET_BAD_ADDRESS},
		{GUEST6, "ff02::1:ff00:0", "::", PACKET_BAD_ADDRESS},
		{"ff02::1", "ff02::1:ff00:1", ROUTER6, PACKET_BAD_ADDRESS},
		{"::1", "ff02::1:ff00:1", ROUTER6, PACKET_BAD_ADDRESS},
		{GUEST6, "ff02::1:ff00:1", ROUTER6, PACKET_OK},
		{GUEST6, PEER6, PEER6, PACKET_OK},
	};
	size_t length, i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		ck_assert_int_eq(parse(relay_frame_ask(bytes, table[i].source, table[i].target,
						       table[i].asked, "", 0)),
				 table[i].verdict);
	length = relay_frame_ask(bytes, GUEST6, ROUTER6, ROUTER6, "", 0);
	bytes[AT_IP + 7] = 254; /* a router has forwarded it */
	ck_assert_int_eq(parse(length), PACKET_BAD_ICMP);
	bytes[AT_IP + 7] = 255;
	ck_assert_int_eq(parse(length), PACKET_OK);
}
END_TEST

/* In memory of just that size: ASan sees an option that leads beyond it. */
static enum packet_verdict parse_exact(size_t length)
{
	uint8_t *copy = malloc(length);
	enum packet_verdict verdict;

	memcpy(copy, bytes, length);
	verdict = packet_parse(copy, length, false, &packet);
	free(copy);
	return verdict;
}

START_TEST(options_of_solicitations_are_whole)
{
	static const struct {
		const char *options;
		size_t length;
		bool good;
	} table[] = {
		{SOURCE_LINK NONCE, 16, true},
		{"\xff\x02..............", 16, true}, /* unknown ones are skipped */
		{"\x01\0......", 8, false},
		{SOURCE_LINK "\x0e\0......", 16, false},
		{"\x01\x02......", 8, false},
		{"\x01\xff......", 8, false},
		{SOURCE_LINK "\x0e", 9, false},
		{SOURCE_LINK "\x0e\x01", 10, false},
		{"\x01", 1, false},
	};
	uint8_t rest[64];
	size_t length, i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		enum packet_verdict verdict = table[i].good ? PACKET_OK : PACKET_BAD_ICMP;

		length = relay_frame_ask(bytes, GUEST6, ROUTER6, ROUTER6, table[i].options,
					 table[i].length);
		ck_assert_int_eq(parse_exact(length), verdict);
		memset(rest, 0, 4);
		memcpy(rest + 4, table[i].options, table[i].length);
		length = relay_frame_icmp(bytes, LINK6, "ff02::2", 133, rest, 4 + table[i].length);
		bytes[AT_IP + 7] = 255;
		ck_assert_int_eq(parse_exact(length), verdict);
	}
}
END_TEST

static size_t router(const char *source, const char *target, const char *options, size_t length)
{
	uint8_t rest[64] = {0};

	memcpy(rest + 4, options, length);
	length = relay_frame_icmp(bytes, source, target, 133, rest, 4 + length);
	bytes[AT_IP + 7] = 255;
	return length;
}

START_TEST(router_solicitations_are_read)
{
	size_t length = router(LINK6, "ff02::2", SOURCE_LINK, 8);

	ck_assert_int_eq(parse(length), PACKET_OK);
	ck_assert_int_eq(packet.kind, PACKET_ROUTER);
	ck_assert(is(&packet.source, LINK6));
	bytes[AT_IP + 7] = 254;
	ck_assert_int_eq(parse(length), PACKET_BAD_ICMP);
	ck_assert_int_eq(parse(router(GUEST6, ROUTER6, "", 0)), PACKET_OK);
	ck_assert_int_eq(parse(router(LINK6, "ff02::1", "", 0)), PACKET_IGNORED);
	/* Without an address there is no sender to reply to. */
	ck_assert_int_eq(parse(router("::", "ff02::2", "", 0)), PACKET_IGNORED);
	ck_assert_int_eq(parse(router("::", "ff02::2", SOURCE_LINK, 8)), PACKET_BAD_ICMP);
	ck_assert_int_eq(parse(router("::", ROUTER6, "", 0)), PACKET_BAD_ADDRESS);
}
END_TEST

/* --- groups ----------------------------------------------------------------------------------- */

/* Reports of MLDv2 behind a hop-by-hop header with a router alert, as Linux sends them. */
#define MLD_REPORT                 \
	"\x3a\0\x05\x02\0\0\x01\0" \
	"\x8f\0\0\0\0\0\0\x01\x04\0\0\0\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff\0\0\x02"

START_TEST(noise_to_groups_is_ignored)
{
	size_t length;

	ck_assert_int_eq(parse(relay_frame(bytes, LINK6, "ff02::16", 0, MLD_REPORT, 36)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame(bytes, "::", "ff02::16", 0, MLD_REPORT, 36)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, LINK6, "ff02::fb", "mdns", 4)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, GUEST4, "224.0.0.251", "mdns", 4)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, GUEST4, "239.255.255.250", "ssdp", 4)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame_echo(bytes, GUEST6, "ff02::1", false, 8)),
			 PACKET_IGNORED);
	ck_assert_int_eq(parse(relay_frame_icmp(bytes, LINK6, "ff02::1", 136, "", 0)),
			 PACKET_IGNORED);
	/* A report of IGMPv3, from no address, with a router alert. */
	length = relay_frame(bytes, "0.0.0.0", "224.0.0.22", 2,
			     "\x94\x04\0\0\x22\0\xf9\x02\0\0\0\x01\x04\0\0\0\xe0\0\0\xfb", 20);
	bytes[AT_IP] = 0x46;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_IGNORED);
	/* The first byte of a solicitation, but of IPv4. */
	ck_assert_int_eq(parse(relay_frame(bytes, GUEST4, "224.0.0.1", IPPROTO_ICMPV6, "\x87", 1)),
			 PACKET_IGNORED);
}
END_TEST

/* The same to a host, or from what cannot be a source, is no noise. */
START_TEST(what_looks_like_noise_is_refused_elsewhere)
{
	size_t length;

	ck_assert_int_eq(parse(relay_frame(bytes, LINK6, ROUTER6, 0, MLD_REPORT, 36)),
			 PACKET_OPTIONS);
	ck_assert_int_eq(parse(relay_frame(bytes, "ff02::1", "ff02::16", 0, MLD_REPORT, 36)),
			 PACKET_BAD_ADDRESS);
	ck_assert_int_eq(parse(relay_frame(bytes, "::1", "ff02::16", 0, MLD_REPORT, 36)),
			 PACKET_BAD_ADDRESS);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, "127.0.0.1", "224.0.0.251", "mdns", 4)),
			 PACKET_BAD_ADDRESS);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, GUEST4, "255.255.255.255", "", 0)),
			 PACKET_BAD_ADDRESS);
	ck_assert_int_eq(parse(relay_frame_udp(bytes, "0.0.0.0", "255.255.255.255", "dhcp", 4)),
			 PACKET_BAD_ADDRESS);
	ck_assert_int_eq(parse(relay_frame(bytes, GUEST4, ROUTER4, 2, "\x22\0\0\0\0\0\0\0", 8)),
			 PACKET_PROTOCOL);
	length = relay_frame_udp(bytes, GUEST4, "224.0.0.251", "mdns", 4);
	bytes[AT_IP + 8] = 0;
	relay_fix(bytes);
	ck_assert_int_eq(parse(length), PACKET_BAD_IP);
	ck_assert_int_eq(parse(length - 1), PACKET_TRUNCATED);
}
END_TEST

UNIT_MAIN("relay_packet_icmp", arp_is_checked, addresses_of_arp_are_checked,
	  only_echo_requests_of_icmp_pass, messages_of_icmp_have_no_code,
	  icmp_of_the_other_version_is_refused, a_solicitation_is_read,
	  a_question_whether_an_address_is_free_is_read, solicitations_are_checked,
	  options_of_solicitations_are_whole, router_solicitations_are_read,
	  noise_to_groups_is_ignored, what_looks_like_noise_is_refused_elsewhere)
