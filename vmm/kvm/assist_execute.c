/* SPDX-License-Identifier: Apache-2.0 */
/* Executes a decoded instruction on a struct of registers (Intel SDM volume 2). */
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"

#define FLAG_CF (1ull << 0)
#define FLAG_PF (1ull << 2)
#define FLAG_AF (1ull << 4)
#define FLAG_ZF (1ull << 6)
#define FLAG_SF (1ull << 7)
#define FLAG_OF (1ull << 11)
#define FLAG_AC (1ull << 18)

#define CR0_MP	    (1ull << 1)
#define CR0_TS	    (1ull << 3)
#define CR4_OSXSAVE (1ull << 18)

#define VECTOR_BP 3
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_GP 13

#define GPR_RAX 0
#define GPR_RCX 1
#define GPR_RDX 2
#define GPR_RBX 3

#define PAGE_SIZE 4096

enum assist_outcome assist_raise(struct assist_fault *fault, uint8_t vector, int error)
{
	*fault = (struct assist_fault){.vector = vector, .has_error = error >= 0};
	if (error >= 0)
		fault->error = (uint32_t)error;
	return ASSIST_FAULT;
}

/* The outcome of a failed map(): a page fault, or unknown if the address is not RAM. */
static enum assist_outcome map_failed(const struct assist_fault *fault)
{
	return fault->vector ? ASSIST_FAULT : ASSIST_UNKNOWN;
}

enum assist_outcome assist_copy_in(const struct assist_memory *memory, uint64_t address, void *to,
				   size_t length, struct assist_fault *fault)
{
	uint8_t *at = to;
	size_t part;
	void *from;

	for (; length > 0; length -= part, at += part, address += part) {
		part = min_u64(length, PAGE_SIZE - (address & (PAGE_SIZE - 1)));
		*fault = (struct assist_fault){0};
		from = memory->map(memory->arg, address, part, false, fault);
		if (!from)
			return map_failed(fault);
		memcpy(at, from, part);
	}
	return ASSIST_DONE;
}

enum assist_outcome assist_copy_out(const struct assist_memory *memory, uint64_t address,
				    const void *from, size_t length, struct assist_fault *fault)
{
	const uint8_t *at = from;
	size_t part;
	void *to;

	for (; length > 0; length -= part, at += part, address += part) {
		part = min_u64(length, PAGE_SIZE - (address & (PAGE_SIZE - 1)));
		*fault = (struct assist_fault){0};
		to = memory->map(memory->arg, address, part, true, fault);
		if (!to)
			return map_failed(fault);
		memcpy(to, at, part);
	}
	return ASSIST_DONE;
}

/* Writes a register: a 32-bit write clears the upper half, a 16-bit write keeps the other bits. */
static void write_gpr(struct assist_cpu *cpu, unsigned number, unsigned size, uint64_t value)
{
	if (size == 8)
		cpu->gpr[number] = value;
	else if (size == 4)
		cpu->gpr[number] = (uint32_t)value;
	else
		cpu->gpr[number] = (cpu->gpr[number] & ~0xffffull) | (value & 0xffff);
}

/* Reads the r/m operand, zero-extended. */
static enum assist_outcome read_operand(const struct assist_cpu *cpu,
					const struct assist_insn *insn, unsigned size,
					const struct assist_memory *memory, uint64_t *value,
					struct assist_fault *fault)
{
	uint8_t raw[8] = {0};

	if (insn->memory) {
		enum assist_outcome got = assist_copy_in(memory, insn->address, raw, size, fault);

		*value = load_le64(raw);
		return got;
	}
	*value = cpu->gpr[insn->rm];
	if (size < 8)
		*value &= (1ull << size * 8) - 1;
	return ASSIST_DONE;
}

static enum assist_outcome popcnt(struct assist_cpu *cpu, const struct assist_insn *insn,
				  const struct assist_memory *memory, struct assist_fault *fault)
{
	enum assist_outcome got;
	uint64_t value;

	got = read_operand(cpu, insn, insn->operand_size, memory, &value, fault);
	if (got != ASSIST_DONE)
		return got;
	write_gpr(cpu, insn->reg, insn->operand_size, (uint64_t)__builtin_popcountll(value));
	cpu->rflags &= ~(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF);
	if (value == 0)
		cpu->rflags |= FLAG_ZF;
	return ASSIST_DONE;
}

