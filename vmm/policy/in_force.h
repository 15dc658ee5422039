/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy in force: any number of threads hold it while they use it, another one takes its
 * place, and the old one is freed by the last that holds it. Nothing here waits: to hold, to let go
 * and to replace is an atomic operation or two.
 *
 * How: `current` is one word, the slot of the policy in force and how often it has been taken since
 * it is in force. Taking is therefore one addition that says which policy it was. Letting go counts
 * down the slot's `users`, which is negative while the policy is in force. Replacing swaps the word
 * and adds the count of the old one to its `users`: from then on these are the holders that are
 * left, and the operation that makes them 0 frees. The count has 56 bits, which ten million uses a
 * second fill in two centuries.
 */
#ifndef CORDON_POLICY_IN_FORCE_H
#define CORDON_POLICY_IN_FORCE_H

#include <stdatomic.h>

#include "vmm/policy/policy.h"

/* Policies at once: the current one, and old ones that a thread still holds. At most 256. */
#define IN_FORCE_MAX 64

struct in_force {
	_Atomic uint64_t current;
	struct {
		_Atomic(struct policy *) policy; /* NULL: free */
		_Atomic int64_t users;
		uint64_t number;
	} slot[IN_FORCE_MAX];
};

struct held_policy {
	const struct policy *policy;
	uint64_t number; /* 0 the first policy, then counted up */
	unsigned slot;
};

/* The first policy, which is taken. All zero before. */
void in_force_begin(struct in_force *force, struct policy *policy);

/* Frees all. No other thread may use it any more. */
void in_force_end(struct in_force *force);

struct held_policy in_force_hold(struct in_force *force);
void in_force_release(struct in_force *force, struct held_policy held);

/*
 * Takes policy and puts it in force, with a number that is higher than all before. One thread at a
 * time. in_force_prepare() only finds its slot: what it returns can't fail to come into force any
 * more. -EBUSY: IN_FORCE_MAX policies are in use.
 */
int in_force_prepare(const struct in_force *force);
void in_force_set(struct in_force *force, int slot, struct policy *policy, uint64_t number);

/* The number of the current one, and how often it has been held so far. */
uint64_t in_force_number(const struct in_force *force);
uint64_t in_force_uses(const struct in_force *force);

#endif
