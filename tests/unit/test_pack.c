/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/pack.h"

#include <string.h>

#include "tests/support/unit.h"

static void pack_one_of_each(struct pack *pack)
{
	pack_u8(pack, 0x12);
	pack_u16(pack, 0x3456);
	pack_u32(pack, 0x789abcde);
	pack_u64(pack, UINT64_C(0x0123456789abcdef));
	pack_bytes(pack, "four", 4);
	pack_bytes(pack, NULL, 0);
}

START_TEST(fields_are_read_as_written)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;
	char text[5] = "";

	pack_one_of_each(&pack);
	ck_assert(!pack.failed);
	ck_assert_uint_eq(pack.length, 1 + 2 + 4 + 8 + 4);
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	ck_assert_uint_eq(unpack_u8(&unpack), 0x12);
	ck_assert_uint_eq(unpack_u16(&unpack), 0x3456);
	ck_assert_uint_eq(unpack_u32(&unpack), 0x789abcde);
	ck_assert_uint_eq(unpack_u64(&unpack), UINT64_C(0x0123456789abcdef));
	ck_assert(!unpack_done(&unpack)); /* something is left */
	unpack_bytes(&unpack, text, 4);
	ck_assert_str_eq(text, "four");
	ck_assert(unpack_done(&unpack));
	pack_free(&pack);
	pack_free(&pack);
}
END_TEST

START_TEST(numbers_are_little_endian)
{
	static const uint8_t wanted[] = {0x12, 0x56, 0x34, 0xde, 0xbc, 0x9a, 0x78, 0xef, 0xcd, 0xab,
					 0x89, 0x67, 0x45, 0x23, 0x01, 'f',  'o',  'u',	 'r'};
	struct pack pack = {.data = NULL};

	pack_one_of_each(&pack);
	ck_assert_uint_eq(pack.length, sizeof(wanted));
	ck_assert_mem_eq(pack.data, wanted, sizeof(wanted));
	pack_free(&pack);
}
END_TEST

/* Truncated at every length: the fields before it are read, the rest is 0, and it stays failed. */
START_TEST(truncated_fields_read_as_zero)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;
	uint8_t text[4];
	size_t length;

	pack_one_of_each(&pack);
	for (length = 0; length < pack.length; length++) {
		unpack = (struct unpack){.data = pack.data, .length = length};
		ck_assert_uint_eq(unpack_u8(&unpack), length >= 1 ? 0x12 : 0);
		ck_assert_uint_eq(unpack_u16(&unpack), length >= 3 ? 0x3456 : 0);
		ck_assert_uint_eq(unpack_u32(&unpack), length >= 7 ? 0x789abcde : 0);
		ck_assert_uint_eq(unpack_u64(&unpack),
				  length >= 15 ? UINT64_C(0x0123456789abcdef) : 0);
		memset(text, 0xff, sizeof(text));
		unpack_bytes(&unpack, text, sizeof(text));
		ck_assert(unpack.failed && !unpack_done(&unpack));
		ck_assert_uint_eq(load_le32(text), 0);
		ck_assert_uint_eq(unpack_u8(&unpack), 0); /* also a field that would fit */
	}
	pack_free(&pack);
}
END_TEST

START_TEST(counts_are_bounded)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;

	pack_u32(&pack, 7);
	pack_u32(&pack, 8);
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	ck_assert_uint_eq(unpack_count(&unpack, 7), 7);
	ck_assert(!unpack.failed);
	ck_assert_uint_eq(unpack_count(&unpack, 7), 0);
	ck_assert(unpack.failed);
	pack_free(&pack);
}
END_TEST

START_TEST(an_impossible_length_fails_and_stays_failed)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack = {.data = (const uint8_t *)"abc", .length = 3};

	pack_u32(&pack, 1);
	pack_bytes(&pack, "x", SIZE_MAX - 2); /* never read: there is no room */
	ck_assert(pack.failed);
	pack_u32(&pack, 2);
	ck_assert_uint_eq(pack.length, 4);
	pack_free(&pack);
	unpack.at = 2;
	unpack_bytes(&unpack, NULL, 0);
	ck_assert(!unpack.failed);
	ck_assert_uint_eq(unpack_u16(&unpack), 0);
	ck_assert(unpack.failed);
}
END_TEST

START_TEST(a_limit_holds_and_is_reported)
{
	struct pack pack = {.limit = 4000};

	while (pack.length < 4000)
		pack_u32(&pack, 7);
	ck_assert(!pack.failed);
	pack_u8(&pack, 7);
	ck_assert(pack.failed);
	ck_assert_uint_eq(pack.length, 4000);
	pack_free(&pack);
	ck_assert_uint_eq(pack.limit, 0);
}
END_TEST

START_TEST(a_text_is_whole_or_nothing)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;
	char text[6];
	size_t i;

	pack_text(&pack, "hello");
	pack_text(&pack, "");
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	unpack_text(&unpack, text, sizeof(text));
	ck_assert_str_eq(text, "hello");
	unpack_text(&unpack, text, sizeof(text));
	ck_assert_str_eq(text, "");
	ck_assert(unpack_done(&unpack));
	for (i = 0; i < 7; i++) {
		unpack = (struct unpack){.data = pack.data, .length = i};
		unpack_text(&unpack, text, sizeof(text));
		ck_assert(unpack.failed);
		ck_assert_str_eq(text, "");
	}
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	unpack_text(&unpack, text, sizeof(text) - 1);
	ck_assert(unpack.failed);
	pack.data[4] = 0;
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	unpack_text(&unpack, text, sizeof(text));
	ck_assert(unpack.failed);
	ck_assert_str_eq(text, "");
	pack_free(&pack);
}
END_TEST

UNIT_MAIN("pack", a_text_is_whole_or_nothing, a_limit_holds_and_is_reported,
	  fields_are_read_as_written, numbers_are_little_endian, truncated_fields_read_as_zero,
	  counts_are_bounded, an_impossible_length_fails_and_stays_failed)
