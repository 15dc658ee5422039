/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-kernel/agent/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"

#define ROOT	 "/sandbox"
#define CGROUP	 "/cgroup"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the kernel needs for an empty file of a tmpfs: its inode and its name. */
#define FILE_BYTES 1024

int root_error, root_proc_fd = -1, root_pts_fd = -1, root_cgroup_fd = -1;

static const struct {
	const char *path;
	mode_t mode;
	bool needed; /* also created in a root file system that is not bare */
} directories[] = {
	{"dev", 0755, true},	     {"dev/pts", 0755, true}, {"dev/shm", 01777, true},
	{"dev/mqueue", 01777, true}, {"proc", 0755, true},    {"sys", 0755, true},
	{"tmp", 01777, true},	     {"run", 0755, true},     {"var", 0755, false},
	{"root", 0700, false},	     {"home", 0755, false},   {"mnt", 0755, false},
};

static const struct {
	const char *target, *path;
} links[] = {
	{"/proc/self/fd", "dev/fd"},	   {"/proc/self/fd/0", "dev/stdin"},
	{"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
	{"pts/ptmx", "dev/ptmx"},	   {"tty", "dev/console"},
};

static const struct {
	const char *path;
	unsigned minor; /* of major 1, but for tty */
} devices[] = {
	{"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9},
};

static const struct {
	const char *name, *text;
} etc_files[] = {
	{"passwd", "root:x:0:0:root:/root:/bin/sh\n"
		   "user:x:1000:1000:user:/home/user:/bin/sh\n"
		   "nobody:x:65534:65534:nobody:/:/bin/false\n"},
	{"group", "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n"},
};

const char *root_memory(char options[ROOT_OPTIONS_SIZE], const char *more)
{
	struct sysinfo info = {.mem_unit = 1};

	sysinfo(&info);
	snprintf(options, ROOT_OPTIONS_SIZE, "%s,nr_inodes=%llu", more,
		 (unsigned long long)info.totalram * info.mem_unit / FILE_BYTES / 2);
	return options;
}

/* Logs a failure and goes on: a sandbox without this is still useful. */
static void check(int ret, const char *what)
{
	if (ret < 0 && errno != EEXIST)
		agent_log("%s: %s", what, strerror(errno));
}

int root_write(int directory, const char *path, const char *text)
{
	int fd = openat(directory, path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Opens a directory of the root file system, but does not follow a link. -1 on failure. */
static int open_directory(const char *name)
{
	return open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void make_files(void)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int etc, fd;
	size_t i;

	check(mkdir("etc", 0755), "etc");
	etc = open_directory("etc");
	check(etc, "etc");
	for (i = 0; etc >= 0 && i < COUNT(etc_files); i++) {
		fd = openat(etc, etc_files[i].name, flags, 0644);
		if (fd < 0 || write(fd, etc_files[i].text, strlen(etc_files[i].text)) < 0)
			check(-1, etc_files[i].name);
		close_fd(&fd);
	}
	close_fd(&etc);
}

static void make_tree(bool needed_only)
{
	size_t i;

	for (i = 0; i < COUNT(directories); i++)
		if (directories[i].needed || !needed_only)
			check(mkdir(directories[i].path, directories[i].mode), directories[i].path);
	for (i = 0; i < COUNT(links); i++)
		check(symlink(links[i].target, links[i].path), links[i].path);
}

/* As guest root: sandbox root can't create device nodes. */
static void make_nodes(void)
{
	size_t i;

	for (i = 0; i < COUNT(devices); i++)
		check(mknod(devices[i].path, S_IFCHR | 0666, makedev(1, devices[i].minor)),
		      devices[i].path);
	check(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)), "dev/tty");
}

/* As guest root, because the home belongs to another user than sandbox root. */
static void make_home(void)
{
	const uint32_t id = SANDBOX_ID_BASE + 1000;
	int home = open_directory("home");

	if (home < 0 || (mkdirat(home, "user", 0755) < 0 && errno != EEXIST) ||
	    fchownat(home, "user", id, id, AT_SYMLINK_NOFOLLOW) < 0)
		check(-1, "home/user");
	close_fd(&home);
}

/*
 * Brings one name of the initramfs, which has the programs, into the tree: mounts a directory,
 * copies a link. Returns whether the initramfs has it.
 */
static bool bring(const char *name)
{
	char from[32], target[128];
	struct stat stat;
	ssize_t n;

	snprintf(from, sizeof(from), "/%s", name);
	if (lstat(from, &stat) < 0)
		return false;
	if (S_ISLNK(stat.st_mode)) {
		n = readlink(from, target, sizeof(target) - 1);
		if (n < 0)
			return false;
		target[n] = '\0';
		check(symlink(target, name), name);
		return true;
	}
	check(mkdir(name, 0755), name);
	check(mount(from, name, NULL, MS_BIND | MS_REC, NULL), name);
	return true;
}

static void bring_programs(void)
{
	bring("bin");
	bring("lib");
	bring("lib64");
	bring("opt");
	if (!bring("sbin"))
		check(symlink("bin", "sbin"), "sbin");
	if (bring("usr"))
		return;
	check(mkdir("usr", 0755), "usr");
	check(symlink("../bin", "usr/bin"), "usr/bin");
	check(symlink("../bin", "usr/sbin"), "usr/sbin");
}

/*
 * Our initramfs has busybox and a file with the names of its applets. Creating the links here takes
 * a third of the instructions that the kernel needs for the same links in an initramfs.
 */
static void link_applets(void)
{
	char names[8192], *name, *end;
	int bin = open("/bin", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	ssize_t n = 0;

	fd = bin < 0 ? -1 : openat(bin, ".applets", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, names, sizeof(names) - 1);
	names[n > 0 ? n : 0] = '\0';
	for (name = names; (end = strchr(name, '\n')); name = end + 1) {
		*end = '\0';
		check(symlinkat("busybox", bin, name), name);
	}
	close_fd(&fd);
	close_fd(&bin);
}

static void mount_all(void)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		    "gid=100005,mode=620,ptmxmode=666"),
	      "devpts");
	/* Covered by the sandbox's own; a workload that uncovers it sees no other's processes. */
	check(mount("proc", "proc", "proc", safe, "hidepid=4"), "proc");
	check(mount("sysfs", "sys", "sysfs", safe | MS_RDONLY, NULL), "sysfs");
	close_fd(&root_pts_fd);
	root_pts_fd = open("dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void open_handles(void)
{
	root_proc_fd = open("proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	guest_random_fd = open("dev/urandom", O_RDWR | O_CLOEXEC);
}

/* Mounts the cgroups in the initramfs, which the sandbox's root file system will cover. */
static void cgroup_prepare(void)
{
	int top;

	check(mkdir(CGROUP, 0755), CGROUP);
	check(mount("cgroup2", CGROUP, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL),
	      "cgroup2");
	top = open(CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || root_write(top, "cgroup.subtree_control", "+pids +memory") < 0 ||
	    mkdirat(top, "sandbox", 0755) < 0) {
		check(-1, "cgroup");
	} else {
		root_cgroup_fd = openat(top, "sandbox", O_PATH | O_DIRECTORY | O_CLOEXEC);
		limits_prepare(top);
		return;
	}
	close_fd(&top);
}

/* Makes sure that descriptors 0 to 2 exist, even if the initramfs has no console. */
static void fill_stdio(void)
{
	int fd;

	do {
		fd = open("dev/null", O_RDWR);
	} while (fd >= 0 && fd < 2);
	if (fd > 2)
		close(fd);
}

/* Creates files as sandbox root, which then owns them, or as guest root again. */
static void as_sandbox(bool sandbox)
{
	setfsgid(sandbox ? SANDBOX_ID_BASE : 0);
	setfsuid(sandbox ? SANDBOX_ID_BASE : 0);
}

int root_enter(void)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	guest_machine_id();
	hosts_prepare();
	return 0;
}

/*
 * Makes the mount points in the root file system, and checks that they are directories: a link
 * would divert the mounts.
 */
static int make_mount_points(void)
{
	static const char *const points[] = {"dev", "proc", "sys", "run"};
	struct stat stat;
	size_t i;

	for (i = 0; i < COUNT(points); i++) {
		mkdir(points[i], 0755);
		if (lstat(points[i], &stat) < 0)
			return -errno;
		if (!S_ISDIR(stat.st_mode))
			return -ENOTDIR;
	}
	return 0;
}

/* A directory of the root file system that contains something, or -1. */
static int filled_directory(const char *path)
{
	char entries[1024];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	long n = fd < 0 ? 0 : syscall(SYS_getdents64, fd, entries, sizeof(entries));

	/* "." and ".." take 24 bytes each. */
	if (n <= 48)
		close_fd(&fd);
	return fd;
}

/* Mounts a directory at a path, too. 0, or -1 and errno. */
static int attach(int fd, const char *path)
{
	int tree = (int)syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | TREE_CLONE | O_CLOEXEC), ret;

	if (tree < 0)
		return -1;
	ret = files_attach(tree, path);
	close_fd(&tree);
	errno = -ret;
	return ret < 0 ? -1 : 0;
}

/* /run is as the root file system has it; a new one where that can't be written. */
static int bring_run(const char *owner)
{
	int ret = run_bring();

	if (ret == -EROFS && mount("run", "run", "tmpfs", MS_NOSUID | MS_NODEV, owner) == 0)
		ret = run_bring();
	errno = -ret;
	return ret < 0 ? -1 : 0;
}

int root_complete(bool bare)
{
	char owner[ROOT_OPTIONS_SIZE];
	int ret, shm = -1;

	umask(0);
	as_sandbox(true);
	ret = make_mount_points();
	as_sandbox(false);
	if (ret == 0)
		shm = filled_directory("dev/shm");
	if (ret == 0 && mount("dev", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC,
			      root_memory(owner, SANDBOX_OWNER)) < 0)
		ret = -errno;
	if (ret == 0) {
		as_sandbox(true);
		make_tree(!bare);
		if (bare)
			make_files();
		as_sandbox(false);
		make_nodes();
		if (bare)
			make_home();
		mount_all();
		if (shm >= 0)
			check(attach(shm, "dev/shm"), "dev/shm");
		check(bring_run(owner), "run/cordon");
	}
	close_fd(&shm);
	umask(022);
	return ret;
}

void root_prepare(void)
{
	char options[ROOT_OPTIONS_SIZE];
	struct stat stat;
	bool own_etc;

	umask(0);
	check(mkdir(ROOT, 0755), ROOT);
	if (mount("sandbox", ROOT, "tmpfs", 0, root_memory(options, SANDBOX_OWNER)) < 0 ||
	    chdir(ROOT) < 0) {
		root_error = -errno;
		agent_log("root file system: %s", strerror(errno));
		return;
	}
	link_applets();
	own_etc = lstat("/etc", &stat) == 0;
	as_sandbox(true);
	make_tree(false);
	check(symlink("../tmp", "var/tmp"), "var/tmp");
	if (own_etc)
		bring("etc");
	else
		make_files();
	bring_programs();
	as_sandbox(false);
	make_nodes();
	make_home();
	mount_all();
	check(run_prepare(), "run/cordon");
	open_handles();
	fill_stdio();
	cgroup_prepare();
	root_error = root_enter();
	umask(022);
}
