/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares: each is mounted at a path that the monitor gives.
 *
 * A child does this, as it waits for the monitor's file server; frames wait until it has ended, so
 * that a later command sees the mount. The child is guest root, which alone can take a share from
 * where all of them are mounted (files.c), and then in the sandbox's mount namespace. It looks up
 * and creates the directories of the path as sandbox root, one by one, and follows no symbolic
 * link, because a workload may have made it.
 */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/root.h"

struct request {
	uint32_t number, flags;
	char path[AGENT_MOUNT_PATH_MAX + 1]; /* without the leading slash */
};

/* The mounted paths. A new MOUNT of one replaces it: after a restore the old one may be dead. */
static char *mounted[AGENT_MOUNTS_MAX];

static int parse(struct request *request, const uint8_t *payload, size_t length)
{
	size_t i;

	request->number = agent_get32(payload + AGENT_MOUNT_AT_NUMBER);
	request->flags = agent_get32(payload + AGENT_MOUNT_AT_FLAGS);
	payload += AGENT_MOUNT_SIZE;
	length -= AGENT_MOUNT_SIZE;
	if (request->flags > AGENT_MOUNT_REMOVE || length < 2 || payload[0] != '/')
		return EINVAL;
	for (i = 0; i < length; i++)
		if (payload[i] == '\0')
			return EINVAL;
	memcpy(request->path, payload + 1, length - 1);
	request->path[length - 1] = '\0';
	return 0;
}

/* --- the child -------------------------------------------------------------------------------- */

/* Enters the next directory of the path, and with make creates it if it is missing. 0 or -errno. */
static int step(int *at, const char *name, bool make)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int next;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	next = openat(*at, name, flags);
	if (next < 0 && make && errno == ENOENT &&
	    (mkdirat(*at, name, 0755) == 0 || errno == EEXIST))
		next = openat(*at, name, flags);
	if (next < 0)
		return -errno;
	close(*at);
	*at = next;
	return 0;
}

/*
 * Makes the directory at path the current one; with replace it first unmounts what was mounted
 * there. Modifies path. 0 or -errno.
 */
static int enter(char *path, bool replace)
{
	int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), ret = at < 0 ? -errno : 0;
	char *name, *next, *rest;

	for (name = strtok_r(path, "/", &rest); name && ret == 0; name = next) {
		next = strtok_r(NULL, "/", &rest);
		if (!next && replace &&
		    (fchdir(at) < 0 || (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
					errno != EINVAL && errno != ENOENT)))
			ret = -errno;
		if (ret == 0)
			ret = step(&at, name, true);
	}
	if (ret == 0 && fchdir(at) < 0)
		ret = -errno;
	return ret;
}

/* Nothing may be there any more: the workload can unmount what it sees. */
static int leave(char *path)
{
	int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), ret = at < 0 ? -errno : 0;
	char *name, *next, *rest;

	for (name = strtok_r(path, "/", &rest); name && ret == 0; name = next) {
		next = strtok_r(NULL, "/", &rest);
		if (next)
			ret = step(&at, name, false);
		else if (fchdir(at) < 0 || (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
					    errno != EINVAL && errno != ENOENT))
			ret = -errno;
	}
	return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP ? 0 : ret;
}

static int unmount_share(struct request *request)
{
	int ret = sandbox_join_mounts();

	if (ret == 0) {
		setfsgid(SANDBOX_ID_BASE);
		setfsuid(SANDBOX_ID_BASE);
		ret = leave(request->path);
	}
	return ret;
}

/* Where the sandbox sees a read-only root file system, the agent still sees it writable. */
static void make_path(const struct request *request)
{
	char path[sizeof(request->path)];

	memcpy(path, request->path, sizeof(path));
	umask(022);
	setfsgid(SANDBOX_ID_BASE);
	setfsuid(SANDBOX_ID_BASE);
	enter(path, false);
	setfsuid(0);
	setfsgid(0);
}

static int mount_share(struct request *request, bool replace)
{
	int tree, ret;

	if (root_sealed())
		make_path(request);
	tree = files_tree(request->number, request->flags & AGENT_MOUNT_READ_ONLY);

	if (tree < 0)
		return tree;
	ret = sandbox_join_mounts();
	umask(022);
	if (ret == 0) {
		setfsgid(SANDBOX_ID_BASE);
		setfsuid(SANDBOX_ID_BASE);
		ret = enter(request->path, replace);
		setfsuid(0);
		setfsgid(0);
	}
	return ret < 0 ? ret : files_attach(tree, ".");
}

/* --- the agent -------------------------------------------------------------------------------- */

/* The path's index in mounted[], or a free one; -1: the list is full. */
static int find(const char *path, bool *known)
{
	int slot = -1, i;

	*known = false;
	for (i = AGENT_MOUNTS_MAX - 1; i >= 0; i--) {
		if (!mounted[i])
			slot = i;
		else if (strcmp(mounted[i], path) == 0)
			*known = true;
		if (*known)
			return i;
	}
	return slot;
}

uint32_t mount_start(struct agent *agent, uint32_t id, const uint8_t *payload, size_t length)
{
	struct request request;
	bool known, remove;
	pid_t pid;
	int ret = parse(&request, payload, length), slot;

	if (ret)
		return (uint32_t)ret;
	slot = find(request.path, &known);
	remove = request.flags & AGENT_MOUNT_REMOVE;
	if (remove && !known)
		return ENOENT;
	if (slot < 0)
		return ENOSPC;
	ret = sandbox_enter();
	if (ret < 0)
		return (uint32_t)-ret;
	if (!known)
		mounted[slot] = strdup(request.path);
	pid = fork();
	if (pid == 0)
		_exit(remove ? -unmount_share(&request) : -mount_share(&request, known));
	if (pid < 0)
		return (uint32_t)errno;
	if (remove) {
		free(mounted[slot]);
		mounted[slot] = NULL;
	}
	agent->mount_pid = pid;
	agent->mount_id = id;
	agent->mount_connection = agent->connections;
	return 0;
}

void mount_ended(struct agent *agent, int status)
{
	uint8_t reply[4];

	agent->mount_pid = 0;
	/* The connection of the request may have ended. */
	if (agent->mount_connection != agent->connections)
		return;
	agent_put32(reply, WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : EIO);
	link_send(&agent->link, AGENT_RESULT, 0, agent->mount_id, reply, sizeof(reply));
}
