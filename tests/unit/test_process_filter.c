/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of system calls: run by an interpreter of its instructions, and by the host's kernel.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/policy/policy.h"
#include "vmm/policy/process_filter.h"
#include "vmm/policy/process_groups.h"

#define ALLOW	   SECCOMP_RET_ALLOW
#define ERRNO(e)   (SECCOMP_RET_ERRNO | (e))
#define LAST_CALL  600
#define EXEC_RULES "exec allow /bin/**\n"

static struct process_filter filter;

static void make(const char *rules)
{
	const struct policy_source source = {.name = "p", .lenient = true};
	struct policy *policy;
	char text[512];
	struct err err;

	snprintf(text, sizeof(text), "policy 1\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	ck_assert_msg(process_filter_make(policy, &filter, &err) == 0, "%s", err.text);
	policy_free(policy);
}

/* Classic BPF, as far as the filter uses it. */
static uint32_t run(const struct seccomp_data *data)
{
	uint32_t a = 0, k;
	size_t at;
	bool jump;

	for (at = 0; at < filter.count; at++) {
		k = filter.code[at].k;
		switch (filter.code[at].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			ck_assert_uint_le(k + 4, sizeof(*data));
			memcpy(&a, (const char *)data + k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= k;
			continue;
		case BPF_JMP | BPF_JA:
			at += k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = a & k;
			break;
		case BPF_RET | BPF_K:
			return k;
		default:
			ck_abort_msg("instruction %#x", filter.code[at].code);
		}
		at += jump ? filter.code[at].jt : filter.code[at].jf;
	}
	ck_abort_msg("ran off the end");
}

static uint32_t call(int number, uint64_t first, uint64_t second)
{
	const struct seccomp_data data = {
		.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {first, second}};

	return run(&data);
}

/* A line of the table, called with arguments that meet its conditions. */
static uint32_t call_line(const struct process_call *line)
{
	uint64_t argument[6] = {0};
	unsigned i;

	for (i = 0; i < PROCESS_CONDITIONS; i++)
		if (line->when[i].mask)
			argument[line->when[i].argument] |= line->when[i].value;
	return call(line->number, argument[0], argument[1]);
}

START_TEST(each_line_closes_its_call_with_its_group)
{
	char rule[64];
	size_t i;

	for (i = 0; i < process_call_count; i++) {
		const struct process_call *line = &process_calls[i];
		const struct process_group *group =
			line->group < 0 ? NULL : &process_groups[line->group];

		if (group)
			snprintf(rule, sizeof(rule), "process deny %s\n", group->name);
		make(group ? rule : "");
		ck_assert_msg(call_line(line) == ERRNO((unsigned)line->error), "%s", line->name);
		if (!group || group->missing)
			continue;
		snprintf(rule, sizeof(rule), "process allow %s\n", group->name);
		make(rule);
		ck_assert_msg(call_line(line) == ALLOW, "%s", line->name);
	}
}
END_TEST

static bool is_listed(int number)
{
	size_t i;

	for (i = 0; i < process_call_count; i++)
		if (process_calls[i].number == number)
			return true;
	return false;
}

START_TEST(every_other_call_stays_open)
{
	int number;

	make("process deny ptrace userns setuid raw-net keyring perf io_uring bpf clock "
	     "memfd-exec\n");
	ck_assert_uint_le(filter.count, PROCESS_FILTER_MAX);
	for (number = 0; number < LAST_CALL; number++)
		if (!is_listed(number))
			ck_assert_msg(call(number, ~0ull, ~0ull) == ALLOW, "call %d", number);
}
END_TEST

START_TEST(arguments_are_compared_as_the_kernel_takes_them)
{
	make("process deny raw-net userns memfd-exec\n");
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_STREAM), ALLOW);
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC), ALLOW);
	ck_assert_uint_eq(call(SYS_socket, AF_NETLINK, SOCK_RAW), ALLOW);
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK),
			  ERRNO(EPERM));
	/* The kernel takes an int: the upper half is ignored. */
	ck_assert_uint_eq(call(SYS_socket, 0x7700000000ull | AF_INET, SOCK_RAW), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_socket, 0x7700000000ull | AF_PACKET, SOCK_DGRAM), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_socket, AF_INET6, 0x7700000000ull | SOCK_RAW), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_clone, SIGCHLD, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_clone, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID, 0), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_clone, 0x100000000ull | CLONE_NEWUSER, 0), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_unshare, CLONE_FILES, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_unshare, CLONE_FS | CLONE_NEWNS, 0), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_clone3, 0, 0), ERRNO(ENOSYS));
	ck_assert_uint_eq(call(SYS_memfd_create, 0, 1), ALLOW);
	ck_assert_uint_eq(call(SYS_memfd_create, 0, 0x11), ERRNO(EPERM));
	ck_assert(filter.memfd_noexec);
	make("");
	ck_assert_uint_eq(call(SYS_clone3, 0, 0), ALLOW);
	ck_assert(!filter.memfd_noexec);
}
END_TEST

