/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE, XRSTOR and MXCSR on an XSAVE image (Intel SDM volume 1, chapter 13).
 *
 * Supports the standard form only. XSAVEC and XSAVES use the compacted form; assist_cmdline() tells
 * the kernel not to use them.
 */
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"

#define CR0_TS	    (1ull << 3)
#define CR4_OSXSAVE (1ull << 18)

#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_GP 13

#define GPR_RAX 0
#define GPR_RDX 2

#define STATE_X87 1ull
#define STATE_SSE 2ull
#define STATE_AVX 4ull

/* The legacy region, and the header after it. */
#define OFFSET_MXCSR	  24
#define OFFSET_MXCSR_MASK 28
#define OFFSET_ST	  32
#define SIZE_ST		  128
#define OFFSET_XMM	  160
#define SIZE_XMM	  256
#define OFFSET_HEADER	  512
#define OFFSET_XCOMP_BV	  520
#define SIZE_HEADER	  64
#define RESERVED_HEADER	  24 /* bytes from XCOMP_BV on that must be 0 in standard form */

#define DEFAULT_FCW	   0x37f
#define DEFAULT_MXCSR_MASK 0xffbf /* if the image's mask is 0 */

/* Checks for #UD, #NM and #GP, which precede everything else. */
static enum assist_outcome check(const struct assist_cpu *cpu, uint64_t address,
				 struct assist_fault *fault)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		return assist_raise(fault, VECTOR_UD, -1);
	if (cpu->cr0 & CR0_TS)
		return assist_raise(fault, VECTOR_NM, -1);
	if (address & 63)
		return assist_raise(fault, VECTOR_GP, 0);
	return ASSIST_DONE;
}

/* The requested components (RFBM). */
static uint64_t requested(const struct assist_cpu *cpu)
{
	return cpu->xcr0 & (cpu->gpr[GPR_RDX] << 32 | (uint32_t)cpu->gpr[GPR_RAX]);
}

/* Size in bytes of an image with these components; 0 if one of them does not fit in it. */
static size_t extent(const struct assist_layout *layout, uint64_t components)
{
	size_t end = OFFSET_HEADER + SIZE_HEADER;
	unsigned i;

	for (i = 2; i < ASSIST_COMPONENTS; i++) {
		uint32_t offset = layout->component[i].offset, size = layout->component[i].size;

		if (!(components >> i & 1))
			continue;
		if (offset < OFFSET_HEADER + SIZE_HEADER || size == 0 ||
		    !range_within(offset, size, ASSIST_XSAVE_SIZE))
			return 0;
		end = max_u64(end, (uint64_t)offset + size);
	}
	return end;
}

static void copy_x87(uint8_t *to, const uint8_t *from)
{
	memcpy(to, from, OFFSET_MXCSR);
	memcpy(to + OFFSET_ST, from + OFFSET_ST, SIZE_ST);
}

/* Copies components from one image to another, without header and MXCSR. */
static void copy_components(uint8_t *to, const uint8_t *from, uint64_t components,
			    const struct assist_layout *layout)
{
	unsigned i;

	if (components & STATE_X87)
		copy_x87(to, from);
	if (components & STATE_SSE)
		memcpy(to + OFFSET_XMM, from + OFFSET_XMM, SIZE_XMM);
	for (i = 2; i < ASSIST_COMPONENTS; i++)
		if (components >> i & 1)
			memcpy(to + layout->component[i].offset, from + layout->component[i].offset,
			       layout->component[i].size);
}

/*
 * Writes all requested components. XSAVEOPT may skip those in their initial state but need not, so
 * this is correct for it too.
 */
enum assist_outcome assist_xsave(struct assist_cpu *cpu, uint64_t address,
				 const struct assist_memory *memory,
				 const struct assist_layout *layout, struct assist_fault *fault)
{
	uint64_t wanted = requested(cpu), in_use;
	uint8_t area[ASSIST_XSAVE_SIZE];
	enum assist_outcome got = check(cpu, address, fault);
	size_t size = extent(layout, wanted);

	if (got != ASSIST_DONE)
		return got;
	if (size == 0)
		return ASSIST_UNKNOWN;
	/* Components that are not requested keep their bytes in memory. */
	got = assist_copy_in(memory, address, area, size, fault);
	if (got != ASSIST_DONE)
		return got;
	copy_components(area, cpu->xsave, wanted, layout);
	if (wanted & (STATE_SSE | STATE_AVX))
		memcpy(area + OFFSET_MXCSR, cpu->xsave + OFFSET_MXCSR, 8);
	in_use = load_le64(cpu->xsave + OFFSET_HEADER);
	store_le64(area + OFFSET_HEADER,
		   (load_le64(area + OFFSET_HEADER) & ~wanted) | (in_use & wanted));
	return assist_copy_out(memory, address, area, size, fault);
}

