/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/unit.h"

START_TEST(loads_and_stores_keep_the_byte_order)
{
	uint8_t bytes[12] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff};

	/* at an odd address: none of these may need alignment */
	ck_assert_uint_eq(load_le16(bytes + 1), 0x0201);
	ck_assert_uint_eq(load_be16(bytes + 1), 0x0102);
	ck_assert_uint_eq(load_le32(bytes + 1), 0x04030201);
	ck_assert_uint_eq(load_be32(bytes + 1), 0x01020304);
	ck_assert_uint_eq(load_le64(bytes + 1), 0x0807060504030201);
	ck_assert_uint_eq(load_be64(bytes + 1), 0x0102030405060708);
	store_le16(bytes + 3, 0xa1a2);
	ck_assert_uint_eq(bytes[3], 0xa2);
	ck_assert_uint_eq(bytes[4], 0xa1);
	store_be32(bytes + 1, 0xb1b2b3b4);
	ck_assert_uint_eq(bytes[1], 0xb1);
	ck_assert_uint_eq(bytes[4], 0xb4);
	store_le64(bytes + 1, UINT64_MAX - 1);
	ck_assert_uint_eq(load_le64(bytes + 1), UINT64_MAX - 1);
	store_be64(bytes + 1, 42);
	ck_assert_uint_eq(load_be64(bytes + 1), 42);
	ck_assert_uint_eq(bytes[0], 0xff);
	ck_assert_uint_eq(bytes[9], 0xff);
}
END_TEST

START_TEST(overflow_is_reported)
{
	uint64_t sum;
	uint32_t small;

	ck_assert(!add_overflows(UINT64_MAX - 1, UINT64_C(1), &sum));
	ck_assert_uint_eq(sum, UINT64_MAX);
	ck_assert(add_overflows(UINT64_MAX, UINT64_C(1), &sum));
	ck_assert(!add_overflows(UINT64_C(0xfffffffe), 1, &small));
	ck_assert_uint_eq(small, UINT32_MAX);
	ck_assert(add_overflows(UINT64_C(0xffffffff), 1, &small));
	ck_assert(!mul_overflows(UINT64_C(1) << 32, UINT64_C(0xffffffff), &sum));
	ck_assert(mul_overflows(UINT64_C(1) << 32, UINT64_C(1) << 32, &sum));
}
END_TEST

START_TEST(a_range_is_within_only_if_all_of_it_is)
{
	ck_assert(range_within(0, 10, 10));
	ck_assert(range_within(10, 0, 10));
	ck_assert(range_within(9, 1, 10));
	ck_assert(!range_within(10, 1, 10));
	ck_assert(!range_within(9, 2, 10));
	ck_assert(!range_within(0, 11, 10));
	ck_assert(!range_within(11, 0, 10));
	ck_assert(!range_within(UINT64_MAX, 1, 10));
	ck_assert(!range_within(UINT64_MAX, UINT64_MAX, 10));
	ck_assert(!range_within(1, UINT64_MAX, 10));
	ck_assert(range_within(0, UINT64_MAX, UINT64_MAX));
}
END_TEST

START_TEST(small_arithmetic)
{
	ck_assert_uint_eq(min_u64(1, UINT64_MAX), 1);
	ck_assert_uint_eq(max_u64(1, UINT64_MAX), UINT64_MAX);
	ck_assert(is_power_of_two(1));
	ck_assert(is_power_of_two(UINT64_C(1) << 63));
	ck_assert(!is_power_of_two(0));
	ck_assert(!is_power_of_two(3));
	ck_assert(!is_power_of_two(UINT64_MAX));
	ck_assert_uint_eq(align_up(0, 16), 0);
	ck_assert_uint_eq(align_up(1, 16), 16);
	ck_assert_uint_eq(align_up(16, 16), 16);
	ck_assert_uint_eq(align_up(17, 4096), 4096);
	ck_assert_uint_eq(KIB(4), 4096);
	ck_assert_uint_eq(GIB(4), UINT64_C(1) << 32);
}
END_TEST

UNIT_MAIN("bytes", loads_and_stores_keep_the_byte_order, overflow_is_reported,
	  a_range_is_within_only_if_all_of_it_is, small_arithmetic)
