/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor gives up at its beginning, without its lists of system calls. Started by root,
 * this runs as root and as an ordinary user.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/jail.h"
#include "vmm/jail/filter.h"
#include "vmm/jail/stages.h"
#include "vmm/jail/violation.h"

#define USER 65533

/* The sanitizers' own code makes calls that the monitor never does: no jail there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JAILED 0
#else
#define JAILED 1
#endif

/* What a process has. */
struct sight {
	bool dumpable, cores, privileged;
	bool traced; /* its parent, of the same user, may open its memory */
	uint32_t capabilities;
};

enum how { FREE, FIRST };

static void look(struct sight *sight)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct rlimit cores;

	if (syscall(SYS_capget, &header, data) < 0 || getrlimit(RLIMIT_CORE, &cores) < 0)
		_exit(4);
	sight->dumpable = prctl(PR_GET_DUMPABLE) != 0;
	sight->cores = cores.rlim_max != 0;
	sight->privileged = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
	sight->capabilities = data[0].permitted;
}

/* A new process of root's with all capabilities may open any memory; that of a user may not. */
static bool may_trace(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void be_monitor(enum how how, int out, int in)
{
	struct sight sight = {.dumpable = false};
	struct err err = {.text = ""};
	char byte;

	if (how != FREE && jail_enter_first(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	look(&sight);
	if (write(out, &sight, sizeof(sight)) != sizeof(sight))
		_exit(2);
	_exit(read(in, &byte, 1) != 0);
}

/* Its parent is another process of the same user. */
static void be_user(enum how how, int out)
{
	int up[2], down[2], status;
	struct sight sight;
	pid_t pid;

	if (pipe(up) < 0 || pipe(down) < 0)
		_exit(3);
	pid = fork();
	if (pid == 0) {
		close(down[1]);
		be_monitor(how, up[1], down[0]);
	}
	if (pid < 0 || read(up[0], &sight, sizeof(sight)) != sizeof(sight))
		_exit(5);
	sight.traced = may_trace(pid);
	close(down[1]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		_exit(6);
	_exit(write(out, &sight, sizeof(sight)) != sizeof(sight));
}

static struct sight see(enum how how, bool root)
{
	struct sight sight;
	int out[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!root && geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
		     setresuid(USER, USER, USER) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0))
			_exit(9);
		be_user(how, out[1]);
	}
	close(out[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(out[0], &sight, sizeof(sight)), sizeof(sight));
	close(out[0]);
	return sight;
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(an_ordinary_user_gives_up_what_it_can)
{
	struct sight sight = see(FREE, false);

	ck_assert(sight.dumpable && sight.privileged && sight.traced);
	if (!JAILED)
		return;
	sight = see(FIRST, false);
	ck_assert(!sight.dumpable && !sight.cores && !sight.privileged && !sight.traced);
}
END_TEST

START_TEST(root_gives_up_most_capabilities)
{
	/* To own files, load modules, trace, make devices and set-id programs. */
	static const uint32_t gone = 1u << CAP_CHOWN | 1u << CAP_SYS_MODULE | 1u << CAP_SYS_PTRACE |
				     1u << CAP_MKNOD | 1u << CAP_SETFCAP | 1u << CAP_SYS_RAWIO;
	struct sight free = see(FREE, true), sight;

	if (geteuid() != 0 || !JAILED)
		return;
	sight = see(FIRST, true);
	ck_assert(!sight.dumpable && !sight.cores && !sight.privileged);
	ck_assert_uint_eq(sight.capabilities & gone, 0);
	/* Relay and file server are confined by means of these. */
	ck_assert_uint_eq(sight.capabilities, free.capabilities & sight.capabilities);
	ck_assert_uint_eq((sight.capabilities ^ free.capabilities) &
				  (1u << CAP_SYS_ADMIN | 1u << CAP_SETUID | 1u << CAP_KILL),
			  0);
}
END_TEST

/* --- many threads ----------------------------------------------------------------------------- */

#define THREADS 24
#define PIECES	4

static pthread_barrier_t all_have;

/* The allocator gives each thread an arena, while it has less than its most, and shrinks it. */
static void *allocate(void *arg)
{
	char *volatile bytes[PIECES]; /* or the compiler would leave the allocation out */
	int i;

	(void)arg;
	jail_begin_thread(JAIL_VCPU);
	for (i = 0; i < PIECES; i++)
		bytes[i] = malloc(64 << 10);
	pthread_barrier_wait(&all_have);
	while (i > 0)
		free(bytes[--i]);
	return NULL;
}

static void only_filter(enum jail_thread thread)
{
	struct err err;

	if (jail_filter_thread(thread, &err) < 0)
		_exit(1);
}

/* Without what the first stage does beside that. */
static int confine_threads_only(struct err *err)
{
	int ret = jail_filters_compile(err);

	jail_set_begin(only_filter);
	return ret == 0 ? jail_catch_violations(err) : ret;
}

static int status_of_threads(bool whole)
{
	struct err err;
	pthread_t thread[THREADS];
	int status, i;
	pid_t pid = fork();

	if (pid == 0) {
		if ((whole ? jail_enter_first(&err) : confine_threads_only(&err)) < 0)
			_exit(1);
		pthread_barrier_init(&all_have, NULL, THREADS);
		for (i = 0; i < THREADS; i++)
			if (pthread_create(&thread[i], NULL, allocate, NULL) != 0)
				_exit(2);
		for (i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(many_threads_allocate)
{
	ck_assert_int_eq(status_of_threads(true), 0);
	/* Without the bound of arenas, a thread makes a call that its list does not have. */
	if (JAILED)
		ck_assert_int_eq(status_of_threads(false), EXIT_CORDON);
}
END_TEST

UNIT_MAIN("jail_stages", an_ordinary_user_gives_up_what_it_can, root_gives_up_most_capabilities,
	  many_threads_allocate)
