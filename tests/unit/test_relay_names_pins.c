/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's resolver: what of a resolver's reply the guest gets, and what is pinned. */
#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit/relay_names_common.h"
#include "tests/unit/relay_upstream_common.h"

#define API    "api.example.com"
#define OTHER  "other.example.com"
#define SIX    "2001:4860:4860::8888"
#define PUBLIC "93.184.216.34"

static struct ip_address parsed(const char *text)
{
	struct ip_address address = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	ck_assert_int_eq(inet_pton(address.family, text, address.bytes), 1);
	return address;
}

static bool have(const char *name, const char *text)
{
	const struct ip_address address = parsed(text);

	return names_have(names, name, &address, relay_now(&relay));
}

static void resolve(const char *name, struct dns_addresses addresses)
{
	ask(name, addresses.type);
	verdict(true);
	ck_assert_uint_eq(upstream.type, addresses.type);
	resolved(DNS_NO_ERROR, &addresses);
}

START_TEST(both_families_are_resolved_and_pinned)
{
	const char *name[PIN_NAMES_MAX];
	const struct ip_address six = parsed(SIX);

	begin_names();
	resolve(API, addresses_of(DNS_TYPE_A, 60, PUBLIC));
	ck_assert(have(API, PUBLIC));
	ck_assert(!have(API, SIX));
	resolve(API, addresses_of(DNS_TYPE_AAAA, 60, SIX));
	ck_assert_uint_eq(sent_records(), 1);
	ck_assert_mem_eq(sent_address(), six.bytes, 16);
	ck_assert(have(API, PUBLIC) && have(API, SIX));
	ck_assert(!have(OTHER, SIX));
	resolve(OTHER, addresses_of(DNS_TYPE_AAAA, 60, SIX));
	ck_assert_uint_eq(names_of(names, &six, relay_now(&relay), name), 2);
	ck_assert_str_eq(name[0], OTHER);
	ck_assert_str_eq(name[1], API);
	ck_assert_uint_eq(relay.stats.pins, 3);
	end_names();
}
END_TEST

START_TEST(a_pin_ends_after_its_time)
{
	const struct ip_address six = parsed(SIX);
	const char *name[PIN_NAMES_MAX];
	uint64_t now, after = 60 * SECOND + PIN_GRACE_NS;

	begin_names();
	now = relay_now(&relay);
	resolve(API, addresses_of(DNS_TYPE_AAAA, 60, SIX));
	ck_assert(names_have(names, API, &six, now + after - 1));
	ck_assert(!names_have(names, API, &six, now + after));
	ck_assert_uint_eq(names_of(names, &six, now + after - 1, name), 1);
	ck_assert_uint_eq(names_of(names, &six, now + after, name), 0);
	/* No longer than an hour; and the guest is told so. */
	resolve(API, addresses_of(DNS_TYPE_AAAA, 1000000, SIX));
	ck_assert_uint_eq(load_be32(sent_address() - 6), PIN_TTL_MAX);
	ck_assert(!names_have(names, API, &six, now + PIN_TTL_MAX * SECOND + PIN_GRACE_NS));
	end_names();
}
END_TEST

START_TEST(special_addresses_are_removed)
{
	static const char *const four[] = {"10.0.0.5",	"169.254.169.254", "127.0.0.1",
					   "192.0.2.4", "0.0.0.0",	   "224.0.0.1"};
	static const char *const six[] = {"::1",
					  "::",
					  "fe80::1",
					  "fd00::5",
					  "ff02::1",
					  "::ffff:10.0.0.5",
					  "2001:db8::4",
					  "64:ff9b::a00:5",
					  "2002:a00:5::",
					  "2001::1",
					  "::ffff:93.184.216.34"};
	size_t i;

	begin_names();
	for (i = 0; i < ARRAY_SIZE(four); i++) {
		resolve(API, addresses_of(DNS_TYPE_A, 60, four[i]));
		ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
		ck_assert_uint_eq(sent_records(), 0);
		ck_assert(!have(API, four[i]));
	}
	for (i = 0; i < ARRAY_SIZE(six); i++) {
		resolve(API, addresses_of(DNS_TYPE_AAAA, 60, six[i]));
		ck_assert_uint_eq(sent_records(), 0);
		ck_assert(!have(API, six[i]));
	}
	ck_assert_uint_eq(relay.stats.pins, 0);
	ck_assert(!have(API, PUBLIC)); /* that the mapped address stands for */
	/* Public ones among them remain. */
	resolve(API, addresses_of(DNS_TYPE_AAAA, 5, "fd00::5 " SIX " ::1"));
	ck_assert_uint_eq(sent_records(), 1);
	ck_assert(have(API, SIX));
	ck_assert_str_eq(note_text[(notes - 1) % 8],
			 "dns-answer " API ": rcode=0 stripped=2 addresses=" SIX);
	resolve(API, addresses_of(DNS_TYPE_A, 5, PUBLIC " 10.0.0.5 8.8.8.8"));
	ck_assert_uint_eq(sent_records(), 2);
	ck_assert_str_eq(note_text[(notes - 1) % 8],
			 "dns-answer " API ": rcode=0 stripped=1 addresses=" PUBLIC ",8.8.8.8");
	ck_assert_uint_eq(relay.stats.pins, 3);
	end_names();
}
END_TEST

