/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction assist's interface to KVM: registers, guest-virtual addresses, exceptions. */
#include "vmm/kvm/assist.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/assist_core.h"
#include "vmm/kvm/cpuid.h"

#define CR0_WP	 (1ull << 16)
#define CR4_LA57 (1ull << 12)

/* Page-table entries (Intel SDM volume 3, 4.5), and the error code of a page fault. */
#define PTE_PRESENT   (1ull << 0)
#define PTE_WRITE     (1ull << 1)
#define PTE_USER      (1ull << 2)
#define PTE_ACCESSED  (1ull << 5)
#define PTE_DIRTY     (1ull << 6)
#define PTE_LARGE     (1ull << 7)
#define PTE_ADDRESS   0x000ffffffffff000ull
#define FAULT_PRESENT 1u
#define FAULT_WRITE   2u
#define FAULT_USER    4u
#define VECTOR_PF     14
#define VECTOR_UD     6

/* KVM features that make hypercalls: unhalt kick, IPIs, yield, migration control. */
#define KVM_HYPERCALL_FEATURES (1u << 7 | 1u << 11 | 1u << 13 | 1u << 17)

struct context {
	int fd;
	const struct guest_memory *memory;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct assist_cpu cpu;
	struct kvm_xsave xsave;
};

static const char *const op_names[ASSIST_OPS] = {
	[ASSIST_INT3] = "int3",
	[ASSIST_FWAIT] = "fwait",
	[ASSIST_CLAC] = "clac",
	[ASSIST_STAC] = "stac",
	[ASSIST_POPCNT] = "popcnt",
	[ASSIST_XGETBV] = "xgetbv",
	[ASSIST_XSAVE] = "xsave",
	[ASSIST_XRSTOR] = "xrstor",
	[ASSIST_LDMXCSR] = "ldmxcsr",
	[ASSIST_STMXCSR] = "stmxcsr",
	[ASSIST_CMPXCHG16B] = "cmpxchg16b",
	[ASSIST_VERW] = "verw",
	[ASSIST_LSL] = "lsl",
};

const char *assist_name(enum assist_op op)
{
	return op < ASSIST_OPS ? op_names[op] : "?";
}

/*
 * 308 SMAP, 151 POPCNT, 141 CX16 (CMPXCHG16B): the emulator lacks their instructions, and the
 * assist needs one exit for each. 321 XSAVEC, 323 XSAVES: the assist supports the standard form
 * only. 297 ERMS, 580 FSRM: with them the kernel copies by REP MOVSB, which is emulated byte by
 * byte. rcu_cpu_stall_suppress: the counter has advanced between save and restore, so a restored
 * kernel would report the current grace period as stalled, which takes longer than the start.
 */
const char *assist_cmdline(void)
{
	return "clearcpuid=308,151,141,321,323,297,580 cordon.ring0emul "
	       "rcupdate.rcu_cpu_stall_suppress=1";
}

void assist_filter_cpuid(struct kvm_cpuid2 *table)
{
	uint32_t i;

	for (i = 0; i < table->nent; i++)
		if (table->entries[i].function == CPUID_KVM_FEATURES)
			table->entries[i].eax &= ~KVM_HYPERCALL_FEATURES;
}

void assist_describe(const struct assist_stats *stats, char *text, size_t size)
{
	size_t used = 0;
	unsigned i;

	text[0] = 0;
	for (i = 0; i < ASSIST_OPS && used < size; i++)
		if (stats->count[i])
			used += (size_t)snprintf(text + used, size - used, "%s%s %llu",
						 used ? ", " : "", op_names[i],
						 (unsigned long long)stats->count[i]);
	if (stats->user && used < size)
		snprintf(text + used, size - used, "%srefused in ring 3 %llu", used ? ", " : "",
			 (unsigned long long)stats->user);
}

/* Offsets of the components in a standard-form XSAVE image: a property of the processor. */
static struct assist_layout layout;
static pthread_once_t layout_once = PTHREAD_ONCE_INIT;

static void find_layout(void)
{
	unsigned i, size, offset, ecx, edx;

	for (i = 2; i < ASSIST_COMPONENTS; i++) {
		if (!__get_cpuid_count(0xd, i, &size, &offset, &ecx, &edx))
			return;
		if (ecx & 1) /* a supervisor component: not in the standard form */
			continue;
		layout.component[i].offset = offset;
		layout.component[i].size = size;
	}
}

/* A pointer to entry index of a guest page table; NULL if that lies outside RAM. */
static uint64_t *entry_at(const struct context *context, uint64_t table, unsigned index)
{
	return guest_memory_at(context->memory, (table & PTE_ADDRESS) + index * 8ull, 8);
}

