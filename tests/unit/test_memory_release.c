/* SPDX-License-Identifier: Apache-2.0 */
/* Page frames of guest memory that are given back. */
#include "vmm/kvm/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/support/unit.h"

#define PAGE	   4096u
#define HOLE_START MIB(4)
#define HOLE_END   MIB(8)

static struct err err;

static void make(struct guest_memory *memory, bool private, uint64_t size)
{
	int ret = private ? guest_memory_create_private(memory, size, HOLE_START, HOLE_END, &err)
			  : guest_memory_create(memory, size, HOLE_START, HOLE_END, &err);

	ck_assert_msg(ret == 0, "%s", err.text);
}

static uint8_t *fill(struct guest_memory *memory, uint64_t gpa, uint64_t length, uint8_t value)
{
	uint8_t *at = guest_memory_at(memory, gpa, length);

	memset(at, value, length);
	return at;
}

static bool all_are(const uint8_t *at, size_t length, uint8_t value)
{
	return at[0] == value && memcmp(at, at + 1, length - 1) == 0;
}

/* The bytes of the memfd that take the host's memory. */
static uint64_t blocks_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

START_TEST(whole_pages_are_zero_afterwards)
{
	struct guest_memory memory;
	uint8_t *at;
	int i;

	for (i = 0; i < 2; i++) {
		make(&memory, i == 1, MIB(2));
		at = fill(&memory, 0, 8 * PAGE, 0x5a);
		ck_assert_int_eq(guest_memory_release(&memory, at + PAGE, PAGE, false), 0);
		ck_assert(all_are(at, PAGE, 0x5a));
		ck_assert(all_are(at + PAGE, PAGE, 0));
		ck_assert(all_are(at + 2 * PAGE, 6 * PAGE, 0x5a));
		/* The parts of pages at both ends stay. */
		ck_assert_int_eq(guest_memory_release(&memory, at + 3 * PAGE + 1, 2 * PAGE, true),
				 0);
		ck_assert(all_are(at + 2 * PAGE, 2 * PAGE, 0x5a));
		ck_assert(all_are(at + 4 * PAGE, PAGE, 0));
		ck_assert(all_are(at + 5 * PAGE, 3 * PAGE, 0x5a));
		ck_assert_int_eq(guest_memory_release(&memory, at + 6 * PAGE, PAGE - 1, false), 0);
		ck_assert_int_eq(guest_memory_release(&memory, at + 6 * PAGE + 1, PAGE, false), 0);
		ck_assert_int_eq(guest_memory_release(&memory, at + 6 * PAGE + 9, 1, false), 0);
		ck_assert_int_eq(guest_memory_release(&memory, at + 6 * PAGE, 0, false), 0);
		ck_assert(all_are(at + 6 * PAGE, 2 * PAGE, 0x5a));
		/* They can be used again. */
		fill(&memory, PAGE, PAGE, 0x77);
		ck_assert(all_are(at + PAGE, PAGE, 0x77));
		guest_memory_destroy(&memory);
	}
}
END_TEST

START_TEST(a_memfd_loses_the_pages)
{
	struct guest_memory memory;
	uint64_t before;
	uint8_t *at;

	make(&memory, false, MIB(2));
	at = fill(&memory, 0, 8 * PAGE, 0x5a);
	before = blocks_of(memory.fd);
	ck_assert_int_eq(guest_memory_release(&memory, at, 4 * PAGE, false), 0);
	if (!memory.huge)
		ck_assert_uint_eq(before - blocks_of(memory.fd), 4 * PAGE);
	guest_memory_destroy(&memory);
}
END_TEST

/* Files are mapped at pages 2 and 3, 5, and 6: two parts side by side. */
static uint8_t *with_files(struct guest_memory *memory, const struct guest_memory *file)
{
	/* Not in order. */
	ck_assert_int_eq(guest_memory_map_file(memory, 5 * PAGE, PAGE, file->fd, 0, &err), 0);
	ck_assert_int_eq(guest_memory_map_file(memory, 2 * PAGE, 2 * PAGE, file->fd, 0, &err), 0);
	ck_assert_int_eq(guest_memory_map_file(memory, 6 * PAGE, PAGE, file->fd, PAGE, &err), 0);
	return fill(memory, 0, 8 * PAGE, 0x5a);
}

