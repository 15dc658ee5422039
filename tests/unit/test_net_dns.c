/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/dns.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"

#define ID   0x4321
#define NAME "www.example.com"

static uint8_t message[65536];
static struct dns_question question;
static struct dns_addresses found;
static int rcode;

/* --- names ------------------------------------------------------------------------------------ */

static int normalise(const char *text, char to[DNS_NAME_TEXT])
{
	return dns_name_normalise((const uint8_t *)text, strlen(text), to);
}

START_TEST(names_are_normalised)
{
	char name[DNS_NAME_TEXT];

	ck_assert_int_eq(normalise("API.Example.COM", name), 15);
	ck_assert_str_eq(name, "api.example.com");
	ck_assert_int_eq(normalise("api.example.com.", name), 15);
	ck_assert_str_eq(name, "api.example.com");
	ck_assert_int_gt(normalise("xn--mnchen-3ya.de", name), 0);
	ck_assert_int_gt(normalise("_sip._tcp.example.com", name), 0);
	ck_assert_int_gt(normalise("localhost", name), 0);
}
END_TEST

START_TEST(invalid_names_are_refused)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"a..b",
		".a",
		"a..",
		"a b",
		"a\nb",
		"a/b",
		"a:80",
		"m\xc3\xbcnchen.de",
		"*.x.com",
		"a@b.com",
		"a\\b",
		"a%2eb",
		"[::1]",
		"-a.b", /* to a program that is given it, an option */
		"--help",
	};
	char name[DNS_NAME_TEXT];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(normalise(bad[i], name) == -EINVAL, "'%s'", bad[i]);
		ck_assert_str_eq(name, "");
	}
	ck_assert_int_eq(dns_name_normalise((const uint8_t *)"a\0b", 3, name), -EINVAL);
	ck_assert_int_eq(
		dns_parse_query(message, net_question(message, "-a.b", DNS_TYPE_A, 0), &question),
		0);
	ck_assert_str_eq(question.name, "");
	ck_assert_int_eq(
		dns_parse_query(message, net_question(message, "a-.-b", DNS_TYPE_A, 0), &question),
		0);
	ck_assert_str_eq(question.name, "a-.-b");
}
END_TEST

START_TEST(lengths_of_names_are_bounded)
{
	char text[300], name[DNS_NAME_TEXT];

	memset(text, 'a', sizeof(text));
	text[63] = '.';
	text[127] = '.';
	text[191] = '.';
	text[253] = '\0';
	ck_assert_int_eq(normalise(text, name), 253);
	text[253] = '.';
	text[254] = '\0';
	ck_assert_int_eq(normalise(text, name), 253); /* and a final dot */
	text[253] = 'a';
	ck_assert_int_eq(normalise(text, name), -EINVAL);
	text[63] = 'a';
	text[100] = '\0';
	ck_assert_int_eq(normalise(text, name), -EINVAL); /* a label of 100 */
	text[63] = '\0';
	ck_assert_int_eq(normalise(text, name), 63);
}
END_TEST

/* --- questions -------------------------------------------------------------------------------- */

START_TEST(a_question_is_read_and_answered)
{
	const struct dns_addresses two = {.count = 2, .address = {NET_PEER, 7}, .ttl = 99};
	size_t length = net_question(message, "WWW.Example.Com", DNS_TYPE_A, 0);
	uint8_t out[DNS_EDNS_MAX];

	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	ck_assert_str_eq(question.name, NAME);
	ck_assert_uint_eq(question.id, 0x1234);
	ck_assert_uint_eq(question.type, DNS_TYPE_A);
	ck_assert_uint_eq(question.room, DNS_PLAIN_MAX);
	ck_assert(!question.edns);
	length = dns_write_response(&question, DNS_NO_ERROR, &two, out);
	ck_assert_uint_eq(load_be16(out), 0x1234);
	ck_assert_uint_eq(load_be16(out + 2), 0x8180);
	ck_assert_uint_eq(load_be16(out + 6), 2);
	/* The case of the question comes back as it was. */
	ck_assert_mem_eq(out + 12, message + 12, 17 + 4);
	ck_assert_uint_eq(dns_parse_response(out, length, NAME, 0x1234, &rcode, &found), DNS_DONE);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_uint_eq(found.address[0], NET_PEER);
	ck_assert_uint_eq(found.ttl, 99);
}
END_TEST

START_TEST(edns_is_accepted_and_answered)
{
	size_t length = net_question(message, NAME, DNS_TYPE_AAAA, 4096);
	uint8_t out[DNS_EDNS_MAX];

	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	ck_assert(question.edns);
	ck_assert_uint_eq(question.room, DNS_EDNS_MAX);
	length = dns_write_response(&question, DNS_NO_NAME, NULL, out);
	ck_assert_uint_eq(load_be16(out + 10), 1);
	ck_assert_uint_eq(out[length - 11], 0);
	ck_assert_uint_eq(load_be16(out + length - 10), 41);
	ck_assert_uint_eq(out[3] & 15, DNS_NO_NAME);
	/* Less than the least is the least. */
	length = net_question(message, NAME, DNS_TYPE_A, 100);
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	ck_assert_uint_eq(question.room, DNS_PLAIN_MAX);
}
END_TEST

