/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/in_force.h"

#include <errno.h>

#define COUNT_BITS 56
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

_Static_assert(IN_FORCE_MAX <= 1u << (64 - COUNT_BITS), "a slot's number has 8 bits");

static unsigned slot_of(uint64_t current)
{
	return (unsigned)(current >> COUNT_BITS);
}

/* No thread can reach the policy any more. The slot becomes free only after the policy is. */
static void free_slot(struct in_force *force, unsigned slot)
{
	policy_free(atomic_load_explicit(&force->slot[slot].policy, memory_order_relaxed));
	atomic_store_explicit(&force->slot[slot].policy, NULL, memory_order_release);
}

void in_force_begin(struct in_force *force, struct policy *policy, uint64_t number)
{
	atomic_init(&force->slot[0].number, number);
	atomic_init(&force->slot[0].policy, policy);
	atomic_init(&force->current, 0);
}

void in_force_end(struct in_force *force)
{
	unsigned i;

	for (i = 0; i < IN_FORCE_MAX; i++)
		policy_free(atomic_load(&force->slot[i].policy));
}

struct held_policy in_force_hold(struct in_force *force)
{
	unsigned slot =
		slot_of(atomic_fetch_add_explicit(&force->current, 1, memory_order_acquire));

	return (struct held_policy){
		.policy = atomic_load_explicit(&force->slot[slot].policy, memory_order_relaxed),
		.number = atomic_load_explicit(&force->slot[slot].number, memory_order_relaxed),
		.slot = slot,
	};
}

void in_force_release(struct in_force *force, struct held_policy held)
{
	if (atomic_fetch_sub_explicit(&force->slot[held.slot].users, 1, memory_order_acq_rel) == 1)
		free_slot(force, held.slot);
}

int in_force_prepare(const struct in_force *force)
{
	int i;

	for (i = 0; i < IN_FORCE_MAX; i++)
		if (!atomic_load_explicit(&force->slot[i].policy, memory_order_acquire))
			return i;
	return -EBUSY;
}

void in_force_set(struct in_force *force, int slot, struct policy *policy, uint64_t number)
{
	uint64_t old;
	int64_t taken;

	/* What reads it also finds that the slot's former policy is not in force any more. */
	atomic_store_explicit(&force->slot[slot].number, number, memory_order_release);
	atomic_store_explicit(&force->slot[slot].policy, policy, memory_order_relaxed);
	old = atomic_exchange_explicit(&force->current, (uint64_t)slot << COUNT_BITS,
				       memory_order_acq_rel);
	taken = (int64_t)(old & COUNT_MASK);
	if (atomic_fetch_add_explicit(&force->slot[slot_of(old)].users, taken,
				      memory_order_acq_rel) == -taken)
		free_slot(force, slot_of(old));
}

uint64_t in_force_number(const struct in_force *force)
{
	uint64_t current = atomic_load(&force->current), number, again;

	/* Meanwhile the slot may have become free, and have the number of a policy to come. */
	for (;; current = again) {
		number = atomic_load_explicit(&force->slot[slot_of(current)].number,
					      memory_order_acquire);
		again = atomic_load(&force->current);
		if (slot_of(again) == slot_of(current))
			return number;
	}
}

uint64_t in_force_uses(const struct in_force *force)
{
	return atomic_load(&force->current) & COUNT_MASK;
}
