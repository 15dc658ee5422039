/* SPDX-License-Identifier: Apache-2.0 */
/* DNS: what resolvers respond. */
#include "vmm/net/dns.h"

#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"

#define ID   0x4321
#define NAME "www.example.com"

static uint8_t message[65536];
static const struct dns_query ours = {.name = NAME, .type = DNS_TYPE_A, .id = ID};
static struct dns_addresses found;
static int rcode;

static uint32_t found_ipv4(unsigned index)
{
	return load_be32(found.address[index]);
}

/* An answer to a query, so far without records. */
static size_t begin_answer_to(const struct dns_query *query)
{
	size_t length = dns_write_query(query, message) - 11;

	store_be16(message + 2, 0x8180);
	store_be16(message + 10, 0);
	return length;
}

static size_t begin_answer(void)
{
	return begin_answer_to(&ours);
}

static size_t put_name(size_t at, const char *name)
{
	size_t label;

	while (*name) {
		label = strcspn(name, ".");
		message[at++] = (uint8_t)label;
		memcpy(message + at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	message[at++] = 0;
	return at;
}

static size_t put_record(size_t at, const char *name, uint16_t type, uint32_t ttl, const void *data,
			 size_t length)
{
	at = put_name(at, name);
	store_be16(message + at, type);
	store_be16(message + at + 2, 1);
	store_be32(message + at + 4, ttl);
	store_be16(message + at + 8, (uint16_t)length);
	if (length > 0)
		memcpy(message + at + 10, data, length);
	store_be16(message + 6, (uint16_t)(load_be16(message + 6) + 1));
	return at + 10 + length;
}

static size_t put_address(size_t at, const char *name, uint32_t ttl, uint32_t address)
{
	uint8_t data[4];

	store_be32(data, address);
	return put_record(at, name, DNS_TYPE_A, ttl, data, 4);
}

static size_t put_alias(size_t at, const char *name, uint32_t ttl, const char *target)
{
	uint8_t keep[512];
	size_t length;

	length = put_name(60000, target) - 60000;
	memcpy(keep, message + 60000, length);
	return put_record(at, name, 5, ttl, keep, length);
}

static enum dns_result parse(size_t length)
{
	return dns_parse_response(message, length, &ours, &rcode, &found);
}

static enum dns_result parse_as(size_t length, const char *name, uint16_t type, uint16_t id)
{
	const struct dns_query query = {name, type, id};

	return dns_parse_response(message, length, &query, &rcode, &found);
}

START_TEST(aliases_are_followed_in_any_order)
{
	size_t at = begin_answer();

	at = put_address(at, "end.example.net", 300, 42);
	at = put_alias(at, "middle.example.org", 20, "end.example.net");
	at = put_alias(at, "WWW.example.COM", 50, "Middle.Example.ORG");
	at = put_address(at, "stranger.example.org", 5, 666);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_int_eq(rcode, DNS_NO_ERROR);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_uint_eq(found_ipv4(0), 42);
	ck_assert_uint_eq(found.ttl, 20);
}
END_TEST

START_TEST(compressed_names_are_read)
{
	size_t at = begin_answer(), alias;
	uint8_t pointer[2] = {0xc0, 0x10}; /* "example.com" within the question */
	uint8_t data[6] = {3, 'c', 'd', 'n', pointer[0], pointer[1]};

	alias = at;
	at = put_record(at, NAME, 5, 60, data, sizeof(data));
	at = put_address(at, "cdn.example.com", 60, 43);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_uint_eq(found_ipv4(0), 43);
	/* A pointer to itself, forward, or into the header leads nowhere. */
	alias += 17 + 10;
	ck_assert_uint_eq(load_be16(message + alias + 4), 0xc010);
	store_be16(message + alias + 4, (uint16_t)(0xc000 | (alias + 4)));
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
	store_be16(message + alias + 4, (uint16_t)(0xc000 | (alias + 20)));
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
	store_be16(message + alias + 4, 0xc000 | 2);
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
	ck_assert_uint_eq(found.count, 0);
	/* A loop through the name's own start. */
	store_be16(message + alias + 4, (uint16_t)(0xc000 | alias));
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
}
END_TEST

static size_t chain(unsigned hops)
{
	char from[64] = NAME, to[64];
	size_t at = begin_answer();
	unsigned i;

	for (i = 0; i < hops; i++) {
		snprintf(to, sizeof(to), "hop%u.example.net", i);
		at = put_alias(at, from, 60, to);
		memcpy(from, to, sizeof(to));
	}
	return put_address(at, from, 60, 44);
}

START_TEST(a_chain_of_aliases_is_bounded)
{
	size_t at;

	ck_assert_int_eq(parse(chain(DNS_CHAIN)), DNS_DONE);
	ck_assert_uint_eq(found_ipv4(0), 44);
	ck_assert_int_eq(parse(chain(DNS_CHAIN + 1)), DNS_MALFORMED);
	ck_assert_int_eq(parse(chain(100)), DNS_MALFORMED);
	ck_assert_uint_eq(found.count, 0);
	at = begin_answer();
	at = put_alias(at, NAME, 60, "b.example.com");
	at = put_alias(at, "b.example.com", 60, NAME);
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
}
END_TEST

START_TEST(mismatched_answers_are_ignored)
{
	size_t at = put_address(begin_answer(), NAME, 60, 42);

	ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_A, ID + 1), DNS_NOT_OURS);
	ck_assert_int_eq(parse_as(at, "www.example.org", DNS_TYPE_A, ID), DNS_NOT_OURS);
	ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_AAAA, ID), DNS_NOT_OURS);
	store_be16(message + 2, 0x0100);
	ck_assert_int_eq(parse(at), DNS_NOT_OURS);
	store_be16(message + 2, 0x8180);
	store_be16(message + 29, DNS_TYPE_AAAA);
	ck_assert_int_eq(parse(at), DNS_NOT_OURS);
	store_be16(message + 29, DNS_TYPE_A);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_uint_eq(found.count, 1);
}
END_TEST

