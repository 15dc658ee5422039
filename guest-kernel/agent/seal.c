/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system that is read-only to the sandbox. The agent's own view of it stays writable
 * (mount points of shares, /etc/hosts): the mount is read-only only while the sandbox's namespaces
 * are copied from the agent's, so that their copy is, and is locked, as they have another user
 * namespace. What is mounted in it keeps its own flags.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

#define RUN_CORDON "/run/cordon"

static bool sealed;

bool root_sealed(void)
{
	return sealed;
}

int root_lock(bool locked)
{
	struct mount_attributes attributes = {.set = locked ? MOUNT_READ_ONLY : 0,
					      .clear = locked ? 0 : MOUNT_READ_ONLY};

	if (!sealed)
		return 0;
	return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) < 0
		       ? -errno
		       : 0;
}

/* An image may have a link there, which must divert no mount. */
static int make_place(const char *path, mode_t mode)
{
	struct stat stat;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &stat) < 0)
		return -errno;
	return S_ISDIR(stat.st_mode) ? 0 : -ENOTDIR;
}

/* A file system in memory, of the sandbox's root. */
static int cover(const char *path, const char *owner)
{
	char options[ROOT_OPTIONS_SIZE];
	int ret = make_place(path, 0755);

	if (ret == 0 &&
	    mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, root_memory(options, owner)) < 0)
		ret = -errno;
	return ret;
}

/* With what the agent has in it. */
static int cover_run(void)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, RUN_CORDON,
				TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC);
	int ret = cover("/run", SANDBOX_OWNER);

	if (ret == 0 && tree >= 0)
		ret = make_place(RUN_CORDON, 0755);
	if (ret == 0 && tree >= 0)
		ret = files_attach(tree, RUN_CORDON);
	close_fd(&tree);
	return ret;
}

/* Without a file system of its own it is a part of the root's. */
static int cover_shm(void)
{
	struct stat shm, top;

	if (stat("/", &top) < 0 || lstat("/dev/shm", &shm) < 0 || shm.st_dev != top.st_dev)
		return 0;
	return cover("/dev/shm", SANDBOX_OWNER_SHARED);
}

/*
 * Another mount of the root file system, in which the agent has no file open for writing, as it has
 * in the first one: such a mount can't be made read-only. It is put on top by way of /tmp.
 */
static int mount_again(void)
{
	int tree =
		(int)syscall(SYS_open_tree, AT_FDCWD, "/", TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC);
	int ret = tree < 0 ? -errno : files_attach(tree, "/tmp");

	close_fd(&tree);
	if (ret < 0)
		return ret;
	if (chdir("/tmp") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

uint32_t root_seal(void)
{
	int ret;

	if (sealed)
		return EALREADY;
	umask(0);
	ret = cover("/tmp", SANDBOX_OWNER_SHARED);
	if (ret == 0)
		ret = cover_run();
	if (ret == 0)
		ret = cover_shm();
	if (ret == 0)
		ret = mount_again();
	umask(022);
	if (ret < 0) {
		agent_log("the read-only root file system: %s", strerror(-ret));
		return (uint32_t)-ret;
	}
	sandbox_leave();
	sealed = true;
	return (uint32_t)-sandbox_enter();
}
