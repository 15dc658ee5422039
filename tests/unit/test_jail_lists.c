/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor's threads can still do, and what ends the process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tests/unit/jail_common.h"
#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/jail/filter.h"
#include "vmm/jail/lists.h"
#include "vmm/jail/violation.h"

/* The sanitizers' own code makes calls that the monitor never does: no filter there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINED 0
#else
#define CONFINED 1
#endif

static void confine(enum jail_thread thread)
{
	struct err err;

	if (jail_filters_compile(&err) < 0 || jail_filter_thread(thread, &err) < 0)
		_exit(1);
}

static void enter_vcpu(bool confined)
{
	if (confined)
		confine(JAIL_VCPU);
}

static void enter_disk(bool confined)
{
	if (confined)
		confine(JAIL_DISK);
}

/* --- permitted -------------------------------------------------------------------------------- */

static int shared_fd = -1, shared_epoll = -1, terminal_fd = -1;
static struct termios terminal_mode;

static int uses_memory(void)
{
	char *small = malloc(100), *large = malloc(1u << 20), *larger = NULL;
	bool works;

	if (large) {
		memset(large, 1, 1u << 20);
		larger = realloc(large, 4u << 20);
		if (!larger)
			free(large);
	}
	works = small && larger;
	free(small);
	free(larger);
	return fine(works);
}

/* -ENOTTY: the request was permitted. */
static int controls_its_vcpu(void)
{
	static const unsigned requests[] = {KVM_RUN,
					    KVM_GET_REGS,
					    KVM_SET_REGS,
					    KVM_GET_SREGS,
					    KVM_SET_SREGS,
					    KVM_GET_XCRS,
					    KVM_GET_XSAVE,
					    KVM_SET_XSAVE,
					    KVM_GET_VCPU_EVENTS,
					    KVM_SET_VCPU_EVENTS,
					    KVM_GET_MP_STATE,
					    KVM_TRANSLATE,
					    TUNSETOFFLOAD};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		if (ioctl(shared_fd, requests[i], NULL) != -1 || errno != ENOTTY)
			return 2;
	return FINE;
}

static int resets_devices(void)
{
	struct epoll_event event = {.events = EPOLLIN};

	return fine(epoll_ctl(shared_epoll, EPOLL_CTL_ADD, -1, &event) < 0 && errno == EBADF &&
		    shutdown(-1, SHUT_RD) < 0 && errno == EBADF &&
		    sendmsg(-1, &empty_message, MSG_DONTWAIT) < 0 && errno == EBADF &&
		    close(-1) < 0 && errno == EBADF);
}

static int keeps_a_log(void)
{
	return fine(write(shared_fd, "x", 1) == 1 && write(2, "", 0) == 0);
}

static int moves_data(void)
{
	char text[4];

	return fine(pwrite(shared_fd, "data", 4, 0) == 4 && pread(shared_fd, text, 4, 0) == 4 &&
		    lseek(shared_fd, 0, SEEK_DATA) == 0 && fdatasync(shared_fd) == 0 &&
		    (fallocate(shared_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4) == 0 ||
		     errno == EOPNOTSUPP) &&
		    ftruncate(shared_fd, 8) == 0);
}

/* As the handler of a crash does it. */
static int restores_a_terminal(void)
{
	struct termios mode = {.c_iflag = 0};

	return fine(ioctl(shared_fd, TCGETS, &mode) == -1 && errno == ENOTTY &&
		    ioctl(shared_fd, TCSETS, &mode) == -1 && errno == ENOTTY &&
		    (tcsetattr(terminal_fd, TCSANOW, &terminal_mode) == 0 || terminal_fd < 0));
}

static int aborts(void)
{
	abort();
}

START_TEST(what_a_vcpu_needs_works)
{
	static int (*const needs[])(void) = {uses_memory, controls_its_vcpu, resets_devices,
					     restores_a_terminal, keeps_a_log};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		ck_assert_msg(run(enter_vcpu, needs[i], CONFINED) == FINE, "need %zu", i);
	ck_assert_int_eq(run(enter_vcpu, aborts, CONFINED), 128 + SIGABRT);
}
END_TEST

