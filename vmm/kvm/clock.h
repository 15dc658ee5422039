/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's clocks while its vCPUs are outside the guest: TSC and kvmclock (Linux,
 * Documentation/virt/kvm/api.rst, KVM_GET_CLOCK).
 *
 * Timers of the local APIC run on. One that expires meanwhile interrupts the guest early, which
 * then finds that nothing is due and sets it again.
 */
#ifndef CORDON_KVM_CLOCK_H
#define CORDON_KVM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

struct guest_clock {
	bool stopped;
	uint64_t kvmclock_ns, tsc[VM_CPUS_MAX];
};

/*
 * Notes the time of all count vCPUs. Where the host emulates ring 0, the guest reads the
 * processor's own counter, which nothing stops: no effect. 0 or -errno with a message.
 */
int guest_clock_stop(struct guest_clock *clock, struct vm *vm, struct vcpu *vcpu, unsigned count,
		     struct err *err);

/* Lets the guest's time go on from where it stopped; no effect if it did not. */
int guest_clock_continue(struct guest_clock *clock, struct vm *vm, struct vcpu *vcpu,
			 unsigned count, struct err *err);

#endif
