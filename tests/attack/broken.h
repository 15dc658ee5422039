/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that gives the guest what a hole in a device would: it makes any system call in the
 * monitor, and tells where guest memory lies in it. It is part of no build but `make attack`
 * (CORDON_ATTACK).
 *
 * Registers of 8 bytes at BROKEN_BASE. BROKEN_GO makes the call: in the thread of the vCPU that
 * writes 0, or in the event loop's with 1; BROKEN_DONE is then 1, and BROKEN_RESULT what the kernel
 * returned. BROKEN_WHERE: a guest-physical address that is written is read back as the monitor's.
 */
#ifndef CORDON_TESTS_ATTACK_BROKEN_H
#define CORDON_TESTS_ATTACK_BROKEN_H

#define BROKEN_BASE   0xd0020000
#define BROKEN_SIZE   0x60
#define BROKEN_NUMBER 0x00 /* of the system call; its six arguments follow */
#define BROKEN_GO     0x38
#define BROKEN_RESULT 0x40
#define BROKEN_DONE   0x48
#define BROKEN_WHERE  0x50

#ifndef BROKEN_GUEST
#include "vmm/base/err.h"
#include "vmm/kvm/vm.h"

int broken_add(struct vm *vm, struct err *err);
#endif

#endif
