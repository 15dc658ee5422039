/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor that the guest sees (Intel SDM, CPUID; KVM's leaves from 0x40000000): the features
 * that KVM supports on this host, with our topology, the hypervisor bit and the TSC-deadline timer,
 * and without performance counters (Intel's and AMD's), nested virtualization and asynchronous page
 * faults.
 */
#ifndef CORDON_KVM_CPUID_H
#define CORDON_KVM_CPUID_H

#include <stdint.h>

#include "vmm/base/err.h"

struct kvm_cpuid2;

/* KVM_GET_SUPPORTED_CPUID into memory that the caller frees with free(). 0 or -errno with a
 * message.
 */
int cpuid_supported(int kvm_fd, struct kvm_cpuid2 **out, struct err *err);

/* A checksum of the features, without the fields that differ between processors of one host. */
uint32_t cpuid_fingerprint(const struct kvm_cpuid2 *supported);

#define CPUID_ENTRIES_MAX  512
#define CPUID_KVM_FEATURES 0x40000001u /* the leaf of KVM's features */

/* Builds the table for cpuid_set(); table has room for CPUID_ENTRIES_MAX entries. */
void cpuid_build(struct kvm_cpuid2 *table, const struct kvm_cpuid2 *supported, unsigned index,
		 unsigned cpus);

/* Sets the CPUID of vCPU number index of cpus; its APIC id is index. 0 or -errno with a message. */
int cpuid_set(int vcpu_fd, const struct kvm_cpuid2 *supported, unsigned index, unsigned cpus,
	      struct err *err);

#endif
