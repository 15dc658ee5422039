/* SPDX-License-Identifier: Apache-2.0 */
/* The state that a vCPU starts in: boot/ works it out, vcpu_set_entry() sets it. */
#ifndef CORDON_KVM_ENTRY_H
#define CORDON_KVM_ENTRY_H

#include <stdint.h>

/* A segment register, with the fields of struct kvm_segment. */
struct vcpu_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g;
};

/* Initial state of the first vCPU; all other registers are 0. */
struct vcpu_entry {
	uint64_t rip, rsi, rsp, rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	struct vcpu_segment cs, ds, tr;
};

#endif
