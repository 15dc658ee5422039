/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/jail_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define PLACES_MAX 4

#define HARMLESS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* An empty file system, mounted nowhere yet. Its descriptor, or -1. */
static int make_empty(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), root = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		root = fsmount(fs, FSMOUNT_CLOEXEC, HARMLESS);
	fd_close(&fs);
	return root;
}

static bool restrict_mount(int fd, bool read_only)
{
	struct mount_attr attributes = {.attr_set = HARMLESS | (read_only ? MOUNT_ATTR_RDONLY : 0)};

	return mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == 0;
}

static bool is_same(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

/* A copy of the mount at the place, mounted nowhere yet. Its descriptor, or -1. */
static int copy_place(const struct jail_place *place)
{
	int fd = open_tree(AT_FDCWD, place->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd >= 0 &&
	    ((place->fd && !is_same(fd, *place->fd)) || !restrict_mount(fd, place->read_only)))
		fd_close(&fd);
	return fd;
}

/* Makes the directories of an absolute path below a root. */
static bool make_directories(int root, const char *path)
{
	char part[PATH_MAX];
	size_t length;

	for (length = 1; path[length - 1]; length++) {
		if ((path[length] && path[length] != '/') || length >= sizeof(part))
			continue;
		memcpy(part, path, length);
		part[length] = '\0';
		if (part[1] && mkdirat(root, part + 1, 0755) < 0 && errno != EEXIST)
			return false;
	}
	return true;
}

static bool put_place(int root, const struct jail_place *place, int copy)
{
	return make_directories(root, place->path) &&
	       move_mount(copy, "", root, place->path + 1, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

/* The root lies on the old one, and is the current directory. */
static bool leave_old_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) == 0;
	/* The old root is the kernel's first, an initramfs, or no mount. */
	return chroot(".") == 0;
}

static bool replace_descriptor(const struct jail_place *place)
{
	int fd = place->fd ? open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool done = !place->fd ||
		    (fd >= 0 && is_same(fd, *place->fd) && dup3(fd, *place->fd, O_CLOEXEC) >= 0);

	fd_close(&fd);
	return done;
}

static bool enter(int root, const struct jail_place *places, const int *copy, unsigned count)
{
	unsigned i;

	/* Mounted on the old root, below which the path "." then finds it. */
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(root) < 0)
		return false;
	for (i = 0; i < count; i++)
		if (!put_place(root, &places[i], copy[i]))
			return false;
	if (!leave_old_root() || !restrict_mount(root, true))
		return false;
	for (i = 0; i < count; i++)
		if (!replace_descriptor(&places[i]))
			return false;
	return true;
}

bool jail_enter_root(const struct jail_place *places, unsigned count)
{
	int copy[PLACES_MAX] = {-1, -1, -1, -1}, root = -1;
	bool done = count <= PLACES_MAX;
	unsigned i;

	/* The host must not see what is mounted here. */
	if (!done || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (i = 0; i < count && done; i++) {
		copy[i] = copy_place(&places[i]);
		done = copy[i] >= 0;
	}
	if (done)
		root = make_empty();
	done = root >= 0 && enter(root, places, copy, count);
	fd_close(&root);
	for (i = 0; i < count && i < PLACES_MAX; i++)
		fd_close(&copy[i]);
	return done;
}
