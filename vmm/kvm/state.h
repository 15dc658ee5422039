/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves and restores the state of a machine that KVM holds: vCPUs, interrupt controllers and the
 * guest's clock, without guest memory. Fields are packed one by one (vmm/base/pack.h). All vCPUs
 * are outside the guest while this runs.
 *
 * State to restore is hostile: this code bounds every count, and leaves it to KVM to refuse invalid
 * values. All functions return 0 or -errno with a message.
 */
#ifndef CORDON_KVM_STATE_H
#define CORDON_KVM_STATE_H

#include "vmm/base/err.h"
#include "vmm/base/pack.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

/* Saves registers, MSRs, XCRs, XSAVE area, local APIC, events, run state and debug registers. */
int vcpu_save(struct vcpu *vcpu, struct pack *pack, struct err *err);

/* Restores into a vCPU of an equal machine that has not run yet. */
int vcpu_restore(struct vcpu *vcpu, struct unpack *unpack, struct err *err);

/* For vcpu_save() and vcpu_restore(): the MSRs. */
int vcpu_save_msrs(struct vcpu *vcpu, struct pack *pack, struct err *err);
int vcpu_restore_msrs(struct vcpu *vcpu, struct unpack *unpack, struct err *err);

/* Saves 8259s, IO-APIC and kvmclock. */
int vm_save(struct vm *vm, struct pack *pack, struct err *err);

/* Call before vcpu_restore(). The guest's clock continues from the saved time. */
int vm_restore(struct vm *vm, struct unpack *unpack, struct err *err);

#endif
