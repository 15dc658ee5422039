/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first process that uses, as guest root, the kernel features that rules in the guest rest on:
 * each in a child, both what it must stop and what it must let through. Prints one line for each on
 * the console, `ok NAME` or `not ok NAME: errno`, then powers off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/programs/features.h"

/* musl's compiler wrapper does not see the kernel's headers. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_ADD_RULE	445
#define LANDLOCK_RESTRICT_SELF	446
#define LANDLOCK_READ_FILE	(1ull << 2)
#define PIDFD_OPEN		434
#define PIDFD_GETFD		438
#define SECCOMP_FILTER		1
#define SECCOMP_NEW_LISTENER	(1u << 3)
#define SECCOMP_ALLOW		0x7fff0000u
#define SECCOMP_NOTIFY		0x7fc00000u
#define NEW_CGROUP		0x02000000
#define NEW_TIME		0x00000080
#define ANSWER			7777

struct landlock_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct filter_step {
	uint16_t code;
	uint8_t yes, no;
	uint32_t k;
};

struct filter {
	uint16_t length;
	struct filter_step *steps;
};

struct notification {
	uint64_t id;
	uint32_t pid, flags;
	int32_t number;
	uint32_t arch;
	uint64_t instruction, arguments[6];
};

struct notification_answer {
	uint64_t id;
	int64_t value;
	int32_t error;
	uint32_t flags;
};

#define NOTIFY_RECEIVE _IOWR('!', 0, struct notification)
#define NOTIFY_SEND    _IOWR('!', 1, struct notification_answer)

int console;

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int ret = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;

	close(fd);
	return ret;
}

/* Returns whether the file holds this text. */
static int holds(const char *path, const char *text)
{
	char bytes[4096] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes) - 1) : -1;

	close(fd);
	return n >= 0 && strstr(bytes, text) ? 1 : 0;
}

/* Each returns 0, or an errno value that tells where it failed (EPROTO: a wrong result). */

static int landlock(void)
{
	uint64_t handled = LANDLOCK_READ_FILE;
	struct landlock_beneath beneath = {.allowed = LANDLOCK_READ_FILE};
	int rules;

	mkdir("/tmp/in", 0755);
	mkdir("/tmp/out", 0755);
	if (write_file("/tmp/in/file", "x") < 0 || write_file("/tmp/out/file", "x") < 0)
		return errno;
	beneath.fd = open("/tmp/in", O_PATH | O_DIRECTORY);
	rules = (int)syscall(LANDLOCK_CREATE_RULESET, &handled, sizeof(handled), 0);
	if (rules < 0 || syscall(LANDLOCK_ADD_RULE, rules, 1, &beneath, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(LANDLOCK_RESTRICT_SELF, rules, 0) < 0)
		return errno;
	if (open("/tmp/in/file", O_RDONLY) < 0)
		return errno;
	return open("/tmp/out/file", O_RDONLY) < 0 && errno == EACCES ? 0 : EPROTO;
}

/* Starts a program that does nothing. Its exit status is 0, or 100 plus the errno of execve. */
static pid_t start(const char *path)
{
	pid_t child = fork();

	if (child == 0) {
		execl(path, path, "nothing", (char *)NULL);
		_exit(100 + errno);
	}
	return child;
}

/* Replies to one permission event for a program. */
static int answer_exec(int group, uint32_t verdict)
{
	struct fanotify_event_metadata event;
	struct fanotify_response response;

	if (read(group, &event, sizeof(event)) != sizeof(event))
		return errno;
	if (!(event.mask & FAN_OPEN_EXEC_PERM))
		return EPROTO;
	response = (struct fanotify_response){.fd = event.fd, .response = verdict};
	if (write(group, &response, sizeof(response)) != sizeof(response))
		return errno;
	close(event.fd);
	return 0;
}

static int fanotify_exec(void)
{
	static const struct {
		uint32_t verdict;
		int status;
	} turns[] = {{FAN_ALLOW, 0}, {FAN_DENY, 100 + EPERM}};
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC), status;
	int ret = 0;
	size_t i;
	pid_t child;

	if (group < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, "/init") < 0)
		return errno;
	for (i = 0; ret == 0 && i < sizeof(turns) / sizeof(turns[0]); i++) {
		child = start("/init");
		ret = answer_exec(group, turns[i].verdict);
		if (waitpid(child, &status, 0) != child)
			return errno;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != turns[i].status)
			ret = ret ? ret : EPROTO;
	}
	return ret;
}

