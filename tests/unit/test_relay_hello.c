/* SPDX-License-Identifier: Apache-2.0 */
/* Names that TLS clients send, judged over a whole stream in any portions. */
#include <string.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/relay/hello.h"

static uint8_t bytes[65536];
static size_t length;
static struct hello hello;
static size_t passed; /* bytes that were forwarded */

static void add(const void *data, size_t size)
{
	memcpy(bytes + length, data, size);
	length += size;
}

static void add_hello(struct net_hello what)
{
	length += net_hello(bytes + length, &what);
}

static void add_record(uint8_t type, const void *data, size_t size)
{
	const uint8_t header[] = {type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size};

	add(header, sizeof(header));
	add(data, size);
}

/* A caller with `arrived` bytes: it allows every name, and forwards what may pass. */
static enum hello_verdict go_on(size_t arrived)
{
	enum hello_verdict verdict;
	size_t pass;
	uint8_t *copy;

	for (;;) {
		copy = malloc(arrived - passed + 1);
		memcpy(copy, bytes + passed, arrived - passed);
		verdict = hello_judge(&hello, copy, arrived - passed, &pass);
		free(copy);
		ck_assert_uint_le(pass, arrived - passed);
		passed += pass;
		if (verdict == HELLO_NAME)
			hello_permit(&hello);
		else if (verdict != HELLO_PASS)
			break;
	}
	/* A refusal is for good. */
	if (verdict == HELLO_REFUSED) {
		ck_assert_int_eq(hello_judge(&hello, bytes, 5, &pass), HELLO_REFUSED);
		ck_assert_uint_eq(pass, 0);
	}
	return verdict;
}

static size_t portion(size_t most)
{
	static uint32_t seed = 1;

	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % most;
}

/* All of bytes, in portions of 1 to most bytes. */
static enum hello_verdict in_portions(size_t most)
{
	enum hello_verdict verdict = HELLO_MORE;
	size_t arrived = 0;

	hello_init(&hello);
	passed = 0;
	while (arrived < length && verdict != HELLO_REFUSED) {
		arrived = min_u64(length, arrived + 1 + portion(most));
		verdict = go_on(arrived);
	}
	return verdict;
}

/* Judges bytes at once and in portions; all must agree. Forgets bytes. */
static enum hello_verdict judge(void)
{
	static const size_t most[] = {1, 1, 7, 100, 3000};
	enum hello_verdict verdict = in_portions(1), again;
	struct hello first = hello;
	size_t first_passed = passed, i;

	hello_init(&hello);
	passed = 0;
	again = go_on(length);
	for (i = 0; i < ARRAY_SIZE(most) + 1; i++) {
		ck_assert_int_eq(again, verdict);
		ck_assert_int_eq(hello.reason, first.reason);
		ck_assert_str_eq(hello.name, first.name);
		ck_assert_uint_eq(passed, first_passed);
		again = i < ARRAY_SIZE(most) ? in_portions(most[i]) : again;
	}
	length = 0;
	return verdict;
}

#define REFUSED(why)                                           \
	do {                                                   \
		ck_assert_int_eq(judge(), HELLO_REFUSED);      \
		ck_assert_int_eq(hello.reason, (why));         \
		ck_assert(hello_reason_text(hello.reason)[0]); \
	} while (0)

static const struct net_hello plain = {.name = "Api.Example.COM", .grease = true};

START_TEST(a_name_is_found_and_the_hello_passes)
{
	size_t record, all;

	for (record = 0; record < 300; record++) {
		add_hello((struct net_hello){.name = "Api.Example.COM.",
					     .grease = record % 2,
					     .padding = record % 3 * 500,
					     .record = record});
		all = length;
		/* All of it passed, and what follows is waited for. */
		hello_init(&hello);
		passed = 0;
		ck_assert_int_eq(go_on(length), HELLO_MORE);
		ck_assert_str_eq(hello.name, "api.example.com");
		ck_assert_uint_eq(passed, all);
		length = 0;
	}
	add_hello(plain);
	ck_assert_int_eq(judge(), HELLO_MORE);
}
END_TEST

START_TEST(nothing_passes_before_the_name_is_allowed)
{
	size_t pass = 1, cut;

	add_hello(plain);
	for (cut = 0; cut < length; cut++) {
		hello_init(&hello);
		ck_assert_int_eq(hello_judge(&hello, bytes, cut, &pass), HELLO_MORE);
		ck_assert_uint_eq(pass, 0);
	}
	ck_assert_int_eq(hello_judge(&hello, bytes, length, &pass), HELLO_NAME);
	ck_assert_uint_eq(pass, 0);
	/* An operator decides; meanwhile more arrives. */
	ck_assert_int_eq(hello_judge(&hello, bytes, length + 100, &pass), HELLO_NAME);
	ck_assert_uint_eq(pass, 0);
	hello_permit(&hello);
	ck_assert_int_eq(hello_judge(&hello, bytes, length, &pass), HELLO_PASS);
	ck_assert_uint_eq(pass, length);
}
END_TEST

