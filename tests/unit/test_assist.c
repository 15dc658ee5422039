/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction assist without KVM: every instruction that it knows is decoded from its bytes and
 * executed on a struct of registers. Where ring 3 has the instruction, the processor itself says
 * what is right.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"

#define RAM_BASE  0x10000ull
#define RAM_PAGES 4
#define READ_ONLY (RAM_BASE + 2 * 4096) /* the third page; the page after the fourth is absent */
#define NOT_RAM	  0x900000ull

#define CF_PF_AF_ZF_SF_OF 0x8d5ull
#define ZF		  0x40ull
#define AC		  0x40000ull

static uint8_t ram[RAM_PAGES * 4096] __attribute__((aligned(4096)));
static uint8_t image[ASSIST_XSAVE_SIZE] __attribute__((aligned(64)));
static struct assist_cpu cpu;
static struct assist_fault fault;
static struct assist_insn insn;
static struct assist_layout layout;

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

static void setup(void)
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

static enum assist_outcome run_bytes(const uint8_t *bytes, size_t size)
{
	if (!assist_decode(&cpu, bytes, size, &insn))
		return ASSIST_UNKNOWN;
	return assist_execute(&cpu, &insn, &memory, &layout, &fault);
}

#define RUN(...) run_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

#define CHECK_DONE(length, ...)                                  \
	do {                                                     \
		ck_assert_int_eq(RUN(__VA_ARGS__), ASSIST_DONE); \
		ck_assert_uint_eq(cpu.rip, 0x1000 + (length));   \
		cpu.rip = 0x1000;                                \
	} while (0)

#define CHECK_FAULT(which, ...)                                   \
	do {                                                      \
		ck_assert_int_eq(RUN(__VA_ARGS__), ASSIST_FAULT); \
		ck_assert_uint_eq(fault.vector, which);           \
	} while (0)

START_TEST(int3_traps_after_itself)
{
	CHECK_FAULT(3, 0xcc);
	ck_assert(!fault.has_error);
	ck_assert_uint_eq(cpu.rip, 0x1001);
}
END_TEST

START_TEST(fwait_waits_for_nothing)
{
	CHECK_DONE(1, 0x9b);
	cpu.cr0 |= 8; /* TS, with MP: the state belongs to another task */
	CHECK_FAULT(7, 0x9b);
	ck_assert_uint_eq(cpu.rip, 0x1000);
	cpu.cr0 &= ~2ull;
	CHECK_DONE(1, 0x9b);
}
END_TEST

START_TEST(clac_and_stac_change_ac_alone)
{
	CHECK_DONE(3, 0x0f, 0x01, 0xcb);
	ck_assert_uint_eq(cpu.rflags, 2 | AC);
	cpu.rflags |= CF_PF_AF_ZF_SF_OF;
	CHECK_DONE(3, 0x0f, 0x01, 0xca);
	ck_assert_uint_eq(cpu.rflags, 2 | CF_PF_AF_ZF_SF_OF);
}
END_TEST

START_TEST(popcnt_of_every_operand_size)
{
	cpu.gpr[0] = 0xffffffffffffffffull;
	cpu.gpr[3] = 0xf0f0f0f0f0f0f0f1ull;
	cpu.rflags |= CF_PF_AF_ZF_SF_OF;
	CHECK_DONE(5, 0xf3, 0x48, 0x0f, 0xb8, 0xc3); /* popcnt %rbx,%rax */
	ck_assert_uint_eq(cpu.gpr[0], 33);
	ck_assert_uint_eq(cpu.rflags, 2);
	cpu.gpr[0] = 0xffffffffffffffffull;
	CHECK_DONE(4, 0xf3, 0x0f, 0xb8, 0xc3); /* popcnt %ebx,%eax: clears the upper half */
	ck_assert_uint_eq(cpu.gpr[0], 17);
	cpu.gpr[0] = 0xffffffffffffffffull;
	CHECK_DONE(5, 0x66, 0xf3, 0x0f, 0xb8, 0xc3); /* popcnt %bx,%ax: keeps the rest */
	ck_assert_uint_eq(cpu.gpr[0], 0xffffffffffff0009ull);
	CHECK_DONE(5, 0xf3, 0x66, 0x0f, 0xb8, 0xc3); /* the prefixes in the other order */
}
END_TEST