/* In the child: passes every mkdir to the listener, whose number goes into the pipe. */
static int notified(int to)
{
	struct filter_step steps[] = {
		{0x20, 0, 0, 0},	      /* load the system call's number */
		{0x15, 0, 1, SYS_mkdir},      /* if it is mkdir, */
		{0x06, 0, 0, SECCOMP_NOTIFY}, /* notify the listener; */
		{0x06, 0, 0, SECCOMP_ALLOW},  /* else go on */
	};
	struct filter filter = {.length = 4, .steps = steps};
	int listener;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	listener = (int)syscall(SYS_seccomp, SECCOMP_FILTER, SECCOMP_NEW_LISTENER, &filter);
	if (write(to, &listener, sizeof(listener)) != sizeof(listener) || listener < 0)
		return 1;
	return syscall(SYS_mkdir, "/tmp/asked", 0755) == ANSWER && access("/tmp/asked", F_OK) < 0
		       ? 0
		       : 1;
}

static int seccomp_notify(void)
{
	struct notification question = {0};
	struct notification_answer answer = {.value = ANSWER};
	int pipes[2], listener, pidfd, status;
	pid_t child;

	if (pipe(pipes) < 0)
		return errno;
	child = fork();
	if (child == 0)
		_exit(notified(pipes[1]));
	pidfd = (int)syscall(PIDFD_OPEN, child, 0);
	if (read(pipes[0], &listener, sizeof(listener)) != sizeof(listener) || listener < 0)
		return EPROTO;
	listener = (int)syscall(PIDFD_GETFD, pidfd, listener, 0);
	if (listener < 0 || ioctl(listener, NOTIFY_RECEIVE, &question) < 0)
		return errno;
	answer.id = question.id;
	if (question.number != SYS_mkdir || ioctl(listener, NOTIFY_SEND, &answer) < 0)
		return errno ? errno : EPROTO;
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : EPROTO;
}

static int namespaces(void)
{
	static const struct {
		int flag;
		const char *name;
	} spaces[] = {
		{CLONE_NEWNS, "mnt"},
		{CLONE_NEWUTS, "uts"},
		{CLONE_NEWIPC, "ipc"},
		{CLONE_NEWNET, "net"},
		{NEW_CGROUP, "cgroup"},
		{CLONE_NEWUSER, "user"},
		{NEW_TIME, "time_for_children"},
	};
	char path[64], before[64], after[64];
	int status;
	pid_t child;
	size_t i;

	for (i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		memset(before, 0, sizeof(before));
		memset(after, 0, sizeof(after));
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i].name);
		if (readlink(path, before, sizeof(before) - 1) < 0 || unshare(spaces[i].flag) < 0 ||
		    readlink(path, after, sizeof(after) - 1) < 0)
			return errno;
		if (strcmp(before, after) == 0)
			return EPROTO;
	}
	if (unshare(CLONE_NEWPID) < 0)
		return errno;
	child = fork();
	if (child == 0)
		_exit(getpid() == 1 ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : EPROTO;
}

static int overlay(void)
{
	const char *options = "lowerdir=/tmp/low,upperdir=/tmp/up,workdir=/tmp/work";

	mkdir("/tmp/low", 0755);
	mkdir("/tmp/up", 0755);
	mkdir("/tmp/work", 0755);
	mkdir("/tmp/both", 0755);
	if (write_file("/tmp/low/file", "below") < 0 ||
	    mount("overlay", "/tmp/both", "overlay", 0, options) < 0 ||
	    !holds("/tmp/both/file", "below") || write_file("/tmp/both/file", "above") < 0)
		return errno ? errno : EPROTO;
	return holds("/tmp/low/file", "below") && holds("/tmp/up/file", "above") ? 0 : EPROTO;
}