/*
 * Walks the guest's page tables as the processor would for an access at its current privilege
 * level, and sets accessed and dirty bits. 0 and *gpa; -EFAULT and *fault, with vector 0 if a table
 * lies outside RAM.
 */
static int walk(const struct context *context, uint64_t address, bool write, uint64_t *gpa,
		struct assist_fault *fault)
{
	bool user = context->cpu.cpl == 3;
	uint64_t table = context->sregs.cr3, entry = 0, mask;
	uint64_t *at = NULL;
	int level;

	assist_raise(fault, VECTOR_PF, (int)((write ? FAULT_WRITE : 0) | (user ? FAULT_USER : 0)));
	fault->address = address;
	for (level = context->sregs.cr4 & CR4_LA57 ? 4 : 3; level >= 0; level--) {
		at = entry_at(context, table, address >> (12 + 9 * level) & 511);
		if (!at) {
			fault->vector = 0;
			return -EFAULT;
		}
		/* Read it once: another vCPU may change it. */
		entry = __atomic_load_n(at, __ATOMIC_RELAXED);
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		if ((user && !(entry & PTE_USER)) ||
		    (write && !(entry & PTE_WRITE) && (user || (context->cpu.cr0 & CR0_WP)))) {
			fault->error |= FAULT_PRESENT;
			return -EFAULT;
		}
		if (level == 0 || (level < 3 && (entry & PTE_LARGE)))
			break;
		__atomic_fetch_or(at, PTE_ACCESSED, __ATOMIC_RELAXED);
		table = entry;
	}
	__atomic_fetch_or(at, PTE_ACCESSED | (write ? PTE_DIRTY : 0), __ATOMIC_RELAXED);
	mask = (1ull << (12 + 9 * level)) - 1;
	*gpa = (entry & PTE_ADDRESS & ~mask) | (address & mask);
	return 0;
}

static void *map_guest(void *arg, uint64_t address, size_t length, bool write,
		       struct assist_fault *fault)
{
	const struct context *context = arg;
	void *pointer;
	uint64_t gpa;

	if (walk(context, address, write, &gpa, fault) < 0)
		return NULL;
	pointer = guest_memory_at(context->memory, gpa, length);
	if (!pointer)
		fault->vector = 0;
	return pointer;
}

static int load_registers(struct context *context, struct err *err)
{
	struct assist_cpu *cpu = &context->cpu;
	const struct kvm_regs *r = &context->regs;
	const struct kvm_sregs *s = &context->sregs;

	if (ioctl(context->fd, KVM_GET_REGS, &context->regs) < 0 ||
	    ioctl(context->fd, KVM_GET_SREGS, &context->sregs) < 0)
		return err_sys(err, "reading a vCPU's registers");
	*cpu = (struct assist_cpu){
		.gpr = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi, r->r8,
			r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15},
		.rip = r->rip,
		.rflags = r->rflags,
		.cr0 = s->cr0,
		.cr4 = s->cr4,
		.fs_base = s->fs.base,
		.gs_base = s->gs.base,
		.gdt_base = s->gdt.base,
		.gdt_limit = s->gdt.limit,
		.ldt_base = s->ldt.base,
		.ldt_limit = s->ldt.unusable ? 0 : s->ldt.limit,
		.cpl = s->cs.selector & 3,
	};
	return 0;
}

static int store_registers(struct context *context, struct err *err)
{
	const uint64_t *gpr = context->cpu.gpr;
	struct kvm_regs *r = &context->regs;

	*r = (struct kvm_regs){
		.rax = gpr[0],
		.rcx = gpr[1],
		.rdx = gpr[2],
		.rbx = gpr[3],
		.rsp = gpr[4],
		.rbp = gpr[5],
		.rsi = gpr[6],
		.rdi = gpr[7],
		.r8 = gpr[8],
		.r9 = gpr[9],
		.r10 = gpr[10],
		.r11 = gpr[11],
		.r12 = gpr[12],
		.r13 = gpr[13],
		.r14 = gpr[14],
		.r15 = gpr[15],
		.rip = context->cpu.rip,
		.rflags = context->cpu.rflags,
	};
	if (ioctl(context->fd, KVM_SET_REGS, r) < 0)
		return err_sys(err, "KVM_SET_REGS");
	if (context->cpu.xsave_changed && ioctl(context->fd, KVM_SET_XSAVE, &context->xsave) < 0)
		return err_sys(err, "KVM_SET_XSAVE");
	return 0;
}

