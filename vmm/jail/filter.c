/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/jail/lists.h"
#include "vmm/jail/loose.h"

/* As the kernel takes it; never freed, as threads may begin at any time. */
static struct sock_fprog compiled[JAIL_THREADS];

static int add_rules(scmp_filter_ctx context, const struct jail_list *list)
{
	struct jail_rule rule;
	size_t i;
	unsigned k;
	int ret = 0;

	for (i = 0; i < list->count && ret == 0; i++) {
		rule = list->rules[i];
		for (k = 0; k < rule.conditions; k++)
			if (rule.condition[k].datum_a == JAIL_OWN_PID)
				rule.condition[k].datum_a = (scmp_datum_t)getpid();
		ret = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, rule.call, rule.conditions,
					     rule.condition);
	}
	return ret;
}

static int compile(const struct jail_list *list, struct sock_fprog *program)
{
	scmp_filter_ctx context = seccomp_init(JAIL_OTHERWISE);
	int ret;

	if (!context)
		return -ENOMEM;
	/* Of another architecture: a system call's number says nothing then. */
	ret = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (ret == 0)
		ret = add_rules(context, list);
	if (ret == 0)
		ret = jail_program(context, program);
	seccomp_release(context);
	return ret;
}

int jail_filters_compile(struct err *err)
{
	const unsigned trap = SECCOMP_RET_TRAP;
	unsigned thread;
	int ret = 0;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap) < 0)
		return err_sys(err, "seccomp");
	for (thread = 0; thread < JAIL_THREADS && ret == 0; thread++)
		if (jail_list(thread) && !compiled[thread].filter)
			ret = compile(jail_list(thread), &compiled[thread]);
	return ret < 0 ? err_code(err, -ret, "the filter of system calls") : 0;
}

int jail_filter_thread(enum jail_thread thread, struct err *err)
{
	const struct sock_fprog *program = &compiled[thread];

	if (!program->filter)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	if (jail_install(thread, program) < 0)
		return err_sys(err, "the filter of system calls");
	return 0;
}
