/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of each kind of thread of the monitor, and what it needs each for.
 * docs/confinement.md has the same as tables; tests/unit/test_jail_lists.c compares them.
 */
#ifndef CORDON_JAIL_LISTS_H
#define CORDON_JAIL_LISTS_H

#include <seccomp.h>
#include <stddef.h>

#include "vmm/base/jail.h"

#define JAIL_CONDITIONS 2

/* In place of a number: the process's own id. */
#define JAIL_OWN_PID UINT64_MAX

/* A call is permitted if one rule for it has all its conditions met. */
struct jail_rule {
	int call;
	unsigned conditions;
	struct scmp_arg_cmp condition[JAIL_CONDITIONS];
	const char *only; /* the conditions in words; NULL: there are none */
	const char *why;
};

struct jail_list {
	const char *thread; /* "vCPU": in messages */
	const struct jail_rule *rules;
	size_t count;
};

/* NULL: threads of this kind have no list. */
const struct jail_list *jail_list(enum jail_thread thread);

#endif
