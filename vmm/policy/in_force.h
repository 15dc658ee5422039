/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy in force. Any number of threads hold it while they use it; a replacement takes effect
 * at once, and the last holder of the old policy frees it. Nothing blocks: hold, release and
 * replace take an atomic operation or two.
 *
 * `current` is one word: the slot of the policy in force, and how often it has been held since it
 * was set. Holding is one fetch-and-add, which also returns the slot. Releasing decrements the
 * slot's `users`, which is negative while the policy is in force. Replacing swaps the word and adds
 * the count of the old policy to its `users`, which from then on is the number of holders left; the
 * operation that brings it to 0 frees the policy. The count has 56 bits: ten million uses a second
 * fill them in two centuries.
 */
#ifndef CORDON_POLICY_IN_FORCE_H
#define CORDON_POLICY_IN_FORCE_H

#include <stdatomic.h>

#include "vmm/policy/policy.h"

/* Policies at once: the current one, and old ones that are still held. At most 256. */
#define IN_FORCE_MAX 64

struct in_force {
	_Atomic uint64_t current;
	struct {
		_Atomic(struct policy *) policy; /* NULL: free */
		_Atomic int64_t users;
		_Atomic uint64_t number;
	} slot[IN_FORCE_MAX];
};

struct held_policy {
	const struct policy *policy;
	uint64_t number; /* increases with each policy */
	unsigned slot;
};

/* Sets the first policy with its number and takes ownership of it. *force must be all zero. */
void in_force_begin(struct in_force *force, struct policy *policy, uint64_t number);

/* Frees all. No other thread may still use it. */
void in_force_end(struct in_force *force);

struct held_policy in_force_hold(struct in_force *force);
void in_force_release(struct in_force *force, struct held_policy held);

/*
 * Puts a policy in force, takes ownership of it, and gives it a number, which must be higher than
 * all before. One thread at a time. in_force_prepare() finds a slot, or fails with -EBUSY if
 * IN_FORCE_MAX policies are in use; in_force_set() with that slot cannot fail.
 */
int in_force_prepare(const struct in_force *force);
void in_force_set(struct in_force *force, int slot, struct policy *policy, uint64_t number);

/* The number of the current policy, and how often it has been held so far. */
uint64_t in_force_number(const struct in_force *force);
uint64_t in_force_uses(const struct in_force *force);

#endif