START_TEST(what_names_no_server_is_refused)
{
	add_hello((struct net_hello){.name = NULL});
	REFUSED(HELLO_NO_NAME);
	add_hello((struct net_hello){.name = "a.b", .encrypted = true});
	REFUSED(HELLO_ENCRYPTED);
	add_hello((struct net_hello){.name = "a.b", .twice = true});
	REFUSED(HELLO_MALFORMED);
	add_hello((struct net_hello){.name = "a..b"});
	REFUSED(HELLO_INVALID_NAME);
	add_hello((struct net_hello){.name = "-a.b"});
	REFUSED(HELLO_INVALID_NAME);
	add_hello((struct net_hello){.name = "[::1]"});
	REFUSED(HELLO_INVALID_NAME);
	ck_assert_uint_eq(passed, 0);
	add_hello((struct net_hello){.name = "a.b"});
	ck_assert_int_eq(judge(), HELLO_MORE);
}
END_TEST

START_TEST(addresses_are_no_names)
{
	static const char *const address[] = {"93.184.216.34", "2130706433", "0x7f.1",
					      "a.0x1f",	       "10.1",	     "a.1."};
	static const char *const name[] = {"93.184.216.34.example", "1e100.net", "x.0y", "7f"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		add_hello((struct net_hello){.name = address[i]});
		REFUSED(HELLO_ADDRESS);
	}
	for (i = 0; i < ARRAY_SIZE(name); i++) {
		add_hello((struct net_hello){.name = name[i]});
		ck_assert_int_eq(judge(), HELLO_MORE);
	}
}
END_TEST

START_TEST(other_protocols_and_endless_hellos_are_refused)
{
	static const char *const other[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\x01",
					    "\x17\x03\x03",	  "\x16\x02",	   "\x15\x03\x01"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		add(other[i], strlen(other[i]));
		REFUSED(HELLO_NOT_TLS);
	}
	add_hello((struct net_hello){.name = "a.b", .padding = 16700});
	REFUSED(HELLO_TOO_LONG);
	add_hello((struct net_hello){.name = "a.b", .padding = 4000, .record = 1});
	REFUSED(HELLO_TOO_LONG);
	add_hello(plain);
	store_be16(bytes + 3, 0); /* an empty record */
	REFUSED(HELLO_MALFORMED);
	add_hello((struct net_hello){.name = "a.b", .padding = 16000});
	ck_assert_int_eq(judge(), HELLO_MORE);
}
END_TEST

START_TEST(bytes_behind_the_hello_in_its_record_are_refused)
{
	static const uint8_t second[] = {1, 0, 0, 0};

	add_hello(plain);
	add(second, sizeof(second));
	store_be16(bytes + 3, (uint16_t)(length - 5));
	REFUSED(HELLO_MALFORMED);
}
END_TEST

/* --- after the first hello -------------------------------------------------------------------- */

START_TEST(encrypted_bytes_end_the_judging)
{
	static const uint8_t finished[40] = {1, 0, 0, 2, 0x77, 0x77};
	size_t all;

	/* TLS 1.3. */
	add_hello(plain);
	add_record(20, "\x01", 1);
	add_record(23, "12345", 5);
	add("anything", 8);
	all = length;
	ck_assert_int_eq(judge(), HELLO_OPAQUE);
	ck_assert_uint_eq(passed, all);
	/* TLS 1.2: ClientKeyExchange. */
	add_hello(plain);
	add_record(22, "\x10\x00\x00\x02xy", 6);
	ck_assert_int_eq(judge(), HELLO_OPAQUE);
	/* TLS 1.2, a session resumed: an encrypted Finished, even if it begins as a ClientHello. */
	add_hello(plain);
	add_record(20, "\x01", 1);
	add_record(22, finished, sizeof(finished));
	ck_assert_int_eq(judge(), HELLO_OPAQUE);
}
END_TEST

START_TEST(a_second_hello_with_the_same_name_passes)
{
	size_t record, all;

	for (record = 0; record < 80; record++) {
		add_hello(plain);
		if (record % 2)
			add_record(20, "\x01", 1);
		add_hello((struct net_hello){
			.name = "api.example.com", .padding = 300, .record = record});
		all = length;
		ck_assert_int_eq(judge(), HELLO_MORE);
		ck_assert_uint_eq(passed, all);
	}
	add_hello(plain);
	add_record(21, "\x01\x00", 2);
	add_hello(plain);
	add_record(23, "12345", 5);
	ck_assert_int_eq(judge(), HELLO_OPAQUE);
}
END_TEST