static enum assist_outcome xgetbv(struct assist_cpu *cpu, struct assist_fault *fault)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		return assist_raise(fault, VECTOR_UD, -1);
	if ((uint32_t)cpu->gpr[GPR_RCX] != 0)
		return assist_raise(fault, VECTOR_GP, 0);
	cpu->gpr[GPR_RAX] = (uint32_t)cpu->xcr0;
	cpu->gpr[GPR_RDX] = cpu->xcr0 >> 32;
	return ASSIST_DONE;
}

static bool compare_exchange_16(void *at, uint64_t expected[2], const uint64_t wanted[2])
{
	bool equal;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(equal), "+m"(*(unsigned __int128 *)at), "+a"(expected[0]),
			   "+d"(expected[1])
			 : "b"(wanted[0]), "c"(wanted[1])
			 : "memory");
	return equal;
}

/* Always atomic: another vCPU may access the same memory. */
static enum assist_outcome cmpxchg16b(struct assist_cpu *cpu, const struct assist_insn *insn,
				      const struct assist_memory *memory,
				      struct assist_fault *fault)
{
	uint64_t expected[2] = {cpu->gpr[GPR_RAX], cpu->gpr[GPR_RDX]};
	uint64_t wanted[2] = {cpu->gpr[GPR_RBX], cpu->gpr[GPR_RCX]};
	void *at;

	if (insn->address & 15)
		return assist_raise(fault, VECTOR_GP, 0);
	*fault = (struct assist_fault){0};
	at = memory->map(memory->arg, insn->address, 16, true, fault);
	if (!at)
		return map_failed(fault);
	if (compare_exchange_16(at, expected, wanted)) {
		cpu->rflags |= FLAG_ZF;
		return ASSIST_DONE;
	}
	cpu->rflags &= ~FLAG_ZF;
	cpu->gpr[GPR_RAX] = expected[0];
	cpu->gpr[GPR_RDX] = expected[1];
	return ASSIST_DONE;
}

/*
 * Reads the descriptor that a selector names. *found is false for a null selector and for one past
 * the end of its table: for these VERW and LSL clear ZF and raise no exception.
 */
static enum assist_outcome read_descriptor(const struct assist_cpu *cpu, uint16_t selector,
					   const struct assist_memory *memory, uint64_t *descriptor,
					   bool *found, struct assist_fault *fault)
{
	bool local = selector & 4;
	uint32_t offset = selector & ~7u, limit = local ? cpu->ldt_limit : cpu->gdt_limit;
	uint64_t base = local ? cpu->ldt_base : cpu->gdt_base;
	enum assist_outcome got;
	uint8_t raw[8];

	*found = false;
	if ((selector & ~3) == 0 || offset + 7 > limit)
		return ASSIST_DONE;
	got = assist_copy_in(memory, base + offset, raw, sizeof(raw), fault);
	*found = got == ASSIST_DONE;
	*descriptor = load_le64(raw);
	return got;
}

/* Whether CPL and the selector's RPL may use a descriptor of this DPL. */
static bool privileged(const struct assist_cpu *cpu, uint16_t selector, uint64_t descriptor)
{
	unsigned dpl = descriptor >> 45 & 3;

	return cpu->cpl <= dpl && (selector & 3u) <= dpl;
}

static bool verw_allows(const struct assist_cpu *cpu, uint16_t selector, uint64_t descriptor)
{
	unsigned type = descriptor >> 40 & 0x1f; /* with the S bit on top */

	/* S set, not code, writable */
	return (type & 0x1a) == 0x12 && privileged(cpu, selector, descriptor);
}