START_TEST(exec_rules_close_groups_unless_a_rule_opens_them)
{
	make(EXEC_RULES);
	ck_assert_uint_eq(call(SYS_ptrace, 0, 0), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_mount, 0, 0), ERRNO(EPERM));
	ck_assert_uint_eq(call(SYS_setuid, 0, 0), ALLOW);
	ck_assert(filter.memfd_noexec);
	make(EXEC_RULES "process allow ptrace userns memfd-exec\n");
	ck_assert_uint_eq(call(SYS_ptrace, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_mount, 0, 0), ALLOW);
	ck_assert(!filter.memfd_noexec);
}
END_TEST

START_TEST(other_architectures_end_the_process)
{
	struct seccomp_data data = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};

	make("");
	ck_assert_uint_eq(run(&data), SECCOMP_RET_KILL_PROCESS);
	data.arch = AUDIT_ARCH_AARCH64;
	ck_assert_uint_eq(run(&data), SECCOMP_RET_KILL_PROCESS);
	/* x32 has this architecture's number, and calls of its own */
	data.arch = AUDIT_ARCH_X86_64;
	data.nr = 0x40000000 | SYS_ptrace;
	ck_assert_uint_eq(run(&data), SECCOMP_RET_KILL_PROCESS);
	data.nr = SYS_read;
	ck_assert_uint_eq(run(&data), ALLOW);
}
END_TEST

/* --- on the host ------------------------------------------------------------------------------ */

/* In a child: installs the filter, makes the call, and exits with its errno (0: it succeeded). */
static int try(const char *rules, long (*attempt)(void))
{
	struct sock_fprog program;
	int status;
	pid_t pid;

	make(rules);
	program = (struct sock_fprog){.len = (unsigned short)filter.count, .filter = filter.code};
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
			_exit(255);
		_exit(attempt() < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static long traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long another_user(void)
{
	return syscall(SYS_setuid, getuid());
}

static long clock_read(void)
{
	struct timex now = {.modes = 0};

	return syscall(SYS_adjtimex, &now);
}

static long executable_memory(void)
{
	return syscall(SYS_memfd_create, "x", 0x10);
}

static long plain_memory(void)
{
	return syscall(SYS_memfd_create, "x", 0);
}

START_TEST(the_kernel_takes_the_filter)
{
	ck_assert_int_eq(try("process deny ptrace\n", traced), EPERM);
	ck_assert_int_eq(try("process allow ptrace\n", traced), 0);
	ck_assert_int_eq(try("process deny setuid\n", another_user), EPERM);
	ck_assert_int_eq(try("", another_user), 0);
	ck_assert_int_eq(try("", clock_read), EPERM);
	ck_assert_int_eq(try("process allow clock\n", clock_read), 0);
	ck_assert_int_eq(try("process deny memfd-exec\n", executable_memory), EPERM);
	ck_assert_int_eq(try("process deny memfd-exec\n", plain_memory), 0);
}
END_TEST

UNIT_MAIN("process_filter", each_line_closes_its_call_with_its_group, every_other_call_stays_open,
	  arguments_are_compared_as_the_kernel_takes_them,
	  exec_rules_close_groups_unless_a_rule_opens_them, other_architectures_end_the_process,
	  the_kernel_takes_the_filter)