START_TEST(a_second_hello_with_another_name_is_refused)
{
	static const struct net_hello other[] = {
		{.name = "b.example.com"},
		{.name = "b.example.com", .record = 1},
		{.name = "b.example.com", .record = 5},
		{.name = NULL},
		{.name = "93.184.216.34"},
	};
	size_t i, change, all;

	for (i = 0; i < ARRAY_SIZE(other); i++)
		for (change = 0; change < 2; change++) {
			add_hello(plain);
			if (change)
				add_record(20, "\x01", 1);
			all = length;
			add_hello(other[i]);
			REFUSED(HELLO_OTHER_NAME);
			ck_assert_uint_eq(passed, all);
		}
	add_hello(plain);
	add_hello((struct net_hello){.name = "api.example.com", .encrypted = true});
	REFUSED(HELLO_ENCRYPTED);
	add_hello(plain);
	add_hello((struct net_hello){.name = "api.example.com", .padding = 16700});
	REFUSED(HELLO_TOO_LONG);
	/* The third, too. */
	add_hello(plain);
	add_hello(plain);
	add_hello(other[0]);
	REFUSED(HELLO_OTHER_NAME);
}
END_TEST

/* Servers of TLS 1.3 go by an extension, and take a hello whatever version its message has. */
START_TEST(a_second_hello_of_another_version_is_judged)
{
	static const uint8_t versions[] = {0, 2, 4, 0x7f, 0xff};
	size_t i, first;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		add_hello(plain);
		first = length;
		add_hello((struct net_hello){.name = "b.example.com"});
		bytes[first + 9] = versions[i];
		REFUSED(HELLO_OTHER_NAME);
		ck_assert_uint_eq(passed, first);
		/* One in several records. */
		add_hello(plain);
		first = length;
		add_hello((struct net_hello){.name = "b.example.com", .record = 12});
		bytes[first + 9] = versions[i];
		REFUSED(HELLO_OTHER_NAME);
		/* The twin. */
		add_hello(plain);
		first = length;
		add_hello(plain);
		bytes[first + 9] = versions[i];
		ck_assert_int_eq(judge(), HELLO_MORE);
	}
}
END_TEST

/* Adds an empty early_data extension to the ClientHello in one record at bytes[0]. */
static void make_early(void)
{
	size_t at = 5 + 4 + 34 + 1 + 6 + 2;

	add("\x00\x2a\x00\x00", 4);
	store_be16(bytes + at, (uint16_t)(load_be16(bytes + at) + 4));
	store_be16(bytes + 7, (uint16_t)(load_be16(bytes + 7) + 4));
	store_be16(bytes + 3, (uint16_t)(load_be16(bytes + 3) + 4));
}

START_TEST(a_hello_behind_early_data_is_judged)
{
	add_hello(plain);
	make_early();
	add_record(23, "GET / HTTP/1.1\r\n\r\n", 18);
	add_hello((struct net_hello){.name = "b.example.com"});
	REFUSED(HELLO_OTHER_NAME);
	add_hello(plain);
	make_early();
	add_record(23, "GET / HTTP/1.1\r\n\r\n", 18);
	add_hello(plain);
	add_record(23, "GET / HTTP/1.1\r\n\r\n", 18);
	ck_assert_int_eq(judge(), HELLO_MORE);
}
END_TEST

START_TEST(records_that_are_none_are_refused)
{
	add_hello(plain);
	add("GET / HTTP/1.1\r\n", 16);
	REFUSED(HELLO_NOT_TLS);
	add_hello(plain);
	add_record(22, "", 0);
	add_record(22, "x", 1);
	REFUSED(HELLO_MALFORMED);
	add_hello(plain);
	add_record(22, "\x01", 1);
	add_record(21, "\x01\x00", 2);
	REFUSED(HELLO_MALFORMED);
	add_hello(plain);
	add("\x15\x02\x00\x00\x02", 5);
	REFUSED(HELLO_MALFORMED);
	add_hello(plain);
	add("\x15\x03\x03\xff\xff", 5);
	REFUSED(HELLO_MALFORMED);
	add_hello(plain);
	add_record(21, "\x01\x00", 2);
	ck_assert_int_eq(judge(), HELLO_MORE);
}
END_TEST

UNIT_MAIN("relay_hello", a_name_is_found_and_the_hello_passes,
	  nothing_passes_before_the_name_is_allowed, what_names_no_server_is_refused,
	  addresses_are_no_names, other_protocols_and_endless_hellos_are_refused,
	  bytes_behind_the_hello_in_its_record_are_refused, encrypted_bytes_end_the_judging,
	  a_second_hello_with_the_same_name_passes, a_second_hello_with_another_name_is_refused,
	  a_second_hello_of_another_version_is_judged, a_hello_behind_early_data_is_judged,
	  records_that_are_none_are_refused)