START_TEST(an_answer_cut_anywhere_is_harmless)
{
	size_t at = chain(3), cut;
	enum dns_result result;

	for (cut = 0; cut < at; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, message, cut);
		result = dns_parse_response(copy, cut, &ours, &rcode, &found);
		ck_assert_int_ne(result, DNS_DONE);
		ck_assert_uint_eq(found.count, 0);
		free(copy);
	}
	ck_assert_int_eq(parse(at), DNS_DONE);
}
END_TEST

START_TEST(odd_answers_are_survived)
{
	size_t at = put_record(begin_answer(), NAME, DNS_TYPE_A, 60, "12345", 5);
	unsigned i;

	ck_assert_int_eq(parse(at), DNS_MALFORMED); /* an address of 5 bytes */
	store_be16(message + 2, 0x8380);
	ck_assert_int_eq(parse(at), DNS_TRUNCATED);
	store_be16(message + 2, 0x8183);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_int_eq(rcode, DNS_NO_NAME);
	ck_assert_uint_eq(found.count, 0);
	at = begin_answer();
	for (i = 0; i < 100; i++)
		at = put_address(at, NAME, i == 50 ? UINT32_MAX : 60, i);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_uint_eq(found.count, DNS_ADDRESSES);
	ck_assert_uint_eq(found.ttl, 0); /* one with the topmost bit */
	at = begin_answer();
	for (i = 0; i < 300; i++)
		at = put_address(at, "x.org", 60, i);
	ck_assert_int_eq(parse(at), DNS_MALFORMED);
	at = begin_answer();
	ck_assert_int_eq(parse(at), DNS_DONE); /* nothing: no addresses */
	ck_assert_uint_eq(found.count, 0);
	/* An error without the question. */
	at = begin_answer();
	store_be16(message + 2, 0x8185);
	store_be16(message + 4, 0);
	ck_assert_int_eq(parse(DNS_HEADER), DNS_DONE);
	ck_assert_int_eq(rcode, DNS_REFUSED);
}
END_TEST