/* Loads the state that XSAVE, XRSTOR, LDMXCSR, STMXCSR and XGETBV use. */
static int load_vector_state(struct context *context, struct err *err)
{
	struct kvm_xcrs xcrs;
	uint32_t i;

	pthread_once(&layout_once, find_layout);
	if (ioctl(context->fd, KVM_GET_XCRS, &xcrs) < 0)
		return err_sys(err, "KVM_GET_XCRS");
	for (i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++)
		if (xcrs.xcrs[i].xcr == 0)
			context->cpu.xcr0 = xcrs.xcrs[i].value;
	if (ioctl(context->fd, KVM_GET_XSAVE, &context->xsave) < 0)
		return err_sys(err, "KVM_GET_XSAVE");
	context->cpu.xsave = (uint8_t *)context->xsave.region;
	return 0;
}

static int inject(struct context *context, const struct assist_fault *fault, struct err *err)
{
	struct kvm_vcpu_events events;

	if (fault->vector == VECTOR_PF) {
		context->sregs.cr2 = fault->address;
		if (ioctl(context->fd, KVM_SET_SREGS, &context->sregs) < 0)
			return err_sys(err, "KVM_SET_SREGS");
	}
	if (ioctl(context->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return err_sys(err, "KVM_GET_VCPU_EVENTS");
	events.exception.injected = 1;
	events.exception.pending = 0;
	events.exception.nr = fault->vector;
	events.exception.has_error_code = fault->has_error;
	events.exception.error_code = fault->error;
	if (ioctl(context->fd, KVM_SET_VCPU_EVENTS, &events) < 0)
		return err_sys(err, "KVM_SET_VCPU_EVENTS");
	return 0;
}

/* The bytes at RIP: KVM's copy of the failed instruction if it provides one, else guest memory. */
static size_t instruction_bytes(struct context *context, const struct kvm_run *run,
				uint8_t bytes[ASSIST_INSN_MAX])
{
	struct assist_memory memory = {.map = map_guest, .arg = context};
	struct assist_fault fault;
	size_t size;

	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		size = min_u64(run->emulation_failure.insn_size, ASSIST_INSN_MAX);
		memcpy(bytes, run->emulation_failure.insn_bytes, size);
		return size;
	}
	for (size = 0; size < ASSIST_INSN_MAX; size++)
		if (assist_copy_in(&memory, context->cpu.rip + size, bytes + size, 1, &fault) !=
		    ASSIST_DONE)
			break;
	return size;
}

static int give_up(struct context *context, const uint8_t *bytes, size_t size, struct err *err)
{
	unsigned long long rip = context->cpu.rip;
	char text[ASSIST_INSN_MAX * 3 + 1] = "";
	size_t i;

	if (size == 0)
		return err_set(err, EIO, "the guest kernel jumped to %#llx, which is not memory",
			       rip);
	for (i = 0; i < size; i++)
		snprintf(text + i * 3, sizeof(text) - i * 3, " %02x", bytes[i]);
	return err_set(
		err, EIO,
		"this host emulates guest ring 0 and cannot run the guest kernel's instruction%s "
		"at %#llx: use the guest kernel that comes with Cordon, turn the processor feature "
		"off (--cmdline-append clearcpuid=...), or use a host with hardware virtualization "
		"(docs/hosts.md)",
		text, rip);
}

/* A ring-3 access to device memory: the program gets SIGILL, and the guest continues. */
static int refuse_user_access(struct context *context, struct assist_stats *stats, struct err *err)
{
	struct assist_fault fault = {.vector = VECTOR_UD};

	stats->user++;
	return inject(context, &fault, err);
}

int assist_handle(int vcpu_fd, struct kvm_run *run, const struct guest_memory *memory,
		  struct assist_stats *stats, struct err *err)
{
	struct context context = {.fd = vcpu_fd, .memory = memory};
	struct assist_memory access = {.map = map_guest, .arg = &context};
	enum assist_outcome outcome = ASSIST_UNKNOWN;
	uint8_t bytes[ASSIST_INSN_MAX];
	struct assist_fault fault;
	struct assist_insn insn;
	size_t size;
	int ret;

	ret = load_registers(&context, err);
	if (ret < 0)
		return ret;
	if (context.cpu.cpl == 3)
		return refuse_user_access(&context, stats, err);
	size = instruction_bytes(&context, run, bytes);
	if (!context.sregs.cs.l || !assist_decode(&context.cpu, bytes, size, &insn))
		return give_up(&context, bytes, size, err);
	if (assist_needs_xsave(&insn) || insn.op == ASSIST_XGETBV) {
		ret = load_vector_state(&context, err);
		if (ret < 0)
			return ret;
	}
	outcome = assist_execute(&context.cpu, &insn, &access, &layout, &fault);
	if (outcome == ASSIST_UNKNOWN)
		return give_up(&context, bytes, size, err);
	stats->count[insn.op]++;
	ret = store_registers(&context, err);
	if (ret == 0 && outcome == ASSIST_FAULT) {
		stats->faults += insn.op != ASSIST_INT3;
		ret = inject(&context, &fault, err);
	}
	return ret;
}
