/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a workload may ask of its kernel. A call that is in no line is open: the kernel is ours, and
 * what it should not have is left out of it (guest-kernel/config-off).
 *
 * Arguments that the kernel takes as an int are compared in their lower 32 bits only, since the
 * kernel ignores the others.
 */
#include "vmm/policy/process_groups.h"

#include <errno.h>
#include <sys/syscall.h>

#include "vmm/base/bytes.h"

/* Calls newer than some headers. */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* <sched.h>, <sys/socket.h> and <linux/memfd.h>, as the kernel has them. */
#define NEW_USER      0x10000000u
#define NEW_MOUNTS    0x00020000u
#define FAMILY_INET   2u
#define FAMILY_INET6  10u
#define FAMILY_PACKET 17u
#define TYPE_MASK     0xfu
#define TYPE_RAW      3u
#define TYPE_PACKET   10u
#define MEMFD_EXEC    0x10u

#define INT 0xffffffffu

const struct process_group process_groups[POLICY_GROUPS] = {
	[POLICY_PTRACE] = {"ptrace", true,
			   "the exec rules close it: a debugger puts code into programs that they "
			   "allow",
			   NULL},
	[POLICY_USERNS] =
		{"userns", true,
		 "the exec rules close it: a mount puts another file where they allow one", NULL},
	[POLICY_SETUID] = {"setuid", true, NULL, NULL},
	[POLICY_RAW_NET] = {"raw-net", true, NULL, NULL},
	[POLICY_KEYRING] = {"keyring", false, NULL, "key rings (add_key, request_key, keyctl)"},
	[POLICY_PERF] = {"perf", false, NULL, "perf events (perf_event_open)"},
	[POLICY_IO_URING] = {"io_uring", false, NULL, "io_uring"},
	[POLICY_BPF] = {"bpf", false, NULL, "bpf()"},
	[POLICY_CLOCK] = {"clock", false, NULL, NULL},
	[POLICY_MEMFD_EXEC] = {"memfd-exec", true,
			       "the exec rules close it: a program in memory has no path that they "
			       "could match",
			       NULL},
};

#define CALL(group, call, error, reason)                                        \
	{                                                                       \
		group, SYS_##call, #call, error, {{0, 0, 0}, {0, 0, 0}}, reason \
	}
#define WHEN(group, call, error, argument, mask, value, reason)                               \
	{                                                                                     \
		group, SYS_##call, #call, error, {{argument, mask, value}, {0, 0, 0}}, reason \
	}
#define BOTH(group, call, error, argument, mask, value, argument2, mask2, value2, reason) \
	{                                                                                 \
		group, SYS_##call, #call, error,                                          \
			{{argument, mask, value}, {argument2, mask2, value2}}, reason     \
	}

