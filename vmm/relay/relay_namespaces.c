/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/jail.h"
#include "vmm/relay/relay_jail_internal.h"

/* An empty, read-only file system, mounted nowhere yet. Its descriptor, or -1. */
static int make_empty(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), root = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		root = fsmount(fs, FSMOUNT_CLOEXEC,
			       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				       MOUNT_ATTR_NOEXEC);
	fd_close(&fs);
	return root;
}

/* Of the mount namespace nothing is left but the empty root. */
static bool enter_empty_root(void)
{
	bool done = false;
	int root;

	/* The host must not see what is mounted here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	root = make_empty();
	/* Mounted on the old root, below which the path "." then finds it. */
	if (root >= 0 && move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0 &&
	    fchdir(root) == 0) {
		if (syscall(SYS_pivot_root, ".", ".") == 0)
			done = umount2(".", MNT_DETACH) == 0;
		else /* the old root is the kernel's first, an initramfs, or no mount */
			done = chroot(".") == 0;
	}
	fd_close(&root);
	return done;
}

unsigned relay_enter_namespaces(void)
{
	static const int others[] = {CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
	unsigned got =
		jail_enter_namespaces(others, ARRAY_SIZE(others)) ? RELAY_JAIL_NAMESPACES : 0;

	if (unshare(CLONE_NEWNS) == 0 && enter_empty_root())
		got |= RELAY_JAIL_ROOT;
	return got;
}
