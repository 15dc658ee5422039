/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/bootparams.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "boot/layout.h"
#include "vmm/base/bytes.h"

#define BOOT_FLAG	 0xaa55
#define HEADER_MAGIC	 0x53726448 /* "HdrS" */
#define PROTOCOL_VERSION 0x020f
#define LOADER_UNDEFINED 0xff
#define SUBARCH_CE4100	 4
#define E820_RAM	 1
#define DATA_SEED	 9 /* SETUP_RNG_SEED */
#define DATA_ALIGN	 16

static int write_cmdline(const char *cmdline, struct guest_memory *memory, struct err *err)
{
	size_t length = strnlen(cmdline, LAYOUT_CMDLINE_MAX);

	if (length >= LAYOUT_CMDLINE_MAX)
		return err_set(err, E2BIG,
			       "the kernel's command line is too long: %zu bytes, Linux accepts at "
			       "most %d",
			       strlen(cmdline), LAYOUT_CMDLINE_MAX - 1);
	if (guest_memory_write(memory, LAYOUT_CMDLINE, cmdline, length + 1) < 0)
		return err_set(err, ENOMEM, "guest memory has no room for the command line");
	return 0;
}

static void add_e820(struct boot_params *zero, uint64_t start, uint64_t end)
{
	zero->e820_table[zero->e820_entries++] =
		(struct boot_e820_entry){.addr = start, .size = end - start, .type = E820_RAM};
}

/*
 * The RAM that the kernel may use. A range without an entry is not RAM: the one below HIGH_START
 * has no entry rather than a reserved one, see boot/layout.h.
 */
static int fill_e820(struct boot_params *zero, const struct guest_memory *memory, struct err *err)
{
	const struct guest_region *region = &memory->region[0];
	unsigned i;

	if (memory->count == 0 || region->gpa != 0 || region->size <= LAYOUT_HIGH_START)
		return err_set(err, ENOMEM,
			       "guest memory of %" PRIu64
			       " KiB is too little for any kernel: give it 64 MiB or more",
			       memory->count ? region->size >> 10 : 0);
	add_e820(zero, 0, LAYOUT_LOW_END);
	add_e820(zero, LAYOUT_HIGH_START, region->size);
	for (i = 1; i < memory->count; i++)
		add_e820(zero, memory->region[i].gpa,
			 memory->region[i].gpa + memory->region[i].size);
	return 0;
}

/* Appends an element to the setup_data list; *link is the field that points to it. */
static int add_setup_data(uint64_t *link, uint64_t *next_free, uint32_t type, const void *bytes,
			  uint32_t length, struct guest_memory *memory, struct err *err)
{
	struct setup_data header = {.next = 0, .type = type, .len = length};
	uint64_t at = *next_free, end = at + sizeof(header) + length;

	if (end > LAYOUT_SETUP_DATA + LAYOUT_SETUP_MAX)
		return err_set(err, E2BIG, "the device tree of %u bytes is too large", length);
	if (guest_memory_write(memory, at, &header, sizeof(header)) < 0 ||
	    guest_memory_write(memory, at + sizeof(header), bytes, length) < 0)
		return err_set(err, ENOMEM, "guest memory has no room for the device tree");
	*link = at;
	*next_free = align_up(end, DATA_ALIGN);
	return 0;
}

/*
 * Writes seed and device tree and links them through their headers in guest memory; no vCPU runs
 * yet that could change these.
 */
static int write_setup_data(struct boot_params *zero, const struct bootparams *params,
			    struct guest_memory *memory, struct err *err)
{
	uint64_t next_free = LAYOUT_SETUP_DATA, first = 0, second = 0;
	int ret = 0;

	if (params->seed)
		ret = add_setup_data(&first, &next_free, DATA_SEED, params->seed, params->seed_size,
				     memory, err);
	if (ret == 0 && params->dtb)
		ret = add_setup_data(&second, &next_free, SETUP_DTB, params->dtb, params->dtb_size,
				     memory, err);
	if (ret < 0)
		return ret;
	if (first && second)
		ret = guest_memory_write(memory, first + offsetof(struct setup_data, next), &second,
					 sizeof(second));
	zero->hdr.setup_data = first ? first : second;
	return ret;
}

int bootparams_write(const struct bootparams *params, struct guest_memory *memory, struct err *err)
{
	struct boot_params zero;
	struct setup_header *header = &zero.hdr;
	int ret;

	/* A zero "sentinel" tells the kernel that fields left at zero are valid. */
	memset(&zero, 0, sizeof(zero));
	header->boot_flag = BOOT_FLAG;
	header->header = HEADER_MAGIC;
	header->version = PROTOCOL_VERSION;
	header->type_of_loader = LOADER_UNDEFINED;
	header->loadflags = LOADED_HIGH;
	header->cmd_line_ptr = LAYOUT_CMDLINE;
	header->cmdline_size = LAYOUT_CMDLINE_MAX - 1;
	/*
	 * On 64-bit kernels CE4100 means "a PC without BIOS": Linux then skips EBDA, keyboard
	 * controller and PNP BIOS, and registers no CMOS clock.
	 */
	header->hardware_subarch = SUBARCH_CE4100;
	header->ramdisk_image = (uint32_t)params->initrd_start;
	header->ramdisk_size = (uint32_t)params->initrd_size;
	zero.ext_ramdisk_image = (uint32_t)(params->initrd_start >> 32);
	zero.ext_ramdisk_size = (uint32_t)(params->initrd_size >> 32);

	ret = fill_e820(&zero, memory, err);
	if (ret == 0)
		ret = write_cmdline(params->cmdline ? params->cmdline : "", memory, err);
	if (ret == 0)
		ret = write_setup_data(&zero, params, memory, err);
	if (ret < 0)
		return ret;
	if (guest_memory_write(memory, LAYOUT_BOOT_PARAMS, &zero, sizeof(zero)) < 0)
		return err_set(err, ENOMEM, "guest memory has no room for boot_params");
	return 0;
}
