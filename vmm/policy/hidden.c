/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/hidden.h"

#include <sys/random.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/audit.h"

void hidden_begin(struct hidden_names *names, uint64_t now)
{
	if (getrandom(&names->seed, sizeof(names->seed), 0) < 0)
		names->seed = now;
}

bool hidden_is_known(struct hidden_names *names, const char *path, size_t length, uint64_t now,
		     unsigned *place)
{
	uint64_t hash = names->seed;
	size_t i, end = min_u64(length, POLICY_OBJECT_MAX);

	for (i = 0; i < end; i++)
		hash = (hash ^ (uint8_t)path[i]) * UINT64_C(0x100000001b3);
	*place = (unsigned)((hash ^ hash >> 32) % HIDDEN_PLACES);
	hash += (now / AUDIT_HIDDEN_NS + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return atomic_exchange_explicit(&names->hash[*place], hash, memory_order_relaxed) == hash;
}

void hidden_forget(struct hidden_names *names, unsigned place)
{
	atomic_store_explicit(&names->hash[place], 0, memory_order_relaxed);
}
