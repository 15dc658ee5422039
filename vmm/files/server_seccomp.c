/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of a file server. It opens files, so paths are its own business; but it starts
 * no program, opens no socket, and does nothing to other processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/jail.h"
#include "vmm/files/server_internal.h"

#define NOBODY 65534

/* Each call, and what the server needs it for. */
static const int calls[] = {
	/* finding and opening files */
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(access),
	/* what is in them */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev2),
	SCMP_SYS(lseek),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(syncfs),
	SCMP_SYS(flock),
	/* a line for stderr, whose reader may be slow */
	SCMP_SYS(poll),
	/* changing directories and attributes */
	SCMP_SYS(mkdirat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(umask),
	SCMP_SYS(utimensat),
	SCMP_SYS(getxattr),
	SCMP_SYS(fgetxattr),
	SCMP_SYS(setxattr),
	SCMP_SYS(listxattr),
	SCMP_SYS(removexattr),
	/* keeping to the roots */
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	/* threads, memory, time */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getcpu),
	SCMP_SYS(geteuid), /* whether it is host root's */
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	/* signals that are ignored, and the end */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* The kernel looks at the lower half of an argument that is an int. */
#define INT_MASK ((scmp_datum_t)UINT32_MAX)

/* Calls with one permitted value of an int argument. */
static const struct {
	int call;
	unsigned argument;
	uint32_t value;
} with[] = {
	/* the socket, and none that stderr may be */
	{SCMP_SYS(recvmsg), 0, FILES_SERVER_FD},
	{SCMP_SYS(sendmsg), 0, FILES_SERVER_FD},
	/* open files, from one server to the next */
	{SCMP_SYS(sendmsg), 0, FILES_GIVE_FD},
	{SCMP_SYS(recvmsg), 0, FILES_TAKE_FD},
	/* files of a served host as an unprivileged user, and back */
	{SCMP_SYS(setfsuid), 0, 0},
	{SCMP_SYS(setfsuid), 0, NOBODY},
	{SCMP_SYS(setfsuid), 0, UINT32_MAX},
	{SCMP_SYS(setfsgid), 0, 0},
	{SCMP_SYS(setfsgid), 0, NOBODY},
	{SCMP_SYS(setfsgid), 0, UINT32_MAX},
	{SCMP_SYS(setgroups), 0, 0},
	/* descriptors, locks; not F_SETOWN, by which signals are sent */
	{SCMP_SYS(fcntl), 1, F_DUPFD_CLOEXEC},
	{SCMP_SYS(fcntl), 1, F_GETFL},
	{SCMP_SYS(fcntl), 1, F_GET_SEALS},
	{SCMP_SYS(fcntl), 1, F_OFD_GETLK},
	{SCMP_SYS(fcntl), 1, F_OFD_SETLK},
	/* whether a directory ignores case */
	{SCMP_SYS(ioctl), 1, (uint32_t)FS_IOC_GETFLAGS},
	/* names of threads */
	{SCMP_SYS(prctl), 0, PR_SET_NAME},
};

/*
 * stderr may be a terminal, whose user types into it, or a file with what came before: it is
 * written to, and nothing else.
 */
static const int inherited[] = {
	SCMP_SYS(read),	 SCMP_SYS(pread64),   SCMP_SYS(pwrite64),  SCMP_SYS(pwritev2),
	SCMP_SYS(lseek), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock),
};

static int allow_calls(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(calls) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, calls[i], 0);
	for (i = 0; i < ARRAY_SIZE(with) && ret == 0; i++)
		ret = seccomp_rule_add(
			context, SCMP_ACT_ALLOW, with[i].call, 1,
			SCMP_CMP(with[i].argument, SCMP_CMP_MASKED_EQ, INT_MASK, with[i].value));
	/* Memory, also the ring; nothing to execute. */
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, but no processes. libc does without clone3(2), whose flags lie in memory. */
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
					       CLONE_THREAD | CLONE_VM));
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return ret;
}

static int refuse_inherited(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0, fd;

	for (i = 0; i < ARRAY_SIZE(inherited); i++)
		for (fd = 0; fd <= STDERR_FILENO && ret == 0; fd++)
			ret = seccomp_rule_add(
				context, SCMP_ACT_KILL_PROCESS, inherited[i], 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, INT_MASK, (scmp_datum_t)fd));
	return ret;
}

/* The sanitizers' own code makes calls that the server never does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#else
#define FILTERED 1
#endif

int files_filter_calls(struct err *err)
{
	int ret = 0;

	/* Two filters, since a rule can permit what an argument is, but not what it is not. */
	if (FILTERED)
		ret = jail_filter(SCMP_ACT_ALLOW, refuse_inherited);
	if (FILTERED && ret == 0)
		ret = jail_filter(SCMP_ACT_KILL_PROCESS, allow_calls);
	return ret < 0 ? err_code(err, -ret, "the filter of system calls") : 0;
}
