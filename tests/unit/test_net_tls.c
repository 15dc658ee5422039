/* SPDX-License-Identifier: Apache-2.0 */
/* The name in the ClientHello of a connection. */
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/net/tls.h"

static uint8_t bytes[65536];
static char name[DNS_NAME_TEXT];

static enum tls_peek peek(const uint8_t *data, size_t length)
{
	struct tls_hello found;
	enum tls_peek result = tls_read_hello(data, length, &found);

	memcpy(name, found.name, sizeof(name));
	return result;
}

static enum tls_peek hello(struct net_hello what)
{
	return peek(bytes, net_hello(bytes, &what));
}

START_TEST(the_name_is_found)
{
	ck_assert_int_eq(hello((struct net_hello){.name = "Api.Example.COM"}), TLS_NAME);
	ck_assert_str_eq(name, "api.example.com");
	ck_assert_int_eq(hello((struct net_hello){.name = "api.example.com.", .grease = true}),
			 TLS_NAME);
	ck_assert_str_eq(name, "api.example.com");
	ck_assert_int_eq(hello((struct net_hello){.name = "a.b", .grease = true, .padding = 1500}),
			 TLS_NAME);
	ck_assert_str_eq(name, "a.b");
}
END_TEST

START_TEST(a_hello_cut_at_every_byte_waits)
{
	struct net_hello what = {.name = "api.example.com", .grease = true, .padding = 200};
	size_t length = net_hello(bytes, &what), cut;

	for (cut = 0; cut < length; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, bytes, cut);
		ck_assert_int_eq(peek(copy, cut), TLS_MORE);
		ck_assert_str_eq(name, "");
		free(copy);
	}
	ck_assert_int_eq(peek(bytes, length), TLS_NAME);
}
END_TEST

START_TEST(a_hello_over_records_of_any_size_is_read)
{
	size_t record;

	for (record = 1; record < 300; record++) {
		ck_assert_int_eq(
			hello((struct net_hello){.name = "api.example.com", .record = record}),
			TLS_NAME);
		ck_assert_str_eq(name, "api.example.com");
	}
}
END_TEST

START_TEST(missing_and_encrypted_names_are_distinguished)
{
	ck_assert_int_eq(hello((struct net_hello){.name = NULL}), TLS_NO_NAME);
	ck_assert_int_eq(hello((struct net_hello){.name = "a.b", .encrypted = true}),
			 TLS_ENCRYPTED);
	ck_assert_str_eq(name, "");
	ck_assert_int_eq(hello((struct net_hello){.name = "a.b"}), TLS_NAME);
}
END_TEST

START_TEST(ambiguous_and_impossible_names_are_refused)
{
	ck_assert_int_eq(hello((struct net_hello){.name = "a.b", .twice = true}), TLS_BAD);
	ck_assert_int_eq(hello((struct net_hello){.name = ""}), TLS_BAD);
	ck_assert_int_eq(hello((struct net_hello){.name = "a b"}), TLS_BAD);
	ck_assert_int_eq(hello((struct net_hello){.name = "a..b"}), TLS_BAD);
	ck_assert_int_eq(hello((struct net_hello){.name = "m\xc3\xbcnchen.de"}), TLS_BAD);
	ck_assert_int_eq(hello((struct net_hello){.name = "[::1]"}), TLS_BAD);
	ck_assert_str_eq(name, "");
}
END_TEST

START_TEST(other_protocols_are_refused_at_once)
{
	static const char *const other[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\x01",
					    "\x17\x03\x03",	  "\x16\x02",	   "\x15\x03\x01"};
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(other); i++)
		ck_assert_int_eq(peek((const uint8_t *)other[i], strlen(other[i])), TLS_BAD);
	length = net_hello(bytes, &(struct net_hello){.name = "a.b"});
	bytes[5] = 2; /* a ServerHello */
	ck_assert_int_eq(peek(bytes, length), TLS_BAD);
	bytes[5] = 1;
	ck_assert_int_eq(peek(bytes, length), TLS_NAME);
	store_be16(bytes + 3, 0); /* an empty record */
	ck_assert_int_eq(peek(bytes, length), TLS_BAD);
	store_be16(bytes + 3, 16385);
	ck_assert_int_eq(peek(bytes, length), TLS_BAD);
}
END_TEST

START_TEST(every_length_inside_is_checked)
{
	struct net_hello what = {.name = "api.example.com", .grease = true};
	size_t length = net_hello(bytes, &what), at, names = 0;
	uint8_t keep;

	/* Every byte changed: it reads only the given bytes, and mostly finds no name. */
	for (at = 0; at < length; at++) {
		uint8_t *copy = malloc(length);

		keep = bytes[at];
		bytes[at] ^= 0x41;
		memcpy(copy, bytes, length);
		names += peek(copy, length) == TLS_NAME;
		bytes[at] = keep;
		free(copy);
	}
	ck_assert_uint_lt(names, length);
	ck_assert_int_eq(peek(bytes, length), TLS_NAME);
}
END_TEST

START_TEST(a_hello_without_end_is_refused)
{
	struct net_hello what = {.name = "a.b", .padding = 16000};
	size_t length = net_hello(bytes, &what);

	ck_assert_int_eq(peek(bytes, length), TLS_NAME);
	what.padding = 16700;
	length = net_hello(bytes, &what);
	ck_assert_int_eq(peek(bytes, length), TLS_BAD);
	/* Told by its length, before all of it is here. */
	ck_assert_int_eq(peek(bytes, 100), TLS_BAD);
	/* Records of one byte: five of six bytes are headers. */
	what = (struct net_hello){.name = "a.b", .padding = 4000, .record = 1};
	length = net_hello(bytes, &what);
	ck_assert_int_eq(peek(bytes, length), TLS_BAD);
}
END_TEST

UNIT_MAIN("net_tls", the_name_is_found, a_hello_cut_at_every_byte_waits,
	  a_hello_over_records_of_any_size_is_read, missing_and_encrypted_names_are_distinguished,
	  ambiguous_and_impossible_names_are_refused, other_protocols_are_refused_at_once,
	  every_length_inside_is_checked, a_hello_without_end_is_refused)
