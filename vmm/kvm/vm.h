/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine without its processors: the KVM descriptor, memory slots, the interrupt
 * controllers inside KVM (8259, IO-APIC, local APICs; no PIT), doorbells and the two buses.
 */
#ifndef CORDON_KVM_VM_H
#define CORDON_KVM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/irq.h"
#include "vmm/kvm/memory.h"

#define VM_CPUS_MAX 8

struct kvm_cpuid2;

struct vm {
	int kvm_fd; /* /dev/kvm */
	int fd;
	size_t run_size;	  /* bytes of a vCPU's shared page */
	bool ring0_emulated;	  /* the host emulates guest ring 0 (vmm/kvm/probe.h) */
	struct kvm_cpuid2 *cpuid; /* what the host supports, filtered once */
	struct loop *loop;	  /* its device lock guards the buses */
	struct guest_memory *memory;
	struct bus mmio, ports;
};

/*
 * Opens /dev/kvm, checks its capabilities, and creates the VM with its memory and interrupt
 * controllers. The loop and the memory must outlive the VM. All regions of the memory exist
 * already; only their contents may still be replaced (guest_memory_map_file()). private_pages:
 * guest-physical address of four unused pages below 4 GiB, for KVM's real-mode tables on Intel. 0
 * or -errno with a message that says how to fix it.
 */
int vm_create(struct vm *vm, struct loop *loop, struct guest_memory *memory, uint64_t private_pages,
	      struct err *err);

/*
 * Sets whether this host emulates guest ring 0: vm_probe_host() probes it (vmm/kvm/probe.h) and
 * returns 0 or -errno with a message, vm_set_host() uses the caller's value. Call one of them
 * before the vCPUs are created.
 */
int vm_probe_host(struct vm *vm, struct err *err);
void vm_set_host(struct vm *vm, bool ring0_emulated);

/* A checksum that almost certainly differs between processors with different features. */
uint32_t vm_cpu_fingerprint(const struct vm *vm);

/* Connects an interrupt line to its IO-APIC pin. 0 or -errno with a message. */
int vm_connect_irq(struct vm *vm, const struct irq_line *line, struct err *err);

/*
 * Makes each 32-bit guest store of value to address signal the eventfd, without an exit to the
 * monitor. 0 or -errno with a message.
 */
int vm_connect_doorbell(struct vm *vm, uint64_t address, uint32_t value, int eventfd,
			struct err *err);

/* Frees the VM, complete or not; all vCPUs have ended. */
void vm_destroy(struct vm *vm);

#endif
