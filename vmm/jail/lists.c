/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/lists.h"

#include <linux/if_tun.h>
#include <linux/kvm.h>

#include "vmm/base/bytes.h"
#include "vmm/jail/rules.h"

static const struct jail_rule vcpu[] = {
	IOCTL(KVM_RUN, "run the guest"),
	IOCTL(KVM_GET_REGS, "halted for ever?; instruction assist; messages"),
	IOCTL(KVM_SET_REGS, "instruction assist"),
	IOCTL(KVM_GET_SREGS, "instruction assist; messages"),
	IOCTL(KVM_SET_SREGS, "instruction assist"),
	IOCTL(KVM_GET_XCRS, "instruction assist"),
	IOCTL(KVM_GET_XSAVE, "instruction assist"),
	IOCTL(KVM_SET_XSAVE, "instruction assist"),
	IOCTL(KVM_GET_VCPU_EVENTS, "instruction assist"),
	IOCTL(KVM_SET_VCPU_EVENTS, "instruction assist"),
	IOCTL(KVM_GET_MP_STATE, "halted for ever?"),
	IOCTL(KVM_TRANSLATE, "messages: the instruction at which it ended"),
	IOCTL(TUNSETOFFLOAD, "a tap's card is reset"),
	CALL(write, "interrupts and wake-ups (eventfd); console; messages"),
	CALL(sendmsg, "a device is reset: bytes left for its sockets"),
	CALL(sendto, "console to a socket; a network card is reset"),
	CALL(epoll_ctl, "a device is reset: sockets of its streams"),
	CALL(close, "a device is reset: sockets of its streams"),
	CALL(shutdown, "a device is reset: sockets of its streams"),
	MEMORY,
	THREAD,
};

static const struct jail_rule disk[] = {
	CALL(pread64, "read from an image, a layer or a scratch disk"),
	CALL(pwrite64, "write to a scratch disk or a disk of the user's"),
	CALL(lseek, "holes of a layer"),
	CALL(ftruncate, "size of a scratch disk"),
	CALL(fallocate, "discards"),
	CALL(fdatasync, "flushes"),
	CALL(write, "the event loop is woken (eventfd); messages"),
	MEMORY,
	THREAD,
};

const struct jail_list *jail_list(enum jail_thread thread)
{
	static struct jail_list lists[JAIL_THREADS] = {
		[JAIL_VCPU] = {"vCPU", vcpu, ARRAY_SIZE(vcpu)},
		[JAIL_DISK] = {"disk", disk, ARRAY_SIZE(disk)},
	};

	return thread < ARRAY_SIZE(lists) && lists[thread].rules ? &lists[thread] : NULL;
}
