/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-fs device, whose top directory holds the shares and a served root file system under
 * their numbers.
 *
 * It is mounted once, when the guest starts, so that a template has it mounted; and in the initial
 * mount namespace, which the agent then leaves to the kernel's threads. The sandbox's namespaces
 * are copies of the agent's, so none ever contains the directory with all shares. A share is a
 * clone of the part of that mount below its number, made there and moved to its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

/* In the initramfs, to whose top the initial mount namespace leads. */
#define TOP "/shares"
/* kthreadd, which stays in the initial namespaces. */
#define KERNEL_PID 2

static int kernel_fd = -1; /* its pidfd; -1: nothing is mounted */
static int error = ENXIO;  /* why, an errno value */

/* --- mounting --------------------------------------------------------------------------------- */

/* Leaves the namespace that has the mount. */
static int leave(void)
{
	kernel_fd = (int)syscall(SYS_pidfd_open, KERNEL_PID, 0);
	if (kernel_fd < 0 || unshare(CLONE_NEWNS) < 0 || umount2(TOP, MNT_DETACH) < 0)
		return -errno;
	return 0;
}

void files_prepare(void)
{
	if ((mkdir(TOP, 0700) < 0 && errno != EEXIST) ||
	    mount(AGENT_FILES_TAG, TOP, "virtiofs", MS_NOSUID | MS_NODEV, NULL) < 0) {
		/* Without virtio-fs in the kernel ENODEV, without the device EINVAL. */
		error = errno == EINVAL ? ENXIO : errno;
		return;
	}
	error = -leave();
	if (error) {
		agent_log("mount namespace of the shares: %s", strerror(error));
		umount2(TOP, MNT_DETACH);
		close_fd(&kernel_fd);
	}
}

int files_tree(uint32_t number, bool read_only)
{
	struct mount_attributes attributes = {.set = MOUNT_READ_ONLY};
	char path[32];
	int tree, ret = 0;

	if (kernel_fd < 0)
		return -error;
	if (setns(kernel_fd, CLONE_NEWNS) < 0)
		return -errno;
	snprintf(path, sizeof(path), TOP "/%u", number);
	/* As the mount is nosuid and nodev, so is its clone. */
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, path,
			    TREE_CLONE | AT_SYMLINK_NOFOLLOW | O_CLOEXEC);
	if (tree < 0)
		return -errno;
	if (read_only && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes,
				 sizeof(attributes)) < 0)
		ret = -errno;
	if (ret < 0)
		close_fd(&tree);
	return ret < 0 ? ret : tree;
}

int files_attach(int tree, const char *path)
{
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_FROM_EMPTY) < 0 ? -errno : 0;
}

int files_mount(uint32_t number, bool read_only, const char *path)
{
	int home, tree, ret;

	if (kernel_fd < 0)
		return -error;
	home = openat(root_proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	tree = files_tree(number, read_only);
	ret = tree < 0 ? tree : 0;
	/* This leads to the same "/" as before, the topmost mount there. */
	if (setns(home, CLONE_NEWNS) < 0)
		ret = -errno;
	if (ret == 0)
		ret = files_attach(tree, path);
	close_fd(&tree);
	close_fd(&home);
	return ret;
}

/* --- FILES ------------------------------------------------------------------------------------ */

/* A request, and the connection that it came by. */
struct request {
	uint32_t id, connection, flags;
};

static pid_t child;
static struct request doing, waiting; /* the child's; the next one, if it has flags */

/* All shares are one file system to the kernel. To open a directory takes the server, too. */
static int sync_all(void)
{
	int top = open(TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return top < 0 || syncfs(top) < 0 ? -errno : 0;
}

/*
 * It may wait for a slow file server of the host for any time. So nothing else waits for it, and it
 * holds no descriptor of a command.
 */
static void __attribute__((noreturn)) child_main(uint32_t flags)
{
	bool sync = (flags & AGENT_FILES_SYNC) && kernel_fd >= 0, drop = flags & AGENT_FILES_DROP;
	int caches = -1, ret = 0;

	if (drop)
		caches = openat(root_proc_fd, "sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if ((drop && caches < 0) || (sync && setns(kernel_fd, CLONE_NEWNS) < 0) ||
	    (drop && dup2(caches, 3) < 0))
		_exit(errno);
	syscall(SYS_close_range, drop ? 4u : 3u, ~0u, 0);
	child_name("files");
	if (sync)
		ret = sync_all();
	/* Also after an error: what is changed in memory stays there. */
	if (drop && write(3, "3", 1) != 1 && ret == 0)
		ret = -errno;
	_exit(-ret);
}

static uint32_t begin(struct request request)
{
	child = fork();
	if (child == 0)
		child_main(request.flags);
	if (child < 0)
		return (uint32_t)errno;
	doing = request;
	return 0;
}

static void end(struct agent *agent, struct request request, uint32_t result)
{
	uint8_t reply[4];

	/* The connection of the request may have ended. */
	if (request.connection != agent->connections)
		return;
	agent_put32(reply, result);
	link_send(&agent->link, AGENT_RESULT, 0, request.id, reply, sizeof(reply));
}

uint32_t files_start(struct agent *agent, uint32_t id, uint32_t flags)
{
	if (flags == 0 || (flags & ~(AGENT_FILES_SYNC | AGENT_FILES_DROP)))
		return EINVAL;
	if (child > 0 && doing.connection == agent->connections)
		return EBUSY;
	if (child > 0) {
		/*
		 * The monitor does not know of that one, which a monitor of the same guest has
		 * requested before a snapshot: this one follows it.
		 */
		if (waiting.flags && waiting.connection == agent->connections)
			return EBUSY;
		waiting = (struct request){id, agent->connections, flags};
		return 0;
	}
	return begin((struct request){id, agent->connections, flags});
}

bool files_ended(struct agent *agent, pid_t pid, int status)
{
	struct request next = waiting;
	uint32_t ret;

	if (pid != child)
		return false;
	child = 0;
	waiting.flags = 0;
	end(agent, doing, WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : EIO);
	if (next.flags && next.connection == agent->connections) {
		ret = begin(next);
		if (ret != 0)
			end(agent, next, ret);
	}
	return true;
}
