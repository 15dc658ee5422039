/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to give a denied file an allowed path: mounts and roots. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/integration/programs/execs.h"

/* musl's compiler wrapper does not see the kernel's headers. */
#define OPEN_TREE     428
#define MOVE_MOUNT    429
#define FSOPEN	      430
#define FSCONFIG      431
#define FSMOUNT	      432
#define MOUNT_SETATTR 442
#define TREE_CLONE    1u
#define CONFIG_CREATE 6u
#define AT_EMPTY      0x1000u

#define OVER ALLOWED "/over"

static void must(long ret, const char *what)
{
	if (ret >= 0)
		return;
	perror(what);
	_exit(99);
}

/* In the sandbox's own mount namespace, as its root: 0 is a success, which the test expects to see
 * as "ran" where there are no exec rules. */
static int mounted(const char *from, const char *to, const char *type, unsigned long flags)
{
	return mount(from, to, type, flags, NULL) < 0 ? errno : TARGET_STATUS;
}

static int bind_here(void)
{
	return mounted(DENIED, "/mnt", NULL, MS_BIND);
}

static int bind_own(void)
{
	own_namespaces();
	return bind_here();
}

static int tmpfs_here(void)
{
	return mounted("x", "/mnt", "tmpfs", 0);
}

static int tmpfs_own(void)
{
	own_namespaces();
	return tmpfs_here();
}

/* The mounts of a namespace that shares propagate into it. */
static int shared_here(void)
{
	struct {
		uint64_t set, clear, propagation, users;
	} attributes = {.propagation = MS_SHARED};

	if (mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	return syscall(MOUNT_SETATTR, AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) < 0
		       ? errno
		       : TARGET_STATUS;
}

static int shared_own(void)
{
	own_namespaces();
	return mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) < 0 ? errno : TARGET_STATUS;
}

static int unmount_here(void)
{
	return umount2("/dev/pts", MNT_DETACH) < 0 ? errno : TARGET_STATUS;
}

static int unmount_own(void)
{
	own_namespaces();
	must(mount("x", "/mnt", "tmpfs", 0, NULL), "tmpfs");
	return umount("/mnt") < 0 ? errno : TARGET_STATUS;
}

static int tree_here(void)
{
	return syscall(OPEN_TREE, AT_FDCWD, DENIED, TREE_CLONE) < 0 ? errno : TARGET_STATUS;
}

static int tree_own(void)
{
	own_namespaces();
	return tree_here();
}

static int pivot_here(void)
{
	return syscall(SYS_pivot_root, "/tmp", "/tmp") < 0 ? errno : TARGET_STATUS;
}

static int pivot_own(void)
{
	own_namespaces();
	must(mount("/tmp", "/tmp", NULL, MS_BIND, NULL), "bind");
	must(chdir("/tmp"), "chdir");
	return syscall(SYS_pivot_root, ".", ".") < 0 ? errno : TARGET_STATUS;
}

/* In a namespace of its own: what is there counts for nothing. */
static int covered(const char *file, const char *over)
{
	own_namespaces();
	must(mount(file, over, NULL, MS_BIND, NULL), "bind");
	return execute(over);
}

static int covered_denied(void)
{
	copy_self(OVER);
	return covered(DENIED "/p", OVER);
}

static int covered_allowed(void)
{
	copy_self(DENIED "/over");
	return covered(ALLOWED "/p", DENIED "/over");
}

static int other_tmpfs_denied(void)
{
	own_namespaces();
	must(mount("x", ALLOWED, "tmpfs", 0, NULL), "tmpfs");
	copy_self(ALLOWED "/p");
	return execute(ALLOWED "/p");
}

/* A namespace of the same user namespace, in which the sandbox's root made the mount. */
static int unshared_denied(void)
{
	must(unshare(CLONE_NEWNS), "unshare");
	must(mount("x", ALLOWED, "tmpfs", 0, NULL), "tmpfs");
	copy_self(ALLOWED "/p");
	return execute(ALLOWED "/p");
}

static int unshared_allowed(void)
{
	must(unshare(CLONE_NEWNS), "unshare");
	must(mount("x", "/mnt", "tmpfs", 0, NULL), "tmpfs");
	return execute(ALLOWED "/p");
}

static int overlay_denied(void)
{
	own_namespaces();
	must(mount("x", "/mnt", "tmpfs", 0, NULL), "tmpfs");
	must(mkdir("/mnt/upper", 0755), "upper");
	must(mkdir("/mnt/work", 0755), "work");
	must(mount("o", ALLOWED, "overlay", 0,
		   "lowerdir=" DENIED ",upperdir=/mnt/upper,workdir=/mnt/work,userxattr"),
	     "overlay");
	return execute(ALLOWED "/p");
}

static int overlay_allowed(void)
{
	own_namespaces();
	must(mount("x", "/mnt", "tmpfs", 0, NULL), "tmpfs");
	return execute(ALLOWED "/p");
}

/* A mount that no namespace shows. */
static int detached_denied(void)
{
	char path[64];
	int fs, fd;

	own_namespaces();
	fs = (int)syscall(FSOPEN, "tmpfs", 0u);
	must(fs, "fsopen");
	must(syscall(FSCONFIG, fs, CONFIG_CREATE, NULL, NULL, 0), "fsconfig");
	fd = (int)syscall(FSMOUNT, fs, 0u, 0u);
	must(fd, "fsmount");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/p", fd);
	copy_self(path);
	return execute(path);
}

/* A copy of a mount that the sandbox has: the file has the same path. */
static int detached_allowed(void)
{
	char path[64];
	int fd;

	own_namespaces();
	fd = (int)syscall(OPEN_TREE, AT_FDCWD, ALLOWED, TREE_CLONE);
	must(fd, "open_tree");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/p", fd);
	return execute(path);
}

/* Paths begin at the root of the namespace, not at that of the process. */
static int rooted_denied(void)
{
	must(mkdir(DENIED "/tmp", 0755), "mkdir");
	must(mkdir(DENIED ALLOWED, 0755), "mkdir");
	copy_self(DENIED ALLOWED "/p");
	must(chroot(DENIED), "chroot");
	return execute(ALLOWED "/p");
}

static int rooted_allowed(void)
{
	must(chroot("/tmp"), "chroot");
	return execute("/allowed/p");
}

const struct attempt mount_attempts[] = {
	{"bind_here", bind_here, bind_own},
	{"tmpfs_here", tmpfs_here, tmpfs_own},
	{"shared_here", shared_here, shared_own},
	{"unmount_here", unmount_here, unmount_own},
	{"tree_here", tree_here, tree_own},
	{"pivot_here", pivot_here, pivot_own},
	{"covered", covered_denied, covered_allowed},
	{"other_tmpfs", other_tmpfs_denied, overlay_allowed},
	{"unshared", unshared_denied, unshared_allowed},
	{"overlay", overlay_denied, overlay_allowed},
	{"detached", detached_denied, detached_allowed},
	{"rooted", rooted_denied, rooted_allowed},
};
const size_t mount_attempt_count = sizeof(mount_attempts) / sizeof(mount_attempts[0]);
