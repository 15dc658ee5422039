/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/boot.h"

#include <errno.h>
#include <string.h>

#include "boot/bootparams.h"
#include "boot/bzimage.h"
#include "boot/elf.h"
#include "boot/fdt.h"
#include "boot/image.h"
#include "boot/initramfs.h"
#include "boot/layout.h"
#include "vmm/base/bytes.h"

/* Control registers and EFER for 64-bit mode with paging (Intel SDM volume 3, section 2.5). */
#define CR0_PE	 0x00000001ull
#define CR0_ET	 0x00000010ull
#define CR0_NE	 0x00000020ull
#define CR0_PG	 0x80000000ull
#define CR4_PAE	 0x00000020ull
#define EFER_LME 0x00000100ull
#define EFER_LMA 0x00000400ull

#define RFLAGS_ONE 0x2ull /* bit 1 always reads as 1 */

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20
#define GDT_ENTRIES   6 /* null, unused, code, data, TSS in two */

/* Page table entries; 2 MiB pages, which need no optional processor feature. */
#define PTE_PRESENT 0x01ull
#define PTE_WRITE   0x02ull
#define PTE_LARGE   0x80ull
#define ENTRIES	    512
#define DIRECTORIES 4 /* one GiB each */

/* The kernel's 64-bit entry requires a flat GDT with selectors 0x10 and 0x18; KVM requires a TSS.
 */
static int write_gdt(struct guest_memory *memory, struct boot_entry *entry)
{
	static const uint64_t gdt[GDT_ENTRIES] = {
		[SELECTOR_CODE / 8] = 0x00af9b000000ffffull,
		[SELECTOR_DATA / 8] = 0x00cf93000000ffffull,
		[SELECTOR_TSS / 8] = 0x00008b0000000067ull,
	};

	entry->cpu.gdt_base = LAYOUT_GDT;
	entry->cpu.gdt_limit = sizeof(gdt) - 1;
	entry->cpu.cs = (struct vcpu_segment){.selector = SELECTOR_CODE,
					      .limit = UINT32_MAX,
					      .type = 0xb,
					      .present = 1,
					      .s = 1,
					      .l = 1,
					      .g = 1};
	entry->cpu.ds = (struct vcpu_segment){.selector = SELECTOR_DATA,
					      .limit = UINT32_MAX,
					      .type = 0x3,
					      .present = 1,
					      .db = 1,
					      .s = 1,
					      .g = 1};
	entry->cpu.tr = (struct vcpu_segment){
		.selector = SELECTOR_TSS, .limit = 0x67, .type = 0xb, .present = 1};
	return guest_memory_write(memory, LAYOUT_GDT, gdt, sizeof(gdt));
}

/* Identity mapping of the low 4 GiB. */
static int write_page_tables(struct guest_memory *memory)
{
	uint64_t *table = guest_memory_at(memory, LAYOUT_PAGE_TABLES,
					  (2 + DIRECTORIES) * ENTRIES * sizeof(uint64_t));
	uint64_t *pointers, *directories;
	unsigned i;

	if (!table)
		return -EFAULT;
	pointers = table + ENTRIES;
	directories = pointers + ENTRIES;
	memset(table, 0, 2 * ENTRIES * sizeof(*table));
	table[0] = (LAYOUT_PAGE_TABLES + 0x1000) | PTE_PRESENT | PTE_WRITE;
	for (i = 0; i < DIRECTORIES; i++)
		pointers[i] = (LAYOUT_PAGE_TABLES + 0x2000 + i * 0x1000) | PTE_PRESENT | PTE_WRITE;
	for (i = 0; i < DIRECTORIES * ENTRIES; i++)
		directories[i] = i * MIB(2) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	return 0;
}

