/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The assist's instructions in a real guest. A program of a few instructions runs in ring 0 or 3 of
 * a VM with one vCPU, page tables and an interrupt table whose handlers report their vectors. The
 * expected outcome is the same on every kind of host: on hardware the processor executes the
 * program; on a host that emulates ring 0 the assist (vmm/kvm/assist.h) does its part, which is
 * checked too.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/kvm/assist.h"
#include "vmm/kvm/probe.h"

#define MEMORY	  MIB(4)
#define GDT	  0x2000u
#define IDT	  0x3000u
#define HANDLERS  0x4000u
#define HANDLER	  16u /* bytes each */
#define CODE	  0x8000u
#define TSS	  0x9000u
#define TABLES	  0x10000u /* PML4, PDPT, page directory, page table, directory of the devices */
#define STACK	  0x20000u
#define DATA	  0x30000u
#define READ_ONLY 0x31000u
#define ABSENT	  0x32000u
#define PORT_DONE 0x10
#define PORT_TRAP 0x11
#define DEVICE	  0xd0000000u

/* The programs. Each ends with `out` to PORT_DONE or with an exception. */
#define PROGRAM(name, text)                                                                  \
	__asm__(".pushsection .rodata\n" #name "_begin:\n" text "\n\tout %al, $0x10\n" #name \
		"_end:\n.popsection\n");                                                     \
	extern const uint8_t name##_begin[], name##_end[]

PROGRAM(p_nothing, "nop");
PROGRAM(p_popcnt, "mov $0x30000, %ebx; movl $0xf0f, (%rbx); popcnt (%rbx), %rax");
PROGRAM(p_popcnt_absent, "mov $0x32010, %ebx; popcnt (%rbx), %rax");
PROGRAM(p_int3, "int3");
PROGRAM(p_fwait, "mov $7, %eax; fwait");
PROGRAM(p_stac_clac, "stac; pushf; pop %rax; clac; pushf; pop %rbx; xor %rbx, %rax");
PROGRAM(p_cmpxchg16b, "mov $0x30000, %esi; movq $5, (%rsi); movq $6, 8(%rsi); mov $5, %eax;"
		      "mov $6, %edx; mov $7, %ebx; mov $8, %ecx; lock cmpxchg16b (%rsi);"
		      "mov (%rsi), %rax; shl $8, %rax; or 8(%rsi), %rax");
PROGRAM(p_cmpxchg16b_read_only, "mov $0x31000, %esi; lock cmpxchg16b (%rsi)");
PROGRAM(p_xgetbv, "xor %ecx, %ecx; xgetbv");
PROGRAM(p_xsave, "mov $0x30000, %edi; mov $3, %eax; xor %edx, %edx; xsave64 (%rdi);"
		 "movl $0x55aa, 160(%rdi); movq $3, 512(%rdi); xrstor64 (%rdi);"
		 "xsave64 0x400(%rdi); mov 0x400+160(%rdi), %eax");
PROGRAM(p_xsave_read_only, "mov $0x31000, %edi; mov $3, %eax; xor %edx, %edx; xsave64 (%rdi)");
PROGRAM(p_xrstor_bad, "mov $0x30000, %edi; movq $0, 528(%rdi); movq $8, 512(%rdi); mov $-1, %eax;"
		      "xor %edx, %edx; xrstor64 (%rdi)");
PROGRAM(p_mxcsr, "mov $0x30000, %edi; movl $0x9f80, (%rdi); ldmxcsr (%rdi); stmxcsr 4(%rdi);"
		 "mov 4(%rdi), %eax");
PROGRAM(p_verw, "mov $0x10, %ecx; xor %eax, %eax; verw %cx; setz %al");
PROGRAM(p_lsl, "mov $0x28, %ecx; lsl %ecx, %eax");
PROGRAM(p_vector_of_device, "mov $0xd0000000, %ebx; vmovdqu (%rbx), %ymm0");
PROGRAM(p_unknown, "vpxor %ymm0, %ymm0, %ymm0");
PROGRAM(p_jump_to_device, "mov $0xd0000000, %ebx; jmp *%rbx");

#define NO_VECTOR (-1)
#define NO_OP	  (-1)

