/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: only those of class "user.". Others are the host's (capabilities, ACLs,
 * labels), and do not exist for the guest.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "vmm/base/fd.h"
#include "vmm/files/operations.h"

#define PREFIX "user."
#define OWN    "user.cordon."

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static bool is_users(const char *name)
{
	return begins(name, PREFIX) && name[strlen(PREFIX)];
}

/* What Cordon notes about a file is not the guest's to see or change. */
static bool is_own(const char *name)
{
	return begins(name, OWN);
}

bool xattr_is_guests(const char *name)
{
	return is_users(name) && !is_own(name);
}

/* Keeps only the names that the guest may know. */
static size_t filter(char *names, size_t length)
{
	size_t at, part, kept = 0;

	for (at = 0; at < length; at += part) {
		part = strnlen(names + at, length - at) + 1;
		if (at + part > length || !xattr_is_guests(names + at))
			continue;
		memmove(names + kept, names + at, part);
		kept += part;
	}
	return kept;
}

static long load(const char *path, const char *name, char *to)
{
	ssize_t n = name[0] ? getxattr(path, name, to, FUSED_XATTR_MAX)
			    : listxattr(path, to, FUSED_XATTR_MAX);

	if (n < 0)
		return -errno;
	return name[0] ? n : (long)filter(to, (size_t)n);
}

long op_get_xattr(struct tree *tree, struct node *node, const char *name, char *value)
{
	char path[FD_PATH_SIZE];
	struct place place;
	struct stat stat;
	int ret, fd;
	long n;

	/*
	 * A root file system has none: the guest's overlay would copy them up, and would fail if
	 * the guest's kernel must not pass them on.
	 */
	if (tree->share->rootfs)
		return name[0] ? -ENODATA : 0;
	ret = place_of(tree, node, &place);
	if (ret == 0)
		ret = place_quietly_allowed(tree, &place, POLICY_READ);
	if (ret < 0)
		return ret;
	if (name[0] && !is_users(name))
		return -EOPNOTSUPP;
	if (is_own(name))
		return -ENODATA;
	fd = node_look(tree, node, &place, &stat);
	if (fd < 0)
		return fd;
	fd_path(path, fd);
	/* Only files and directories have user attributes. */
	if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))
		n = load(path, name, value);
	else
		n = name[0] ? -ENODATA : 0;
	fd_close(&fd);
	return n;
}

static int may_set(struct tree *tree, struct node *node, const char *name, struct place *place)
{
	int ret;

	if (!is_users(name))
		return -EOPNOTSUPP;
	if (is_own(name))
		return -EPERM;
	ret = place_of(tree, node, place);
	return ret < 0 ? ret : place_allowed(tree, place, POLICY_ATTRIBUTES);
}

static int set_counted(const struct files_share *share, int fd, const char *path, const char *name,
		       const void *value, size_t size, int flags)
{
	struct quota_use use;
	uint64_t bytes = value ? size + strlen(name) : 0, old;
	int ret = quota_begin(share, fd, &use);
	ssize_t n = use.quota ? getxattr(path, name, NULL, 0) : -1;

	old = n < 0 ? 0 : (uint64_t)n + strlen(name);
	if (ret == 0 && bytes > old)
		ret = quota_add(&use, bytes - old);
	if (ret == 0 &&
	    (value ? setxattr(path, name, value, size, flags) : removexattr(path, name)) < 0)
		ret = -errno;
	quota_end_bytes(&use, ret == 0 ? (int64_t)(bytes - old) : 0);
	return ret;
}

int op_set_xattr(struct tree *tree, struct node *node, const char *name, const void *value,
		 size_t size, int flags)
{
	char path[FD_PATH_SIZE];
	struct place place;
	struct stat stat;
	int ret = may_set(tree, node, name, &place), fd;

	if (ret < 0)
		return ret;
	fd = node_look(tree, node, &place, &stat);
	if (fd < 0)
		return fd;
	fd_path(path, fd);
	if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
		ret = -EPERM;
	else
		ret = set_counted(tree->share, fd, path, name, value, size, flags);
	fd_close(&fd);
	return ret;
}
