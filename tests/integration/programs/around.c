/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways around closed groups of system calls, each in a process of its own. Prints one line for
 * each: its name, and `ok`, the name of the error, or the signal that ended it. Run it as sandbox
 * root. `around euid` prints the effective user.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/programs/attempts.h"

#define GET_USERNS    0xb701 /* NS_GET_USERNS */
#define OPEN_TREE     428
#define MOVE_MOUNT    429
#define FSOPEN	      430
#define FSPICK	      433
#define PIDFD_OPEN    434
#define CLONE3	      435
#define PIDFD_GETFD   438
#define MOUNT_SETATTR 442
#define MEMORY_EXEC   0x10
#define X32	      0x40000000

/* <linux/seccomp.h> and <linux/filter.h>, which musl lacks */
#define SET_FILTER 1
#define ALLOW	   0x7fff0000
#define TRACE	   0x7ff00000
#define LOAD	   0x20
#define JUMP_EQUAL 0x15
#define RETURN	   0x06

/* --- other tables of system calls ------------------------------------------------------------- */

static int x32_call(void)
{
	return (int)syscall(X32 | SYS_getpid) < 0 ? -1 : 0;
}

static int old_call(void)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
	return result < 0 ? -1 : 0;
}

/* --- namespaces and mounts -------------------------------------------------------------------- */

static int clone3_user(void)
{
	uint64_t arguments[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
	long pid = syscall(CLONE3, arguments, sizeof(arguments));

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

/* It is this process's own, which it can't join again: EINVAL where setns is open. */
static int owner(void)
{
	int space = open("/proc/self/ns/uts", O_RDONLY), users = ioctl(space, GET_USERNS);

	return users < 0 ? -1 : setns(users, 0);
}

static int by_pidfd(void)
{
	return setns((int)syscall(PIDFD_OPEN, getpid(), 0), CLONE_NEWUTS);
}

static int new_mount(void)
{
	return syscall(FSOPEN, "tmpfs", 0) < 0 ? -1 : 0;
}

static int copied_mount(void)
{
	return syscall(OPEN_TREE, AT_FDCWD, "/", 0x8001) < 0 ? -1 : 0;
}

/* Reached, it fails for its descriptors: EBADF. */
static int moved_mount(void)
{
	return (int)syscall(MOVE_MOUNT, -1, "", -1, "", 4 | 0x40);
}

static int picked_mount(void)
{
	return syscall(FSPICK, AT_FDCWD, "/proc", 0) < 0 ? -1 : 0;
}

static int attributes(void)
{
	uint64_t nothing[4] = {0};

	return (int)syscall(MOUNT_SETATTR, AT_FDCWD, "/", 0, nothing, sizeof(nothing));
}

struct instruction {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t value;
};

static int unshare_under(const struct instruction *code, unsigned short count)
{
	const struct {
		unsigned short count;
		const struct instruction *code;
	} program = {count, code};

	if (syscall(SYS_seccomp, SET_FILTER, 0, &program) < 0)
		return -1;
	return unshare(CLONE_NEWUSER);
}

/* A filter of one's own can't allow what an earlier one refuses. */
static int allowing_filter(void)
{
	const struct instruction all = {RETURN, 0, 0, ALLOW};

	return unshare_under(&all, 1);
}

/* Nor does a tracer decide about such a call. Without one the second filter's result is ENOSYS. */
static int tracing_filter(void)
{
	const struct instruction some[] = {
		{LOAD, 0, 0, 0},
		{JUMP_EQUAL, 0, 1, SYS_unshare},
		{RETURN, 0, 0, TRACE},
		{RETURN, 0, 0, ALLOW},
	};

	return unshare_under(some, 4);
}

/* --- processes of the sandbox that have no filter --------------------------------------------- */

static int first_traced(void)
{
	return (int)ptrace(PTRACE_SEIZE, 1, NULL, NULL);
}

static int first_memory(void)
{
	return open("/proc/1/mem", O_RDWR);
}

static int first_written(void)
{
	char byte = 0;
	struct iovec local = {&byte, 1}, remote = {&byte, 1};

	return (int)process_vm_writev(1, &local, 1, &remote, 1, 0);
}

static int first_descriptor(void)
{
	return (int)syscall(PIDFD_GETFD, syscall(PIDFD_OPEN, 1, 0), 0, 0);
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* In a network namespace of its own: in the sandbox's, only guest root may have such sockets. */
static int raw6(void)
{
	return unshare(CLONE_NEWNET) < 0 ? -1 : socket(AF_INET6, SOCK_RAW, 58);
}

static int raw_high(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return (int)syscall(SYS_socket, 0x7700000000L | AF_INET, 0x7700000000L | SOCK_RAW, 1);
}

/* --- programs in memory ----------------------------------------------------------------------- */

/* Runs a copy of this program, in memory. */
static int run_memory(unsigned flags)
{
	int fd = (int)syscall(SYS_memfd_create, "copy", flags);
	int self = open("/proc/self/exe", O_RDONLY), n;
	char *const arguments[] = {"copy", "euid", NULL}, *const variables[] = {NULL};
	static char bytes[65536];

	if (fd < 0)
		return -1;
	while ((n = (int)read(self, bytes, sizeof(bytes))) > 0)
		if (write(fd, bytes, (size_t)n) != n)
			return -1;
	fchmod(fd, 0755);
	dup2(open("/dev/null", O_WRONLY), 1);
	fexecve(fd, arguments, variables);
	return -1;
}

/* In a process namespace of its own, where the sandbox's root owns the sysctl. */
static int in_namespace(int (*attempt)(void))
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int memory_plain(void)
{
	return run_memory(0);
}

static int memory_flag(void)
{
	return run_memory(MEMORY_EXEC);
}

static int memory_plain_below(void)
{
	return in_namespace(memory_plain);
}

static int memory_flag_below(void)
{
	return in_namespace(memory_flag);
}

static int switched_off(void)
{
	int fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY);

	if (fd >= 0 && write(fd, "0", 1) == 1)
		close(fd);
	return run_memory(0);
}

static int memory_switched_below(void)
{
	return in_namespace(switched_off);
}

/* Mapped, not executed: as open as any other memory that a program fills itself. */
static int memory_mapped(void)
{
	int fd = (int)syscall(SYS_memfd_create, "data", 0);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return -1;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0;
}

static const struct attempt attempts[] = {
	{"x32", x32_call},
	{"int80", old_call},
	{"clone3_user", clone3_user},
	{"owner", owner},
	{"pidfd", by_pidfd},
	{"fsopen", new_mount},
	{"open_tree", copied_mount},
	{"move_mount", moved_mount},
	{"fspick", picked_mount},
	{"mount_setattr", attributes},
	{"allowing_filter", allowing_filter},
	{"tracing_filter", tracing_filter},
	{"first_traced", first_traced},
	{"first_memory", first_memory},
	{"first_written", first_written},
	{"first_descriptor", first_descriptor},
	{"raw6", raw6},
	{"raw_high", raw_high},
	{"memory_plain", memory_plain},
	{"memory_plain_below", memory_plain_below},
	{"memory_flag_below", memory_flag_below},
	{"memory_switched_below", memory_switched_below},
	{"memory_mapped", memory_mapped},
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "euid") == 0) {
		printf("%d\n", (int)geteuid());
		return 0;
	}
	attempts_run(attempts, sizeof(attempts) / sizeof(attempts[0]));
	return 0;
}
