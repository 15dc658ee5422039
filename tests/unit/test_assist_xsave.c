/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction assist: XSAVE, MXCSR, and instructions that it does not know. */
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"
#include "tests/unit/assist_common.h"

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

START_TEST(xsave_writes_the_requested_components)
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

START_TEST(xsave_and_xrstor_round_trip)
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

START_TEST(xrstor_leaves_other_components)
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
	cpu.gpr[3] = RAM_BASE + 4094;	 /* no alignment is required */
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
START_TEST(any_bytes_are_decoded_or_refused)
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

START_TEST(statistics_have_names)
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

UNIT_MAIN_WITH(setup, "assist_xsave", popcnt_as_the_processor_does_it,
	       xsave_writes_the_requested_components, xsave_and_xrstor_round_trip,
	       xrstor_initialises_what_was_not_saved, xrstor_leaves_other_components,
	       xrstor_refuses_bad_images, xsave_faults, xsave_outside_the_image,
	       mxcsr_is_loaded_and_stored, unknown_instructions_are_unknown,
	       any_bytes_are_decoded_or_refused, statistics_have_names)
