/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF loader: a valid vmlinux loads byte for byte; each broken one is refused and says why. */
#include "boot/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/layout.h"
#include "tests/support/forged_kernel.h"
#include "tests/support/unit.h"

#define DATA (&elf.segment[0])
#define TEXT (&elf.segment[1])

static struct forged_elf elf;
static struct guest_memory memory;
static struct elf_kernel kernel;
static struct err err;

static void begin(void)
{
	forged_memory(&memory, FORGED_MEMORY);
	forged_elf_init(&elf);
	err.text[0] = '\0';
}

static int parse(uint64_t size)
{
	struct boot_image image;

	boot_image_from_memory(&image, "forged", &elf, size);
	return elf_parse(&kernel, &image, &memory, &err);
}

/* Refused with the code; the message names the file and contains the word. */
static void refused(int code, const char *word)
{
	int ret = parse(sizeof(elf));

	ck_assert_msg(ret == -code, "returned %d: %s", ret, err.text);
	ck_assert_msg(strstr(err.text, "forged") && strstr(err.text, word), "no '%s' in: %s", word,
		      err.text);
}

/* The positive twin: with the value put right, the same file is taken. */
static void accepted(void)
{
	int ret = parse(sizeof(elf));

	ck_assert_msg(ret == 0, "%s", err.text);
}

static void check_loaded(void)
{
	const uint8_t *text = guest_memory_at(&memory, FORGED_TEXT, sizeof(elf.text));
	const uint8_t *data = guest_memory_at(&memory, FORGED_DATA, FORGED_DATA_MEMORY);
	size_t i;

	ck_assert_int_eq(memcmp(text, elf.text, sizeof(elf.text)), 0);
	ck_assert_int_eq(memcmp(data, elf.data, sizeof(elf.data)), 0);
	for (i = sizeof(elf.data); i < FORGED_DATA_MEMORY; i++)
		ck_assert_uint_eq(data[i], 0);
}

START_TEST(loads_from_memory)
{
	struct boot_image image;
	uint64_t mapped, copied;

	begin();
	accepted();
	ck_assert_uint_eq(kernel.count, 2);
	ck_assert_uint_eq(kernel.segment[0].address, FORGED_TEXT);
	ck_assert_uint_eq(kernel.entry, FORGED_ENTRY);
	ck_assert_uint_eq(kernel.start, FORGED_TEXT);
	ck_assert_uint_eq(kernel.end, FORGED_DATA + FORGED_DATA_MEMORY);
	boot_image_from_memory(&image, "forged", &elf, sizeof(elf));
	ck_assert_int_eq(elf_load(&kernel, &image, &memory, &mapped, &copied, &err), 0);
	ck_assert_uint_eq(mapped, 0);
	ck_assert_uint_eq(copied, sizeof(elf.text) + sizeof(elf.data));
	check_loaded();
	guest_memory_destroy(&memory);
}
END_TEST

/* Whole pages of a read-only file are mapped; a writable file is copied. */
static void load_file(unsigned mode, uint64_t expect_mapped)
{
	char *path;
	struct boot_image image;
	uint64_t mapped, copied;
	uint8_t *text;

	begin();
	path = forged_file(&elf, sizeof(elf), mode);
	ck_assert_int_eq(boot_image_open(&image, path, "kernel", &err), 0);
	ck_assert_int_eq(elf_parse(&kernel, &image, &memory, &err), 0);
	ck_assert_int_eq(elf_load(&kernel, &image, &memory, &mapped, &copied, &err), 0);
	ck_assert_uint_eq(mapped, expect_mapped);
	ck_assert_uint_eq(mapped + copied, sizeof(elf.text) + sizeof(elf.data));
	boot_image_close(&image);
	check_loaded();

	/* What the guest writes stays its own. */
	text = guest_memory_at(&memory, FORGED_TEXT, 1);
	text[0] = 0xcc;
	ck_assert_int_eq(boot_image_open(&image, path, "kernel", &err), 0);
	ck_assert_int_eq(boot_image_read(&image, TEXT->p_offset, elf.text, 1, &err), 0);
	ck_assert_uint_eq(elf.text[0], 0x90);
	boot_image_close(&image);
	unlink(path);
	free(path);
	guest_memory_destroy(&memory);
}

