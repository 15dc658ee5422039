/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/jail_common.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"

volatile long attempt_result;

int fine(bool works)
{
	return works ? FINE : 2;
}

int run(void (*enter)(bool confined), int (*attempt)(void), bool confined)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		enter(confined);
		_exit(attempt());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int signals_itself(void)
{
	attempt_result = syscall(SYS_tgkill, getpid(), getpid(), 0);
	return DONE;
}

static char byte;
static struct iovec room = {&byte, 0};
struct msghdr empty_message = {.msg_iov = &room, .msg_iovlen = 1};

/* the monitor, other processes */
ATTEMPT(reads_the_monitors_memory, syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0))
ATTEMPT(signals_the_monitor, kill(getppid(), 0))
ATTEMPT(takes_a_descriptor, syscall(SYS_pidfd_open, getppid(), 0))
ATTEMPT(traces, syscall(SYS_ptrace, 0, 0, 0, 0))
ATTEMPT(starts_a_program, execl("/nowhere/cordon", "true", NULL))
/* namespaces, mounts, identity */
ATTEMPT(makes_a_namespace, syscall(SYS_unshare, 0))
ATTEMPT(enters_a_namespace, syscall(SYS_setns, -1, 0))
ATTEMPT(mounts, mount(NULL, "/nowhere", NULL, 0, NULL))
ATTEMPT(changes_its_root, chroot("/nowhere"))
ATTEMPT(changes_its_directory, chdir("."))
ATTEMPT(changes_its_user, syscall(SYS_setresuid, -1, -1, -1))
ATTEMPT(sets_capabilities, syscall(SYS_capset, NULL, NULL))
/* more of the kernel */
ATTEMPT(makes_a_ring, syscall(SYS_io_uring_setup, 0, NULL))
ATTEMPT(loads_bpf, syscall(SYS_bpf, -1, NULL, 0))
ATTEMPT(handles_faults, syscall(SYS_userfaultfd, -1))
ATTEMPT(uses_keys, syscall(SYS_keyctl, -1))
ATTEMPT(maps_code, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
ATTEMPT(makes_code, mprotect(NULL, 0, PROT_READ | PROT_EXEC))
/* sockets; stderr may be the user's terminal, a file, or a socket: it is only written to */
ATTEMPT(opens_a_unix_socket, socket(AF_UNIX, SOCK_STREAM, 0))
ATTEMPT(reads_stderr, read(2, &byte, 0))
/* The kernel takes the lower half of the number. */
ATTEMPT(reads_stderr_in_disguise, syscall(SYS_read, (INT64_C(7) << 32) | 2, &byte, 0))
ATTEMPT(receives_messages_from_stderr, recvmsg(2, &empty_message, MSG_DONTWAIT))

static int forks(void)
{
	if (syscall(SYS_fork) == 0)
		_exit(0);
	return DONE;
}

static int (*const shared[])(void) = {
	reads_the_monitors_memory,
	signals_the_monitor,
	takes_a_descriptor,
	traces,
	starts_a_program,
	makes_a_namespace,
	enters_a_namespace,
	mounts,
	changes_its_root,
	changes_its_directory,
	changes_its_user,
	sets_capabilities,
	makes_a_ring,
	loads_bpf,
	handles_faults,
	uses_keys,
	maps_code,
	makes_code,
	opens_a_unix_socket,
	reads_stderr,
	reads_stderr_in_disguise,
	receives_messages_from_stderr,
	forks,
};

void attempt_all(void (*enter)(bool confined), int (*const attempts[])(void), size_t count,
		 bool confined)
{
	const int expected = confined ? 128 + SIGSYS : DONE;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shared); i++)
		ck_assert_msg(run(enter, shared[i], confined) == expected, "shared attempt %zu", i);
	for (i = 0; i < count; i++)
		ck_assert_msg(run(enter, attempts[i], confined) == expected, "attempt %zu", i);
}