START_TEST(pages_of_a_file_have_its_contents_again_or_are_left_alone)
{
	static const bool is_file[8] = {[2] = true, [3] = true, [5] = true, [6] = true};
	struct guest_memory memory, file;
	bool keep;
	uint8_t *at;
	int i, page, first, last;

	make(&file, false, MIB(2));
	fill(&file, 0, 2 * PAGE, 0x11);
	for (i = 0; i < 2 * 64; i++) {
		keep = i % 2;
		first = i / 2 % 8;
		last = i / 16;
		make(&memory, true, MIB(2));
		at = with_files(&memory, &file);
		if (first <= last)
			ck_assert_int_eq(guest_memory_release(&memory, at + first * (int)PAGE,
							      (uint64_t)(last - first + 1) * PAGE,
							      keep),
					 0);
		for (page = 0; page < 8; page++) {
			bool named = page >= first && page <= last;
			uint8_t value = !named || (is_file[page] && keep) ? 0x5a
					: is_file[page]			  ? 0x11
									  : 0;

			ck_assert_msg(all_are(at + page * (int)PAGE, PAGE, value),
				      "page %d of %d to %d, keep %d", page, first, last, keep);
		}
		guest_memory_destroy(&memory);
	}
	ck_assert(all_are(guest_memory_at(&file, 0, 2 * PAGE), 2 * PAGE, 0x11));
	guest_memory_destroy(&file);
}
END_TEST

START_TEST(cleared_memory_has_no_files)
{
	struct guest_memory memory, file;
	uint8_t *at;

	make(&file, false, MIB(2));
	make(&memory, true, MIB(2));
	at = with_files(&memory, &file);
	guest_memory_use_single(&memory, true);
	ck_assert(all_are(at, 8 * PAGE, 0x5a));
	guest_memory_use_single(&memory, false);
	guest_memory_use_single(&memory, true);
	ck_assert_int_eq(guest_memory_clear(&memory, &err), 0);
	fill(&memory, 0, 8 * PAGE, 0x5a);
	ck_assert_int_eq(guest_memory_release(&memory, at, 8 * PAGE, true), 0);
	ck_assert(all_are(at, 8 * PAGE, 0));
	guest_memory_destroy(&memory);
	guest_memory_destroy(&file);
}
END_TEST

START_TEST(single_pages_stay_away_and_huge_ones_come_back)
{
	unsigned char there[512];
	struct guest_memory memory;
	unsigned i, count = 0;
	uint8_t *at;

	make(&memory, true, MIB(4));
	guest_memory_use_single(&memory, true);
	guest_memory_use_single(&memory, true);
	at = fill(&memory, 0, MIB(2), 0x5a);
	ck_assert_int_eq(guest_memory_release(&memory, at + PAGE, MIB(2) - PAGE, false), 0);
	fill(&memory, 2 * PAGE, 1, 1);
	ck_assert_int_eq(mincore(at, MIB(2), there), 0);
	for (i = 0; i < 512; i++)
		count += there[i] & 1;
	ck_assert_uint_eq(count, 2);
	guest_memory_use_single(&memory, false);
	ck_assert(!memory.single);
	ck_assert(all_are(at, PAGE, 0x5a));
	guest_memory_destroy(&memory);
	/* Of the caller's memory nothing is known. */
	memory = (struct guest_memory){.fd = -1};
	guest_memory_use_single(&memory, true);
	ck_assert(!memory.single);
}
END_TEST

START_TEST(pages_are_numbered_without_the_hole)
{
	static const struct {
		uint64_t gpa;
		int64_t number; /* -1: not memory */
	} cases[] = {
		{0, 0},
		{PAGE - 1, 0},
		{PAGE, 1},
		{HOLE_START - 1, MIB(4) / PAGE - 1},
		{HOLE_START, -1},
		{HOLE_END - 1, -1},
		{HOLE_END, MIB(4) / PAGE},
		{HOLE_END + MIB(2) - 1, MIB(6) / PAGE - 1},
		{HOLE_END + MIB(2), -1},
		{UINT64_MAX, -1},
	};
	struct guest_memory memory;
	uint64_t number;
	size_t i;

	make(&memory, true, MIB(6));
	ck_assert_uint_eq(guest_memory_pages(&memory), MIB(6) / PAGE);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(guest_memory_page_number(&memory, cases[i].gpa, &number),
				 cases[i].number >= 0);
		if (cases[i].number >= 0)
			ck_assert_uint_eq(number, (uint64_t)cases[i].number);
	}
	guest_memory_destroy(&memory);
}
END_TEST

UNIT_MAIN("memory_release", whole_pages_are_zero_afterwards, a_memfd_loses_the_pages,
	  pages_of_a_file_have_its_contents_again_or_are_left_alone, cleared_memory_has_no_files,
	  single_pages_stay_away_and_huge_ones_come_back, pages_are_numbered_without_the_hole)