/* clang-format off */
const struct process_call process_calls[] = {
	/* ptrace: into another process */
	CALL(POLICY_PTRACE, ptrace, EPERM, "reads, writes and steers another process"),
	CALL(POLICY_PTRACE, process_vm_readv, EPERM, "reads another process's memory"),
	CALL(POLICY_PTRACE, process_vm_writev, EPERM, "writes another process's memory"),
	CALL(POLICY_PTRACE, kcmp, EPERM, "compares kernel objects of two processes"),
	CALL(POLICY_PTRACE, pidfd_getfd, EPERM, "takes a descriptor out of another process"),

	/* userns: namespaces in which the workload is root, and mounts, which need one */
	WHEN(POLICY_USERNS, unshare, EPERM, 0, NEW_USER, NEW_USER, "a new user namespace"),
	WHEN(POLICY_USERNS, unshare, EPERM, 0, NEW_MOUNTS, NEW_MOUNTS, "a new mount namespace"),
	WHEN(POLICY_USERNS, clone, EPERM, 0, NEW_USER, NEW_USER, "a process in a new user namespace"),
	WHEN(POLICY_USERNS, clone, EPERM, 0, NEW_MOUNTS, NEW_MOUNTS, "one in a new mount namespace"),
	CALL(POLICY_USERNS, clone3, ENOSYS, "its flags are in memory; C libraries fall back to clone"),
	CALL(POLICY_USERNS, setns, EPERM, "joins a namespace; the descriptor alone can say which"),
	CALL(POLICY_USERNS, mount, EPERM, "covers a path"),
	CALL(POLICY_USERNS, umount2, EPERM, "uncovers a path"),
	CALL(POLICY_USERNS, pivot_root, EPERM, "another root"),
	CALL(POLICY_USERNS, move_mount, EPERM, "as mount"),
	CALL(POLICY_USERNS, open_tree, EPERM, "copies a mount"),
	CALL(POLICY_USERNS, fsopen, EPERM, "begins a mount"),
	CALL(POLICY_USERNS, fspick, EPERM, "begins a change of a mount"),
	CALL(POLICY_USERNS, fsconfig, EPERM, "sets options of a mount"),
	CALL(POLICY_USERNS, fsmount, EPERM, "makes a mount"),
	CALL(POLICY_USERNS, mount_setattr, EPERM, "changes a mount, its id mapping included"),

	/* setuid: becoming another user of the sandbox */
	CALL(POLICY_SETUID, setuid, EPERM, "another user"),
	CALL(POLICY_SETUID, setgid, EPERM, "another group"),
	CALL(POLICY_SETUID, setreuid, EPERM, "another user"),
	CALL(POLICY_SETUID, setregid, EPERM, "another group"),
	CALL(POLICY_SETUID, setresuid, EPERM, "another user"),
	CALL(POLICY_SETUID, setresgid, EPERM, "another group"),
	CALL(POLICY_SETUID, setfsuid, EPERM, "another user, for files"),
	CALL(POLICY_SETUID, setfsgid, EPERM, "another group, for files"),
	CALL(POLICY_SETUID, setgroups, EPERM, "other supplementary groups"),

	/* raw-net: packets of the workload's own making */
	WHEN(POLICY_RAW_NET, socket, EPERM, 0, INT, FAMILY_PACKET, "packet sockets"),
	BOTH(POLICY_RAW_NET, socket, EPERM, 0, INT, FAMILY_INET, 1, TYPE_MASK, TYPE_RAW, "raw IPv4"),
	BOTH(POLICY_RAW_NET, socket, EPERM, 0, INT, FAMILY_INET6, 1, TYPE_MASK, TYPE_RAW, "raw IPv6"),
	BOTH(POLICY_RAW_NET, socket, EPERM, 0, INT, FAMILY_INET, 1, TYPE_MASK, TYPE_PACKET,
	     "the old way to a packet socket"),

	/* What the kernel lacks as well: programs know ENOSYS, and do without. */
	CALL(POLICY_KEYRING, add_key, ENOSYS, "key rings reach across namespaces"),
	CALL(POLICY_KEYRING, request_key, ENOSYS, "key rings reach across namespaces"),
	CALL(POLICY_KEYRING, keyctl, ENOSYS, "key rings reach across namespaces"),
	CALL(POLICY_PERF, perf_event_open, ENOSYS, "large attack surface, exact counters"),
	CALL(POLICY_IO_URING, io_uring_setup, ENOSYS, "operations that no filter sees"),
	CALL(POLICY_IO_URING, io_uring_enter, ENOSYS, "operations that no filter sees"),
	CALL(POLICY_IO_URING, io_uring_register, ENOSYS, "operations that no filter sees"),
	CALL(POLICY_BPF, bpf, ENOSYS, "programs in the kernel"),

	/* clock: only guest root can set it; with the group, programs may read its adjustment */
	CALL(POLICY_CLOCK, settimeofday, EPERM, "sets the clock"),
	CALL(POLICY_CLOCK, clock_settime, EPERM, "sets the clock"),
	CALL(POLICY_CLOCK, clock_adjtime, EPERM, "steers the clock, or reads how it is steered"),
	CALL(POLICY_CLOCK, adjtimex, EPERM, "steers the clock, or reads how it is steered"),

	/* memfd-exec; without these flags the agent makes memory files not executable */
	WHEN(POLICY_MEMFD_EXEC, memfd_create, EPERM, 1, MEMFD_EXEC, MEMFD_EXEC, "a program in memory"),

	/* What no policy opens, because nothing ordinary needs it. */
	CALL(PROCESS_ALWAYS, userfaultfd, ENOSYS, "stops the kernel in the middle of a copy"),
	CALL(PROCESS_ALWAYS, memfd_secret, ENOSYS, "memory that is charged to no limit"),
	CALL(PROCESS_ALWAYS, kexec_load, ENOSYS, "another kernel"),
	CALL(PROCESS_ALWAYS, kexec_file_load, ENOSYS, "another kernel"),
	CALL(PROCESS_ALWAYS, init_module, ENOSYS, "code in the kernel"),
	CALL(PROCESS_ALWAYS, finit_module, ENOSYS, "code in the kernel"),
	CALL(PROCESS_ALWAYS, delete_module, ENOSYS, "code in the kernel"),
	CALL(PROCESS_ALWAYS, modify_ldt, ENOSYS, "segments that only old programs need"),
	CALL(PROCESS_ALWAYS, iopl, ENOSYS, "the machine's ports"),
	CALL(PROCESS_ALWAYS, ioperm, ENOSYS, "the machine's ports"),
	CALL(PROCESS_ALWAYS, acct, ENOSYS, "files written by the kernel"),
	CALL(PROCESS_ALWAYS, quotactl, ENOSYS, "quotas of the guest's disks"),
	CALL(PROCESS_ALWAYS, quotactl_fd, ENOSYS, "quotas of the guest's disks"),
	CALL(PROCESS_ALWAYS, swapon, ENOSYS, "swap files"),
	CALL(PROCESS_ALWAYS, swapoff, ENOSYS, "swap files"),
	CALL(PROCESS_ALWAYS, open_by_handle_at, EPERM, "opens files past the directories above them"),
};
/* clang-format on */
const size_t process_call_count = ARRAY_SIZE(process_calls);
