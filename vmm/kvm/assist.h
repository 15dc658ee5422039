/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction assist: what a host that emulates guest ring 0 leaves undone.
 *
 * Such a host's KVM stops with an internal error where its emulator does not know a ring-0
 * instruction. The assist does those few that a Linux kernel needs, and the guest goes on. On
 * hardware KVM none of this runs: callers ask vmm/kvm/probe.h first. docs/hosts.md lists what is
 * assisted and what the guest is told not to use instead.
 */
#ifndef CORDON_KVM_ASSIST_H
#define CORDON_KVM_ASSIST_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/memory.h"

struct kvm_cpuid2;
struct kvm_run;

/* The instructions that the assist knows. */
enum assist_op {
	ASSIST_INT3,
	ASSIST_FWAIT,
	ASSIST_CLAC,
	ASSIST_STAC,
	ASSIST_POPCNT,
	ASSIST_XGETBV,
	ASSIST_XSAVE, /* and XSAVEOPT, which may do what XSAVE does */
	ASSIST_XRSTOR,
	ASSIST_LDMXCSR,
	ASSIST_STMXCSR,
	ASSIST_CMPXCHG16B,
	ASSIST_VERW,
	ASSIST_LSL,
	ASSIST_OPS
};

/* One vCPU's counts, for statistics. Written by its thread only. */
struct assist_stats {
	uint64_t count[ASSIST_OPS];
	uint64_t faults; /* exceptions that an assisted instruction ended in */
	uint64_t user;	 /* ring-3 instructions that were answered with #UD */
};

/*
 * Handles KVM_EXIT_INTERNAL_ERROR with suberror KVM_INTERNAL_ERROR_EMULATION. From the vCPU's
 * thread. In ring 3, where only an access to a device can lead here, the program gets #UD. 0: run
 * the vCPU again; -errno with a message (instruction bytes, address, what to do): it cannot go on.
 */
int assist_handle(int vcpu_fd, struct kvm_run *run, const struct guest_memory *memory,
		  struct assist_stats *stats, struct err *err);

/*
 * Takes out of the guest's CPUID what does not work on such a host: KVM's hypercalls, which never
 * end there. Once, on the table that every vCPU gets.
 */
void assist_filter_cpuid(struct kvm_cpuid2 *table);

/* Parameters that the guest's command line needs on such a host, without spaces at the ends. */
const char *assist_cmdline(void);

/* "popcnt 12, xsave 3" into text; "" if nothing was assisted. */
void assist_describe(const struct assist_stats *stats, char *text, size_t size);

const char *assist_name(enum assist_op op);

#endif
