/* SPDX-License-Identifier: Apache-2.0 */
/* What the file server's process can still do, and what ends it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tests/unit/jail_common.h"
#include "vmm/base/bytes.h"
#include "vmm/base/jail.h"
#include "vmm/base/log.h"
#include "vmm/files/caseless.h"
#include "vmm/files/server.h"

static char directory[] = "/tmp/cordon-test-jail.XXXXXX";

static void set_descriptors(void)
{
	int pair[2], above;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		_exit(1);
	above = fcntl(pair[0], F_DUPFD, 20);
	/* Something that it is not to keep. */
	if (dup2(above, FILES_SERVER_FD) < 0 || dup2(2, FILES_TAKE_FD + 1) < 0)
		_exit(1);
	/* Those of a successor or predecessor would be kept. */
	close(FILES_GIVE_FD);
	close(FILES_TAKE_FD);
}

static void enter(bool confined)
{
	struct err err;

	set_descriptors();
	if (chdir(directory) < 0 || (confined && files_confine(&err) < 0))
		_exit(1);
}

/* The sanitizers' own code makes calls that the server never does: no filter there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINED 0
#else
#define CONFINED 1
#endif

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void end(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* --- permitted -------------------------------------------------------------------------------- */

static int works_with_files(void)
{
	int at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), fd, flags;
	char text[8] = "";

	fd = openat(at, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fine(mkdirat(at, "d", 0700) == 0 && pwrite(fd, "data", 4, 0) == 4 &&
		    pread(fd, text, 4, 0) == 4 && ftruncate(fd, 2) == 0 &&
		    renameat2(at, "f", at, "d/g", 0) == 0 && symlinkat("x", at, "l") == 0 &&
		    linkat(at, "d/g", at, "h", 0) == 0 && unlinkat(at, "h", 0) == 0 &&
		    fsync(fd) == 0 && chmod("d/g", 0640) == 0 &&
		    (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 || errno == ENOTTY ||
		     errno == EOPNOTSUPP) &&
		    (setxattr("d/g", "user.x", "1", 1, 0) == 0 || errno == EOPNOTSUPP));
}

static void *say_fine(void *arg)
{
	*(bool *)arg = prctl(PR_SET_NAME, "files") == 0;
	return NULL;
}

static int starts_threads(void)
{
	bool said = false;
	pthread_t thread;

	return fine(pthread_create(&thread, NULL, say_fine, &said) == 0 &&
		    pthread_join(thread, NULL) == 0 && said);
}