START_TEST(maps_a_read_only_file)
{
	load_file(0444, sizeof(elf.text));
}
END_TEST

START_TEST(copies_a_file_that_may_change)
{
	load_file(0644, 0);
}
END_TEST

START_TEST(refuses_other_files)
{
	begin();
	elf.header.e_ident[0] = 'E';
	refused(ENOEXEC, "not an ELF file");
	elf.header.e_ident[0] = ELFMAG0;
	accepted();

	elf.header.e_machine = EM_AARCH64;
	refused(ENOEXEC, "x86-64 vmlinux is needed");
	elf.header.e_machine = EM_X86_64;
	elf.header.e_ident[EI_CLASS] = ELFCLASS32;
	refused(ENOEXEC, "x86-64 vmlinux is needed");
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
	refused(ENOEXEC, "x86-64 vmlinux is needed");
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;

	elf.header.e_type = ET_DYN;
	refused(ENOEXEC, "vmlinux");
	elf.header.e_type = ET_EXEC;

	elf.header.e_phentsize = 32;
	refused(ENOEXEC, "program headers");
	elf.header.e_phentsize = sizeof(Elf64_Phdr);
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_bad_tables)
{
	begin();
	elf.header.e_phnum = 0;
	refused(ENOEXEC, "program headers");
	elf.header.e_phnum = ELF_SEGMENTS_MAX + 1;
	refused(ENOEXEC, "program headers");
	elf.header.e_phnum = 3;
	elf.header.e_phoff = sizeof(elf) - sizeof(Elf64_Phdr);
	refused(ENOEXEC, "truncated");
	elf.header.e_phoff = UINT64_MAX - 8;
	refused(ENOEXEC, "truncated");
	elf.header.e_phoff = offsetof(struct forged_elf, segment);
	accepted();
	DATA->p_type = PT_NULL;
	TEXT->p_type = PT_NULL;
	refused(ENOEXEC, "PT_LOAD");
	TEXT->p_type = PT_LOAD;
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_truncated_files)
{
	static const size_t size[] = {1, 63, 64, 200, 0x1000, sizeof(elf) - 1};
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		ck_assert_int_eq(parse(size[i]), -ENOEXEC);
		ck_assert_msg(strstr(err.text, "truncated"), "%zu: %s", size[i], err.text);
	}
	ck_assert_int_eq(parse(sizeof(elf)), 0);
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_lying_sizes)
{
	begin();
	DATA->p_filesz = DATA->p_memsz + 1;
	refused(ENOEXEC, "more bytes in the file");
	DATA->p_filesz = DATA->p_memsz;
	refused(ENOEXEC, "truncated");
	DATA->p_filesz = sizeof(elf.data);
	DATA->p_offset = UINT64_MAX;
	refused(ENOEXEC, "truncated");
	DATA->p_offset = offsetof(struct forged_elf, data);
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_wrapping_segments)
{
	begin();
	DATA->p_paddr = UINT64_MAX - 0x1000;
	refused(ENOEXEC, "wraps");
	DATA->p_paddr = FORGED_DATA;
	DATA->p_memsz = UINT64_MAX;
	refused(ENOEXEC, "wraps");
	DATA->p_memsz = FORGED_DATA_MEMORY;
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_segments_outside_memory)
{
	begin();
	DATA->p_paddr = FORGED_MEMORY - FORGED_DATA_MEMORY + 1;
	refused(ENOMEM, "more memory");
	DATA->p_paddr = FORGED_MEMORY - FORGED_DATA_MEMORY;
	accepted();
	DATA->p_paddr = UINT64_C(1) << 40;
	refused(ENOMEM, "more memory");
	DATA->p_paddr = FORGED_DATA;
	DATA->p_memsz = FORGED_MEMORY;
	refused(ENOMEM, "more memory");
	DATA->p_memsz = FORGED_DATA_MEMORY;
	DATA->p_paddr = LAYOUT_HIGH_START - 1;
	refused(ENOEXEC, "boot tables");
	DATA->p_paddr = LAYOUT_HIGH_START;
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_overlapping_segments)
{
	begin();
	DATA->p_paddr = FORGED_TEXT + sizeof(elf.text) - 1;
	refused(ENOEXEC, "overlaps");
	DATA->p_paddr = FORGED_TEXT + sizeof(elf.text);
	accepted();
	DATA->p_paddr = FORGED_TEXT - FORGED_DATA_MEMORY + 1;
	refused(ENOEXEC, "overlaps");
	DATA->p_paddr = FORGED_TEXT - FORGED_DATA_MEMORY;
	accepted();
	DATA->p_paddr = FORGED_TEXT;
	refused(ENOEXEC, "overlaps");
	/* One around the other. */
	DATA->p_paddr = FORGED_TEXT - 0x1000;
	DATA->p_memsz = 0x10000;
	refused(ENOEXEC, "overlaps");
	/* An empty segment takes no room. */
	DATA->p_memsz = 0;
	DATA->p_filesz = 0;
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_entry_outside)
{
	begin();
	elf.header.e_entry = FORGED_TEXT - 1;
	refused(ENOEXEC, "entry point");
	elf.header.e_entry = FORGED_TEXT + sizeof(elf.text);
	refused(ENOEXEC, "entry point");
	/* Memory that no byte of the file fills holds no code. */
	elf.header.e_entry = FORGED_DATA + sizeof(elf.data);
	refused(ENOEXEC, "entry point");
	elf.header.e_entry = FORGED_TEXT + sizeof(elf.text) - 1;
	accepted();
	guest_memory_destroy(&memory);
}
END_TEST

