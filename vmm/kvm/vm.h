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
 * Opens /dev/kvm, checks what it can do, makes the VM with its memory and interrupt controllers.
 * The loop and the memory outlive the VM; all regions of the memory are there already, while what
 * they hold may still be replaced (guest_memory_map_file()). private_pages: guest-physical address
 * of four pages below 4 GiB that nothing else uses; KVM on Intel keeps its real-mode tables there.
 * 0 or -errno with a message that says what to do.
 */
int vm_create(struct vm *vm, struct loop *loop, struct guest_memory *memory, uint64_t private_pages,
	      struct err *err);

/*
 * Finds out by a probe whether this host emulates guest ring 0 (vmm/kvm/probe.h), or takes the
 * caller's word for it. Before the vCPUs are made. 0 or -errno with a message.
 */
int vm_probe_host(struct vm *vm, struct err *err);
void vm_set_host(struct vm *vm, bool ring0_emulated);

/* A number that differs (most likely) between processors of different features. */
uint32_t vm_cpu_fingerprint(const struct vm *vm);

/* Connects an interrupt line to its IO-APIC pin. */
int vm_connect_irq(struct vm *vm, const struct irq_line *line, struct err *err);

/*
 * A 32-bit guest store of value to address becomes a count on the eventfd, without an exit to the
 * monitor.
 */
int vm_connect_doorbell(struct vm *vm, uint64_t address, uint32_t value, int eventfd,
			struct err *err);

/* Works on a half-made VM; all vCPUs have ended. */
void vm_destroy(struct vm *vm);

#endif
