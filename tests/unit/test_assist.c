/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction assist without KVM: every instruction that it knows is decoded from its bytes and
 * executed on a struct of registers. Where ring 3 has the instruction, the processor itself says
 * what is right.
 */
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"
#include "tests/unit/assist_common.h"

#define AC 0x40000ull

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

UNIT_MAIN_WITH(setup, "assist", int3_traps_after_itself, fwait_waits_for_nothing,
	       clac_and_stac_change_ac_alone, popcnt_of_every_operand_size, popcnt_of_zero_sets_zf,
	       popcnt_of_high_registers, popcnt_of_memory, popcnt_of_memory_in_segments,
	       popcnt_across_pages_and_into_the_void, xgetbv_reads_xcr0, cmpxchg16b_swaps_or_loads,
	       verw_says_what_may_be_written, lsl_gives_the_limit)