START_TEST(a_question_cut_anywhere_is_refused)
{
	size_t length = net_question(message, NAME, DNS_TYPE_A, 1232), cut;

	for (cut = 0; cut < length; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, message, cut);
		ck_assert_int_ne(dns_parse_query(copy, cut, &question), 0);
		free(copy);
	}
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	message[length] = 0;
	ck_assert_int_eq(dns_parse_query(message, length + 1, &question), DNS_FORMAT_ERROR);
}
END_TEST

START_TEST(odd_questions_get_their_error)
{
	size_t length = net_question(message, NAME, DNS_TYPE_A, 0);

	store_be16(message + 2, 0x8100);
	ck_assert_int_eq(dns_parse_query(message, length, &question), -EINVAL);
	store_be16(message + 2, 0x2900);
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_NOT_IMPLEMENTED);
	net_question(message, NAME, DNS_TYPE_A, 0);
	store_be16(message + 4, 2);
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_FORMAT_ERROR);
	store_be16(message + 4, 0);
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_FORMAT_ERROR);
	net_question(message, NAME, DNS_TYPE_A, 0);
	store_be16(message + 6, 1);
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_FORMAT_ERROR);
	net_question(message, NAME, DNS_TYPE_A, 0);
	store_be16(message + length - 2, 3); /* class CHAOS */
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_REFUSED);
	net_question(message, NAME, DNS_TYPE_A, 0);
	store_be16(message + 12, 0xc00c); /* a pointer to itself */
	ck_assert_int_eq(dns_parse_query(message, length, &question), DNS_FORMAT_ERROR);
	net_question(message, NAME, DNS_TYPE_A, 0);
	message[13] = ' ';
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	ck_assert_str_eq(question.name, ""); /* a name, but none for us */
	net_question(message, "", DNS_TYPE_A, 0);
	ck_assert_int_eq(dns_parse_query(message, 12 + 5, &question), 0);
	ck_assert_str_eq(question.name, "");
}
END_TEST

START_TEST(an_answer_is_never_longer_than_there_is_room)
{
	struct dns_addresses many = {.count = DNS_ADDRESSES, .ttl = 1};
	char name[254];
	uint8_t out[DNS_EDNS_MAX];
	size_t length;

	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	length = net_question(message, name, DNS_TYPE_A, 0);
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	length = dns_write_response(&question, DNS_NO_ERROR, &many, out);
	ck_assert_uint_le(length, DNS_PLAIN_MAX);
	ck_assert_uint_eq(load_be16(out + 6), (512 - 12 - 259) / 16);
	length = net_question(message, name, DNS_TYPE_A, 1232);
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	dns_write_response(&question, DNS_NO_ERROR, &many, out);
	ck_assert_uint_eq(load_be16(out + 6), DNS_ADDRESSES);
}
END_TEST

/* --- answers of upstreams --------------------------------------------------------------------- */

/* An answer to dns_write_query(NAME, ID), so far without records. */
static size_t begin_answer(void)
{
	size_t length = dns_write_query(NAME, ID, message) - 11;

	store_be16(message + 2, 0x8180);
	store_be16(message + 10, 0);
	return length;
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
	return dns_parse_response(message, length, NAME, ID, &rcode, &found);
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
	ck_assert_uint_eq(found.address[0], 42);
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
	ck_assert_uint_eq(found.address[0], 43);
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
	ck_assert_uint_eq(found.address[0], 44);
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

	ck_assert_int_eq(dns_parse_response(message, at, NAME, ID + 1, &rcode, &found),
			 DNS_NOT_OURS);
	ck_assert_int_eq(dns_parse_response(message, at, "www.example.org", ID, &rcode, &found),
			 DNS_NOT_OURS);
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
		result = dns_parse_response(copy, cut, NAME, ID, &rcode, &found);
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

UNIT_MAIN("net_dns", names_are_normalised, invalid_names_are_refused, lengths_of_names_are_bounded,
	  a_question_is_read_and_answered, edns_is_accepted_and_answered,
	  a_question_cut_anywhere_is_refused, odd_questions_get_their_error,
	  an_answer_is_never_longer_than_there_is_room, aliases_are_followed_in_any_order,
	  compressed_names_are_read, a_chain_of_aliases_is_bounded, mismatched_answers_are_ignored,
	  an_answer_cut_anywhere_is_harmless, odd_answers_are_survived)
