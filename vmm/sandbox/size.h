/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the size of a sandbox, new or restored, against its policy's limits. */
#ifndef CORDON_SANDBOX_SIZE_H
#define CORDON_SANDBOX_SIZE_H

#include <stdint.h>

#include "vmm/base/err.h"

struct guard;
struct machine;
struct policy;

struct machine_size {
	uint64_t memory; /* bytes */
	unsigned cpus;
	/* bytes that the guest may write: its scratch disk's size, or its private layer's limit */
	uint64_t disk;
};

struct machine_size machine_size(const struct machine *machine);

/* 0, or -EINVAL with a message that says what the policy allows. */
int machine_size_check(const struct machine_size *size, const struct policy *policy,
		       struct err *err);

/* The same with a guard's policy; NULL: there is none. */
int machine_size_check_guard(const struct machine_size *size, struct guard *guard, struct err *err);

#endif
