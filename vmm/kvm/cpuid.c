/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <zlib.h>

#include "vmm/base/bytes.h"

#define LEAF1_ECX_DTES64       (1u << 2)
#define LEAF1_ECX_VMX	       (1u << 5)
#define LEAF1_ECX_PDCM	       (1u << 15)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_DS	       (1u << 21)
#define LEAF1_EDX_HTT	       (1u << 28)
#define LEAF80000001_ECX_SVM   (1u << 2)

/* Performance counters, and features that sample with them: instruction-based sampling, branch
 * records, processor trace. */
#define LEAF7_EBX_PT		   (1u << 25)
#define LEAF7_EDX_ARCH_LBR	   (1u << 19)
#define LEAF7_1_EAX_PERFMON_EXT	   (1u << 8)
#define LEAF80000001_ECX_IBS	   (1u << 10)
#define LEAF80000001_ECX_PERF_CORE (1u << 23)
#define LEAF80000001_ECX_PERF_NB   (1u << 24)
#define LEAF80000001_ECX_PERF_LLC  (1u << 28)
#define LEAF80000001_ECX_PERF                                                           \
	(LEAF80000001_ECX_IBS | LEAF80000001_ECX_PERF_CORE | LEAF80000001_ECX_PERF_NB | \
	 LEAF80000001_ECX_PERF_LLC)

/* Asynchronous page faults (three bits): a page of a template that the host has not mapped yet
 * makes the guest switch to another task, and a restore wakes all that wait. That costs more than
 * it saves when a vCPU now and then waits for the host's disk. */
#define KVM_ASYNC_FAULTS (1u << 4 | 1u << 10 | 1u << 14)

/* Level types of leaves 0xb and 0x1f. */
#define TOPOLOGY_SMT  1
#define TOPOLOGY_CORE 2

static size_t table_bytes(unsigned entries)
{
	return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

int cpuid_supported(int kvm_fd, struct kvm_cpuid2 **out, struct err *err)
{
	struct kvm_cpuid2 *table = calloc(1, table_bytes(CPUID_ENTRIES_MAX));
	int ret;

	*out = NULL;
	if (!table)
		return err_set(err, ENOMEM, "out of memory for the CPUID table");
	table->nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, table) < 0) {
		ret = err_sys(err, "KVM_GET_SUPPORTED_CPUID");
		free(table);
		return ret;
	}
	*out = table;
	return 0;
}