static bool lsl_allows(const struct assist_cpu *cpu, uint16_t selector, uint64_t descriptor)
{
	unsigned type = descriptor >> 40 & 0x1f;

	if ((type & 0x1c) == 0x1c) /* conforming code: any privilege */
		return true;
	if (!(type & 0x10) && type != 2 && type != 9 && type != 0xb) /* not LDT or 64-bit TSS */
		return false;
	return privileged(cpu, selector, descriptor);
}

static uint64_t segment_limit(uint64_t descriptor)
{
	uint64_t limit = (descriptor & 0xffff) | (descriptor >> 32 & 0xf0000);

	return descriptor >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

static enum assist_outcome verw_or_lsl(struct assist_cpu *cpu, const struct assist_insn *insn,
				       const struct assist_memory *memory,
				       struct assist_fault *fault)
{
	uint64_t selector, descriptor = 0;
	enum assist_outcome got;
	bool found, allowed;

	got = read_operand(cpu, insn, 2, memory, &selector, fault);
	if (got == ASSIST_DONE)
		got = read_descriptor(cpu, (uint16_t)selector, memory, &descriptor, &found, fault);
	if (got != ASSIST_DONE)
		return got;
	if (insn->op == ASSIST_VERW)
		allowed = found && verw_allows(cpu, (uint16_t)selector, descriptor);
	else
		allowed = found && lsl_allows(cpu, (uint16_t)selector, descriptor);
	if (allowed && insn->op == ASSIST_LSL)
		write_gpr(cpu, insn->reg, insn->operand_size, segment_limit(descriptor));
	cpu->rflags = allowed ? cpu->rflags | FLAG_ZF : cpu->rflags & ~FLAG_ZF;
	return ASSIST_DONE;
}

bool assist_needs_xsave(const struct assist_insn *insn)
{
	return insn->op == ASSIST_XSAVE || insn->op == ASSIST_XRSTOR ||
	       insn->op == ASSIST_LDMXCSR || insn->op == ASSIST_STMXCSR;
}

static enum assist_outcome execute(struct assist_cpu *cpu, const struct assist_insn *insn,
				   const struct assist_memory *memory,
				   const struct assist_layout *layout, struct assist_fault *fault)
{
	switch (insn->op) {
	case ASSIST_INT3:
		return assist_raise(fault, VECTOR_BP, -1);
	case ASSIST_FWAIT:
		/*
		 * Does not check for pending x87 exceptions: a kernel executes FWAIT only after it
		 * has cleared them.
		 */
		if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
			return assist_raise(fault, VECTOR_NM, -1);
		return ASSIST_DONE;
	case ASSIST_CLAC:
		cpu->rflags &= ~FLAG_AC;
		return ASSIST_DONE;
	case ASSIST_STAC:
		cpu->rflags |= FLAG_AC;
		return ASSIST_DONE;
	case ASSIST_POPCNT:
		return popcnt(cpu, insn, memory, fault);
	case ASSIST_XGETBV:
		return xgetbv(cpu, fault);
	case ASSIST_CMPXCHG16B:
		return cmpxchg16b(cpu, insn, memory, fault);
	case ASSIST_VERW:
	case ASSIST_LSL:
		return verw_or_lsl(cpu, insn, memory, fault);
	case ASSIST_XSAVE:
		return assist_xsave(cpu, insn->address, memory, layout, fault);
	case ASSIST_XRSTOR:
		return assist_xrstor(cpu, insn->address, memory, layout, fault);
	case ASSIST_LDMXCSR:
	case ASSIST_STMXCSR:
		return assist_mxcsr(cpu, insn, memory, fault);
	default:
		return ASSIST_UNKNOWN;
	}
}

enum assist_outcome assist_execute(struct assist_cpu *cpu, const struct assist_insn *insn,
				   const struct assist_memory *memory,
				   const struct assist_layout *layout, struct assist_fault *fault)
{
	enum assist_outcome got;

	*fault = (struct assist_fault){0};
	got = execute(cpu, insn, memory, layout, fault);
	/* INT3 is a trap: RIP points past the instruction. */
	if (got == ASSIST_DONE || (got == ASSIST_FAULT && insn->op == ASSIST_INT3))
		cpu->rip += insn->length;
	return got;
}
