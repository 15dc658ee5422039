/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on other processes, and by new ones; namespaces. */
#include "tests/attack/guest.h"

/* --- processes -------------------------------------------------------------------------------- */

/* The child ends at once: what it would do next is not the guest's to say. */
long attack_fork_child(void)
{
	return DO(__NR_clone, 0x01000000 /* CLONE_UNTRACED */ | 17, 0, 0, 0, 0);
}

long attack_clone_new(void)
{
	words[0] = 0;
	words[1] = words[2] = words[3] = 0;
	words[4] = 17;
	words[5] = words[6] = words[7] = 0;
	return DO(__NR_clone3, at(words), 64);
}

long attack_execute(void)
{
	words[0] = at(path);
	words[1] = 0;
	return DO(__NR_execve, at(path), at(words), at(words + 1));
}

long attack_execute_at(void)
{
	words[0] = at(path);
	words[1] = 0;
	return DO(__NR_execveat, AT_HERE, at(path), at(words), at(words + 1), 0);
}

long attack_kill_process(void)
{
	return DO(__NR_kill, number, 15);
}

long attack_kill_everything(void)
{
	return DO(__NR_kill, -1, 0);
}

long attack_kill_thread(void)
{
	return DO(__NR_tgkill, number, number, 15);
}

long attack_kill_queued(void)
{
	*(int *)(void *)room = 15;
	*(int *)(void *)(room + 8) = -1; /* SI_QUEUE */
	return DO(__NR_rt_sigqueueinfo, number, 15, at(room));
}

long attack_open_process(void)
{
	return DO(__NR_pidfd_open, number, 0);
}

long attack_trace(void)
{
	return DO(__NR_ptrace, 0x4206 /* PTRACE_SEIZE */, number, 0, 0);
}

long attack_read_memory(void)
{
	words[0] = at(room);
	words[1] = 8;
	words[2] = (uint64_t)at(room); /* not mapped there: EFAULT, once permitted */
	words[3] = 8;
	return DO(__NR_process_vm_readv, number, at(words), 1, at(words + 2), 1, 0) == -14 ? 0 : -1;
}

long attack_write_memory(void)
{
	words[0] = at(room);
	words[1] = 8;
	words[2] = (uint64_t)at(room);
	words[3] = 8;
	return DO(__NR_process_vm_writev, number, at(words), 1, at(words + 2), 1, 0) == -14 ? 0
											    : -1;
}

long attack_compare_processes(void)
{
	return DO(__NR_kcmp, number, number, 0, 0, 0);
}

long attack_limit_process(void)
{
	return DO(__NR_prlimit64, number, 4 /* RLIMIT_CORE */, 0, at(room));
}

long attack_slow_process(void)
{
	return DO(__NR_setpriority, 0, number, 10);
}

long attack_bind_process(void)
{
	words[0] = 1;
	return DO(__NR_sched_setaffinity, number, 8, at(words));
}

long attack_own_parent(void)
{
	return DO(__NR_prctl, 1 /* PR_SET_PDEATHSIG */, 0);
}

long attack_make_dumpable(void)
{
	return DO(__NR_prctl, 4 /* PR_SET_DUMPABLE */, 1);
}

long attack_be_traced(void)
{
	return DO(__NR_prctl, 0x59616d61 /* PR_SET_PTRACER */, -1);
}

long attack_become(void)
{
	return DO(__NR_setresuid, -1, -1, -1);
}

long attack_leave_group(void)
{
	return DO(__NR_setsid);
}

long attack_signal_by_file(void)
{
	long ret = DO(__NR_fcntl, 2, 8 /* F_SETOWN */, number);

	return ret < 0 ? ret : DO(__NR_fcntl, 2, 10 /* F_SETSIG */, 15);
}

/* --- namespaces ------------------------------------------------------------------------------- */

long attack_user_namespace(void)
{
	return DO(__NR_unshare, 0x08000000 /* CLONE_NEWUTS */);
}

long attack_mount_namespace(void)
{
	return DO(__NR_unshare, 0x00020000 /* CLONE_NEWNS */);
}

long attack_join_namespace(void)
{
	long fd, ret = -22;

	fd = DO(__NR_openat, AT_HERE, at("/proc/self/ns/uts"), 0);
	if (fd >= 0)
		ret = DO(__NR_setns, fd, 0);
	return fd < 0 ? fd : ret;
}

long attack_mount_files(void)
{
	return DO(__NR_mount, at("attack"), at(path), at("tmpfs"), 0, 0);
}

long attack_mount_new(void)
{
	return DO(__NR_fsopen, at("tmpfs"), 0);
}

long attack_copy_tree(void)
{
	return DO(__NR_open_tree, AT_HERE, at("/"), 1);
}
