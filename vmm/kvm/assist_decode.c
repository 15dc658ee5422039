/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: prefixes, opcode, ModRM, SIB, displacement (Intel SDM volume 2, chapter 2). */
#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"

#define REX_B 1
#define REX_X 2
#define REX_R 4
#define REX_W 8

struct reader {
	const uint8_t *bytes;
	size_t size, at;
	bool failed;
};

struct prefixes {
	bool operand16, repeat, repeat_not, lock, address32;
	uint8_t rex;
	uint8_t segment; /* 0x64, 0x65 or 0 */
};

static uint8_t next(struct reader *reader)
{
	if (reader->at == reader->size) {
		reader->failed = true;
		return 0;
	}
	return reader->bytes[reader->at++];
}

static uint64_t next_signed(struct reader *reader, unsigned size)
{
	uint8_t raw[4] = {0};
	unsigned i;

	for (i = 0; i < size; i++)
		raw[i] = next(reader);
	if (size == 1)
		return (uint64_t)(int64_t)(int8_t)raw[0];
	return (uint64_t)(int64_t)(int32_t)load_le32(raw);
}

/* Returns the first byte that is not a prefix. */
static uint8_t read_prefixes(struct reader *reader, struct prefixes *p)
{
	uint8_t byte;

	while (!reader->failed) {
		byte = next(reader);
		if ((byte & 0xf0) == 0x40) {
			p->rex = byte;
			return next(reader); /* REX is valid only right before the opcode */
		}
		switch (byte) {
		case 0x66:
			p->operand16 = true;
			break;
		case 0x67:
			p->address32 = true;
			break;
		case 0xf0:
			p->lock = true;
			break;
		case 0xf2:
			p->repeat_not = true;
			p->repeat = false;
			break;
		case 0xf3:
			p->repeat = true;
			p->repeat_not = false;
			break;
		case 0x64:
		case 0x65:
			p->segment = byte;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			p->segment = 0; /* no meaning in 64-bit mode */
			break;
		default:
			return byte;
		}
	}
	return 0;
}

static uint64_t read_sib(struct reader *reader, const struct prefixes *p,
			 const struct assist_cpu *cpu, uint8_t mod)
{
	uint8_t sib = next(reader);
	uint8_t index = (sib >> 3 & 7) | (p->rex & REX_X ? 8 : 0);
	uint8_t base = (sib & 7) | (p->rex & REX_B ? 8 : 0);
	uint64_t address = 0;

	if (index != 4)
		address = cpu->gpr[index] << (sib >> 6);
	if ((sib & 7) == 5 && mod == 0)
		return address + next_signed(reader, 4);
	return address + cpu->gpr[base];
}

/*
 * Reads ModRM, SIB and displacement. None of the supported instructions has an immediate, so the
 * instruction ends here: RIP-relative addresses count from its end.
 */
static void read_modrm(struct reader *reader, const struct prefixes *p,
		       const struct assist_cpu *cpu, uint8_t modrm, struct assist_insn *insn)
{
	uint8_t mod = modrm >> 6, rm = modrm & 7;
	bool relative = mod == 0 && rm == 5;
	uint64_t address;

	insn->reg = (modrm >> 3 & 7) | (p->rex & REX_R ? 8 : 0);
	insn->rm = rm | (p->rex & REX_B ? 8 : 0);
	insn->memory = mod != 3;
	if (!insn->memory)
		return;
	if (relative)
		address = next_signed(reader, 4);
	else if (rm == 4)
		address = read_sib(reader, p, cpu, mod);
	else
		address = cpu->gpr[insn->rm];
	if (mod == 1)
		address += next_signed(reader, 1);
	else if (mod == 2)
		address += next_signed(reader, 4);
	if (relative)
		address += cpu->rip + reader->at;
	if (p->address32)
		address = (uint32_t)address;
	if (p->segment == 0x64)
		address += cpu->fs_base;
	else if (p->segment == 0x65)
		address += cpu->gs_base;
	insn->address = address;
}

/* Opcode 0F 01: each ModRM byte with mod 3 is a separate instruction. */
static bool decode_0f01(uint8_t modrm, enum assist_op *op)
{
	switch (modrm) {
	case 0xca:
		*op = ASSIST_CLAC;
		return true;
	case 0xcb:
		*op = ASSIST_STAC;
		return true;
	case 0xd0:
		*op = ASSIST_XGETBV;
		return true;
	default:
		return false;
	}
}

static bool decode_0fae(uint8_t modrm, bool wide, enum assist_op *op)
{
	static const int ops[8] = {
		-1,	      -1, ASSIST_LDMXCSR, ASSIST_STMXCSR, ASSIST_XSAVE, ASSIST_XRSTOR,
		ASSIST_XSAVE, -1};
	int found = ops[modrm >> 3 & 7];

	if (modrm >> 6 == 3 || found < 0)
		return false;
	*op = (enum assist_op)found;
	/* Without REX.W, XSAVE and XRSTOR use another format, which no 64-bit kernel uses. */
	return found == ASSIST_LDMXCSR || found == ASSIST_STMXCSR || wide;
}

/* Two-byte opcodes. The caller has read modrm, because it can select the instruction. */
static bool decode_0f(uint8_t opcode, uint8_t modrm, const struct prefixes *p, enum assist_op *op)
{
	bool plain = !p->operand16 && !p->repeat && !p->repeat_not;

	switch (opcode) {
	case 0x00:
		*op = ASSIST_VERW;
		return (modrm >> 3 & 7) == 5;
	case 0x01:
		return plain && decode_0f01(modrm, op);
	case 0x03:
		*op = ASSIST_LSL;
		return true;
	case 0xae:
		return plain && decode_0fae(modrm, p->rex & REX_W, op);
	case 0xb8:
		*op = ASSIST_POPCNT;
		return p->repeat;
	case 0xc7:
		*op = ASSIST_CMPXCHG16B;
		return plain && (modrm >> 3 & 7) == 1 && modrm >> 6 != 3 && (p->rex & REX_W);
	default:
		return false;
	}
}

bool assist_decode(const struct assist_cpu *cpu, const uint8_t *bytes, size_t size,
		   struct assist_insn *insn)
{
	struct reader reader = {.bytes = bytes, .size = min_u64(size, ASSIST_INSN_MAX)};
	struct prefixes p = {0};
	uint8_t opcode, modrm;

	*insn = (struct assist_insn){.op = ASSIST_OPS};
	opcode = read_prefixes(&reader, &p);
	if (opcode == 0xcc || opcode == 0x9b) {
		insn->op = opcode == 0xcc ? ASSIST_INT3 : ASSIST_FWAIT;
	} else {
		if (opcode != 0x0f)
			return false;
		opcode = next(&reader);
		modrm = next(&reader);
		if (reader.failed || !decode_0f(opcode, modrm, &p, &insn->op))
			return false;
		read_modrm(&reader, &p, cpu, modrm, insn);
	}
	/* LOCK is an invalid opcode on all but one of these. */
	if (reader.failed || (p.lock && insn->op != ASSIST_CMPXCHG16B))
		return false;
	insn->locked = p.lock;
	insn->operand_size = p.rex & REX_W ? 8 : p.operand16 ? 2 : 4;
	insn->length = (uint8_t)reader.at;
	return true;
}
