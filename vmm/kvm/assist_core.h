/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction assist without KVM: decodes one instruction and executes it on a struct of
 * registers. Instruction and state formats are those of the Intel SDM, volumes 1 (chapter 13,
 * XSAVE) and 2. It supports 64-bit mode only.
 */
#ifndef CORDON_KVM_ASSIST_CORE_H
#define CORDON_KVM_ASSIST_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/kvm/assist.h"

#define ASSIST_INSN_MAX	  15   /* bytes */
#define ASSIST_COMPONENTS 63   /* XSAVE state components */
#define ASSIST_XSAVE_SIZE 4096 /* bytes of the image from KVM_GET_XSAVE */

/* Registers are numbered as in the instruction encoding: RAX, RCX, RDX, RBX, RSP ... */
struct assist_cpu {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint64_t cr0, cr4, xcr0;
	uint64_t fs_base, gs_base; /* the other segments have base 0 in 64-bit mode */
	uint64_t gdt_base, ldt_base;
	uint32_t gdt_limit, ldt_limit;
	uint8_t cpl;
	/*
	 * For instructions for which assist_needs_xsave() is true: the vector state as an XSAVE
	 * image in standard form, and whether the instruction changed it.
	 */
	uint8_t *xsave;
	bool xsave_changed;
};

/* Offsets and sizes of state components in a standard-form image (CPUID leaf 0xd). */
struct assist_layout {
	struct {
		uint32_t offset, size;
	} component[ASSIST_COMPONENTS]; /* 0 and 1 are unused: they lie in the legacy region */
};

struct assist_insn {
	enum assist_op op;
	uint8_t length;
	uint8_t operand_size; /* 2, 4 or 8 bytes */
	uint8_t reg;	      /* ModRM.reg with REX.R */
	bool memory;	      /* the r/m operand is memory at address, not register rm */
	bool locked;
	uint8_t rm;
	uint64_t address; /* linear */
};

struct assist_fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t address; /* CR2 of a page fault */
};

enum assist_outcome {
	ASSIST_DONE,	/* executed; RIP points to the next instruction */
	ASSIST_FAULT,	/* inject *fault; RIP is right for a fault or a trap */
	ASSIST_UNKNOWN, /* not supported; nothing has changed */
};

/* The instruction's access to guest memory. */
struct assist_memory {
	/*
	 * Returns a pointer to length bytes at a linear address, which do not cross a page
	 * boundary, checked against the rights of the current privilege level. NULL: *fault is the
	 * page fault, or has vector 0 if the address is not RAM.
	 */
	void *(*map)(void *arg, uint64_t address, size_t length, bool write,
		     struct assist_fault *fault);
	void *arg;
};

/* Decodes one instruction of up to size bytes. False: not supported, or too few bytes. */
bool assist_decode(const struct assist_cpu *cpu, const uint8_t *bytes, size_t size,
		   struct assist_insn *insn);

/* Whether the instruction needs cpu->xsave. */
bool assist_needs_xsave(const struct assist_insn *insn);

/* Executes a decoded instruction on cpu and memory. */
enum assist_outcome assist_execute(struct assist_cpu *cpu, const struct assist_insn *insn,
				   const struct assist_memory *memory,
				   const struct assist_layout *layout, struct assist_fault *fault);

/* The XSAVE instructions of assist_execute() (vmm/kvm/assist_xsave.c). */
enum assist_outcome assist_xsave(struct assist_cpu *cpu, uint64_t address,
				 const struct assist_memory *memory,
				 const struct assist_layout *layout, struct assist_fault *fault);
enum assist_outcome assist_xrstor(struct assist_cpu *cpu, uint64_t address,
				  const struct assist_memory *memory,
				  const struct assist_layout *layout, struct assist_fault *fault);
enum assist_outcome assist_mxcsr(struct assist_cpu *cpu, const struct assist_insn *insn,
				 const struct assist_memory *memory, struct assist_fault *fault);

/* Copy across page boundaries. ASSIST_DONE, or the outcome for the first page that failed. */
enum assist_outcome assist_copy_in(const struct assist_memory *memory, uint64_t address, void *to,
				   size_t length, struct assist_fault *fault);
enum assist_outcome assist_copy_out(const struct assist_memory *memory, uint64_t address,
				    const void *from, size_t length, struct assist_fault *fault);

/* Fills *fault and returns ASSIST_FAULT. error < 0: the exception has no error code. */
enum assist_outcome assist_raise(struct assist_fault *fault, uint8_t vector, int error);

#endif
