/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/clock.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_TSC 0x10 /* IA32_TIME_STAMP_COUNTER, SDM 4 */

/* A list of one MSR, for KVM_GET_MSRS and KVM_SET_MSRS. */
union one_msr {
	struct kvm_msrs head;
	uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

int guest_clock_stop(struct guest_clock *clock, struct vm *vm, struct vcpu *vcpu, unsigned count,
		     struct err *err)
{
	struct kvm_clock_data data;
	union one_msr msr = {.bytes = {0}};
	unsigned i;

	if (vm->ring0_emulated || clock->stopped)
		return 0;
	if (ioctl(vm->fd, KVM_GET_CLOCK, &data) < 0)
		return err_sys(err, "KVM_GET_CLOCK");
	clock->kvmclock_ns = data.clock;
	msr.head.nmsrs = 1;
	msr.head.entries[0].index = MSR_TSC;
	for (i = 0; i < count; i++) {
		if (ioctl(vcpu[i].fd, KVM_GET_MSRS, &msr) != 1)
			return err_sys(err, "KVM_GET_MSRS for the TSC");
		clock->tsc[i] = msr.head.entries[0].data;
	}
	clock->stopped = true;
	return 0;
}

int guest_clock_continue(struct guest_clock *clock, struct vm *vm, struct vcpu *vcpu,
			 unsigned count, struct err *err)
{
	struct kvm_clock_data data;
	union one_msr msr = {.bytes = {0}};
	unsigned i;

	if (!clock->stopped)
		return 0;
	clock->stopped = false;
	msr.head.nmsrs = 1;
	msr.head.entries[0].index = MSR_TSC;
	for (i = 0; i < count; i++) {
		msr.head.entries[0].data = clock->tsc[i];
		if (ioctl(vcpu[i].fd, KVM_SET_MSRS, &msr) != 1)
			return err_sys(err, "KVM_SET_MSRS for the TSC");
	}
	/* After the TSCs: KVM computes kvmclock's offset from them. */
	memset(&data, 0, sizeof(data));
	data.clock = clock->kvmclock_ns;
	return ioctl(vm->fd, KVM_SET_CLOCK, &data) < 0 ? err_sys(err, "KVM_SET_CLOCK") : 0;
}
