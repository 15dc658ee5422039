/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/assist_common.h"

uint8_t ram[RAM_PAGES * 4096] __attribute__((aligned(4096)));
uint8_t image[ASSIST_XSAVE_SIZE] __attribute__((aligned(64)));
struct assist_cpu cpu;
struct assist_fault fault;
struct assist_insn insn;
struct assist_layout layout;

static void *map_fake(void *arg, uint64_t address, size_t length, bool write,
		      struct assist_fault *out)
{
	(void)arg;
	ck_assert_uint_eq(address >> 12, (address + length - 1) >> 12);
	if (address >= NOT_RAM)
		return NULL;
	if (!range_within(address - RAM_BASE, length, sizeof(ram)) || address < RAM_BASE ||
	    (write && address >= READ_ONLY && address < READ_ONLY + 4096)) {
		assist_raise(out, 14, write ? 2 : 0);
		out->address = address;
		return NULL;
	}
	return ram + (address - RAM_BASE);
}

static const struct assist_memory memory = {.map = map_fake};

void setup(void)
{
	memset(ram, 0, sizeof(ram));
	memset(image, 0, sizeof(image));
	store_le16(image, 0x37f);
	store_le32(image + 24, 0x1f80);
	store_le32(image + 28, 0xffff);
	cpu = (struct assist_cpu){
		.rip = 0x1000,
		.rflags = 2,
		.cr0 = 0x80050033,
		.cr4 = 1 << 18,
		.xcr0 = 7,
		.xsave = image,
	};
	layout = (struct assist_layout){0};
	layout.component[2].offset = 576;
	layout.component[2].size = 256;
	layout.component[5].offset = 1088;
	layout.component[5].size = 64;
}

enum assist_outcome run_bytes(const uint8_t *bytes, size_t size)
{
	if (!assist_decode(&cpu, bytes, size, &insn))
		return ASSIST_UNKNOWN;
	return assist_execute(&cpu, &insn, &memory, &layout, &fault);
}
