/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of assist share. */
#ifndef CORDON_TEST_ASSIST_COMMON_H
#define CORDON_TEST_ASSIST_COMMON_H

#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"

#define RAM_BASE	  0x10000ull
#define RAM_PAGES	  4
#define READ_ONLY	  (RAM_BASE + 2 * 4096) /* the third page; the page after the fourth is absent */
#define NOT_RAM		  0x900000ull
#define CF_PF_AF_ZF_SF_OF 0x8d5ull
#define ZF		  0x40ull

extern uint8_t ram[RAM_PAGES * 4096] __attribute__((aligned(4096)));
extern uint8_t image[ASSIST_XSAVE_SIZE] __attribute__((aligned(64)));
extern struct assist_cpu cpu;
extern struct assist_fault fault;
extern struct assist_insn insn;
extern struct assist_layout layout;

void setup(void);
enum assist_outcome run_bytes(const uint8_t *bytes, size_t size);

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

#endif
