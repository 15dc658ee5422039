/* SPDX-License-Identifier: Apache-2.0 */
/* The CPUID that a guest sees, made from tables as KVM gives them on Intel and on AMD. */
#include "vmm/kvm/cpuid.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

struct leaf {
	uint32_t function, index, eax, ebx, ecx, edx;
};

static struct kvm_cpuid2 *build(const struct leaf *leaf, size_t count, unsigned index,
				unsigned cpus)
{
	const size_t bytes =
		sizeof(struct kvm_cpuid2) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *from = calloc(1, bytes), *to = calloc(1, bytes);
	size_t i;

	ck_assert(from && to);
	for (i = 0; i < count; i++)
		from->entries[from->nent++] = (struct kvm_cpuid_entry2){
			.function = leaf[i].function,
			.index = leaf[i].index,
			.eax = leaf[i].eax,
			.ebx = leaf[i].ebx,
			.ecx = leaf[i].ecx,
			.edx = leaf[i].edx,
		};
	cpuid_build(to, from, index, cpus);
	free(from);
	return to;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *table, uint32_t function,
					   uint32_t index)
{
	unsigned i;

	for (i = 0; i < table->nent; i++)
		if (table->entries[i].function == function && table->entries[i].index == index)
			return &table->entries[i];
	ck_abort_msg("no leaf %x", function);
	return NULL;
}

static bool is_zero(const struct kvm_cpuid_entry2 *entry)
{
	return !entry->eax && !entry->ebx && !entry->ecx && !entry->edx;
}

/* Leaf 1 with all features; those that are no counters stay. */
#define ALL UINT32_MAX

START_TEST(amd_has_no_counters)
{
	static const struct leaf zen[] = {
		{0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
		{1, 0, 0xa20f10, 0, ALL, ALL},
		{0x80000000, 0, 0x80000022, 0, 0, 0},
		{0x80000001, 0, 0xa20f10, 0, ALL, ALL},
		{0x8000001b, 0, 0x3ff, 0, 0, 0},
		{0x80000022, 0, 7, 0x00041046, 0, 0},
		{0x80000021, 0, ALL, 0, 0, 0},
	};
	struct kvm_cpuid2 *table = build(zen, ARRAY_SIZE(zen), 0, 1);

	ck_assert(is_zero(find(table, 0x80000022, 0)));
	ck_assert(is_zero(find(table, 0x8000001b, 0)));
	/* SVM, IBS, PerfCtrExtCore, PerfCtrExtNB, PerfCtrExtLLC; all others are as they were. */
	ck_assert_uint_eq(find(table, 0x80000001, 0)->ecx,
			  ~(1u << 2 | 1u << 10 | 1u << 23 | 1u << 24 | 1u << 28));
	ck_assert_uint_eq(find(table, 0x80000001, 0)->edx, ALL);
	ck_assert_uint_eq(find(table, 0x80000021, 0)->eax, ALL);
	free(table);
}
END_TEST

START_TEST(intel_has_no_counters)
{
	static const struct leaf lake[] = {
		{0, 0, 0x23, 0x756e6547, 0x6c65746e, 0x49656e69},
		{1, 0, 0x806f8, 0, ALL, ALL},
		{7, 0, 2, ALL, ALL, ALL},
		{7, 1, ALL, ALL, ALL, ALL},
		{0xa, 0, 0x08300805, 0, 0xf, 0x8604},
		{0x14, 0, 1, 0xff, 7, 0},
		{0x14, 1, ALL, ALL, 0, 0},
		{0x1c, 0, ALL, 7, 7, 0},
		{0x23, 0, 0xf, 0, 0, 0},
	};
	struct kvm_cpuid2 *table = build(lake, ARRAY_SIZE(lake), 0, 1);
	const struct kvm_cpuid_entry2 *one = find(table, 1, 0);

	ck_assert(is_zero(find(table, 0xa, 0)));
	ck_assert(is_zero(find(table, 0x14, 0)));
	ck_assert(is_zero(find(table, 0x14, 1)));
	ck_assert(is_zero(find(table, 0x1c, 0)));
	ck_assert(is_zero(find(table, 0x23, 0)));
	/* DTES64, VMX, PDCM; DS and, with one processor, HTT. */
	ck_assert_uint_eq(one->ecx, ~(1u << 2 | 1u << 5 | 1u << 15));
	ck_assert_uint_eq(one->edx, ~(1u << 21 | 1u << 28));
	ck_assert_uint_eq(find(table, 7, 0)->ebx, ~(1u << 25));
	ck_assert_uint_eq(find(table, 7, 0)->edx, ~(1u << 19));
	ck_assert_uint_eq(find(table, 7, 0)->ecx, ALL);
	ck_assert_uint_eq(find(table, 7, 1)->eax, ~(1u << 8));
	free(table);
}
END_TEST

START_TEST(each_processor_has_its_place)
{
	static const struct leaf few[] = {{0, 0, 0x1f, 0, 0, 0}, {1, 0, 0, 0, 0, 0}};
	struct kvm_cpuid2 *table = build(few, ARRAY_SIZE(few), 2, 4);
	const struct kvm_cpuid_entry2 *one = find(table, 1, 0);

	ck_assert_uint_eq(one->ebx >> 24, 2);
	ck_assert_uint_eq(one->ebx >> 16 & 0xff, 4);
	ck_assert_uint_eq(one->ecx, 1u << 31 | 1u << 24); /* hypervisor, TSC deadline */
	ck_assert_uint_eq(one->edx, 1u << 28);
	ck_assert_uint_eq(find(table, 0xb, 1)->ebx, 4);
	ck_assert_uint_eq(find(table, 0x1f, 1)->edx, 2);
	free(table);
}
END_TEST

UNIT_MAIN("cpuid", amd_has_no_counters, intel_has_no_counters, each_processor_has_its_place)
