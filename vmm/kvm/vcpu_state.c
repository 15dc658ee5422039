/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/state.h"

#define XSAVE_SIZE_MAX (64u << 10)

static void pack_segment(struct pack *pack, const struct kvm_segment *segment)
{
	pack_u64(pack, segment->base);
	pack_u32(pack, segment->limit);
	pack_u16(pack, segment->selector);
	pack_u8(pack, segment->type);
	pack_u8(pack, segment->present);
	pack_u8(pack, segment->dpl);
	pack_u8(pack, segment->db);
	pack_u8(pack, segment->s);
	pack_u8(pack, segment->l);
	pack_u8(pack, segment->g);
	pack_u8(pack, segment->avl);
	pack_u8(pack, segment->unusable);
}

static void unpack_segment(struct unpack *unpack, struct kvm_segment *segment)
{
	segment->base = unpack_u64(unpack);
	segment->limit = unpack_u32(unpack);
	segment->selector = unpack_u16(unpack);
	segment->type = unpack_u8(unpack);
	segment->present = unpack_u8(unpack);
	segment->dpl = unpack_u8(unpack);
	segment->db = unpack_u8(unpack);
	segment->s = unpack_u8(unpack);
	segment->l = unpack_u8(unpack);
	segment->g = unpack_u8(unpack);
	segment->avl = unpack_u8(unpack);
	segment->unusable = unpack_u8(unpack);
}

/* The registers in file order, which is that of struct kvm_regs: 18 registers, all u64. */
/* clang-format off */
#define FOR_EACH_REG(DO)                                            \
	DO(rax) DO(rbx) DO(rcx) DO(rdx) DO(rsi) DO(rdi) DO(rsp) DO(rbp) \
	DO(r8) DO(r9) DO(r10) DO(r11) DO(r12) DO(r13) DO(r14) DO(r15)   \
	DO(rip) DO(rflags)
/* clang-format on */

static int save_regs(int fd, struct pack *pack, struct err *err)
{
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_REGS, &regs) < 0)
		return err_sys(err, "KVM_GET_REGS");
#define SAVE(name) pack_u64(pack, regs.name);
	FOR_EACH_REG(SAVE)
#undef SAVE
	return 0;
}

