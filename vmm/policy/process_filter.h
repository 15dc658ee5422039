/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's groups of system calls as the program that the guest's kernel runs for each call of a
 * workload (seccomp). The program is for x86-64: a call of another architecture, or of the x32 ABI,
 * ends the process.
 */
#ifndef CORDON_POLICY_PROCESS_FILTER_H
#define CORDON_POLICY_PROCESS_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "vmm/policy/policy.h"

#define PROCESS_FILTER_MAX 4096 /* instructions, as many as the kernel takes */

struct process_filter {
	struct sock_filter code[PROCESS_FILTER_MAX];
	size_t count;
	bool memfd_noexec; /* files in memory are made not executable (sysctl vm.memfd_noexec) */
};

/* policy NULL: no rules, so the defaults. 0, or -errno with a message. */
int process_filter_make(const struct policy *policy, struct process_filter *filter,
			struct err *err);

#endif