START_TEST(popcnt_of_zero_sets_zf)
{
	cpu.rflags |= CF_PF_AF_ZF_SF_OF;
	cpu.gpr[0] = 5;
	CHECK_DONE(5, 0xf3, 0x48, 0x0f, 0xb8, 0xc3);
	ck_assert_uint_eq(cpu.gpr[0], 0);
	ck_assert_uint_eq(cpu.rflags, 2 | ZF);
}
END_TEST

START_TEST(popcnt_of_high_registers)
{
	cpu.gpr[15] = 0xff;
	CHECK_DONE(5, 0xf3, 0x4d, 0x0f, 0xb8, 0xcf); /* popcnt %r15,%r9 */
	ck_assert_uint_eq(cpu.gpr[9], 8);
	ck_assert_uint_eq(cpu.gpr[1], 0);
}
END_TEST

/* Every way to name memory; the same eight bits wait at every address. */
START_TEST(popcnt_of_memory)
{
	uint64_t at = RAM_BASE + 0x100;

	store_le64(ram + 0x100, 0xff);
	cpu.gpr[3] = at;
	CHECK_DONE(5, 0xf3, 0x48, 0x0f, 0xb8, 0x03); /* (%rbx) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[3] = at + 0x10;
	CHECK_DONE(6, 0xf3, 0x48, 0x0f, 0xb8, 0x43, 0xf0); /* -0x10(%rbx) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[3] = at + 0x1000;
	CHECK_DONE(9, 0xf3, 0x48, 0x0f, 0xb8, 0x83, 0x00, 0xf0, 0xff, 0xff); /* -0x1000(%rbx) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[3] = at - 0x40;
	cpu.gpr[6] = 0x10;
	CHECK_DONE(6, 0xf3, 0x48, 0x0f, 0xb8, 0x04, 0xb3); /* (%rbx,%rsi,4) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	CHECK_DONE(10, 0xf3, 0x48, 0x0f, 0xb8, 0x04, 0x25, 0x00, 0x01, 0x01, 0x00); /* 0x10100 */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	/* 0xf0f7(%rip): relative to the end of these 9 bytes */
	CHECK_DONE(9, 0xf3, 0x48, 0x0f, 0xb8, 0x05, 0xf7, 0xf0, 0x00, 0x00);
	ck_assert_uint_eq(cpu.gpr[0], 8);
}
END_TEST

START_TEST(popcnt_of_memory_in_segments)
{
	uint64_t at = RAM_BASE + 0x100;

	store_le64(ram + 0x100, 0xff);
	cpu.fs_base = at;
	CHECK_DONE(6, 0x64, 0xf3, 0x48, 0x0f, 0xb8, 0x03); /* %fs:(%rbx) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gs_base = at - 0x20;
	cpu.gpr[12] = 0x20;
	CHECK_DONE(7, 0x65, 0xf3, 0x49, 0x0f, 0xb8, 0x04, 0x24); /* %gs:(%r12) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[13] = at;
	CHECK_DONE(6, 0xf3, 0x49, 0x0f, 0xb8, 0x45, 0x00); /* 0(%r13) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[3] = 0xabcd00000000ull + at;
	CHECK_DONE(6, 0x67, 0xf3, 0x48, 0x0f, 0xb8, 0x03); /* (%ebx) */
	ck_assert_uint_eq(cpu.gpr[0], 8);
	cpu.gpr[0] = 0;
	cpu.gpr[3] = at;
	CHECK_DONE(6, 0x3e, 0xf3, 0x48, 0x0f, 0xb8, 0x03); /* %ds: means nothing */
	ck_assert_uint_eq(cpu.gpr[0], 8);
}
END_TEST

