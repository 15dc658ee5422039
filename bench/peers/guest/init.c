/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program of a guest that boots for a measurement: it restarts the machine, and the
 * monitor ends. With a parameter `bench_wait=1` (the kernel puts it into the environment of the
 * first program) it writes a line "ready" to the console first, reads a line, and runs that in a
 * shell: what a monitor saves at "ready" is a sandbox that waits for its command.
 */
#define SYS_READ      0
#define SYS_WRITE     1
#define SYS_VFORK     58
#define SYS_EXECVE    59
#define SYS_EXIT      60
#define SYS_WAIT4     61
#define SYS_REBOOT    169
#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 0x28121969
#define REBOOT_START  0x01234567

static long system_call(long number, long a, long b, long c)
{
	register long fourth __asm__("r10") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return ret;
}

static int wants_to_wait(char *const *environment)
{
	static const char name[] = "bench_wait";
	unsigned int i;

	for (; *environment; environment++) {
		for (i = 0; name[i] && (*environment)[i] == name[i]; i++)
			;
		if (!name[i])
			return 1;
	}
	return 0;
}

/* Reads a line that is not empty from the console. The line is empty if nothing more comes. */
static void read_line(char *line, unsigned long size)
{
	unsigned long length = 0;

	while (length + 1 < size && system_call(SYS_READ, 0, (long)(line + length), 1) == 1) {
		if (line[length] != '\n')
			length++;
		else if (length > 0)
			break;
	}
	line[length] = '\0';
}

static __attribute__((noinline)) void run_command(const char *line)
{
	static const char path[] = "/bin/sh";
	const char *const argv[] = {"sh", "-c", line, 0}, *const environment[] = {"PATH=/bin", 0};
	long pid;

	/* Not in a function of its own: the child uses this stack frame until it execs. */
	__asm__ volatile("syscall" : "=a"(pid) : "a"(SYS_VFORK) : "rcx", "r11", "memory");
	if (pid == 0) {
		system_call(SYS_EXECVE, (long)path, (long)argv, (long)environment);
		system_call(SYS_EXIT, 127, 0, 0);
	}
	system_call(SYS_WAIT4, pid, 0, 0);
}

/* The stack as the kernel leaves it: argc, argv, NULL, environment, NULL. */
__attribute__((noreturn, used)) void start(long *stack)
{
	char line[256];

	if (wants_to_wait((char *const *)(stack + stack[0] + 2))) {
		system_call(SYS_WRITE, 1, (long)"ready\n", 6);
		read_line(line, sizeof(line));
		run_command(line);
	}
	system_call(SYS_REBOOT, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_START);
	for (;;)
		; /* the machine is gone */
}

__asm__(".globl _start\n_start:\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