static unsigned bits_for(unsigned count)
{
	unsigned bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

/* One thread a core, all cores in one package. */
static void set_topology_leaf(struct kvm_cpuid_entry2 *entry, unsigned index, unsigned cpus)
{
	entry->edx = index;
	entry->eax = entry->ebx = 0;
	entry->ecx = entry->index;
	if (entry->index == 0) {
		entry->ebx = 1;
		entry->ecx |= TOPOLOGY_SMT << 8;
	} else if (entry->index == 1) {
		entry->eax = bits_for(cpus);
		entry->ebx = cpus;
		entry->ecx |= TOPOLOGY_CORE << 8;
	}
}

/* Cache leaves of Intel (4) and AMD (0x8000001d): sharers of the cache, and cores in a package. */
static void set_cache_sharing(struct kvm_cpuid_entry2 *entry, unsigned cpus)
{
	unsigned level = (entry->eax >> 5) & 7;
	unsigned sharing = level >= 3 ? cpus : 1;

	entry->eax &= ~(0xfffu << 14);
	entry->eax |= (sharing - 1) << 14;
	if (entry->function == 4) {
		entry->eax &= ~(0x3fu << 26);
		entry->eax |= ((1u << bits_for(cpus)) - 1) << 26;
	}
}

/*
 * The guest has no performance counters: their set-up costs boot time, and they let a guest measure
 * the host and its neighbours precisely. KVM_PMU_CAP_DISABLE (vm.c) turns them off; this hides them
 * in CPUID.
 */
static void hide_counters(struct kvm_cpuid_entry2 *entry)
{
	switch (entry->function) {
	case 1:
		entry->ecx &= ~(LEAF1_ECX_DTES64 | LEAF1_ECX_PDCM);
		entry->edx &= ~LEAF1_EDX_DS;
		break;
	case 7:
		if (entry->index == 0) {
			entry->ebx &= ~LEAF7_EBX_PT;
			entry->edx &= ~LEAF7_EDX_ARCH_LBR;
		} else if (entry->index == 1) {
			entry->eax &= ~LEAF7_1_EAX_PERFMON_EXT;
		}
		break;
	case 0x80000001:
		entry->ecx &= ~LEAF80000001_ECX_PERF;
		break;
	case 0xa:	 /* Intel: version and number of the counters */
	case 0x14:	 /* processor trace */
	case 0x1c:	 /* last branch records */
	case 0x23:	 /* extension of leaf 0xa */
	case 0x8000001b: /* AMD: instruction-based sampling */
	case 0x80000022: /* version and number of the counters */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	default:
		break;
	}
}

static void adapt(struct kvm_cpuid_entry2 *entry, unsigned index, unsigned cpus)
{
	hide_counters(entry);
	switch (entry->function) {
	case 1:
		entry->ebx &= 0x0000ffff;
		entry->ebx |= index << 24 | cpus << 16;
		entry->ecx |= LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_HYPERVISOR;
		entry->ecx &= ~LEAF1_ECX_VMX;
		if (cpus > 1)
			entry->edx |= LEAF1_EDX_HTT;
		else
			entry->edx &= ~LEAF1_EDX_HTT;
		break;
	case 4:
	case 0x8000001d:
		set_cache_sharing(entry, cpus);
		break;
	case 0xb:
	case 0x1f:
		set_topology_leaf(entry, index, cpus);
		break;
	case CPUID_KVM_FEATURES:
		entry->eax &= ~KVM_ASYNC_FAULTS;
		break;
	case 0x80000001:
		entry->ecx &= ~LEAF80000001_ECX_SVM;
		break;
	case 0x8000000a: /* SVM's features */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	case 0x80000008: /* AMD: threads - 1, and the width of the APIC id within a package */
		entry->ecx = (entry->ecx & ~0xf0ffu) | bits_for(cpus) << 12 | (cpus - 1);
		break;
	case 0x8000001e: /* AMD: extended APIC id, one thread a core, one node */
		entry->eax = index;
		entry->ebx = index & 0xff;
		entry->ecx = 0;
		break;
	default:
		break;
	}
}

static bool is_topology(const struct kvm_cpuid_entry2 *entry)
{
	return entry->function == 0xb || entry->function == 0x1f;
}

/* Adds all subleaves of a topology leaf: KVM lists only the first. */
static unsigned add_topology(struct kvm_cpuid2 *table, unsigned count, uint32_t function,
			     unsigned index, unsigned cpus)
{
	unsigned subleaf;

	for (subleaf = 0; subleaf < 3 && count < CPUID_ENTRIES_MAX; subleaf++) {
		struct kvm_cpuid_entry2 *entry = &table->entries[count++];

		*entry = (struct kvm_cpuid_entry2){
			.function = function,
			.index = subleaf,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
		set_topology_leaf(entry, index, cpus);
	}
	return count;
}

uint32_t cpuid_fingerprint(const struct kvm_cpuid2 *supported)
{
	uLong sum = crc32(0, NULL, 0);
	unsigned i;

	for (i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 entry = supported->entries[i];
		uint8_t bytes[24];

		adapt(&entry, 0, 1);
		if (entry.function == 0xd) /* EBX: the size for the currently enabled features */
			entry.ebx = 0;
		store_le32(bytes, entry.function);
		store_le32(bytes + 4, entry.index);
		store_le32(bytes + 8, entry.eax);
		store_le32(bytes + 12, entry.ebx);
		store_le32(bytes + 16, entry.ecx);
		store_le32(bytes + 20, entry.edx);
		sum = crc32(sum, bytes, sizeof(bytes));
	}
	return (uint32_t)sum;
}

void cpuid_build(struct kvm_cpuid2 *table, const struct kvm_cpuid2 *supported, unsigned index,
		 unsigned cpus)
{
	uint32_t highest = 0;
	unsigned i, count = 0;

	for (i = 0; i < supported->nent; i++) {
		const struct kvm_cpuid_entry2 *from = &supported->entries[i];

		if (from->function == 0)
			highest = from->eax;
		if (is_topology(from) || count == CPUID_ENTRIES_MAX)
			continue;
		table->entries[count] = *from;
		adapt(&table->entries[count++], index, cpus);
	}
	if (highest >= 0xb)
		count = add_topology(table, count, 0xb, index, cpus);
	if (highest >= 0x1f)
		count = add_topology(table, count, 0x1f, index, cpus);
	table->nent = count;
}

int cpuid_set(int vcpu_fd, const struct kvm_cpuid2 *supported, unsigned index, unsigned cpus,
	      struct err *err)
{
	struct kvm_cpuid2 *table = calloc(1, table_bytes(CPUID_ENTRIES_MAX));
	int ret = 0;

	if (!table)
		return err_set(err, ENOMEM, "out of memory for the CPUID table");
	cpuid_build(table, supported, index, cpus);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, table) < 0)
		ret = err_sys(err, "KVM_SET_CPUID2");
	free(table);
	return ret;
}