static int talks(void)
{
	struct iovec part = {"x", 1};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	return fine(sendmsg(FILES_SERVER_FD, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 &&
		    errno == EPIPE && write(2, "", 0) == 0);
}

static int logs(void)
{
	log_warning("a line of the confined server");
	return FINE;
}

/* The probe for case, in a directory whose own name has to tell. */
static int probes_directories(void)
{
	int fd = open("d", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fine(caseless_probe(fd, NULL) == CASELESS_NO);
}

static int acts_as_nobody(void)
{
	struct stat status;

	if (geteuid() != 0)
		return FINE;
	setfsgid(65534);
	setfsuid(65534);
	/* Nor does it read what others may not. */
	if (setfsuid(-1) != 65534 || setfsgid(-1) != 65534 ||
	    open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0)
		return 2;
	setfsuid(0);
	setfsgid(0);
	return fine(stat("/etc/shadow", &status) < 0 ||
		    open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0);
}

static int has_no_other_descriptor(void)
{
	return fine(close(FILES_TAKE_FD + 1) < 0 && errno == EBADF);
}

START_TEST(what_it_needs_works)
{
	static int (*const needs[])(void) = {
		works_with_files, starts_threads,	  talks, logs, probes_directories,
		acts_as_nobody,	  has_no_other_descriptor};
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(needs); i++)
		ck_assert_msg(run(enter, needs[i], true) == FINE, "need %zu", i);
	end();
}
END_TEST

static int has_only_those_capabilities(void)
{
	const uint32_t kept = JAIL_CAPABILITY(CAP_DAC_OVERRIDE) |
			      JAIL_CAPABILITY(CAP_DAC_READ_SEARCH) | JAIL_CAPABILITY(CAP_FOWNER) |
			      JAIL_CAPABILITY(CAP_SETUID) | JAIL_CAPABILITY(CAP_SETGID);
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct err err;

	if (files_isolate(&err) < 0 || syscall(SYS_capget, &header, data) < 0)
		return 2;
	return fine((data[0].permitted & ~kept) == 0 && data[1].permitted == 0 &&
		    data[0].inheritable == 0 && prctl(PR_GET_DUMPABLE) == 0 &&
		    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

START_TEST(its_rights)
{
	begin();
	ck_assert_int_eq(run(enter, has_only_those_capabilities, false), FINE);
	end();
}
END_TEST

/* --- what ends it ----------------------------------------------------------------------------- */

/* other processes */
ATTEMPT(has_signals_sent, fcntl(FILES_SERVER_FD, F_SETOWN, getpid()))
ATTEMPT(waits_for_a_lock, fcntl(2, F_OFD_SETLKW, NULL))
/* mounts, identity */
ATTEMPT(opens_a_tree, syscall(SYS_open_tree, -1, "", 0))
ATTEMPT(becomes_another, setfsuid(1000))
ATTEMPT(joins_groups, syscall(SYS_setgroups, 1, NULL))
ATTEMPT(makes_itself_dumpable, prctl(PR_SET_DUMPABLE, 0))
/* files that give others rights */
ATTEMPT(changes_owners, syscall(SYS_fchownat, -1, "", 0, 0, 0))
ATTEMPT(makes_a_node, mknod("/nowhere/cordon", S_IFIFO, 0))
ATTEMPT(controls_a_device, syscall(SYS_ioctl, 2, TIOCSTI, NULL))
ATTEMPT(sets_flags, syscall(SYS_ioctl, 2, FS_IOC_SETFLAGS, NULL))
/* more of the kernel */
ATTEMPT(opens_by_handle, syscall(SYS_open_by_handle_at, -1, NULL, 0))
/* sockets */
ATTEMPT(opens_a_socket, socket(AF_INET, SOCK_STREAM, 0))
ATTEMPT(sends_by_stderr, sendmsg(2, &empty_message, MSG_DONTWAIT))
ATTEMPT(cuts_stderr, ftruncate(2, -1))

static int clones(void)
{
	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0)
		_exit(0);
	return DONE;
}

static int (*const attempts[])(void) = {
	signals_itself, has_signals_sent,      waits_for_a_lock, opens_a_tree,	  becomes_another,
	joins_groups,	makes_itself_dumpable, changes_owners,	 makes_a_node,	  controls_a_device,
	sets_flags,	opens_by_handle,       opens_a_socket,	 sends_by_stderr, cuts_stderr,
	clones,
};

START_TEST(everything_else_ends_it)
{
	begin();
	if (CONFINED)
		attempt_all(enter, attempts, ARRAY_SIZE(attempts), true);
	end();
}
END_TEST

/* The same attempts work, or fail as such, without it. */
START_TEST(without_it_they_do_not_end_the_process)
{
	begin();
	attempt_all(enter, attempts, ARRAY_SIZE(attempts), false);
	end();
}
END_TEST

/* --- Landlock --------------------------------------------------------------------------------- */

/* A bit for each thing that works: in the one directory, read and write; in the other; outside. */
static int try_files(void)
{
	int got = 0;

	got |= open("a/f", O_RDONLY | O_CLOEXEC) >= 0 ? 1 : 0;
	got |= open("a/f", O_RDWR | O_TRUNC | O_CLOEXEC) >= 0 ? 2 : 0;
	got |= rename("a/f", "a/d/f") == 0 && rename("a/d/f", "a/f") == 0 ? 4 : 0;
	got |= open("b/f", O_RDONLY | O_CLOEXEC) >= 0 ? 8 : 0;
	got |= open("b/f", O_WRONLY | O_CLOEXEC) >= 0 ? 16 : 0;
	got |= mkdir("b/new", 0700) == 0 && rmdir("b/new") == 0 ? 32 : 0;
	got |= open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 64 : 0;
	return got;
}

static int try_restricted(void)
{
	struct jail_landlock landlock;
	int a = open("a", O_PATH | O_CLOEXEC), b = open("b", O_PATH | O_CLOEXEC);
	struct err err;

	if (jail_detach(&err) < 0)
		return 128;
	jail_landlock_create(&landlock);
	if (landlock.fd < 0 || landlock.version < JAIL_LANDLOCK_WHOLE)
		return 15;
	if (jail_landlock_permit(&landlock, a, JAIL_READ | JAIL_WRITE) < 0 ||
	    jail_landlock_permit(&landlock, b, JAIL_READ) < 0 ||
	    jail_landlock_restrict(&landlock) < 0)
		return 128;
	return try_files();
}

static int make_files(void)
{
	return fine(mkdir("a", 0700) == 0 && mkdir("a/d", 0700) == 0 && mkdir("b", 0700) == 0 &&
		    open("a/f", O_CREAT | O_WRONLY, 0600) >= 0 &&
		    open("b/f", O_CREAT | O_WRONLY, 0600) >= 0);
}

START_TEST(landlock_keeps_to_directories)
{
	begin();
	ck_assert_int_eq(run(enter, make_files, false), FINE);
	ck_assert_int_eq(run(enter, try_files, false), 127);
	ck_assert_int_eq(run(enter, try_restricted, false), 15);
	end();
}
END_TEST

UNIT_MAIN("files_jail", what_it_needs_works, its_rights, everything_else_ends_it,
	  without_it_they_do_not_end_the_process, landlock_keeps_to_directories)