static int write_entry_state(struct guest_memory *memory, struct boot_entry *entry, struct err *err)
{
	entry->cpu.rsi = LAYOUT_BOOT_PARAMS;
	entry->cpu.rsp = LAYOUT_BOOT_PARAMS; /* grows down, away from the tables; barely used */
	entry->cpu.rflags = RFLAGS_ONE;
	entry->cpu.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	entry->cpu.cr3 = LAYOUT_PAGE_TABLES;
	entry->cpu.cr4 = CR4_PAE;
	entry->cpu.efer = EFER_LME | EFER_LMA;
	if (write_gdt(memory, entry) < 0 || write_page_tables(memory) < 0)
		return err_set(err, ENOMEM, "guest memory has no room for the boot tables");
	return 0;
}

/* The largest unpacked vmlinux: about the size of low memory, where its segments must fit. */
static uint64_t unpack_limit(const struct guest_memory *memory)
{
	return min_u64(BOOT_FILE_SIZE_MAX, memory->region[0].size + MIB(16));
}

static int load_elf(const struct boot_image *image, struct guest_memory *memory,
		    struct boot_entry *entry, struct err *err)
{
	struct elf_kernel kernel;
	int ret;

	ret = elf_parse(&kernel, image, memory, err);
	if (ret == 0)
		ret = elf_load(&kernel, image, memory, &entry->bytes_mapped, &entry->bytes_copied,
			       err);
	entry->cpu.rip = kernel.entry;
	entry->kernel_start = kernel.start;
	entry->kernel_end = kernel.end;
	return ret;
}

static int load_kernel(const char *path, struct guest_memory *memory, struct boot_entry *entry,
		       struct err *err)
{
	struct boot_image image = {.fd = -1}, vmlinux = {.fd = -1};
	uint8_t probe[BZIMAGE_PROBE_BYTES] = {0};
	int ret;

	ret = boot_image_open(&image, path, "kernel", err);
	if (ret == 0)
		ret = boot_image_read(&image, 0, probe, min_u64(sizeof(probe), image.size), err);
	if (ret < 0)
		goto out;
	if (elf_is_elf(probe, sizeof(probe))) {
		ret = load_elf(&image, memory, entry, err);
	} else if (bzimage_is_bzimage(probe, sizeof(probe))) {
		ret = bzimage_unpack(&vmlinux, &image, unpack_limit(memory), err);
		if (ret == 0)
			ret = load_elf(&vmlinux, memory, entry, err);
	} else {
		ret = err_set(err, ENOEXEC,
			      "%s is neither an ELF vmlinux nor a bzImage: give the kernel as one "
			      "of these",
			      path);
	}
out:
	boot_image_close(&vmlinux);
	boot_image_close(&image);
	return ret;
}

int boot_load(const struct boot_config *config, struct guest_memory *memory, struct boot_entry *out,
	      struct err *err)
{
	struct bootparams params = {
		.cmdline = config->cmdline, .seed = config->seed, .seed_size = BOOT_SEED_SIZE};
	uint8_t dtb[FDT_BYTES_MAX];
	int ret;

	memset(out, 0, sizeof(*out));
	if (memory->count == 0 || memory->region[0].gpa != 0)
		return err_set(err, EINVAL, "guest memory does not start at address 0");
	/* Boot tables and the device tree are a few pages. */
	guest_memory_use_huge(memory, 0, LAYOUT_HIGH_START, false);
	ret = fdt_build(config, dtb, &params.dtb_size, err);
	params.dtb = dtb;
	if (ret == 0)
		ret = load_kernel(config->kernel_path, memory, out, err);
	if (ret == 0 && config->initrd_path)
		ret = initramfs_load(config->initrd_path, memory, out->kernel_end,
				     &out->initrd_start, &out->initrd_size, err);
	params.initrd_start = out->initrd_start;
	params.initrd_size = out->initrd_size;
	if (ret == 0)
		ret = bootparams_write(&params, memory, err);
	if (ret == 0)
		ret = write_entry_state(memory, out, err);
	if (ret == 0 && config->generation_id &&
	    guest_memory_write(memory, LAYOUT_VMGENID, config->vmgenid, BOOT_VMGENID_SIZE) < 0)
		ret = err_set(err, ENOMEM, "guest memory has no room for the generation id");
	guest_memory_use_huge(memory, 0, LAYOUT_HIGH_START, true);
	return ret;
}