struct program {
	const char *name;
	const uint8_t *begin, *end;
	int vector;	/* the exception that ends it, or NO_VECTOR */
	uint64_t value; /* RAX at the end, or CR2 of a page fault */
	uint32_t error; /* code of a page fault */
	int op;		/* the assist's operation on a host that emulates ring 0 */
	uint8_t ring;
	const char *gives_up; /* only on emulating hosts: part of the message */
};

#define CODE_OF(name) name##_begin, name##_end

static const struct program programs[] = {
	{"nothing", CODE_OF(p_nothing), NO_VECTOR, 0, 0, NO_OP, 0, NULL},
	{"popcnt", CODE_OF(p_popcnt), NO_VECTOR, 8, 0, ASSIST_POPCNT, 0, NULL},
	{"popcnt_of_absent_page", CODE_OF(p_popcnt_absent), 14, 0x32010, 0, ASSIST_POPCNT, 0, NULL},
	{"int3", CODE_OF(p_int3), 3, 0, 0, ASSIST_INT3, 0, NULL},
	{"fwait", CODE_OF(p_fwait), NO_VECTOR, 7, 0, ASSIST_FWAIT, 0, NULL},
	{"stac_clac", CODE_OF(p_stac_clac), NO_VECTOR, 0x40000, 0, ASSIST_CLAC, 0, NULL},
	{"cmpxchg16b", CODE_OF(p_cmpxchg16b), NO_VECTOR, 0x708, 0, ASSIST_CMPXCHG16B, 0, NULL},
	{"cmpxchg16b_of_read_only_page", CODE_OF(p_cmpxchg16b_read_only), 14, 0x31000, 3,
	 ASSIST_CMPXCHG16B, 0, NULL},
	{"xgetbv", CODE_OF(p_xgetbv), NO_VECTOR, 3, 0, ASSIST_XGETBV, 0, NULL},
	{"xsave_xrstor", CODE_OF(p_xsave), NO_VECTOR, 0x55aa, 0, ASSIST_XRSTOR, 0, NULL},
	{"xsave_to_read_only_page", CODE_OF(p_xsave_read_only), 14, 0x31000, 3, ASSIST_XSAVE, 0,
	 NULL},
	{"xrstor_of_bad_image", CODE_OF(p_xrstor_bad), 13, 0, 0, ASSIST_XRSTOR, 0, NULL},
	{"mxcsr", CODE_OF(p_mxcsr), NO_VECTOR, 0x9f80, 0, ASSIST_STMXCSR, 0, NULL},
	{"verw", CODE_OF(p_verw), NO_VECTOR, 1, 0, ASSIST_VERW, 0, NULL},
	{"lsl", CODE_OF(p_lsl), NO_VECTOR, 0x67, 0, ASSIST_LSL, 0, NULL},
	{"program_loads_device_into_vector", CODE_OF(p_vector_of_device), 6, 0, 0, NO_OP, 3, NULL},
	{"program_jumps_to_device", CODE_OF(p_jump_to_device), 6, 0, 0, NO_OP, 3, NULL},
	{"unknown_instruction", CODE_OF(p_unknown), NO_VECTOR, 0, 0, NO_OP, 0,
	 "instruction c5 fd ef c0 e6 10"},
	{"kernel_jumps_to_device", CODE_OF(p_jump_to_device), NO_VECTOR, 0, 0, NO_OP, 0,
	 "0xd0000000, which is not memory"},
};

struct machine {
	int kvm, vm, cpu;
	bool emulated;
	uint8_t *ram;
	struct guest_memory memory;
	struct kvm_run *run;
	struct assist_stats stats;
	struct err err;
};

static void put(struct machine *m, uint32_t at, uint64_t value)
{
	store_le64(m->ram + at, value);
}

