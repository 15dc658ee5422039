/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/dns.h"

#include <errno.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"

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
	const struct dns_addresses two = {.type = DNS_TYPE_A,
					  .count = 2,
					  .address = {{93, 184, 216, 34}, {0, 0, 0, 7}},
					  .ttl = 99};
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
	ck_assert_uint_eq(dns_parse_response(out, length,
					     &(struct dns_query){NAME, DNS_TYPE_A, 0x1234}, &rcode,
					     &found),
			  DNS_DONE);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_uint_eq(load_be32(found.address[0]), NET_PEER);
	ck_assert_uint_eq(load_be32(found.address[1]), 7);
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
	struct dns_addresses many = {.type = DNS_TYPE_A, .count = DNS_ADDRESSES, .ttl = 1};
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
	ck_assert_uint_eq(load_be16(out + 2), 0x8380); /* and says so */
	length = net_question(message, name, DNS_TYPE_A, 1232);
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	dns_write_response(&question, DNS_NO_ERROR, &many, out);
	ck_assert_uint_eq(load_be16(out + 6), DNS_ADDRESSES);
	ck_assert_uint_eq(load_be16(out + 2), 0x8180);
}
END_TEST

START_TEST(an_ipv6_question_gets_ipv6_addresses)
{
	struct dns_addresses addresses = {.type = DNS_TYPE_AAAA,
					  .count = 2,
					  .address = {{0x20, 1, [15] = 5}, {0x20, 2, [15] = 6}},
					  .ttl = 7};
	size_t length = net_question(message, NAME, DNS_TYPE_AAAA, 0);
	const struct dns_query query = {NAME, DNS_TYPE_AAAA, 0x1234};
	uint8_t out[DNS_EDNS_MAX];

	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	length = dns_write_response(&question, DNS_NO_ERROR, &addresses, out);
	ck_assert_uint_eq(length, 12 + 21 + 2 * 28);
	ck_assert_int_eq(dns_parse_response(out, length, &query, &rcode, &found), DNS_DONE);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_mem_eq(found.address, addresses.address, sizeof(found.address));
	/* Those of the other family are no response to it. */
	addresses.type = DNS_TYPE_A;
	length = dns_write_response(&question, DNS_NO_ERROR, &addresses, out);
	ck_assert_uint_eq(length, 12 + 21);
	ck_assert_uint_eq(load_be16(out + 2), 0x8180);
	ck_assert_uint_eq(load_be16(out + 6), 0);
}
END_TEST

/* The longest response that there is: of the longest name, with all addresses and EDNS. */
START_TEST(a_response_that_is_not_complete_says_so)
{
	struct dns_addresses many = {.type = DNS_TYPE_AAAA, .count = DNS_ADDRESSES, .ttl = 1};
	char name[254];
	size_t length, whole = 12 + 255 + 4 + 16 * 28 + 11;
	uint8_t out[DNS_EDNS_MAX];

	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	length = net_question(message, name, DNS_TYPE_AAAA, (uint16_t)(whole - 1));
	ck_assert_int_eq(dns_parse_query(message, length, &question), 0);
	length = dns_write_response(&question, DNS_NO_ERROR, &many, out);
	ck_assert_uint_eq(length, whole - 28);
	ck_assert_uint_eq(load_be16(out + 2), 0x8380);
	ck_assert_uint_eq(load_be16(out + 6), DNS_ADDRESSES - 1);
	question.room++;
	ck_assert_uint_eq(dns_write_response(&question, DNS_NO_ERROR, &many, out), whole);
	ck_assert_uint_eq(load_be16(out + 2), 0x8180);
	question.room = UINT16_MAX; /* over a stream */
	ck_assert_uint_eq(dns_write_response(&question, DNS_NO_ERROR, &many, out), whole);
}
END_TEST

UNIT_MAIN("net_dns", names_are_normalised, invalid_names_are_refused, lengths_of_names_are_bounded,
	  a_question_is_read_and_answered, edns_is_accepted_and_answered,
	  a_question_cut_anywhere_is_refused, odd_questions_get_their_error,
	  an_answer_is_never_longer_than_there_is_room, an_ipv6_question_gets_ipv6_addresses,
	  a_response_that_is_not_complete_says_so)