/* The file systems that disks need can be mounted. */
static int file_systems(void)
{
	static const char *const names[] = {"\tsquashfs\n", "\terofs\n", "\text4\n", "\toverlay\n",
					    "\tvirtiofs\n"};
	/* Served by programs (our patch 62). */
	static const char *const missing[] = {"\t9p\n", "\tfuse\n", "\tfuseblk\n", "\tfusectl\n"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!holds("/proc/filesystems", names[i]))
			return ENODEV;
	for (i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		if (holds("/proc/filesystems", missing[i]))
			return EPROTO;
	return 0;
}

/* Returns whether the directory lists the name exactly once. */
static bool listed_once(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int found = 0;

	while (dir && (entry = readdir(dir)))
		found += strcmp(entry->d_name, name) == 0;
	if (dir)
		closedir(dir);
	return found == 1;
}

/*
 * The kernel fills a directory of settings only when it is looked up (our patch 31). A setting is
 * found by name and in a listing; each new network namespace has its own, one that has ended has
 * none, and a missing name stays missing.
 */
static int settings(void)
{
	static const char forward[] = "/proc/sys/net/ipv4/ip_forward";
	int i, status;
	pid_t child;

	if (!holds("/proc/sys/kernel/pid_max", "\n") ||
	    !listed_once("/proc/sys/net/ipv4/conf", "all") ||
	    !listed_once("/proc/sys/net/ipv4", "ip_forward") ||
	    access("/proc/sys/net/ipv4/ip_forward_", F_OK) == 0)
		return ENOENT;
	for (i = 0; i < 20; i++) {
		child = fork();
		if (child == 0) {
			if (unshare(CLONE_NEWNET | CLONE_NEWUSER) < 0)
				_exit(errno);
			if (i % 2 == 0)
				_exit(0); /* ends without a lookup */
			_exit(write_file(forward, "1") == 0 && holds(forward, "1") &&
					      listed_once("/proc/sys/net/ipv4/conf", "lo") &&
					      listed_once("/proc/sys/net/ipv6/neigh", "lo")
				      ? 0
				      : EPROTO);
		}
		if (waitpid(child, &status, 0) < 0 || status != 0)
			return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	}
	return holds(forward, "0") ? 0 : EPROTO;
}

static int cgroups(void)
{
	mkdir("/tmp/cgroup", 0755);
	if (mount("cgroup2", "/tmp/cgroup", "cgroup2", 0, NULL) < 0 ||
	    write_file("/tmp/cgroup/cgroup.subtree_control", "+cpu +memory +pids") < 0 ||
	    mkdir("/tmp/cgroup/one", 0755) < 0 ||
	    write_file("/tmp/cgroup/one/cpu.max", "10000 100000") < 0 ||
	    write_file("/tmp/cgroup/one/memory.max", "16M") < 0 ||
	    write_file("/tmp/cgroup/one/pids.max", "1") < 0 ||
	    write_file("/tmp/cgroup/one/cgroup.procs", "0") < 0)
		return errno;
	/* The cgroup holds one process: a second is refused. */
	return fork() < 0 && errno == EAGAIN ? 0 : EPROTO;
}

/* What debuggers use beside ptrace: of a child's memory, and whether two processes share a file. */
static int debuggers(void)
{
	char secret[8] = "before", seen[8] = "";
	struct iovec local = {seen, sizeof(seen)}, remote = {secret, sizeof(secret)};
	pid_t child;
	int ret = 0;

	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	if (process_vm_readv(child, &local, 1, &remote, 1, 0) != sizeof(seen) ||
	    strcmp(seen, "before") != 0)
		ret = errno ? errno : EPROTO;
	memcpy(seen, "after", 6);
	if (ret == 0 && process_vm_writev(child, &local, 1, &remote, 1, 0) != sizeof(seen))
		ret = errno;
	if (ret == 0 &&
	    syscall(SYS_kcmp, getpid(), child, 0 /* KCMP_FILE */, console, console) != 0)
		ret = errno ? errno : EPROTO;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(void);
} features[] = {
	{"landlock", landlock},
	{"fanotify_exec", fanotify_exec},
	{"seccomp_notify", seccomp_notify},
	{"namespaces", namespaces},
	{"overlay", overlay},
	{"file_systems", file_systems},
	{"settings", settings},
	{"cgroups", cgroups},
	{"debuggers", debuggers},
	{"closed", closed},
	{"closed_files", closed_files},
};

int main(int argc, char **argv)
{
	int status;
	pid_t child;
	size_t i;

	if (argc == 2 && strcmp(argv[1], "nothing") == 0)
		return 0;
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
	console = open("/dev/console", O_WRONLY | O_NOCTTY);
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		child = fork();
		if (child == 0)
			_exit(features[i].run());
		waitpid(child, &status, 0);
		if (status == 0)
			dprintf(console, "ok %s\n", features[i].name);
		else
			dprintf(console, "not ok %s: %s\n", features[i].name,
				WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed");
	}
	reboot(RB_POWER_OFF);
	return 1;
}
