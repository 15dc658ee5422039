/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring what KVM holds of a machine: the processors' state, the interrupt
 * controllers and the guest's clock. Fields are packed one by one (vmm/base/pack.h); guest memory
 * is not part of it. All vCPUs are out of the guest while this runs.
 *
 * What is restored is hostile: every count is bounded here, and every value is for KVM to refuse.
 */
#ifndef CORDON_KVM_STATE_H
#define CORDON_KVM_STATE_H

#include "vmm/base/err.h"
#include "vmm/base/pack.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

/* Registers, MSRs, XCRs, XSAVE area, local APIC, events, run state, debug registers. */
int vcpu_save(struct vcpu *vcpu, struct pack *pack, struct err *err);

/* Into a vCPU that was made for the same machine and has not run. */
int vcpu_restore(struct vcpu *vcpu, struct unpack *unpack, struct err *err);

/* 8259s, IO-APIC and kvmclock. */
int vm_save(struct vm *vm, struct pack *pack, struct err *err);

/* Before the vCPUs' state. The guest's clock goes on from where it was saved. */
int vm_restore(struct vm *vm, struct unpack *unpack, struct err *err);

#endif