static bool mxcsr_allowed(const struct assist_cpu *cpu, uint32_t mxcsr)
{
	uint32_t mask = load_le32(cpu->xsave + OFFSET_MXCSR_MASK);

	return (mxcsr & ~(mask ? mask : DEFAULT_MXCSR_MASK)) == 0;
}

/* Sets components to their initial state. */
static void initialise(uint8_t *image, uint64_t components, const struct assist_layout *layout)
{
	static const uint8_t zeros[ASSIST_XSAVE_SIZE];

	copy_components(image, zeros, components, layout);
	if (components & STATE_X87)
		store_le16(image, DEFAULT_FCW);
}

enum assist_outcome assist_xrstor(struct assist_cpu *cpu, uint64_t address,
				  const struct assist_memory *memory,
				  const struct assist_layout *layout, struct assist_fault *fault)
{
	static const uint8_t zeros[RESERVED_HEADER];
	uint64_t wanted = requested(cpu), stored, in_use;
	uint8_t area[ASSIST_XSAVE_SIZE];
	enum assist_outcome got = check(cpu, address, fault);
	size_t size = extent(layout, wanted);

	if (got != ASSIST_DONE)
		return got;
	if (size == 0)
		return ASSIST_UNKNOWN;
	got = assist_copy_in(memory, address, area, size, fault);
	if (got != ASSIST_DONE)
		return got;
	stored = load_le64(area + OFFSET_HEADER);
	if ((stored & ~cpu->xcr0) != 0 || memcmp(area + OFFSET_XCOMP_BV, zeros, sizeof(zeros)) != 0)
		return assist_raise(fault, VECTOR_GP, 0);
	if (wanted & (STATE_SSE | STATE_AVX)) {
		if (!mxcsr_allowed(cpu, load_le32(area + OFFSET_MXCSR)))
			return assist_raise(fault, VECTOR_GP, 0);
		memcpy(cpu->xsave + OFFSET_MXCSR, area + OFFSET_MXCSR, 4);
	}
	copy_components(cpu->xsave, area, wanted & stored, layout);
	initialise(cpu->xsave, wanted & ~stored, layout);
	in_use = load_le64(cpu->xsave + OFFSET_HEADER);
	in_use = (in_use & ~wanted) | (stored & wanted);
	/* KVM loads MXCSR only with SSE or AVX in use; to mark a component in use is always right.
	 */
	if (wanted & (STATE_SSE | STATE_AVX))
		in_use |= STATE_SSE;
	store_le64(cpu->xsave + OFFSET_HEADER, in_use);
	cpu->xsave_changed = true;
	return ASSIST_DONE;
}

enum assist_outcome assist_mxcsr(struct assist_cpu *cpu, const struct assist_insn *insn,
				 const struct assist_memory *memory, struct assist_fault *fault)
{
	enum assist_outcome got;
	uint8_t raw[4];

	if (cpu->cr0 & CR0_TS)
		return assist_raise(fault, VECTOR_NM, -1);
	if (insn->op == ASSIST_STMXCSR)
		return assist_copy_out(memory, insn->address, cpu->xsave + OFFSET_MXCSR, 4, fault);
	got = assist_copy_in(memory, insn->address, raw, sizeof(raw), fault);
	if (got != ASSIST_DONE)
		return got;
	if (!mxcsr_allowed(cpu, load_le32(raw)))
		return assist_raise(fault, VECTOR_GP, 0);
	memcpy(cpu->xsave + OFFSET_MXCSR, raw, sizeof(raw));
	store_le64(cpu->xsave + OFFSET_HEADER, load_le64(cpu->xsave + OFFSET_HEADER) | STATE_SSE);
	cpu->xsave_changed = true;
	return ASSIST_DONE;
}