START_TEST(popcnt_across_pages_and_into_the_void)
{
	memset(ram + 4096 - 3, 0xff, 8);
	cpu.gpr[3] = RAM_BASE + 4096 - 3;
	CHECK_DONE(5, 0xf3, 0x48, 0x0f, 0xb8, 0x03);
	ck_assert_uint_eq(cpu.gpr[0], 64);
	cpu.gpr[0] = 77;
	cpu.gpr[3] = RAM_BASE + sizeof(ram) - 3;
	CHECK_FAULT(14, 0xf3, 0x48, 0x0f, 0xb8, 0x03);
	ck_assert_uint_eq(fault.address, RAM_BASE + sizeof(ram));
	ck_assert_uint_eq(cpu.gpr[0], 77);
	ck_assert_uint_eq(cpu.rip, 0x1000);
	cpu.gpr[3] = NOT_RAM;
	ck_assert_int_eq(RUN(0xf3, 0x48, 0x0f, 0xb8, 0x03), ASSIST_UNKNOWN);
	ck_assert_uint_eq(cpu.rip, 0x1000);
}
END_TEST

START_TEST(xgetbv_reads_xcr0)
{
	cpu.xcr0 = 0x1200000207ull;
	cpu.gpr[0] = cpu.gpr[2] = ~0ull;
	CHECK_DONE(3, 0x0f, 0x01, 0xd0);
	ck_assert_uint_eq(cpu.gpr[0], 0x207);
	ck_assert_uint_eq(cpu.gpr[2], 0x12);
	cpu.gpr[1] = 2;
	CHECK_FAULT(13, 0x0f, 0x01, 0xd0);
	cpu.gpr[1] = 0;
	cpu.cr4 = 0;
	CHECK_FAULT(6, 0x0f, 0x01, 0xd0);
}
END_TEST

START_TEST(cmpxchg16b_swaps_or_loads)
{
	cpu.gpr[6] = RAM_BASE + 0x40;
	store_le64(ram + 0x40, 1);
	store_le64(ram + 0x48, 2);
	cpu.gpr[0] = 1;
	cpu.gpr[2] = 2;
	cpu.gpr[3] = 3;
	cpu.gpr[1] = 4;
	CHECK_DONE(5, 0xf0, 0x48, 0x0f, 0xc7, 0x0e); /* lock cmpxchg16b (%rsi) */
	ck_assert_uint_eq(cpu.rflags, 2 | ZF);
	ck_assert_uint_eq(load_le64(ram + 0x40), 3);
	ck_assert_uint_eq(load_le64(ram + 0x48), 4);
	CHECK_DONE(4, 0x48, 0x0f, 0xc7, 0x0e); /* fails now: (1, 2) is not there any more */
	ck_assert_uint_eq(cpu.rflags, 2);
	ck_assert_uint_eq(cpu.gpr[0], 3);
	ck_assert_uint_eq(cpu.gpr[2], 4);
	ck_assert_uint_eq(load_le64(ram + 0x40), 3);
	cpu.gpr[6] += 8;
	CHECK_FAULT(13, 0x48, 0x0f, 0xc7, 0x0e);
	cpu.gpr[6] = READ_ONLY;
	CHECK_FAULT(14, 0x48, 0x0f, 0xc7, 0x0e);
}
END_TEST

/* A table: null, code, data (DPL 3), read-only data, an available TSS (limit 0x67), a call gate. */
static void make_gdt(void)
{
	static const uint64_t gdt[] = {0,
				       0x00af9b000000ffff,
				       0x00cff3000000ffff,
				       0x00cf91000000ffff,
				       0x0000890000000067,
				       0x00008c0000000000};

	memcpy(ram, gdt, sizeof(gdt));
	cpu.gdt_base = RAM_BASE;
	cpu.gdt_limit = sizeof(gdt) - 1;
}

START_TEST(verw_says_what_may_be_written)
{
	static const struct {
		uint16_t selector;
		bool writable;
	} cases[] = {{0, false},    {8, false},	   {0x10, true},  {0x13, true},
		     {0x18, false}, {0x20, false}, {0x30, false}, {0xfff8, false}};
	size_t i;

	make_gdt();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cpu.gpr[0] = cases[i].selector;
		cpu.rflags = 2 | (cases[i].writable ? 0 : ZF);
		CHECK_DONE(3, 0x0f, 0x00, 0xe8);
		ck_assert_uint_eq(cpu.rflags, 2 | (cases[i].writable ? ZF : 0));
	}
	store_le16(ram + 0x200, 0x10);
	cpu.gpr[0] = RAM_BASE + 0x200;
	CHECK_DONE(3, 0x0f, 0x00, 0x28); /* verw (%rax) */
	ck_assert_uint_eq(cpu.rflags, 2 | ZF);
}
END_TEST

