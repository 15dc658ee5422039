/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction assist: completes instructions that a host which emulates guest ring 0 lacks.
 *
 * KVM on such a host stops with an internal error at a ring-0 instruction that its emulator does
 * not know. The assist executes the few that a Linux kernel needs, and the guest continues. On
 * hardware KVM none of this runs: callers check with vmm/kvm/probe.h first. docs/hosts.md lists the
 * assisted instructions and the features that the guest is told not to use.
 */
#ifndef CORDON_KVM_ASSIST_H
#define CORDON_KVM_ASSIST_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

struct kvm_cpuid2;
struct kvm_run;

/* The assisted instructions. */
enum assist_op {
	ASSIST_INT3,
	ASSIST_FWAIT,
	ASSIST_CLAC,
	ASSIST_STAC,
	ASSIST_POPCNT,
	ASSIST_XGETBV,
	ASSIST_XSAVE, /* and XSAVEOPT, which is allowed to do the same as XSAVE */
	ASSIST_XRSTOR,
	ASSIST_LDMXCSR,
	ASSIST_STMXCSR,
	ASSIST_CMPXCHG16B,
	ASSIST_VERW,
	ASSIST_LSL,
	ASSIST_OPS
};

/* Statistics of one vCPU. Only its thread writes them. */
struct assist_stats {
	uint64_t count[ASSIST_OPS];
	uint64_t faults; /* assisted instructions that raised an exception */
	uint64_t user;	 /* ring-3 instructions that got #UD */
};

/*
 * Handles KVM_EXIT_INTERNAL_ERROR with suberror KVM_INTERNAL_ERROR_EMULATION. Call it from the
 * vCPU's thread. A ring-3 instruction gets #UD (only an access to a device can lead here from ring
 * 3). 0: run the vCPU again; -errno with a message (instruction bytes, address, what to do): the
 * guest can't continue.
 */
int assist_handle(int vcpu_fd, struct kvm_run *run, const struct guest_memory *memory,
		  struct assist_stats *stats, struct err *err);

/*
 * Removes the features from the guest's CPUID that fail on such a host: KVM's hypercalls, which
 * never return there, and asynchronous page faults, which cost more than they save. Call it once,
 * on the table for all vCPUs.
 */
void assist_filter_cpuid(struct kvm_cpuid2 *table);

/* Kernel command line parameters for such a host, without leading or trailing space. */
const char *assist_cmdline(void);

/* Writes "popcnt 12, xsave 3" to text; "" if nothing was assisted. */
void assist_describe(const struct assist_stats *stats, char *text, size_t size);

/* The mnemonic of an instruction. */
const char *assist_name(enum assist_op op);

#endif
