/* SPDX-License-Identifier: Apache-2.0 */
/* boot_load() as a whole: what the first processor finds, and what a bad file or memory says. */
#include "boot/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/layout.h"
#include "tests/support/forged_kernel.h"
#include "tests/support/unit.h"

static struct forged_elf elf;
static struct guest_memory memory;
static struct boot_entry entry;
static struct err err;
static uint8_t seed[BOOT_SEED_SIZE];

static struct boot_config config_for(const char *kernel)
{
	struct boot_config config = {.kernel_path = kernel,
				     .cmdline = "quiet",
				     .cpus = 1,
				     .serial = true,
				     .generation_id = true,
				     .vmgenid = {0x55, 0xaa, 1},
				     .seed = seed};

	memset(seed, 0x5e, sizeof(seed));
	return config;
}

static void drop(char *path)
{
	unlink(path);
	free(path);
}

/* Walks the page tables from cr3, as the processor does. Returns the physical address. */
static uint64_t translate(uint64_t address)
{
	uint64_t table = entry.cpu.cr3, value;
	unsigned shift;

	for (shift = 39; shift >= 21; shift -= 9) {
		value = load_le64(
			guest_memory_at(&memory, table + ((address >> shift) & 511) * 8, 8));
		ck_assert_uint_eq(value & 3, 3); /* present, writable */
		table = value & 0x000ffffffffff000;
	}
	ck_assert_uint_eq(value & 0x80, 0x80); /* 2 MiB */
	return table + (address & (MIB(2) - 1));
}

static void check_descriptor(const struct vcpu_segment *segment, uint8_t type)
{
	uint64_t descriptor = load_le64(
		guest_memory_at(&memory, entry.cpu.gdt_base + (segment->selector & ~7u), 8));

	ck_assert_uint_lt((segment->selector & ~7u) + 7u, entry.cpu.gdt_limit + 1u);
	ck_assert_uint_eq(descriptor >> 40 & 0xf, segment->type);
	ck_assert_uint_eq(descriptor >> 44 & 1, segment->s);
	ck_assert_uint_eq(descriptor >> 47 & 1, segment->present);
	ck_assert_uint_eq(descriptor >> 53 & 1, segment->l);
	ck_assert_uint_eq(descriptor >> 54 & 1, segment->db);
	ck_assert_uint_eq(descriptor >> 55 & 1, segment->g);
	ck_assert_uint_eq(segment->type, type);
	ck_assert_uint_eq(segment->dpl, 0);
}

static void check_entry(void)
{
	ck_assert_uint_eq(entry.cpu.rip, FORGED_ENTRY);
	ck_assert_uint_eq(entry.cpu.rsi, LAYOUT_BOOT_PARAMS);
	ck_assert_uint_eq(entry.cpu.rflags, 2);
	ck_assert_uint_eq(entry.cpu.cr0 & 0x80000001, 0x80000001); /* paging, protection */
	ck_assert_uint_eq(entry.cpu.cr4 & 0x20, 0x20);		   /* PAE */
	ck_assert_uint_eq(entry.cpu.efer, 0x500);		   /* long mode, active */
	ck_assert_uint_eq(entry.cpu.cs.selector, 0x10);
	ck_assert_uint_eq(entry.cpu.ds.selector, 0x18);
	check_descriptor(&entry.cpu.cs, 0xb);
	check_descriptor(&entry.cpu.ds, 0x3);
	check_descriptor(&entry.cpu.tr, 0xb);
	ck_assert_uint_eq(translate(0), 0);
	ck_assert_uint_eq(translate(FORGED_ENTRY), FORGED_ENTRY);
	ck_assert_uint_eq(translate(0xfee00020), 0xfee00020);
	ck_assert_uint_eq(translate(UINT32_MAX), UINT32_MAX);
}

static void check_loaded(void)
{
	const uint8_t *id = guest_memory_at(&memory, LAYOUT_VMGENID, BOOT_VMGENID_SIZE);
	const uint8_t *zero = guest_memory_at(&memory, LAYOUT_BOOT_PARAMS, 4096);

	check_entry();
	ck_assert_uint_eq(*(uint8_t *)guest_memory_at(&memory, entry.cpu.rip, 1), 0x90);
	ck_assert_uint_eq(id[0], 0x55);
	ck_assert_uint_eq(id[1], 0xaa);
	ck_assert_uint_eq(id[2], 1);
	ck_assert_uint_eq(load_le64(zero + 0x250), LAYOUT_SETUP_DATA);
	/* Seed and tree in one page: the kernel then maps it once. */
	ck_assert_uint_lt(load_le64(guest_memory_at(&memory, LAYOUT_SETUP_DATA, 8)),
			  LAYOUT_SETUP_DATA + 4096);
	ck_assert_uint_eq(load_le32(zero + 0x218), entry.initrd_start);
	ck_assert_uint_eq(load_le32(zero + 0x21c), entry.initrd_size);
}

