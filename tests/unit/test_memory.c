/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define HOLE_START MIB(4)
#define HOLE_END   MIB(8)

static struct guest_memory created(uint64_t size)
{
	struct guest_memory memory;
	struct err err = {""};

	ck_assert_msg(guest_memory_create(&memory, size, HOLE_START, HOLE_END, &err) == 0, "%s",
		      err.text);
	return memory;
}

START_TEST(memory_below_the_hole_is_one_region)
{
	struct guest_memory memory = created(MIB(4));

	ck_assert_uint_eq(memory.count, 1);
	ck_assert_uint_eq(memory.region[0].gpa, 0);
	ck_assert_uint_eq(memory.region[0].size, MIB(4));
	ck_assert_uint_eq((uintptr_t)memory.region[0].host % MIB(2), 0);
	guest_memory_destroy(&memory);
	ck_assert_int_eq(memory.fd, -1);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(the_rest_goes_above_the_hole)
{
	struct guest_memory memory = created(MIB(6) + 4096);
	uint8_t byte = 0x5a, got = 0;

	ck_assert_uint_eq(memory.count, 2);
	ck_assert_uint_eq(memory.region[1].gpa, HOLE_END);
	ck_assert_uint_eq(memory.region[1].size, MIB(2) + 4096);
	ck_assert_uint_eq(memory.region[1].offset, MIB(4));
	/* The last byte of each region, by address and by the file behind it. */
	ck_assert_int_eq(guest_memory_write(&memory, HOLE_START - 1, &byte, 1), 0);
	ck_assert_int_eq(guest_memory_write(&memory, MIB(10) + 4095, &byte, 1), 0);
	ck_assert_int_eq(pread(memory.fd, &got, 1, MIB(6) + 4095), 1);
	ck_assert_uint_eq(got, byte);
	ck_assert_int_eq(guest_memory_write(&memory, HOLE_START, &byte, 1), -EFAULT);
	ck_assert_int_eq(guest_memory_write(&memory, HOLE_END - 1, &byte, 1), -EFAULT);
	ck_assert_int_eq(guest_memory_write(&memory, MIB(10) + 4096, &byte, 1), -EFAULT);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(invalid_sizes_are_refused)
{
	struct guest_memory memory;
	struct sysinfo host;
	struct err err = {""};
	uint64_t ram;

	ck_assert_int_eq(guest_memory_create(&memory, 0, HOLE_START, HOLE_END, &err), -EINVAL);
	ck_assert_str_ne(err.text, "");
	ck_assert_int_eq(memory.fd, -1);
	ck_assert_int_eq(guest_memory_create(&memory, 4097, HOLE_START, HOLE_END, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_create(&memory, MIB(2), HOLE_END, HOLE_START, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_create(&memory, MIB(2), 1, HOLE_END, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_create(&memory, UINT64_MAX & ~UINT64_C(4095), HOLE_START,
					     HOLE_END, &err),
			 -EINVAL);
	ck_assert_int_eq(sysinfo(&host), 0);
	ram = align_up((uint64_t)host.totalram * host.mem_unit, 4096);
	ck_assert_int_eq(guest_memory_create(&memory, ram + MIB(1), HOLE_START, HOLE_END, &err),
			 -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err.text, "MiB"));
}
END_TEST

START_TEST(the_file_cannot_be_cut)
{
	struct guest_memory memory = created(MIB(2));

	ck_assert_int_eq(ftruncate(memory.fd, 0), -1);
	ck_assert_int_eq(ftruncate(memory.fd, (off_t)MIB(4)), -1);
	memory.region[0].host[MIB(2) - 1] = 1;
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(private_memory_has_no_file)
{
	struct guest_memory memory;
	struct err err = {""};
	uint8_t byte = 0x5a;

	ck_assert_int_eq(guest_memory_create_private(&memory, MIB(6), HOLE_START, HOLE_END, &err),
			 0);
	ck_assert_int_eq(memory.fd, -1);
	ck_assert_uint_eq(memory.count, 2);
	ck_assert_uint_eq((uintptr_t)memory.region[0].host % MIB(2), 0);
	ck_assert_int_eq(guest_memory_write(&memory, HOLE_END + MIB(2) - 1, &byte, 1), 0);
	ck_assert_int_eq(guest_memory_write(&memory, HOLE_START, &byte, 1), -EFAULT);
	guest_memory_destroy(&memory);
	ck_assert_int_eq(guest_memory_create_private(&memory, 0, HOLE_START, HOLE_END, &err),
			 -EINVAL);
}
END_TEST

START_TEST(a_file_is_mapped_and_not_changed)
{
	struct guest_memory memory, file = created(MIB(2));
	struct err err = {""};
	uint8_t byte = 0x5a;

	ck_assert_int_eq(guest_memory_write(&file, 0x3000, &byte, 1), 0);
	ck_assert_int_eq(guest_memory_create_private(&memory, MIB(2), HOLE_START, HOLE_END, &err),
			 0);
	ck_assert_int_eq(guest_memory_map_file(&memory, 0x5000, 4096, file.fd, 0x3000, &err), 0);
	byte = 0;
	ck_assert_int_eq(guest_memory_read(&memory, 0x5000, &byte, 1), 0);
	ck_assert_uint_eq(byte, 0x5a);
	byte = 0x77;
	ck_assert_int_eq(guest_memory_write(&memory, 0x5000, &byte, 1), 0);
	ck_assert_int_eq(guest_memory_read(&file, 0x3000, &byte, 1), 0);
	ck_assert_uint_eq(byte, 0x5a);
	/* Only whole pages, and only over memory. */
	ck_assert_int_eq(guest_memory_map_file(&memory, 0x5001, 4096, file.fd, 0, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_map_file(&memory, 0x5000, 4095, file.fd, 0, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_map_file(&memory, 0x5000, 4096, file.fd, 1, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_map_file(&memory, MIB(2), 4096, file.fd, 0, &err), -EINVAL);
	ck_assert_int_eq(guest_memory_map_file(&memory, MIB(2) - 4096, 8192, file.fd, 0, &err),
			 -EINVAL);
	guest_memory_destroy(&memory);
	guest_memory_destroy(&file);
}
END_TEST

/* A file that changes shows whether its page is shared. */
START_TEST(isolated_memory_shares_no_page_with_a_file)
{
	struct guest_memory memory, file = created(MIB(2));
	uint8_t byte = 1, got[2];
	struct err err;
	int i;

	ck_assert_int_eq(guest_memory_write(&file, 0x3000, &byte, 1), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(
			guest_memory_create_private(&memory, MIB(2), HOLE_START, HOLE_END, &err),
			0);
		if (i == 1)
			guest_memory_isolate(&memory);
		ck_assert_int_eq(
			guest_memory_map_file(&memory, 0x5000, 8192, file.fd, 0x3000, &err), 0);
		byte = 2;
		ck_assert_int_eq(guest_memory_write(&file, 0x3000, &byte, 1), 0);
		ck_assert_int_eq(guest_memory_write(&file, 0x4000, &byte, 1), 0);
		ck_assert_int_eq(guest_memory_read(&memory, 0x5000, &got[0], 1), 0);
		ck_assert_int_eq(guest_memory_read(&memory, 0x6000, &got[1], 1), 0);
		ck_assert_uint_eq(got[0], i == 1 ? 1 : 2);
		ck_assert_uint_eq(got[1], i == 1 ? 0 : 2);
		byte = 1;
		ck_assert_int_eq(guest_memory_write(&file, 0x3000, &byte, 1), 0);
		byte = 0;
		ck_assert_int_eq(guest_memory_write(&file, 0x4000, &byte, 1), 0);
		/* Released pages do not come back from the file either. */
		ck_assert_int_eq(guest_memory_release(&memory,
						      guest_memory_at(&memory, 0x5000, 4096), 4096,
						      false),
				 0);
		ck_assert_int_eq(guest_memory_read(&memory, 0x5000, &got[0], 1), 0);
		ck_assert_uint_eq(got[0], i == 1 ? 0 : 1);
		guest_memory_destroy(&memory);
	}
	guest_memory_destroy(&file);
}
END_TEST

START_TEST(cleared_memory_is_zero_and_stays_where_it_is)
{
	struct guest_memory memory, callers = {.fd = -1};
	struct err err;
	static uint8_t bytes[4096] __attribute__((aligned(4096)));
	uint8_t byte = 0x5a;
	void *before;
	int i, ret;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			ret = guest_memory_create(&memory, MIB(2), HOLE_START, HOLE_END, &err);
		else
			ret = guest_memory_create_private(&memory, MIB(2), HOLE_START, HOLE_END,
							  &err);
		ck_assert_int_eq(ret, 0);
		ck_assert_int_eq(guest_memory_write(&memory, 0x3000, &byte, 1), 0);
		before = guest_memory_at(&memory, 0x3000, 1);
		ck_assert_int_eq(guest_memory_clear(&memory, &err), 0);
		ck_assert_int_eq(memory.fd, -1);
		ck_assert_ptr_eq(guest_memory_at(&memory, 0x3000, 1), before);
		ck_assert_int_eq(guest_memory_read(&memory, 0x3000, &byte, 1), 0);
		ck_assert_uint_eq(byte, 0);
		byte = 0x5a;
		ck_assert_int_eq(guest_memory_write(&memory, MIB(2) - 1, &byte, 1), 0);
		guest_memory_destroy(&memory);
	}
	ck_assert_int_eq(guest_memory_add(&callers, 0, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(guest_memory_clear(&callers, &err), -EINVAL);
}
END_TEST

/* The host's pages of guest memory from gpa on that are there. */
static unsigned present(const struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	unsigned char there[MIB(4) / 4096];
	unsigned count = 0, i;

	ck_assert_uint_le(size / 4096, sizeof(there));
	ck_assert_int_eq(mincore(guest_memory_at(memory, gpa, size), size, there), 0);
	for (i = 0; i < size / 4096; i++)
		count += there[i] & 1;
	return count;
}

START_TEST(small_contents_take_no_huge_page)
{
	struct guest_memory memory;
	struct err err = {""};
	uint8_t byte = 0x5a, *at;

	ck_assert_int_eq(
		guest_memory_create_private(&memory, MIB(9) + 4096, MIB(16), MIB(32), &err), 0);
	guest_memory_use_huge(&memory, 0x1000, 1, false);
	guest_memory_use_huge(&memory, MIB(9), 4096, false);
	ck_assert_int_eq(guest_memory_write(&memory, MIB(1), &byte, 1), 0);
	ck_assert_int_eq(guest_memory_write(&memory, MIB(8), &byte, 1), 0);
	if (memory.huge) {
		ck_assert_uint_eq(present(&memory, 0, MIB(2)), 1);
		ck_assert_uint_eq(present(&memory, MIB(8), MIB(1) + 4096), 1);
	}
	/* Pages that are there stay, and the rest is as before. */
	guest_memory_use_huge(&memory, 0, MIB(2), true);
	guest_memory_use_huge(&memory, MIB(9), 4096, true);
	at = guest_memory_at(&memory, MIB(1), 1);
	ck_assert_uint_eq(*at, byte);
	ck_assert_int_eq(guest_memory_write(&memory, MIB(4), &byte, 1), 0);
	ck_assert_uint_ge(present(&memory, MIB(4), MIB(2)), 1);
	/* What is not in memory has no effect. */
	guest_memory_use_huge(&memory, MIB(9), MIB(1), false);
	guest_memory_use_huge(&memory, UINT64_MAX, 1, false);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(regions_must_be_in_order_and_apart)
{
	static uint8_t bytes[8192] __attribute__((aligned(4096)));
	struct guest_memory memory = {.fd = -1};

	ck_assert_int_eq(guest_memory_add(&memory, 0x1000, bytes, 0x1000), 0);
	ck_assert_int_eq(guest_memory_add(&memory, 0x1000, bytes, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0x1ff0, bytes, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0, bytes, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0x3000, bytes, 0), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0x3000, NULL, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0x3000, bytes + 1, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, UINT64_MAX - 0xfff, bytes, 0x1000), -EINVAL);
	ck_assert_int_eq(guest_memory_add(&memory, 0x2000, bytes, 0x1000), 0);
	ck_assert_int_eq(guest_memory_add(&memory, 0x4000, bytes, 0x1000), 0);
	ck_assert_int_eq(guest_memory_add(&memory, UINT64_MAX - 0x1fff, bytes, 0x1000), 0);
	ck_assert_uint_eq(memory.count, GUEST_MEMORY_REGIONS);
	ck_assert_int_eq(guest_memory_add(&memory, UINT64_MAX - 0xffe, bytes + 1, 0x10), -ENOSPC);
}
END_TEST

START_TEST(a_pointer_is_given_only_for_whole_ranges)
{
	static uint8_t bytes[2][4096] __attribute__((aligned(4096)));
	struct guest_memory memory = {.fd = -1};

	/* Two regions that touch: an access across both is still refused. */
	ck_assert_int_eq(guest_memory_add(&memory, 0x1000, bytes[0], 4096), 0);
	ck_assert_int_eq(guest_memory_add(&memory, 0x2000, bytes[1], 4096), 0);
	ck_assert_ptr_eq(guest_memory_at(&memory, 0x1000, 4096), bytes[0]);
	ck_assert_ptr_eq(guest_memory_at(&memory, 0x1fff, 1), &bytes[0][4095]);
	ck_assert_ptr_eq(guest_memory_at(&memory, 0x2000, 4096), bytes[1]);
	ck_assert_ptr_null(guest_memory_at(&memory, 0x1fff, 2));
	ck_assert_ptr_null(guest_memory_at(&memory, 0x0fff, 1));
	ck_assert_ptr_null(guest_memory_at(&memory, 0x0fff, 2));
	ck_assert_ptr_null(guest_memory_at(&memory, 0x3000, 1));
	ck_assert_ptr_null(guest_memory_at(&memory, 0x1000, 0));
	ck_assert_ptr_null(guest_memory_at(&memory, 0x1000, UINT64_MAX));
	ck_assert_ptr_null(guest_memory_at(&memory, UINT64_MAX, 1));
	ck_assert_ptr_null(guest_memory_at(&memory, UINT64_MAX, UINT64_MAX));
	ck_assert_ptr_null(guest_memory_at(&memory, UINT64_MAX - 0xfff, 0x2000));
}
END_TEST

START_TEST(a_copy_is_whole_or_nothing)
{
	static uint8_t bytes[4096] __attribute__((aligned(4096)));
	struct guest_memory memory = {.fd = -1};
	char buffer[8] = "untouch";

	ck_assert_int_eq(guest_memory_add(&memory, 0x1000, bytes, 4096), 0);
	ck_assert_int_eq(guest_memory_write(&memory, 0x1ffc, "abcd", 4), 0);
	ck_assert_mem_eq(bytes + 4092, "abcd", 4);
	ck_assert_int_eq(guest_memory_write(&memory, 0x1ffd, "wxyz", 4), -EFAULT);
	ck_assert_mem_eq(bytes + 4092, "abcd", 4);
	ck_assert_int_eq(guest_memory_read(&memory, 0x1ffd, buffer, 4), -EFAULT);
	ck_assert_str_eq(buffer, "untouch");
	ck_assert_int_eq(guest_memory_read(&memory, 0x1ffc, buffer, 4), 0);
	ck_assert_mem_eq(buffer, "abcd", 4);
}
END_TEST

/* Every alignment and length around a word: all bytes arrive, and none beside them. */
START_TEST(a_copy_is_right_at_every_alignment)
{
	_Alignas(16) uint8_t ram[64], host[64], expected[64];
	size_t at, length, i;

	for (at = 16; at < 32; at++) {
		for (length = 0; length <= 24; length++) {
			for (i = 0; i < sizeof(ram); i++) {
				ram[i] = (uint8_t)(i + 1);
				host[i] = (uint8_t)(i + 101);
			}
			memcpy(expected, ram, sizeof(ram));
			memcpy(expected + at, host + 5, length);
			guest_copy_out(ram + at, host + 5, length);
			ck_assert_mem_eq(ram, expected, sizeof(ram));
			memcpy(expected, host, sizeof(host));
			memcpy(expected + 7, ram + at, length);
			guest_copy_in(host + 7, ram + at, length);
			ck_assert_mem_eq(host, expected, sizeof(host));
		}
	}
}
END_TEST

UNIT_MAIN("memory", memory_below_the_hole_is_one_region, the_rest_goes_above_the_hole,
	  invalid_sizes_are_refused, the_file_cannot_be_cut, private_memory_has_no_file,
	  a_file_is_mapped_and_not_changed, isolated_memory_shares_no_page_with_a_file,
	  cleared_memory_is_zero_and_stays_where_it_is, small_contents_take_no_huge_page,
	  regions_must_be_in_order_and_apart, a_pointer_is_given_only_for_whole_ranges,
	  a_copy_is_whole_or_nothing, a_copy_is_right_at_every_alignment)
