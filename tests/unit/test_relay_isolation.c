/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's jail without its list of system calls: what stands behind that, as far as the host
 * grants it. Started by root, this runs as root and as an ordinary user.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/relay/relay_jail_internal.h"

#define USER	  65533
#define FIRST_UID 0x7f000000u

/* What a process sees and does. */
struct sight {
	unsigned got; /* enum relay_jail */
	uid_t uid;
	gid_t gid;
	int root;     /* errno of opening "/"; 0: opened */
	int file;     /* of /etc/passwd */
	int make;     /* of making a socket file in the current directory */
	int monitor;  /* of signal 0 to the parent */
	int itself;   /* and to itself */
	int abstract; /* of a connection to the parent's abstract socket */
	int ping;     /* of a ping socket */
	int low_port; /* of binding a port below 1024 */
	int loopback; /* of a connection to the parent's server */
	bool entries; /* there is something in "/" */
	bool dumpable;
	bool ipc, uts, cgroup, mnt, net, user; /* the namespace is the parent's */
};

static int proc_fd = -1;
static struct sockaddr_in server_at;
static struct sockaddr_un abstract_at;
static socklen_t abstract_length;

static int errno_of(long result)
{
	return result < 0 ? errno : 0;
}

static int connect_to(int family, const void *address, socklen_t length)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	ret = errno_of(connect(fd, address, length));
	close(fd);
	return ret;
}

static int bind_to(int family, const void *address, socklen_t length)
{
	const int one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ret = errno_of(bind(fd, address, length));
	close(fd);
	return ret;
}

/* By a descriptor of /proc that was opened before; with Landlock it can still be looked at. */
static bool shares(const char *namespace, const struct stat *parents)
{
	char path[64];
	struct stat own;

	snprintf(path, sizeof(path), "self/ns/%s", namespace);
	return fstatat(proc_fd, path, &own, 0) == 0 && own.st_ino == parents->st_ino;
}

static bool has_entries(void)
{
	DIR *directory = opendir("/");
	const struct dirent *entry;
	bool found = false;

	while (directory && (entry = readdir(directory)) != NULL)
		found |= entry->d_name[0] != '.';
	if (directory)
		closedir(directory);
	return found;
}

static const char *const spaces[] = {"ipc", "uts", "cgroup", "mnt", "net", "user"};