/* Maps 2 MiB one to one in small pages, two of them special, and the devices. */
static void make_tables(struct machine *m)
{
	unsigned i;

	put(m, TABLES, (TABLES + 0x1000) | 7);
	put(m, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	put(m, TABLES + 0x1000 + 3 * 8, (TABLES + 0x4000) | 7);
	put(m, TABLES + 0x2000, (TABLES + 0x3000) | 7);
	for (i = 0; i < 512; i++)
		put(m, TABLES + 0x3000 + i * 8, (uint64_t)i << 12 | 7);
	put(m, TABLES + 0x3000 + (READ_ONLY >> 12) * 8, READ_ONLY | 5);
	put(m, TABLES + 0x3000 + (ABSENT >> 12) * 8, 0);
	put(m, TABLES + 0x4000 + (DEVICE >> 21 & 511) * 8, DEVICE | 0x87);
}

/*
 * Code and data segments for both rings, a TSS with the stack, handlers that write their vectors to
 * a port.
 */
static void make_descriptors(struct machine *m)
{
	static const uint64_t gdt[] = {0,
				       0x00af9b000000ffff,
				       0x00cf93000000ffff,
				       0x00cff3000000ffff,
				       0x00affb000000ffff,
				       0x00008b0000000067 | (uint64_t)TSS << 16,
				       0};
	unsigned i;

	memcpy(m->ram + GDT, gdt, sizeof(gdt));
	put(m, TSS + 4, STACK);
	for (i = 0; i < 32; i++) {
		uint8_t handler[] = {0xb0, (uint8_t)i, 0xe6, PORT_TRAP, 0xeb, 0xfe};

		memcpy(m->ram + HANDLERS + i * HANDLER, handler, sizeof(handler));
		put(m, IDT + i * 16, 0xee0000080000ull | (HANDLERS + i * HANDLER));
		put(m, IDT + i * 16 + 8, 0);
	}
}

static int set_state(struct machine *m, uint8_t ring)
{
	struct kvm_segment code = {.limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
	struct kvm_segment data = {.limit = ~0u, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_regs regs = {.rip = CODE, .rsp = STACK - 0x100, .rflags = 2};
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = 3}}};
	struct kvm_sregs s;

	code.dpl = data.dpl = ring;
	code.selector = ring ? 0x23 : 0x08;
	data.selector = ring ? 0x1b : 0x10;
	if (ioctl(m->cpu, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){
		.base = TSS, .limit = 0x67, .selector = 0x28, .type = 11, .present = 1};
	s.gdt.base = GDT;
	s.gdt.limit = 7 * 8 - 1;
	s.idt.base = IDT;
	s.idt.limit = 32 * 16 - 1;
	s.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
	s.cr3 = TABLES;
	s.cr4 = 0x406a0; /* OSXSAVE, OSXMMEXCPT, OSFXSR, PGE, PAE */
	s.efer = 0xd00;	 /* NXE, LMA, LME */
	if (ioctl(m->cpu, KVM_SET_SREGS, &s) < 0 || ioctl(m->cpu, KVM_SET_XCRS, &xcrs) < 0)
		return -1;
	return ioctl(m->cpu, KVM_SET_REGS, &regs);
}

static int set_cpuid(struct machine *m)
{
	struct {
		uint32_t nent, padding;
		struct kvm_cpuid_entry2 entries[256];
	} table = {.nent = 256};

	if (ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, &table) < 0)
		return -1;
	return ioctl(m->cpu, KVM_SET_CPUID2, &table);
}