START_TEST(what_a_disk_thread_needs_works)
{
	static int (*const needs[])(void) = {uses_memory, moves_data, restores_a_terminal};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		ck_assert_msg(run(enter_disk, needs[i], CONFINED) == FINE, "need %zu", i);
	ck_assert_int_eq(run(enter_disk, aborts, CONFINED), 128 + SIGABRT);
}
END_TEST

/* --- what ends it ----------------------------------------------------------------------------- */

ATTEMPT(opens_a_file, open("/nowhere/cordon", O_RDONLY))
ATTEMPT(opens_a_file_at, openat(-1, "nowhere", O_RDONLY))
ATTEMPT(removes_a_file, unlink("/nowhere/cordon"))
ATTEMPT(moves_a_file, rename("/nowhere/cordon", "/nowhere/x"))
ATTEMPT(changes_rights, chmod("/nowhere/cordon", 0))
ATTEMPT(maps_a_file, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, shared_fd, 0))
ATTEMPT(opens_a_socket, socket(AF_INET, SOCK_STREAM, 0))
ATTEMPT(connects, connect(-1, NULL, 0))
ATTEMPT(accepts, accept4(-1, NULL, NULL, 0))
ATTEMPT(types_into_a_terminal, ioctl(-1, TIOCSTI, "x"))
ATTEMPT(makes_a_machine, ioctl(-1, KVM_CREATE_VM, 0))
ATTEMPT(maps_guest_memory_anew, ioctl(-1, KVM_SET_USER_MEMORY_REGION, NULL))
ATTEMPT(duplicates, dup2(-1, 0))
ATTEMPT(has_signals_sent, fcntl(-1, F_SETOWN, 1))
ATTEMPT(signals_another, syscall(SYS_tgkill, getppid(), getppid(), 0))
ATTEMPT(makes_itself_dumpable, prctl(PR_SET_DUMPABLE, 0))
ATTEMPT(lifts_a_limit, syscall(SYS_prlimit64, 0, 0, NULL, NULL))
ATTEMPT(makes_a_memfd, memfd_create("x", 0))
ATTEMPT(reads_from_a_file, pread(-1, NULL, 0, 0))

static int starts_a_thread(void)
{
	pthread_t thread;

	attempt_result =
		pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)pthread_self, NULL);
	if (attempt_result == 0)
		pthread_join(thread, NULL);
	return DONE;
}

static int (*const of_all[])(void) = {
	opens_a_file,	opens_a_file_at,       removes_a_file,	moves_a_file,
	changes_rights, maps_a_file,	       opens_a_socket,	connects,
	accepts,	types_into_a_terminal, makes_a_machine, maps_guest_memory_anew,
	duplicates,	has_signals_sent,      signals_another, makes_itself_dumpable,
	lifts_a_limit,	makes_a_memfd,	       starts_a_thread,
};

ATTEMPT(runs_a_vcpu, ioctl(-1, KVM_RUN, 0))
ATTEMPT(sends_a_message, sendmsg(-1, &empty_message, MSG_DONTWAIT))
ATTEMPT(closes, close(-1))

ATTEMPT(cuts_a_file, ftruncate(-1, 0))

static int (*const of_a_vcpu[])(void) = {reads_from_a_file, cuts_a_file};
static int (*const of_a_disk_thread[])(void) = {runs_a_vcpu, sends_a_message, closes};

START_TEST(everything_else_ends_it)
{
	if (!CONFINED)
		return;
	attempt_all(enter_vcpu, of_all, ARRAY_SIZE(of_all), true);
	attempt_all(enter_vcpu, of_a_vcpu, ARRAY_SIZE(of_a_vcpu), true);
	attempt_all(enter_disk, of_all, ARRAY_SIZE(of_all), true);
	attempt_all(enter_disk, of_a_disk_thread, ARRAY_SIZE(of_a_disk_thread), true);
}
END_TEST

/* The same attempts work, or fail as such, without it. */
START_TEST(without_it_they_do_not_end_the_process)
{
	attempt_all(enter_vcpu, of_all, ARRAY_SIZE(of_all), false);
	attempt_all(enter_vcpu, of_a_vcpu, ARRAY_SIZE(of_a_vcpu), false);
	attempt_all(enter_disk, of_a_disk_thread, ARRAY_SIZE(of_a_disk_thread), false);
}
END_TEST