/* --- IPv6 ------------------------------------------------------------------------------------- */

static const uint8_t six[16] = {0x20, 0x01, 0x48, 0x60, [15] = 1};
static const struct dns_query ours6 = {.name = NAME, .type = DNS_TYPE_AAAA, .id = ID};

START_TEST(a_query_has_its_type)
{
	uint8_t four[DNS_QUERY_MAX];

	memcpy(four, message, dns_write_query(&ours, message));
	ck_assert_uint_eq(dns_write_query(&ours6, message), dns_write_query(&ours, four));
	ck_assert_uint_eq(load_be16(message + 29), DNS_TYPE_AAAA);
	ck_assert_uint_eq(load_be16(four + 29), DNS_TYPE_A);
}
END_TEST

START_TEST(only_records_of_the_type_are_taken)
{
	size_t at = begin_answer_to(&ours6);

	at = put_address(at, NAME, 5, 42);
	at = put_record(at, NAME, DNS_TYPE_AAAA, 60, six, sizeof(six));
	ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_AAAA, ID), DNS_DONE);
	ck_assert_uint_eq(found.type, DNS_TYPE_AAAA);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_mem_eq(found.address[0], six, sizeof(six));
	ck_assert_uint_eq(found.ttl, 60);
	ck_assert_int_eq(parse(at), DNS_NOT_OURS);
	/* The same records in the response to the other query. */
	at = begin_answer();
	at = put_record(at, NAME, DNS_TYPE_AAAA, 5, six, sizeof(six));
	at = put_address(at, NAME, 60, 42);
	ck_assert_int_eq(parse(at), DNS_DONE);
	ck_assert_uint_eq(found.type, DNS_TYPE_A);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_uint_eq(found_ipv4(0), 42);
	ck_assert_uint_eq(load_be64(found.address[0] + 8), 0);
	ck_assert_uint_eq(found.ttl, 60);
}
END_TEST

START_TEST(an_ipv6_address_has_16_bytes)
{
	static const size_t wrong[] = {0, 4, 15, 17};
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint8_t data[17] = {0};

		at = put_record(begin_answer_to(&ours6), NAME, DNS_TYPE_AAAA, 60, data, wrong[i]);
		ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_AAAA, ID), DNS_MALFORMED);
		ck_assert_uint_eq(found.count, 0);
	}
	for (at = begin_answer_to(&ours6), i = 0; i < DNS_ADDRESSES + 1; i++)
		at = put_record(at, NAME, DNS_TYPE_AAAA, 60, six, sizeof(six));
	ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_AAAA, ID), DNS_DONE);
	ck_assert_uint_eq(found.count, DNS_ADDRESSES);
}
END_TEST

START_TEST(an_alias_may_lead_to_ipv6)
{
	size_t at = begin_answer_to(&ours6), none;

	at = put_alias(at, NAME, 20, "end.example.net");
	none = at;
	ck_assert_int_eq(parse_as(none, NAME, DNS_TYPE_AAAA, ID), DNS_DONE);
	ck_assert_int_eq(rcode, DNS_NO_ERROR);
	ck_assert_uint_eq(found.count, 0);
	at = put_record(at, "end.example.net", DNS_TYPE_AAAA, 60, six, sizeof(six));
	ck_assert_int_eq(parse_as(at, NAME, DNS_TYPE_AAAA, ID), DNS_DONE);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_uint_eq(found.ttl, 20);
}
END_TEST

UNIT_MAIN("net_dns_answers", aliases_are_followed_in_any_order, compressed_names_are_read,
	  a_chain_of_aliases_is_bounded, mismatched_answers_are_ignored,
	  an_answer_cut_anywhere_is_harmless, odd_answers_are_survived, a_query_has_its_type,
	  only_records_of_the_type_are_taken, an_ipv6_address_has_16_bytes,
	  an_alias_may_lead_to_ipv6)