START_TEST(refuses_bad_paths)
{
	struct boot_image image;
	char *path;

	begin();
	ck_assert_int_eq(boot_image_open(&image, "/nonexistent/vmlinux", "kernel", &err), -ENOENT);
	ck_assert(strstr(err.text, "/nonexistent/vmlinux"));
	ck_assert_int_eq(boot_image_open(&image, "/", "kernel", &err), -EINVAL);
	ck_assert(strstr(err.text, "not a regular file"));
	ck_assert_int_eq(boot_image_open(&image, "/dev/zero", "kernel", &err), -EINVAL);
	path = forged_file("", 0, 0600);
	ck_assert_int_eq(boot_image_open(&image, path, "kernel", &err), -ENOEXEC);
	ck_assert(strstr(err.text, "empty"));
	ck_assert_int_eq(truncate(path, (off_t)GIB(1)), 0);
	ck_assert_int_eq(boot_image_open(&image, path, "kernel", &err), -EFBIG);
	ck_assert_int_eq(truncate(path, 4096), 0);
	ck_assert_int_eq(boot_image_open(&image, path, "kernel", &err), 0);
	/* Cut while it is open: read at its old size, it says so. */
	ck_assert_int_eq(truncate(path, 100), 0);
	ck_assert_int_eq(boot_image_read(&image, 0, &elf, 4096, &err), -ENOEXEC);
	ck_assert(strstr(err.text, "truncated"));
	ck_assert_int_eq(boot_image_read(&image, 0, &elf, 100, &err), 0);
	boot_image_close(&image);
	unlink(path);
	free(path);
	guest_memory_destroy(&memory);
}
END_TEST

UNIT_MAIN("elf", loads_from_memory, maps_a_read_only_file, copies_a_file_that_may_change,
	  refuses_other_files, refuses_bad_tables, refuses_truncated_files, refuses_lying_sizes,
	  refuses_wrapping_segments, refuses_segments_outside_memory, refuses_overlapping_segments,
	  refuses_entry_outside, refuses_bad_paths)
