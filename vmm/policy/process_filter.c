/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/process_filter.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/jail.h"
#include "vmm/policy/process_groups.h"

/* libseccomp's order of the program: a binary tree over the calls' numbers. */
#define BINARY_TREE 2

static int add_call(scmp_filter_ctx context, const struct process_call *call)
{
	struct scmp_arg_cmp compare[PROCESS_CONDITIONS];
	unsigned i, count = 0;

	for (i = 0; i < PROCESS_CONDITIONS; i++)
		if (call->when[i].mask)
			compare[count++] = (struct scmp_arg_cmp){
				.arg = call->when[i].argument,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = call->when[i].mask,
				.datum_b = call->when[i].value,
			};
	return seccomp_rule_add_array(context, SCMP_ACT_ERRNO((unsigned)call->error), call->number,
				      count, compare);
}

/* Adds every call that is closed always, or with its group. */
static int add_calls(scmp_filter_ctx context, const struct policy *policy)
{
	struct policy_decision decision;
	size_t i;
	int ret = 0;

	for (i = 0; i < process_call_count && ret == 0; i++) {
		decision.verdict = POLICY_DENY;
		if (process_calls[i].group != PROCESS_ALWAYS)
			policy_decide_group(policy, (enum policy_group)process_calls[i].group,
					    &decision);
		if (decision.verdict != POLICY_ALLOW)
			ret = add_call(context, &process_calls[i]);
	}
	return ret;
}

_Static_assert(PROCESS_FILTER_MAX >= BPF_MAXINSNS, "each program fits");

static int export(scmp_filter_ctx context, struct process_filter *filter)
{
	struct sock_fprog program;
	int ret = jail_program(context, &program);

	if (ret < 0)
		return ret;
	memcpy(filter->code, program.filter, program.len * sizeof(filter->code[0]));
	filter->count = program.len;
	free(program.filter);
	return 0;
}

int process_filter_make(const struct policy *policy, struct process_filter *filter, struct err *err)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	struct policy_decision decision;
	int ret = -ENOMEM;

	memset(filter, 0, sizeof(*filter));
	policy_decide_group(policy, POLICY_MEMFD_EXEC, &decision);
	filter->memfd_noexec = decision.verdict != POLICY_ALLOW;
	/* The guest's architecture, whatever the monitor's may be. */
	if (context && seccomp_arch_native() != SCMP_ARCH_X86_64) {
		ret = seccomp_arch_add(context, SCMP_ARCH_X86_64);
		if (ret == 0)
			ret = seccomp_arch_remove(context, SCMP_ARCH_NATIVE);
	} else if (context) {
		ret = 0;
	}
	if (ret == 0)
		ret = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* Older versions have no other order: the program is right, but longer to run. */
	if (ret == 0)
		seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
	if (ret == 0)
		ret = add_calls(context, policy);
	if (ret == 0)
		ret = export(context, filter);
	if (context)
		seccomp_release(context);
	return ret < 0 ? err_code(err, -ret, "the filter of system calls") : 0;
}