START_TEST(lsl_gives_the_limit)
{
	make_gdt();
	cpu.gpr[0] = 0x10;
	CHECK_DONE(3, 0x0f, 0x03, 0xc8); /* lsl %ax,%ecx */
	ck_assert_uint_eq(cpu.gpr[1], 0xffffffff);
	ck_assert_uint_eq(cpu.rflags, 2 | ZF);
	cpu.gpr[0] = 0x20;
	CHECK_DONE(3, 0x0f, 0x03, 0xc8);
	ck_assert_uint_eq(cpu.gpr[1], 0x67);
	cpu.gpr[0] = 0x28; /* a gate has no limit */
	CHECK_DONE(3, 0x0f, 0x03, 0xc8);
	ck_assert_uint_eq(cpu.gpr[1], 0x67);
	ck_assert_uint_eq(cpu.rflags, 2);
	cpu.gpr[0] = 0xb; /* RPL 3 may not see a DPL 0 segment */
	CHECK_DONE(3, 0x0f, 0x03, 0xc8);
	ck_assert_uint_eq(cpu.rflags, 2);
}
END_TEST

/* The image holds something different in every component. */
static void fill_image(void)
{
	unsigned i;

	for (i = 0; i < 24; i++)
		image[i] = (uint8_t)(0x10 + i);
	for (i = 32; i < 416; i++)
		image[i] = (uint8_t)(i * 7 + 1);
	for (i = 576; i < 832; i++)
		image[i] = (uint8_t)(i * 5 + 3);
	for (i = 1088; i < 1152; i++)
		image[i] = (uint8_t)(i * 3 + 5);
	store_le32(image + 24, 0x1fa0);
	store_le64(image + 512, 7);
}

static void at_rdi(uint64_t address, uint64_t mask)
{
	cpu.gpr[7] = address;
	cpu.gpr[0] = (uint32_t)mask;
	cpu.gpr[2] = mask >> 32;
}

#define XSAVE64	   0x48, 0x0f, 0xae, 0x27 /* xsave64 (%rdi) */
#define XSAVEOPT64 0x48, 0x0f, 0xae, 0x37
#define XRSTOR64   0x48, 0x0f, 0xae, 0x2f

START_TEST(xsave_writes_what_is_asked_for)
{
	fill_image();
	memset(ram, 0xee, 4096);
	at_rdi(RAM_BASE, 4);
	CHECK_DONE(4, XSAVE64);
	ck_assert_mem_eq(ram + 576, image + 576, 256);
	ck_assert_uint_eq(load_le32(ram + 24), 0x1fa0);
	ck_assert_uint_eq(ram[0], 0xee); /* no x87, no SSE */
	ck_assert_uint_eq(ram[160], 0xee);
	ck_assert_uint_eq(load_le64(ram + 512), 0xeeeeeeeeeeeeeeeeull | 4);
	ck_assert_uint_eq(ram[832], 0xee);
	ck_assert(!cpu.xsave_changed);
	memset(ram, 0, 4096);
	at_rdi(RAM_BASE, ~0ull);
	CHECK_DONE(4, XSAVEOPT64);
	ck_assert_mem_eq(ram, image, 416);
	ck_assert_mem_eq(ram + 576, image + 576, 256);
	ck_assert_uint_eq(load_le64(ram + 512), 7);
	ck_assert_uint_eq(ram[1088], 0); /* XCR0 does not have component 5 */
	cpu.xcr0 = 0x27;
	store_le64(image + 512, 0x21);
	CHECK_DONE(4, XSAVE64);
	ck_assert_mem_eq(ram + 1088, image + 1088, 64);
	ck_assert_uint_eq(load_le64(ram + 512), 0x21);
}
END_TEST