/* --- the message ------------------------------------------------------------------------------ */

static void last(void)
{
	if (write(2, "last", 4) < 0)
		_exit(1);
}

static void violate(enum jail_thread thread, int fd)
{
	struct err err;

	if (dup2(fd, 2) < 0 || jail_catch_violations(&err) < 0)
		_exit(1);
	jail_note_thread(thread);
	jail_set_log(shared_fd);
	jail_set_last(last);
	confine(thread);
	attempt_result = open("/nowhere/cordon", O_RDONLY);
	_exit(DONE);
}

START_TEST(a_violation_is_named)
{
	static const char line[] =
		"cordon: the disk thread made the system call openat, which its list does not "
		"permit: ended\n";
	char text[256] = "";
	int fd[2], status;
	pid_t pid;

	if (!CONFINED)
		return;
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0)
		violate(JAIL_DISK, fd[1]);
	close(fd[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CORDON);
	ck_assert_int_eq(read(fd[0], text, sizeof(text) - 1), (int)strlen(line) + 4);
	ck_assert_int_eq(strncmp(text, line, strlen(line)), 0);
	ck_assert_str_eq(text + strlen(line), "last");
	memset(text, 0, sizeof(text));
	ck_assert_int_eq(pread(shared_fd, text, sizeof(text) - 1, 0), (int)strlen(line));
	ck_assert_str_eq(text, line);
	close(fd[0]);
}
END_TEST

/* A SIGSYS that another process sends is no violation. */
START_TEST(a_signal_is_no_violation)
{
	struct err err;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (jail_catch_violations(&err) == 0)
			kill(getpid(), SIGSYS);
		_exit(DONE);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
END_TEST

/* --- the lists -------------------------------------------------------------------------------- */

/* How many calls: rules for one call with different arguments count once. */
static unsigned count_calls(const struct jail_list *list)
{
	unsigned count = 0;
	size_t i, k;

	for (i = 0; i < list->count; i++) {
		for (k = 0; k < i && list->rules[k].call != list->rules[i].call; k++)
			;
		count += k == i;
	}
	return count;
}

START_TEST(the_lists_are_short)
{
	ck_assert_uint_le(count_calls(jail_list(JAIL_VCPU)), 25);
	ck_assert_uint_le(count_calls(jail_list(JAIL_DISK)), 25);
}
END_TEST

static void check_table(const char *text, enum jail_thread thread)
{
	const struct jail_list *list = jail_list(thread);
	char title[64], row[256];
	const char *at, *end;
	size_t i, rows = 0;

	snprintf(title, sizeof(title), "\n### %s thread", list->thread);
	at = strstr(text, title);
	ck_assert_msg(at != NULL, "docs/confinement.md: no '%s'", title + 1);
	end = strstr(at + 1, "\n#");
	for (i = 0; i < list->count; i++) {
		const struct jail_rule *rule = &list->rules[i];

		snprintf(row, sizeof(row), "\n| `%s` | %s | %s |", jail_call_name(rule->call),
			 rule->only ? rule->only : "", rule->why);
		at = strstr(text, title);
		at = strstr(at, row);
		ck_assert_msg(at && (!end || at < end), "docs/confinement.md: no row %s", row + 1);
	}
	for (at = strstr(text, title); at && (!end || at < end); at = strstr(at + 1, "\n| `"))
		rows++;
	ck_assert_uint_eq(rows - 1, list->count);
}

START_TEST(the_tables_are_true)
{
	static char text[64 << 10];
	FILE *file = fopen("docs/confinement.md", "r");

	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	check_table(text, JAIL_VCPU);
	check_table(text, JAIL_DISK);
}
END_TEST

static void __attribute__((constructor)) open_shared(void)
{
	shared_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	shared_epoll = epoll_create1(EPOLL_CLOEXEC);
	terminal_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal_fd >= 0 && tcgetattr(terminal_fd, &terminal_mode) < 0)
		terminal_fd = -1;
}

UNIT_MAIN("jail_lists", what_a_vcpu_needs_works, what_a_disk_thread_needs_works,
	  everything_else_ends_it, without_it_they_do_not_end_the_process, a_violation_is_named,
	  a_signal_is_no_violation, the_lists_are_short, the_tables_are_true)
