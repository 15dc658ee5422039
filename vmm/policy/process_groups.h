/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of system calls that `process` rules open and close, and the calls that no policy
 * opens. process_groups.c has the tables; process_filter.c makes the program of them that the
 * guest's kernel runs.
 */
#ifndef CORDON_POLICY_PROCESS_GROUPS_H
#define CORDON_POLICY_PROCESS_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/policy/policy.h"

struct process_group {
	const char *name;
	bool open; /* without a rule */
	/* Why exec rules close it, unless a rule opens it: a reason for policy_decide(). */
	const char *closed_by_exec; /* NULL: they do not */
	/* Why no rule can open it: what the guest's kernel lacks. NULL: it has these calls. */
	const char *missing;
};

extern const struct process_group process_groups[POLICY_GROUPS];

#define PROCESS_CONDITIONS 2

/* One condition on an argument: its bits in mask have this value. mask 0: there is none. */
struct process_condition {
	unsigned argument;
	uint64_t mask, value;
};

/* A call that is closed together with its group, or always. */
struct process_call {
	int group; /* enum policy_group, or PROCESS_ALWAYS */
	int number;
	const char *name;
	int error;					   /* with which it fails */
	struct process_condition when[PROCESS_CONDITIONS]; /* it is closed if all hold */
	const char *reason;
};

#define PROCESS_ALWAYS (-1)

extern const struct process_call process_calls[];
extern const size_t process_call_count;

#endif
