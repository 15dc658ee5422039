/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs: where it is put, and the archive that the writer makes. */
#include "boot/initramfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/boot.h"
#include "boot/layout.h"
#include "tests/support/forged_kernel.h"
#include "tests/support/unit.h"

#define KERNEL_END MIB(3)

static struct guest_memory memory;
static struct err err;

/* Writes a pattern of the size, loads it and returns what boot/initramfs.h returns. */
static int load(size_t size, unsigned mode, uint64_t *start, uint64_t *loaded)
{
	uint8_t *bytes = malloc(size);
	char *path;
	size_t i;
	int ret;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 4096);
	path = forged_file(bytes, size, mode);
	ret = initramfs_load(path, &memory, KERNEL_END, start, loaded, &err);
	if (ret == 0) {
		ck_assert_uint_eq(*loaded, size);
		ck_assert_int_eq(memcmp(guest_memory_at(&memory, *start, size), bytes, size), 0);
	}
	unlink(path);
	free(path);
	free(bytes);
	return ret;
}

START_TEST(lies_high_and_page_aligned)
{
	uint64_t start, size;

	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_int_eq(load(10000, 0644, &start, &size), 0);
	ck_assert_uint_eq(start, FORGED_MEMORY - 3 * 4096);
	ck_assert_int_eq(load(8192, 0644, &start, &size), 0);
	ck_assert_uint_eq(start, FORGED_MEMORY - 8192);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(may_be_mapped)
{
	uint64_t start, size;
	uint8_t *end;

	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_int_eq(load(10000, 0444, &start, &size), 0);
	/* Behind the last byte nothing of the file system shows. */
	end = guest_memory_at(&memory, start + size, 1);
	ck_assert_uint_eq(*end, 0);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(stays_below_the_hole)
{
	uint64_t start, size;

	forged_memory(&memory, GIB(4));
	ck_assert_int_eq(load(5000, 0644, &start, &size), 0);
	ck_assert_uint_eq(start, LAYOUT_HOLE_START - 8192);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
	uint64_t start, size;

	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_int_eq(load(FORGED_MEMORY - KERNEL_END + 1, 0644, &start, &size), -ENOMEM);
	ck_assert(strstr(err.text, "does not fit in the memory"));
	ck_assert_int_eq(load(FORGED_MEMORY - KERNEL_END, 0644, &start, &size), 0);
	ck_assert_uint_eq(start, KERNEL_END);
	ck_assert_int_eq(
		initramfs_load("/nonexistent/file", &memory, KERNEL_END, &start, &size, &err),
		-ENOENT);
	ck_assert(strstr(err.text, "initramfs /nonexistent/file"));
	guest_memory_destroy(&memory);
}
END_TEST

static uint32_t hex(const uint8_t *field)
{
	char digits[9] = {0};

	memcpy(digits, field, 8);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* An entry of the archive, as Linux's init/initramfs.c reads it. */
struct seen {
	uint32_t inode, mode, uid, gid, links, mtime, length, major, minor, name_length;
	const char *name;
	const uint8_t *bytes;
	size_t next; /* offset of the next entry */
};

static struct seen parse(const uint8_t *archive, size_t at, size_t end)
{
	const uint8_t *header = archive + at, *field = header + 6;
	struct seen seen;

	ck_assert_uint_eq(at % 4, 0);
	ck_assert_uint_le(at + 110, end);
	ck_assert_int_eq(memcmp(header, "070701", 6), 0);
	seen.inode = hex(field);
	seen.mode = hex(field + 8);
	seen.uid = hex(field + 16);
	seen.gid = hex(field + 24);
	seen.links = hex(field + 32);
	seen.mtime = hex(field + 40);
	seen.length = hex(field + 48);
	seen.major = hex(field + 72);
	seen.minor = hex(field + 80);
	seen.name_length = hex(field + 88);
	seen.name = (const char *)header + 110;
	ck_assert_uint_eq(seen.name[seen.name_length - 1], 0);
	at = align_up(at + 110 + seen.name_length, 4);
	seen.bytes = archive + at;
	seen.next = align_up(at + seen.length, 4);
	ck_assert_uint_le(seen.next, end);
	return seen;
}

static size_t write_archive(char **archive)
{
	struct cpio cpio;
	size_t size;
	FILE *to = open_memstream(archive, &size);

	ck_assert_ptr_nonnull(to);
	cpio_begin(&cpio, to);
	ck_assert_int_eq(cpio_directory(&cpio, "bin", 0755, &err), 0);
	ck_assert_int_eq(cpio_file(&cpio, "bin/odd", 0750, "abcde", 5, &err), 0);
	ck_assert_int_eq(cpio_symlink(&cpio, "bin/sh", "odd", &err), 0);
	ck_assert_int_eq(cpio_device(&cpio, "null", 0666, 1, 3, &err), 0);
	ck_assert_int_eq(cpio_end(&cpio, &err), 0);
	fclose(to);
	ck_assert_uint_eq(size, cpio.written);
	return size;
}

START_TEST(archive_entries)
{
	char *archive;
	size_t size = write_archive(&archive), at = 0;
	const uint8_t *bytes = (const uint8_t *)archive;
	struct seen seen;

	seen = parse(bytes, at, size);
	ck_assert_str_eq(seen.name, "bin");
	ck_assert_uint_eq(seen.mode, S_IFDIR | 0755);
	ck_assert_uint_eq(seen.uid + seen.gid + seen.mtime + seen.length, 0);
	seen = parse(bytes, seen.next, size);
	ck_assert_str_eq(seen.name, "bin/odd");
	ck_assert_uint_eq(seen.mode, S_IFREG | 0750);
	ck_assert_uint_eq(seen.length, 5);
	ck_assert_int_eq(memcmp(seen.bytes, "abcde", 5), 0);
	seen = parse(bytes, seen.next, size);
	ck_assert_uint_eq(seen.mode, S_IFLNK | 0777);
	ck_assert_int_eq(memcmp(seen.bytes, "odd", seen.length), 0);
	seen = parse(bytes, seen.next, size);
	ck_assert_uint_eq(seen.mode, S_IFCHR | 0666);
	ck_assert_uint_eq(seen.major, 1);
	ck_assert_uint_eq(seen.minor, 3);
	seen = parse(bytes, seen.next, size);
	ck_assert_str_eq(seen.name, "TRAILER!!!");
	ck_assert_uint_eq(seen.next, size);
	free(archive);
}
END_TEST

/*
 * Whatever came before, a program's contents begin on a page and are whole pages, and no name is
 * longer than the kernel takes. Two of the paddings would be: a harmless entry goes before.
 */
START_TEST(programs_lie_on_pages)
{
	unsigned before, harmless = 0;

	for (before = 0; before < 4200; before += 4) {
		static const uint8_t zeros[8192];
		struct seen seen;
		struct cpio cpio;
		char *archive;
		size_t size;
		FILE *to = open_memstream(&archive, &size);

		ck_assert_ptr_nonnull(to);
		cpio_begin(&cpio, to);
		ck_assert_int_eq(cpio_file(&cpio, "f", 0644, zeros, before, &err), 0);
		ck_assert_int_eq(cpio_program(&cpio, "bin/p", 0755, "abc", 3, &err), 0);
		ck_assert_int_eq(cpio_end(&cpio, &err), 0);
		fclose(to);
		seen = parse((const uint8_t *)archive, 0, size);
		seen = parse((const uint8_t *)archive, seen.next, size);
		if (strcmp(seen.name, ".") == 0) {
			ck_assert_uint_eq(seen.mode, S_IFDIR | 0755);
			seen = parse((const uint8_t *)archive, seen.next, size);
			harmless++;
		}
		ck_assert_str_eq(seen.name, "bin/p");
		ck_assert_uint_le(seen.name_length, 4096);
		ck_assert_uint_eq((size_t)(seen.bytes - (uint8_t *)archive) % 4096, 0);
		ck_assert_uint_eq(seen.length, 4096);
		ck_assert_int_eq(memcmp(seen.bytes, "abc", 3), 0);
		ck_assert_int_eq(memcmp(seen.bytes + 3, zeros, 4093), 0);
		seen = parse((const uint8_t *)archive, seen.next, size);
		ck_assert_str_eq(seen.name, "TRAILER!!!");
		free(archive);
	}
	ck_assert_uint_gt(harmless, 0);
	ck_assert_uint_lt(harmless, 10);
}
END_TEST

START_TEST(archive_is_deterministic)
{
	char *first, *second;
	size_t size = write_archive(&first);

	ck_assert_uint_eq(write_archive(&second), size);
	ck_assert_int_eq(memcmp(first, second, size), 0);
	free(first);
	free(second);
}
END_TEST

START_TEST(archive_refuses_long_paths)
{
	char path[1025];
	struct cpio cpio;
	FILE *to = fopen("/dev/null", "w");

	ck_assert_ptr_nonnull(to);
	memset(path, 'a', sizeof(path));
	path[1024] = '\0';
	cpio_begin(&cpio, to);
	ck_assert_int_eq(cpio_directory(&cpio, path, 0755, &err), -ENAMETOOLONG);
	path[1023] = '\0';
	ck_assert_int_eq(cpio_directory(&cpio, path, 0755, &err), 0);
	fclose(to);
}
END_TEST

START_TEST(archive_says_when_the_disk_is_full)
{
	struct cpio cpio;
	FILE *to = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(to);
	cpio_begin(&cpio, to);
	ck_assert_int_eq(cpio_directory(&cpio, "a", 0755, &err), 0); /* buffered */
	ck_assert_int_eq(cpio_end(&cpio, &err), -ENOSPC);
	fclose(to);
}
END_TEST

UNIT_MAIN("initramfs", lies_high_and_page_aligned, may_be_mapped, stays_below_the_hole,
	  refuses_what_does_not_fit, archive_entries, programs_lie_on_pages,
	  archive_is_deterministic, archive_refuses_long_paths, archive_says_when_the_disk_is_full)