START_TEST(xsave_and_xrstor_go_round)
{
	uint8_t before[ASSIST_XSAVE_SIZE];

	cpu.xcr0 = 0x27;
	fill_image();
	store_le64(image + 512, 0x27);
	memcpy(before, image, sizeof(before));
	at_rdi(RAM_BASE + 4096 - 128, ~0ull); /* across a page border */
	CHECK_DONE(4, XSAVE64);
	memset(image, 0x55, 24);
	memset(image + 32, 0x55, 384);
	memset(image + 576, 0x55, 256);
	memset(image + 1088, 0x55, 64);
	store_le32(image + 24, 0x1f80);
	CHECK_DONE(4, XRSTOR64);
	ck_assert(cpu.xsave_changed);
	ck_assert_mem_eq(image, before, sizeof(before));
}
END_TEST

START_TEST(xrstor_initialises_what_was_not_saved)
{
	static const uint8_t zeros[256];

	fill_image();
	store_le32(ram + 24, 0x1f80);
	store_le64(ram + 512, 0);
	at_rdi(RAM_BASE, ~0ull);
	CHECK_DONE(4, XRSTOR64);
	ck_assert_uint_eq(load_le16(image), 0x37f);
	ck_assert_mem_eq(image + 160, zeros, 256);
	ck_assert_mem_eq(image + 576, zeros, 256);
	ck_assert_uint_eq(load_le32(image + 24), 0x1f80);
	ck_assert_uint_eq(load_le64(image + 512) & ~2ull, 0);
}
END_TEST

START_TEST(xrstor_leaves_what_is_not_asked_for)
{
	uint8_t before[ASSIST_XSAVE_SIZE];

	fill_image();
	memcpy(before, image, sizeof(before));
	store_le64(ram + 512, 7);
	at_rdi(RAM_BASE, 1);
	CHECK_DONE(4, XRSTOR64);
	ck_assert_mem_ne(image, before, 24);
	ck_assert_mem_eq(image + 24, before + 24, 8);
	ck_assert_mem_eq(image + 160, before + 160, 256);
	ck_assert_mem_eq(image + 512, before + 512, 576);
}
END_TEST

START_TEST(xrstor_refuses_bad_images)
{
	uint8_t before[ASSIST_XSAVE_SIZE];

	fill_image();
	memcpy(before, image, sizeof(before));
	at_rdi(RAM_BASE, ~0ull);
	store_le64(ram + 512, 8); /* a component that XCR0 does not have */
	CHECK_FAULT(13, XRSTOR64);
	ck_assert(fault.has_error);
	ck_assert_uint_eq(fault.error, 0);
	store_le64(ram + 512, 7);
	store_le64(ram + 520, 1ull << 63); /* compacted form */
	CHECK_FAULT(13, XRSTOR64);
	store_le64(ram + 520, 0);
	ram[543] = 1; /* reserved */
	CHECK_FAULT(13, XRSTOR64);
	ram[543] = 0;
	store_le32(ram + 24, 0x10000); /* a reserved bit of MXCSR */
	CHECK_FAULT(13, XRSTOR64);
	ck_assert_mem_eq(image, before, sizeof(before));
	ck_assert(!cpu.xsave_changed);
	store_le32(ram + 24, 0x1f80);
	CHECK_DONE(4, XRSTOR64); /* and the same without the mistakes is fine */
}
END_TEST

START_TEST(xsave_faults)
{
	at_rdi(RAM_BASE + 8, 7);
	CHECK_FAULT(13, XSAVE64);
	at_rdi(READ_ONLY, 7);
	CHECK_FAULT(14, XSAVE64);
	ck_assert_uint_eq(fault.error, 2);
	at_rdi(RAM_BASE + sizeof(ram), 7);
	CHECK_FAULT(14, XRSTOR64);
	ck_assert_uint_eq(fault.error, 0);
	at_rdi(NOT_RAM, 7);
	ck_assert_int_eq(RUN(XSAVE64), ASSIST_UNKNOWN);
	at_rdi(RAM_BASE, 7);
	cpu.cr0 |= 8;
	CHECK_FAULT(7, XSAVE64);
	cpu.cr4 = 0;
	CHECK_FAULT(6, XSAVE64);
	ck_assert_uint_eq(cpu.rip, 0x1000);
}
END_TEST