static void end(struct machine *m)
{
	if (m->run && m->run != MAP_FAILED)
		munmap(m->run, (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	fd_close(&m->cpu);
	fd_close(&m->vm);
	fd_close(&m->kvm);
	if (m->ram && m->ram != MAP_FAILED)
		munmap(m->ram, MEMORY);
}

static int begin(struct machine *m, const struct program *p)
{
	struct kvm_userspace_memory_region slot = {.memory_size = MEMORY};

	*m = (struct machine){.kvm = -1, .vm = -1, .cpu = -1, .memory = {.fd = -1}};
	if (host_open_kvm(&m->kvm, &m->err) < 0 ||
	    host_is_ring0_emulated(m->kvm, &m->emulated, &m->err) < 0)
		return -1;
	m->ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	slot.userspace_addr = (uintptr_t)m->ram;
	if (m->ram == MAP_FAILED || m->vm < 0 || ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000) < 0 ||
	    ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0 ||
	    guest_memory_add(&m->memory, 0, m->ram, MEMORY) < 0)
		return err_sys(&m->err, "making a VM");
	m->cpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (m->cpu < 0)
		return err_sys(&m->err, "KVM_CREATE_VCPU");
	m->run = mmap(NULL, (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		      PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu, 0);
	make_tables(m);
	make_descriptors(m);
	memcpy(m->ram + CODE, p->begin, (size_t)(p->end - p->begin));
	if (m->run == MAP_FAILED || set_cpuid(m) < 0 || set_state(m, p->ring) < 0)
		return err_sys(&m->err, "setting up a vCPU");
	return 0;
}

/* Runs until a port is accessed. Returns the port, or -1 with a message. */
static int run_to_port(struct machine *m)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (ioctl(m->cpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(&m->err, "KVM_RUN");
		}
		if (m->run->exit_reason == KVM_EXIT_IO)
			return m->run->io.port;
		if (!m->emulated || m->run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
			return err_set(&m->err, EIO, "exit reason %u", m->run->exit_reason);
		if (assist_handle(m->cpu, m->run, &m->memory, &m->stats, &m->err) < 0)
			return -1;
	}
	return err_set(&m->err, EIO, "it does not end");
}

#define FAIL(...) return err_set(&m->err, EIO, __VA_ARGS__)

static int check_trap(struct machine *m, const struct program *p)
{
	uint8_t vector = ((uint8_t *)m->run)[m->run->io.data_offset];
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(m->cpu, KVM_GET_REGS, &regs) < 0 || ioctl(m->cpu, KVM_GET_SREGS, &sregs) < 0)
		FAIL("registers");
	if (vector != p->vector)
		FAIL("exception %u, expected %d", vector, p->vector);
	if (vector == 14 && (sregs.cr2 != p->value || load_le64(m->ram + regs.rsp) != p->error))
		FAIL("page fault at %#llx with error %#llx", (unsigned long long)sregs.cr2,
		     (unsigned long long)load_le64(m->ram + regs.rsp));
	return 0;
}

static int check_value(struct machine *m, const struct program *p)
{
	struct kvm_regs regs;

	if (p->vector != NO_VECTOR)
		FAIL("no exception, expected %d", p->vector);
	if (ioctl(m->cpu, KVM_GET_REGS, &regs) < 0 || regs.rax != p->value)
		FAIL("%#llx, expected %#llx", (unsigned long long)regs.rax,
		     (unsigned long long)p->value);
	return 0;
}

/* 0, or -errno with a message. */
static int judge(struct machine *m, const struct program *p)
{
	int port = run_to_port(m), ret;

	if (p->gives_up && m->emulated) {
		if (port >= 0)
			FAIL("it went on");
		return strstr(m->err.text, p->gives_up) ? 0 : -EIO;
	}
	if (port < 0)
		return port;
	ret = port == PORT_TRAP ? check_trap(m, p) : check_value(m, p);
	if (ret == 0 && m->emulated && p->op != NO_OP && m->stats.count[p->op] == 0)
		FAIL("it was not assisted");
	if (ret == 0 && m->emulated && p->ring == 3 && m->stats.user != 1)
		FAIL("it was not refused");
	return ret;
}

/* Why this host or processor cannot run the program, or NULL. */
static const char *why_skip(const struct machine *m, const struct program *p)
{
	unsigned eax, ebx = 0, ecx, edx;

	if (p->begin == p_stac_clac_begin &&
	    (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & 1 << 20)))
		return "the processor has no SMAP";
	if (!m->emulated && (p->gives_up || p->ring == 3))
		return "only where ring 0 is emulated";
	return NULL;
}

int main(void)
{
	const char *skip;
	struct machine m;
	int failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		const struct program *p = &programs[i];

		if (begin(&m, p) < 0) {
			printf("not ok %s %s\n", p->name, m.err.text);
			failed = 1;
		} else if ((skip = why_skip(&m, p))) {
			printf("skip %s %s\n", p->name, skip);
		} else if (judge(&m, p) < 0) {
			printf("not ok %s %s\n", p->name, m.err.text);
			failed = 1;
		} else {
			printf("ok %s\n", p->name);
		}
		end(&m);
	}
	return failed;
}
