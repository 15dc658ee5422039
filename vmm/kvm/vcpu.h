/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual processor and its thread.
 *
 * The thread runs the guest, hands port and MMIO accesses to the VM's buses under the device lock,
 * and ends when it is told to or when the guest can't go on; then it reports why, once.
 */
#ifndef CORDON_KVM_VCPU_H
#define CORDON_KVM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/assist.h"
#include "vmm/kvm/vm.h"

/* A segment register, as struct kvm_segment. */
struct vcpu_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g;
};

/* The state that a first vCPU starts in; what is not named is 0. */
struct vcpu_entry {
	uint64_t rip, rsi, rsp, rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	struct vcpu_segment cs, ds, tr;
};

enum vcpu_end {
	VCPU_END_STOPPED, /* vcpu_stop() */
	VCPU_END_TRIPLE_FAULT,
	VCPU_END_HALTED, /* halted with interrupts off: it will never go on (vcpu_check_halted) */
	VCPU_END_ERROR,	 /* KVM refused to run it */
};

struct vcpu;

/* What a vCPU reports, from its thread and without the device lock. */
struct vcpu_ops {
	/* Exactly once. */
	void (*ended)(void *arg, struct vcpu *vcpu, enum vcpu_end end, const char *message);
	/* It has left the guest after vcpu_pause() and waits for vcpu_resume() or vcpu_stop(). */
	void (*paused)(void *arg, struct vcpu *vcpu);
};

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool thread_started;
	atomic_bool stop, check_halted;
	atomic_uint pause; /* number of the pause asked for, 0: run */
	unsigned pauses;
	atomic_bool dead_halt; /* the last check found it halted with interrupts off */
	atomic_ulong exits;    /* returns from KVM_RUN, for statistics */
	struct assist_stats assist;
	const struct vcpu_ops *ops;
	void *ops_arg;
	pthread_mutex_t pause_lock;
	pthread_cond_t resumed;
};

/* Makes vCPU number index of cpus: CPUID, MSRs. 0 or -errno. */
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpus, struct err *err);

/* Puts a vCPU that has not run into its start state. Others wait for INIT and SIPI. */
int vcpu_set_entry(struct vcpu *vcpu, const struct vcpu_entry *entry, struct err *err);

/* Starts the thread; after vcpu_pause(), it pauses before it enters the guest. */
int vcpu_start(struct vcpu *vcpu, const struct vcpu_ops *ops, void *arg, struct err *err);

/* Tells the thread to leave the guest and wait; ops->paused says when it has. From any thread. */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/* Tells the thread to end. From any thread, more than once. */
void vcpu_stop(struct vcpu *vcpu);

/*
 * Makes the thread look whether its vCPU is halted with interrupts off; the answer appears in
 * dead_halt a little later. KVM alone keeps a halted vCPU and tells nobody.
 */
void vcpu_check_halted(struct vcpu *vcpu);

/* Stops the thread, if it was started, and waits for it. Without the device lock. */
void vcpu_join(struct vcpu *vcpu);

/* vcpu_join(), and frees all. */
void vcpu_destroy(struct vcpu *vcpu);

/*
 * A line or more about the registers, for messages: RIP, RSP, flags, control registers, the bytes
 * at RIP. Only from the vCPU's thread or when it has ended.
 */
void vcpu_describe(struct vcpu *vcpu, char *text, size_t size);

/*
 * Reads one of KVM's own counters ("exits", "insn_emulation" ...; KVM_GET_STATS_FD). 0, or -ENOENT
 * if this host does not count that. Only from the vCPU's thread or when it has ended: KVM makes
 * others wait until the vCPU leaves the guest.
 */
int vcpu_counter(const struct vcpu *vcpu, const char *name, uint64_t *value);

#endif