/* A layout that does not fit the image (a processor with larger components) is not touched. */
START_TEST(xsave_outside_the_image)
{
	cpu.xcr0 = 0x40007;
	at_rdi(RAM_BASE, ~0ull);
	ck_assert_int_eq(RUN(XSAVE64), ASSIST_UNKNOWN);
	layout.component[18].offset = 2816;
	layout.component[18].size = 8192;
	ck_assert_int_eq(RUN(XSAVE64), ASSIST_UNKNOWN);
	layout.component[18].size = ASSIST_XSAVE_SIZE - 2816;
	CHECK_DONE(4, XSAVE64);
	layout.component[18].offset = 0xffffff00;
	ck_assert_int_eq(RUN(XRSTOR64), ASSIST_UNKNOWN);
}
END_TEST

START_TEST(mxcsr_is_loaded_and_stored)
{
	cpu.gpr[3] = RAM_BASE + 4094;	 /* no alignment is asked for */
	CHECK_DONE(3, 0x0f, 0xae, 0x1b); /* stmxcsr (%rbx) */
	ck_assert_uint_eq(load_le32(ram + 4094), 0x1f80);
	ck_assert(!cpu.xsave_changed);
	store_le32(ram + 4094, 0x9fc0);
	CHECK_DONE(3, 0x0f, 0xae, 0x13); /* ldmxcsr (%rbx) */
	ck_assert_uint_eq(load_le32(image + 24), 0x9fc0);
	ck_assert(cpu.xsave_changed);
	ck_assert_uint_eq(load_le64(image + 512) & 2, 2);
	store_le32(ram + 4094, 0x80000000);
	CHECK_FAULT(13, 0x0f, 0xae, 0x13);
	ck_assert_uint_eq(load_le32(image + 24), 0x9fc0);
}
END_TEST

START_TEST(unknown_instructions_are_unknown)
{
	ck_assert_int_eq(RUN(0x90), ASSIST_UNKNOWN);
	ck_assert_int_eq(RUN(0x0f, 0xb8, 0xc0), ASSIST_UNKNOWN); /* popcnt without its prefix */
	ck_assert_int_eq(RUN(0xf3, 0xf2, 0x0f, 0xb8, 0xc0), ASSIST_UNKNOWN);
	ck_assert_int_eq(RUN(0xf0, 0xf3, 0x0f, 0xb8, 0xc0), ASSIST_UNKNOWN); /* lock */
	ck_assert_int_eq(RUN(0x0f, 0x01, 0xc1), ASSIST_UNKNOWN);	     /* vmcall */
	ck_assert_int_eq(RUN(0x66, 0x0f, 0x01, 0xca), ASSIST_UNKNOWN);
	ck_assert_int_eq(RUN(0x0f, 0xae, 0x27), ASSIST_UNKNOWN); /* xsave: 32-bit format */
	ck_assert_int_eq(RUN(0x0f, 0xae, 0xe8), ASSIST_UNKNOWN); /* lfence */
	ck_assert_int_eq(RUN(0x66, 0x48, 0x0f, 0xae, 0x37), ASSIST_UNKNOWN);
	ck_assert_int_eq(RUN(0x0f, 0xc7, 0x0e), ASSIST_UNKNOWN);       /* cmpxchg8b */
	ck_assert_int_eq(RUN(0x48, 0x0f, 0xc7, 0xce), ASSIST_UNKNOWN); /* no register form */
	ck_assert_int_eq(RUN(0x0f, 0x00, 0xe0), ASSIST_UNKNOWN);       /* verr */
	ck_assert_int_eq(RUN(0xc5, 0xf9, 0xef, 0xc0), ASSIST_UNKNOWN); /* VEX */
	ck_assert_uint_eq(cpu.rip, 0x1000);
	ck_assert_uint_eq(cpu.rflags, 2);
}
END_TEST