START_TEST(loads_vmlinux)
{
	struct boot_config config;
	char *kernel, *initrd;

	forged_elf_init(&elf);
	kernel = forged_file(&elf, sizeof(elf), 0644);
	initrd = forged_file("initramfs", 9, 0644);
	config = config_for(kernel);
	config.initrd_path = initrd;
	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_msg(boot_load(&config, &memory, &entry, &err) == 0, "%s", err.text);
	check_loaded();
	ck_assert_uint_eq(entry.kernel_start, FORGED_TEXT);
	ck_assert_uint_eq(entry.initrd_size, 9);
	ck_assert_int_eq(memcmp(guest_memory_at(&memory, entry.initrd_start, 9), "initramfs", 9),
			 0);
	guest_memory_destroy(&memory);
	drop(kernel);
	drop(initrd);
}
END_TEST

START_TEST(loads_bzimage)
{
	struct boot_config config;
	size_t packed_size, size;
	uint8_t *packed, *image;
	char *kernel;

	forged_elf_init(&elf);
	packed = forged_gzip(&elf, sizeof(elf), &packed_size);
	image = forged_bzimage(packed, packed_size, &size);
	kernel = forged_file(image, size, 0644);
	config = config_for(kernel);
	forged_memory(&memory, FORGED_MEMORY);
	ck_assert_msg(boot_load(&config, &memory, &entry, &err) == 0, "%s", err.text);
	check_loaded();
	ck_assert_uint_eq(entry.initrd_size, 0);
	guest_memory_destroy(&memory);
	free(packed);
	free(image);
	drop(kernel);
}
END_TEST

static void refused(const struct boot_config *config, int code, const char *word)
{
	int ret = boot_load(config, &memory, &entry, &err);

	ck_assert_msg(ret == -code && strstr(err.text, word), "%d, no '%s' in: %s", ret, word,
		      err.text);
}

START_TEST(says_what_is_wrong)
{
	static char text[8192];
	struct boot_config config = config_for("/nonexistent/vmlinux");
	char *kernel, *other;

	forged_memory(&memory, FORGED_MEMORY);
	refused(&config, ENOENT, "cannot open the kernel /nonexistent/vmlinux");
	memset(text, 'x', sizeof(text));
	other = forged_file(text, sizeof(text), 0644);
	config.kernel_path = other;
	refused(&config, ENOEXEC, "neither an ELF vmlinux nor a bzImage");
	forged_elf_init(&elf);
	kernel = forged_file(&elf, sizeof(elf), 0644);
	config.kernel_path = kernel;
	ck_assert_int_eq(boot_load(&config, &memory, &entry, &err), 0);
	config.initrd_path = "/nonexistent/initramfs";
	refused(&config, ENOENT, "initramfs");
	config.initrd_path = NULL;
	config.cpus = 0;
	refused(&config, EINVAL, "processors");
	config.cpus = 1;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	config.cmdline = text;
	refused(&config, E2BIG, "command line is too long: 8191 bytes");
	config.cmdline = NULL;
	ck_assert_int_eq(boot_load(&config, &memory, &entry, &err), 0);
	guest_memory_destroy(&memory);
	drop(kernel);
	drop(other);
}
END_TEST

START_TEST(refuses_memory_that_is_too_small)
{
	struct boot_config config;
	char *kernel;

	forged_elf_init(&elf);
	kernel = forged_file(&elf, sizeof(elf), 0644);
	config = config_for(kernel);
	forged_memory(&memory, MIB(1));
	refused(&config, ENOMEM, "more memory");
	guest_memory_destroy(&memory);
	forged_memory(&memory, 4096);
	refused(&config, ENOMEM, "memory");
	guest_memory_destroy(&memory);
	memory = (struct guest_memory){.fd = -1};
	refused(&config, EINVAL, "address 0");
	forged_memory(&memory, MIB(4));
	ck_assert_int_eq(boot_load(&config, &memory, &entry, &err), 0);
	guest_memory_destroy(&memory);
	drop(kernel);
}
END_TEST

UNIT_MAIN("boot", loads_vmlinux, loads_bzimage, says_what_is_wrong,
	  refuses_memory_that_is_too_small)