/* With `net allow any` the guest reaches them anyhow; but neither the host nor its own network. */
START_TEST(any_keeps_all_addresses_but_those_of_this_host)
{
	static const char text[] = "policy 1\nnet deny tcp 10.0.0.9:*\nnet allow any\n";
	static const char *const kept4[] = {"10.0.0.5",	   "10.0.0.9",	 "169.254.169.254",
					    "192.168.1.1", "100.64.0.1", "198.51.100.1"},
				 *const kept6[] = {"fd00::5", "fe80::1", "64:ff9b::a00:5"},
				 *const never4[] = {"127.0.0.1",      "127.1.2.3",   "192.0.2.1",
						    "192.0.2.4",      "192.0.2.255", "0.0.0.0",
						    "0.1.2.3",	      "224.0.0.1",   "240.0.0.1",
						    "255.255.255.255"},
				 *const never6[] = {"::1",
						    "::",
						    "::7f00:1",
						    "::ffff:127.0.0.1",
						    "::ffff:10.0.0.77",
						    "::ffff:0:127.0.0.1",
						    "2001:db8::1",
						    "2001:db8::4",
						    "ff02::1"};
	const struct policy_source source = {.name = "p", .lenient = true};
	unsigned special = 0;
	size_t i;

	begin_names();
	ck_assert_int_eq(policy_parse(&relay.policy, text, sizeof(text) - 1, &source, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(kept4); i++) {
		resolve(API, addresses_of(DNS_TYPE_A, 60, kept4[i]));
		ck_assert_uint_eq(sent_records(), 1);
		ck_assert(have(API, kept4[i]));
		special++;
	}
	for (i = 0; i < ARRAY_SIZE(kept6); i++) {
		resolve(API, addresses_of(DNS_TYPE_AAAA, 60, kept6[i]));
		ck_assert_uint_eq(sent_records(), 1);
		ck_assert(have(API, kept6[i]));
		special++;
	}
	for (i = 0; i < ARRAY_SIZE(never4); i++) {
		resolve(API, addresses_of(DNS_TYPE_A, 60, never4[i]));
		ck_assert_uint_eq(sent_records(), 0);
		ck_assert(!have(API, never4[i]));
	}
	for (i = 0; i < ARRAY_SIZE(never6); i++) {
		resolve(API, addresses_of(DNS_TYPE_AAAA, 60, never6[i]));
		ck_assert_uint_eq(sent_records(), 0);
		ck_assert(!have(API, never6[i]));
	}
	ck_assert_uint_eq(relay.stats.pins, special);
	/* The next policy has no such rule. */
	policy_free(relay.policy);
	relay.policy = NULL;
	resolve(API, addresses_of(DNS_TYPE_A, 60, "10.0.0.6"));
	ck_assert_uint_eq(sent_records(), 0);
	end_names();
}
END_TEST

START_TEST(addresses_of_another_type_are_not_taken)
{
	struct dns_addresses six = addresses_of(DNS_TYPE_AAAA, 60, SIX);

	begin_names();
	ask(API, DNS_TYPE_A);
	verdict(true);
	resolved(DNS_NO_ERROR, &six);
	ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(sent_records(), 0);
	ck_assert_uint_eq(relay.stats.pins, 0);
	end_names();
}
END_TEST

START_TEST(without_ipv6_there_are_no_such_addresses)
{
	unsigned i;

	begin_names();
	has6 = false;
	for (i = 0; i < 5; i++) {
		ask(API, DNS_TYPE_AAAA);
		ck_assert_str_eq(checked, API);
		verdict(true);
		ck_assert_uint_eq(sent.count, i + 1);
		ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
		ck_assert_uint_eq(sent_records(), 0);
	}
	ck_assert_uint_eq(upstream.queries, 0);
	ck_assert_uint_eq(has6_calls, 1);
	/* IPv4 does not depend on it, nor does the host's loopback. */
	resolve(API, addresses_of(DNS_TYPE_A, 60, PUBLIC));
	ck_assert_uint_eq(sent_records(), 1);
	ask("host", DNS_TYPE_A);
	verdict(true);
	ck_assert_uint_eq(sent_records(), 1);
	ck_assert_uint_eq(has6_calls, 1);
	/* Later the host has it. */
	has6 = true;
	pass_time(NAMES_HAS6_NS - 1);
	ask(API, DNS_TYPE_AAAA);
	verdict(true);
	ck_assert_uint_eq(upstream.queries, 1);
	pass_time(1);
	resolve(API, addresses_of(DNS_TYPE_AAAA, 60, SIX));
	ck_assert_uint_eq(has6_calls, 2);
	ck_assert_uint_eq(sent_records(), 1);
	end_names();
}
END_TEST

/* The longest addresses that there are, in a few lines that have them all. */
START_TEST(all_addresses_are_logged)
{
	struct dns_addresses many = {.type = DNS_TYPE_AAAA, .ttl = 60};
	char text[INET6_ADDRSTRLEN];
	unsigned i, line, found;

	begin_names();
	for (i = 0; i < DNS_ADDRESSES; i++) {
		memset(many.address[i], 0x2a, DNS_ADDRESS);
		many.address[i][15] = (uint8_t)(0x10 + i);
		many.count++;
	}
	resolve(API, many);
	ck_assert_uint_eq(notes, 2);
	for (i = 0; i < DNS_ADDRESSES; i++) {
		inet_ntop(AF_INET6, many.address[i], text, sizeof(text));
		for (line = found = 0; line < notes; line++)
			found += strstr(note_text[line], text) != NULL;
		ck_assert_uint_eq(found, 1);
	}
	ck_assert(have(API, text));
	end_names();
}
END_TEST

/* 16 addresses of a long name are more than a datagram without EDNS holds. */
START_TEST(a_long_response_says_that_it_is_cut)
{
	static const char name[] =
		"a123456789012345678901234567890123456789012345678901234567890."
		"b123456789012345678901234567890123456789012345678901234567890.example.com";
	struct dns_addresses many = {.type = DNS_TYPE_AAAA, .count = DNS_ADDRESSES, .ttl = 60};
	unsigned i;

	for (i = 0; i < DNS_ADDRESSES; i++) {
		memset(many.address[i], 0x2a, DNS_ADDRESS);
		many.address[i][15] = (uint8_t)i;
	}
	begin_names();
	resolve(name, many);
	ck_assert_uint_le(sent.length, DNS_PLAIN_MAX);
	ck_assert(sent.bytes[2] & 2);
	ck_assert_uint_gt(sent_records(), 10);
	ck_assert_uint_lt(sent_records(), DNS_ADDRESSES);
	ask_edns(name, DNS_TYPE_AAAA, 1232);
	verdict(true);
	resolved(DNS_NO_ERROR, &many);
	ck_assert(!(sent.bytes[2] & 2));
	ck_assert_uint_eq(sent_records(), DNS_ADDRESSES);
	ck_assert_uint_eq(load_be16(sent.bytes + 10), 1);
	end_names();
}
END_TEST

UNIT_MAIN("relay_names_pins", both_families_are_resolved_and_pinned, a_pin_ends_after_its_time,
	  special_addresses_are_removed, any_keeps_all_addresses_but_those_of_this_host,
	  addresses_of_another_type_are_not_taken, without_ipv6_there_are_no_such_addresses,
	  all_addresses_are_logged, a_long_response_says_that_it_is_cut)