/* Every instruction cut short at every byte, prefixes without end, and a million random ones. */
START_TEST(no_bytes_are_too_strange)
{
	static const uint8_t whole[] = {0x65, 0x66, 0xf3, 0x48, 0x0f, 0xb8,
					0x84, 0xb3, 0x00, 0x01, 0x00, 0x00};
	uint8_t bytes[20];
	size_t i, j;

	for (i = 0; i < sizeof(whole); i++)
		ck_assert(!assist_decode(&cpu, whole, i, &insn));
	ck_assert(assist_decode(&cpu, whole, sizeof(whole), &insn));
	ck_assert_uint_eq(insn.length, sizeof(whole));
	memset(bytes, 0x66, sizeof(bytes));
	ck_assert(!assist_decode(&cpu, bytes, sizeof(bytes), &insn));
	memset(bytes, 0x48, sizeof(bytes));
	ck_assert(!assist_decode(&cpu, bytes, sizeof(bytes), &insn));
	srandom(1);
	for (i = 0; i < 1000000; i++) {
		for (j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)random();
		if (i & 1)
			bytes[1] = 0x0f;
		cpu.gpr[bytes[3] & 15] = RAM_BASE + (bytes[4] & 0xf0) * 64u;
		cpu.rip = 0x1000;
		if (run_bytes(bytes, (size_t)(i % 16)) == ASSIST_DONE)
			ck_assert_uint_le(cpu.rip - 0x1000, i % 16);
	}
}
END_TEST

START_TEST(popcnt_as_the_processor_does_it)
{
	uint64_t value, result;
	bool zero, carry, sign;
	unsigned i;

	srandom(2);
	for (i = 0; i < 10000; i++) {
		value = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
		value &= i % 3 ? ~0ull : 0xff;
		cpu.rflags = 2 | CF_PF_AF_ZF_SF_OF;
		cpu.gpr[3] = value;
		CHECK_DONE(5, 0xf3, 0x48, 0x0f, 0xb8, 0xc3);
		__asm__("popcnt %4,%3"
			: "=@ccz"(zero), "=@ccc"(carry), "=@ccs"(sign), "=r"(result)
			: "r"(value));
		ck_assert_uint_eq(cpu.gpr[0], result);
		ck_assert_uint_eq(cpu.rflags,
				  2 | (zero ? ZF : 0) | (carry ? 1 : 0) | (sign ? 0x80 : 0));
	}
}
END_TEST

START_TEST(statistics_have_words)
{
	struct assist_stats stats = {.count = {[ASSIST_POPCNT] = 12, [ASSIST_XSAVE] = 3}};
	char text[64], small[8];
	int op;

	for (op = 0; op < ASSIST_OPS; op++)
		ck_assert_ptr_nonnull(assist_name((enum assist_op)op));
	assist_describe(&stats, text, sizeof(text));
	ck_assert_str_eq(text, "popcnt 12, xsave 3");
	assist_describe(&stats, small, sizeof(small));
	ck_assert_str_eq(small, "popcnt ");
	stats = (struct assist_stats){.user = 1};
	assist_describe(&stats, text, sizeof(text));
	ck_assert_str_eq(text, "refused in ring 3 1");
	ck_assert_ptr_nonnull(strstr(assist_cmdline(), "clearcpuid="));
}
END_TEST

int main(void)
{
	const TTest *const all[] = {
		int3_traps_after_itself,
		fwait_waits_for_nothing,
		clac_and_stac_change_ac_alone,
		popcnt_of_every_operand_size,
		popcnt_of_zero_sets_zf,
		popcnt_of_high_registers,
		popcnt_of_memory,
		popcnt_of_memory_in_segments,
		popcnt_across_pages_and_into_the_void,
		popcnt_as_the_processor_does_it,
		xgetbv_reads_xcr0,
		cmpxchg16b_swaps_or_loads,
		verw_says_what_may_be_written,
		lsl_gives_the_limit,
		xsave_writes_what_is_asked_for,
		xsave_and_xrstor_go_round,
		xrstor_initialises_what_was_not_saved,
		xrstor_leaves_what_is_not_asked_for,
		xrstor_refuses_bad_images,
		xsave_faults,
		xsave_outside_the_image,
		mxcsr_is_loaded_and_stored,
		unknown_instructions_are_unknown,
		no_bytes_are_too_strange,
		statistics_have_words,
	};
	Suite *suite = suite_create("assist");
	TCase *tests = tcase_create("assist");
	SRunner *runner;
	size_t i;
	int failed;

	tcase_add_checked_fixture(tests, setup, NULL);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		tcase_add_test(tests, all[i]);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