static int restore_regs(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_regs regs;

#define RESTORE(name) regs.name = unpack_u64(unpack);
	FOR_EACH_REG(RESTORE)
#undef RESTORE
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

#define FOR_EACH_SEGMENT(DO) DO(cs) DO(ds) DO(es) DO(fs) DO(gs) DO(ss) DO(tr) DO(ldt)
#define FOR_EACH_CONTROL(DO) DO(cr0) DO(cr2) DO(cr3) DO(cr4) DO(cr8) DO(efer) DO(apic_base)

static int save_sregs(int fd, struct pack *pack, struct err *err)
{
	struct kvm_sregs sregs;
	size_t i;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
#define SAVE(name) pack_segment(pack, &sregs.name);
	FOR_EACH_SEGMENT(SAVE)
#undef SAVE
	pack_u64(pack, sregs.gdt.base);
	pack_u16(pack, sregs.gdt.limit);
	pack_u64(pack, sregs.idt.base);
	pack_u16(pack, sregs.idt.limit);
#define SAVE(name) pack_u64(pack, sregs.name);
	FOR_EACH_CONTROL(SAVE)
#undef SAVE
	for (i = 0; i < ARRAY_SIZE(sregs.interrupt_bitmap); i++)
		pack_u64(pack, sregs.interrupt_bitmap[i]);
	return 0;
}

static int restore_sregs(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_sregs sregs;
	size_t i;

	memset(&sregs, 0, sizeof(sregs));
#define RESTORE(name) unpack_segment(unpack, &sregs.name);
	FOR_EACH_SEGMENT(RESTORE)
#undef RESTORE
	sregs.gdt.base = unpack_u64(unpack);
	sregs.gdt.limit = unpack_u16(unpack);
	sregs.idt.base = unpack_u64(unpack);
	sregs.idt.limit = unpack_u16(unpack);
#define RESTORE(name) sregs.name = unpack_u64(unpack);
	FOR_EACH_CONTROL(RESTORE)
#undef RESTORE
	for (i = 0; i < ARRAY_SIZE(sregs.interrupt_bitmap); i++)
		sregs.interrupt_bitmap[i] = unpack_u64(unpack);
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	return 0;
}

/* --- extended state --------------------------------------------------------------------------- */

static size_t xsave_size(const struct vm *vm)
{
	int size = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	return size > (int)sizeof(struct kvm_xsave) ? (size_t)size : sizeof(struct kvm_xsave);
}

static int save_xsave(struct vcpu *vcpu, struct pack *pack, struct err *err)
{
	size_t size = xsave_size(vcpu->vm);
	struct kvm_xsave *area = calloc(1, size);
	int ret = 0;

	if (!area)
		return err_set(err, ENOMEM, "out of memory for the XSAVE area");
	if (ioctl(vcpu->fd, size > sizeof(*area) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area) < 0)
		ret = err_sys(err, "KVM_GET_XSAVE");
	pack_u32(pack, (uint32_t)size);
	pack_bytes(pack, area, size);
	free(area);
	return ret;
}

static int restore_xsave(struct vcpu *vcpu, struct unpack *unpack, struct err *err)
{
	size_t size = unpack_count(unpack, XSAVE_SIZE_MAX), wanted = xsave_size(vcpu->vm);
	struct kvm_xsave *area;
	int ret = 0;

	if (size != wanted)
		return err_set(err, EINVAL, "XSAVE area of %zu bytes, this host uses %zu", size,
			       wanted);
	area = calloc(1, size);
	if (!area)
		return err_set(err, ENOMEM, "out of memory for the XSAVE area");
	unpack_bytes(unpack, area, size);
	if (ioctl(vcpu->fd, KVM_SET_XSAVE, area) < 0)
		ret = err_sys(err, "KVM_SET_XSAVE");
	free(area);
	return ret;
}

static int save_xcrs(int fd, struct pack *pack, struct err *err)
{
	struct kvm_xcrs xcrs;
	uint32_t i;

	if (ioctl(fd, KVM_GET_XCRS, &xcrs) < 0)
		return err_sys(err, "KVM_GET_XCRS");
	pack_u32(pack, xcrs.nr_xcrs);
	for (i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++) {
		pack_u32(pack, xcrs.xcrs[i].xcr);
		pack_u64(pack, xcrs.xcrs[i].value);
	}
	return 0;
}

static int restore_xcrs(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_xcrs xcrs;
	uint32_t i;

	memset(&xcrs, 0, sizeof(xcrs));
	xcrs.nr_xcrs = unpack_count(unpack, KVM_MAX_XCRS);
	for (i = 0; i < xcrs.nr_xcrs; i++) {
		xcrs.xcrs[i].xcr = unpack_u32(unpack);
		xcrs.xcrs[i].value = unpack_u64(unpack);
	}
	if (ioctl(fd, KVM_SET_XCRS, &xcrs) < 0)
		return err_sys(err, "KVM_SET_XCRS");
	return 0;
}

/* --- local APIC, events, debug registers ------------------------------------------------------ */

static int save_lapic(int fd, struct pack *pack, struct err *err)
{
	struct kvm_lapic_state lapic;

	if (ioctl(fd, KVM_GET_LAPIC, &lapic) < 0)
		return err_sys(err, "KVM_GET_LAPIC");
	pack_bytes(pack, lapic.regs, sizeof(lapic.regs)); /* the APIC's register page, SDM 3A */
	return 0;
}

static int restore_lapic(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_lapic_state lapic;

	unpack_bytes(unpack, lapic.regs, sizeof(lapic.regs));
	if (ioctl(fd, KVM_SET_LAPIC, &lapic) < 0)
		return err_sys(err, "KVM_SET_LAPIC");
	return 0;
}

#define FOR_EACH_EVENT(DO)           \
	DO(exception.injected)       \
	DO(exception.nr)             \
	DO(exception.has_error_code) \
	DO(exception.pending)        \
	DO(exception.error_code)     \
	DO(interrupt.injected)       \
	DO(interrupt.nr)             \
	DO(interrupt.soft)           \
	DO(interrupt.shadow)         \
	DO(nmi.injected)             \
	DO(nmi.pending)              \
	DO(nmi.masked)               \
	DO(sipi_vector)              \
	DO(flags)                    \
	DO(smi.smm)                  \
	DO(smi.pending)              \
	DO(smi.smm_inside_nmi)       \
	DO(smi.latched_init)         \
	DO(triple_fault.pending)     \
	DO(exception_has_payload)    \
	DO(exception_payload)

static int save_events(int fd, struct pack *pack, struct err *err)
{
	struct kvm_vcpu_events events;

	if (ioctl(fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return err_sys(err, "KVM_GET_VCPU_EVENTS");
#define SAVE(name) pack_u64(pack, (uint64_t)events.name);
	FOR_EACH_EVENT(SAVE)
#undef SAVE
	return 0;
}

static int restore_events(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_vcpu_events events;

	memset(&events, 0, sizeof(events));
#define RESTORE(name) events.name = (__typeof__(events.name))unpack_u64(unpack);
	FOR_EACH_EVENT(RESTORE)
#undef RESTORE
	if (ioctl(fd, KVM_SET_VCPU_EVENTS, &events) < 0)
		return err_sys(err, "KVM_SET_VCPU_EVENTS");
	return 0;
}

static int save_debug(int fd, struct pack *pack, struct err *err)
{
	struct kvm_debugregs debug;
	size_t i;

	if (ioctl(fd, KVM_GET_DEBUGREGS, &debug) < 0)
		return err_sys(err, "KVM_GET_DEBUGREGS");
	for (i = 0; i < ARRAY_SIZE(debug.db); i++)
		pack_u64(pack, debug.db[i]);
	pack_u64(pack, debug.dr6);
	pack_u64(pack, debug.dr7);
	return 0;
}

static int restore_debug(int fd, struct unpack *unpack, struct err *err)
{
	struct kvm_debugregs debug;
	size_t i;

	memset(&debug, 0, sizeof(debug));
	for (i = 0; i < ARRAY_SIZE(debug.db); i++)
		debug.db[i] = unpack_u64(unpack);
	debug.dr6 = unpack_u64(unpack);
	debug.dr7 = unpack_u64(unpack);
	if (ioctl(fd, KVM_SET_DEBUGREGS, &debug) < 0)
		return err_sys(err, "KVM_SET_DEBUGREGS");
	return 0;
}

/* --- the whole vCPU --------------------------------------------------------------------------- */

int vcpu_save(struct vcpu *vcpu, struct pack *pack, struct err *err)
{
	struct kvm_mp_state state;
	int ret;

	/* First, because this ioctl also makes KVM apply a pending INIT or SIPI. */
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0)
		return err_sys(err, "KVM_GET_MP_STATE");
	pack_u32(pack, state.mp_state);
	ret = save_regs(vcpu->fd, pack, err);
	if (ret == 0)
		ret = save_sregs(vcpu->fd, pack, err);
	if (ret == 0)
		ret = save_xsave(vcpu, pack, err);
	if (ret == 0)
		ret = save_xcrs(vcpu->fd, pack, err);
	if (ret == 0)
		ret = save_debug(vcpu->fd, pack, err);
	if (ret == 0)
		ret = save_lapic(vcpu->fd, pack, err);
	if (ret == 0)
		ret = vcpu_save_msrs(vcpu, pack, err);
	if (ret == 0)
		ret = save_events(vcpu->fd, pack, err);
	return ret;
}

int vcpu_restore(struct vcpu *vcpu, struct unpack *unpack, struct err *err)
{
	struct kvm_mp_state state = {.mp_state = unpack_u32(unpack)};
	int ret;

	ret = restore_regs(vcpu->fd, unpack, err);
	if (ret == 0)
		ret = restore_sregs(vcpu->fd, unpack, err);
	if (ret == 0)
		ret = restore_xsave(vcpu, unpack, err);
	if (ret == 0)
		ret = restore_xcrs(vcpu->fd, unpack, err);
	if (ret == 0)
		ret = restore_debug(vcpu->fd, unpack, err);
	/* APIC before MSRs: KVM accepts a TSC deadline only if the APIC's timer is in that mode. */
	if (ret == 0)
		ret = restore_lapic(vcpu->fd, unpack, err);
	if (ret == 0)
		ret = vcpu_restore_msrs(vcpu, unpack, err);
	if (ret == 0)
		ret = restore_events(vcpu->fd, unpack, err);
	if (ret == 0 && ioctl(vcpu->fd, KVM_SET_MP_STATE, &state) < 0)
		ret = err_sys(err, "KVM_SET_MP_STATE");
	if (unpack->failed && ret == 0)
		ret = err_set(err, EINVAL, "the state of vCPU %u is truncated", vcpu->index);
	return ret;
}
