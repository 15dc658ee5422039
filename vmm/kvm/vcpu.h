/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual processor and its thread.
 *
 * The thread runs the guest and dispatches port and MMIO accesses to the VM's buses under the
 * device lock, but for writes that a device handles without it (bus_write_unlocked()). It ends on
 * vcpu_stop(), or when the guest can't continue, and reports why, once.
 */
#ifndef CORDON_KVM_VCPU_H
#define CORDON_KVM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/assist.h"
#include "vmm/kvm/entry.h"
#include "vmm/kvm/vm.h"

enum vcpu_end {
	VCPU_END_STOPPED, /* vcpu_stop() */
	VCPU_END_TRIPLE_FAULT,
	VCPU_END_HALTED, /* halted with interrupts off, for ever: see vcpu_check_halted() */
	VCPU_END_ERROR,	 /* KVM refused to run it */
};

struct vcpu;

/* Reports of a vCPU, called from its thread without the device lock. */
struct vcpu_ops {
	/* The thread ends. Called exactly once. */
	void (*ended)(void *arg, struct vcpu *vcpu, enum vcpu_end end, const char *message);
	/*
	 * The vCPU has left the guest after vcpu_pause() and waits for vcpu_resume() or
	 * vcpu_stop().
	 */
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
	atomic_uint pause; /* number of the requested pause; 0: run */
	unsigned pauses;
	atomic_bool dead_halt; /* the last check found the vCPU halted with interrupts off */
	atomic_ulong exits;    /* returns from KVM_RUN, for statistics */
	struct assist_stats assist;
	const struct vcpu_ops *ops;
	void *ops_arg;
	pthread_mutex_t pause_lock;
	pthread_cond_t resumed;
};

/* Creates vCPU number index of cpus and sets its CPUID and MSRs. 0 or -errno with a message. */
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpus, struct err *err);

/*
 * Probes the host in this vCPU, which has not run yet and whose registers are set afterwards
 * (vcpu_set_entry()), with HOST_PROBE_BYTES of guest memory at address, below 4 GiB
 * (vmm/kvm/probe.h). 0 or -errno with a message.
 */
int vcpu_probe_host(struct vcpu *vcpu, uint32_t address, bool *ring0_emulated, struct err *err);

/* Sets the initial state of the first vCPU, before it runs; the others wait for INIT and SIPI. */
int vcpu_set_entry(struct vcpu *vcpu, const struct vcpu_entry *entry, struct err *err);

/* Starts the thread. After an earlier vcpu_pause() it pauses before it enters the guest. */
int vcpu_start(struct vcpu *vcpu, const struct vcpu_ops *ops, void *arg, struct err *err);

/* Makes the thread leave the guest and wait; it then calls ops->paused. From any thread. */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/* Makes the thread end. From any thread; may be called again. */
void vcpu_stop(struct vcpu *vcpu);

/*
 * Makes the thread check whether its vCPU is halted with interrupts off; the result appears in
 * dead_halt shortly afterwards. KVM itself does not report a halted vCPU: KVM_RUN just blocks.
 */
void vcpu_check_halted(struct vcpu *vcpu);

/* Stops the thread, if it was started, and waits for it. The caller doesn't hold the device lock.
 */
void vcpu_join(struct vcpu *vcpu);

/* vcpu_join(), then frees everything. */
void vcpu_destroy(struct vcpu *vcpu);

/*
 * Describes the registers for a message: RIP, RSP, flags, control registers, the bytes at RIP. Call
 * it from the vCPU's thread or after that has ended.
 */
void vcpu_describe(struct vcpu *vcpu, char *text, size_t size);

/*
 * Reads one of KVM's own counters ("exits", "insn_emulation" ...; KVM_GET_STATS_FD). 0, or -ENOENT
 * if this host does not have it. Call it from the vCPU's thread or after that has ended: in another
 * thread KVM blocks until the vCPU leaves the guest.
 */
int vcpu_counter(const struct vcpu *vcpu, const char *name, uint64_t *value);

#endif