static void look(struct sight *sight, const struct stat *space)
{
	bool *const same[] = {&sight->ipc, &sight->uts, &sight->cgroup,
			      &sight->mnt, &sight->net, &sight->user};
	const struct sockaddr_in low = {.sin_family = AF_INET,
					.sin_port = htons(1019),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un file = {.sun_family = AF_UNIX, .sun_path = "cordon-test-socket"};
	size_t i;

	sight->uid = getuid();
	sight->gid = getegid();
	sight->root = errno_of(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	sight->file = errno_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	sight->make = bind_to(AF_UNIX, &file, sizeof(file));
	sight->monitor = errno_of(kill(getppid(), 0));
	sight->itself = errno_of(kill(getpid(), 0));
	sight->abstract = connect_to(AF_UNIX, &abstract_at, abstract_length);
	sight->ping = errno_of(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	sight->low_port = bind_to(AF_INET, &low, sizeof(low));
	sight->loopback = connect_to(AF_INET, &server_at, sizeof(server_at));
	sight->entries = has_entries();
	sight->dumpable = prctl(PR_GET_DUMPABLE) != 0;
	for (i = 0; i < ARRAY_SIZE(spaces); i++)
		*same[i] = shares(spaces[i], &space[i]);
}

enum how { FREE, ISOLATED, NAMESPACES, LANDLOCK };

static void confine(enum how how, struct sight *sight)
{
	struct err err;

	if (how == ISOLATED && relay_isolate(&sight->got, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	if (how == NAMESPACES && (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0))
		sight->got = relay_enter_namespaces();
	if (how == LANDLOCK) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		sight->got = relay_landlock();
	}
}

/* The parent is the monitor: of the same user, with a server and an abstract socket. */
static void be_monitor(enum how how, int out, const char *directory)
{
	int listeners[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
	struct sight sight = {.got = 0};
	struct stat space[ARRAY_SIZE(spaces)];
	socklen_t length = sizeof(server_at);
	char path[64];
	int status;
	size_t i;
	pid_t pid;

	server_at = (struct sockaddr_in){.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	abstract_at = (struct sockaddr_un){.sun_family = AF_UNIX};
	abstract_length = sizeof(abstract_at);
	if (chdir(directory) < 0 || bind(listeners[0], (void *)&server_at, length) < 0 ||
	    listen(listeners[0], 8) < 0 ||
	    getsockname(listeners[0], (void *)&server_at, &length) < 0 ||
	    bind(listeners[1], (void *)&abstract_at, sizeof(sa_family_t)) < 0 ||
	    listen(listeners[1], 8) < 0 ||
	    getsockname(listeners[1], (void *)&abstract_at, &abstract_length) < 0)
		_exit(2);
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY);
	for (i = 0; i < ARRAY_SIZE(spaces); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
		if (stat(path, &space[i]) < 0)
			_exit(3);
	}
	/* Those that the child needs are kept from close_range(2). */
	if (dup2(out, 4) < 0 || dup2(proc_fd, 3) < 0)
		_exit(4);
	proc_fd = 3;
	pid = fork();
	if (pid == 0) {
		confine(how, &sight);
		look(&sight, space);
		_exit(write(4, &sight, sizeof(sight)) == sizeof(sight) ? 0 : 5);
	}
	/* The monitor can end it, whatever its user id is. */
	if (pid < 0 || kill(pid, 0) < 0 || waitpid(pid, &status, 0) != pid)
		_exit(6);
	_exit(status != 0);
}

static struct sight see(enum how how, bool root)
{
	char directory[] = "/tmp/cordon-test-isolation.XXXXXX", path[64];
	struct sight sight;
	int out[2], status;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chmod(directory, 0777), 0);
	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!root && geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
		     setresuid(USER, USER, USER) < 0))
			_exit(7);
		be_monitor(how, out[1], directory);
	}
	close(out[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(out[0], &sight, sizeof(sight)), sizeof(sight));
	close(out[0]);
	snprintf(path, sizeof(path), "%s/cordon-test-socket", directory);
	ck_assert_int_eq(unlink(path), sight.make == 0 ? 0 : -1);
	rmdir(directory);
	return sight;
}

/* --- tests ------------------------------------------------------------------------------------ */

/* Without it all of that is permitted: the twin of the others. */
static void check_free(const struct sight *sight)
{
	ck_assert_int_eq(sight->root, 0);
	ck_assert_int_eq(sight->file, 0);
	ck_assert_int_eq(sight->make, 0);
	ck_assert_int_eq(sight->monitor, 0);
	ck_assert_int_eq(sight->abstract, 0);
	ck_assert(sight->entries && sight->ipc && sight->uts && sight->cgroup && sight->mnt);
	ck_assert(sight->net && sight->user);
}

/* The host's network stays, with what the user may do there. */
static void check_network(const struct sight *sight, const struct sight *before)
{
	ck_assert(sight->net);
	ck_assert_int_eq(sight->loopback, 0);
	ck_assert_int_eq(sight->ping, before->ping);
	ck_assert_int_eq(sight->low_port, before->low_port);
}

static void check_spaces(const struct sight *sight)
{
	if (sight->got & RELAY_JAIL_NAMESPACES)
		ck_assert(!sight->ipc && !sight->uts && !sight->cgroup);
	if (!(sight->got & RELAY_JAIL_ROOT))
		return;
	ck_assert(!sight->mnt && !sight->entries);
	ck_assert_int_ne(sight->file, 0);
	ck_assert_int_eq(sight->make, EROFS);
}

static void check_landlock(const struct sight *sight)
{
	if (sight->got & RELAY_JAIL_FILES) {
		ck_assert_int_eq(sight->root, EACCES);
		ck_assert_int_ne(sight->file, 0);
		ck_assert_int_ne(sight->make, 0);
	}
	if (sight->got & RELAY_JAIL_PROCESSES) {
		ck_assert_int_eq(sight->monitor, EPERM);
		ck_assert_int_eq(sight->abstract, EPERM);
		ck_assert_int_eq(sight->itself, 0);
	}
}

static void check_all(bool root)
{
	struct sight before = see(FREE, root), sight = see(ISOLATED, root);

	check_free(&before);
	check_network(&sight, &before);
	check_spaces(&sight);
	check_landlock(&sight);
	ck_assert(!sight.dumpable);
}

START_TEST(an_ordinary_user_loses_all_but_sockets)
{
	check_all(false);
}
END_TEST

START_TEST(root_loses_all_but_sockets)
{
	struct sight sight;

	if (geteuid() != 0)
		return;
	check_all(true);
	sight = see(ISOLATED, true);
	/* No other process has its user id, and no user namespace bounds its rights at the ports.
	 */
	ck_assert(sight.user);
	if (sight.got & RELAY_JAIL_USER) {
		ck_assert_uint_gt(sight.uid, FIRST_UID);
		ck_assert_int_eq(sight.monitor, EPERM);
	}
	ck_assert_uint_eq(sight.gid, getegid());
}
END_TEST

/* Each alone, so that neither covers for the other. */
START_TEST(an_empty_root_hides_the_files)
{
	bool root = geteuid() == 0;
	struct sight sight = see(NAMESPACES, root);

	check_spaces(&sight);
	if (sight.got & RELAY_JAIL_ROOT) {
		ck_assert_int_eq(sight.root, 0);
		ck_assert_int_eq(sight.file, ENOENT);
	}
	sight = see(NAMESPACES, false);
	check_spaces(&sight);
	if (sight.got & RELAY_JAIL_ROOT)
		ck_assert_int_eq(sight.file, ENOENT);
}
END_TEST

START_TEST(landlock_denies_files_and_processes)
{
	struct sight sight = see(LANDLOCK, geteuid() == 0);

	check_landlock(&sight);
	ck_assert(sight.mnt && sight.ipc);
	ck_assert_int_eq(sight.loopback, 0);
}
END_TEST

UNIT_MAIN("relay_isolation", an_ordinary_user_loses_all_but_sockets, root_loses_all_but_sockets,
	  an_empty_root_hides_the_files, landlock_denies_files_and_processes)
