/* SPDX-License-Identifier: Apache-2.0 */
/* The status of files and of the file system, changes of it, and the targets of symbolic links. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/operations.h"
#include "vmm/files/remember.h"

#define SANDBOX_NOBODY 65534u

/*
 * A host id as the guest's kernel numbers it: the monitor's own as the share says, others unchanged
 * if the sandbox has them.
 */
static uint32_t shown_id(const struct files_share *share, uint32_t id, uint32_t own, uint32_t as)
{
	if (id == own)
		id = as;
	if (id > FILES_ID_MAX)
		id = SANDBOX_NOBODY;
	return share->id_base + id;
}

static uint32_t shown_uid(const struct files_share *share, uint32_t id)
{
	return shown_id(share, id, share->host_uid, share->uid);
}

static uint32_t shown_gid(const struct files_share *share, uint32_t id)
{
	return shown_id(share, id, share->host_gid, share->gid);
}

/* Set-id bits of the host must not take effect in the guest. */
static uint32_t shown_mode(const struct stat *stat)
{
	uint32_t hidden = S_ISDIR(stat->st_mode) ? S_ISUID : S_ISUID | S_ISGID;

	return stat->st_mode & ~hidden;
}

/* The low half is the host's, if that is shorter; the device fills the other half. */
uint64_t op_ino(dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)major(dev) << 32 | minor(dev)) * 0x9e3779b97f4a7c15ull;
	uint64_t out = ino ^ (hash >> 32) << 32;

	return out ? out : 1;
}

/* The one place that turns a status of the host into what the guest sees. */
static void show(const struct files_share *share, const struct stat *stat,
		 const struct remembered *remembered, struct shown *out)
{
	*out = (struct shown){
		.ino = op_ino(stat->st_dev, stat->st_ino),
		.mode = shown_mode(stat),
		.uid = shown_uid(share, stat->st_uid),
		.gid = shown_gid(share, stat->st_gid),
	};
	if (!remembered->any)
		return;
	out->uid = share->id_base + remembered->uid;
	out->gid = share->id_base + remembered->gid;
	if (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode))
		out->mode |= remembered->mode & (S_ISUID | S_ISGID);
	if (S_ISREG(stat->st_mode) && (remembered->mode & S_IFMT)) {
		out->mode = (out->mode & ~(uint32_t)S_IFMT) | (remembered->mode & S_IFMT);
		out->rdev = remembered->rdev;
	}
}

void op_show(const struct tree *tree, struct node *node, int fd, const struct stat *stat,
	     struct shown *out)
{
	struct remembered remembered;

	remembered_get(tree, node, fd, stat, &remembered);
	show(tree->share, stat, &remembered, out);
}

/* --- looking ---------------------------------------------------------------------------------- */

/*
 * A file whose name was removed has no place to decide about: an open file then allows what it was
 * opened for, and no more.
 */
static bool was_opened_for(const struct tree *tree, const struct open_file *open, enum policy_op op)
{
	if (op == POLICY_LOOKUP)
		return true;
	if (tree->share->read_only || (open->flags & O_ACCMODE) == O_RDONLY)
		return false;
	return op != POLICY_WRITE || !(open->flags & O_APPEND);
}

static int look_at_open(const struct tree *tree, const struct node *node,
			const struct open_file *file, enum policy_op op, struct stat *stat)
{
	const struct open_file *open = file ? file : node->open;
	int fd, ret;

	while (!file && open->next && !was_opened_for(tree, open, op))
		open = open->next;
	if (!was_opened_for(tree, open, op))
		return tree->share->read_only ? -EROFS : -EACCES;
	/* Its status may be known: the guest has it open. */
	ret = op == POLICY_LOOKUP ? 0 : file_without_place_allowed(tree, open);
	if (ret < 0)
		return ret;
	fd = fcntl(open->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (fstat(fd, stat) < 0) {
		ret = -errno;
		fd_close(&fd);
		return ret;
	}
	return fd;
}

int op_look(struct tree *tree, struct node *node, const struct open_file *file, enum policy_op op,
	    struct stat *stat)
{
	bool open = file || node->open;
	struct place place;
	int ret = place_of(tree, node, &place);

	if (ret == 0) {
		ret = op == POLICY_LOOKUP ? node_shown(tree, node, &place)
					  : place_allowed(tree, &place, op);
		if (ret < 0)
			return ret;
		ret = node_look(tree, node, &place, stat);
		if (ret != -ESTALE)
			return ret;
	} else if (ret != -ENOENT) {
		return ret;
	}
	return open ? look_at_open(tree, node, file, op, stat) : ret;
}

/* --- changes ---------------------------------------------------------------------------------- */

static int truncate_open(const struct files_share *share, int fd, uint64_t size)
{
	struct quota_use use;
	int ret = quota_begin(share, fd, &use);

	if (ret == 0)
		ret = quota_grow(&use, size);
	if (ret == 0 && ftruncate(fd, (off_t)size) < 0)
		ret = -errno;
	quota_end(&use, ret == 0 ? size : use.size);
	return ret;
}

static int set_size(const struct tree *tree, const struct open_file *file, int path_fd,
		    const struct stat *stat, uint64_t size)
{
	int fd, ret;

	if (S_ISDIR(stat->st_mode))
		return -EISDIR;
	if (!S_ISREG(stat->st_mode) || size > INT64_MAX)
		return -EINVAL;
	if (stat->st_mode & (S_ISUID | S_ISGID))
		return -EPERM;
	/* A file that is open for writing may be truncated, even if its mode has changed since. */
	if (file && !file->directory && (file->flags & O_ACCMODE) != O_RDONLY)
		return truncate_open(tree->share, file->fd, size);
	fd = reopen(tree, path_fd, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = truncate_open(tree->share, fd, size);
	fd_close(&fd);
	return ret;
}

static int set_mode(int fd, uint32_t mode)
{
	char path[FD_PATH_SIZE];

	fd_path(path, fd);
	return chmod(path, mode & FILES_MODE_BITS) < 0 ? -errno : 0;
}

/* Without remembering, owners can't be changed: the requested one must be the present one. */
static int check_owner(const struct files_share *share, const struct stat *stat,
		       const struct change *change)
{
	if ((change->valid & CHANGE_UID) && change->uid != shown_uid(share, stat->st_uid))
		return -EPERM;
	if ((change->valid & CHANGE_GID) && change->gid != shown_gid(share, stat->st_gid))
		return -EPERM;
	return 0;
}

/* An id of the guest's kernel as one of the sandbox. */
static bool to_sandbox(const struct files_share *share, uint32_t id, uint32_t *to)
{
	*to = id - share->id_base;
	return id >= share->id_base && *to <= FILES_ID_MAX;
}

static int remember(const struct tree *tree, struct node *node, int fd, const struct stat *stat,
		    const struct change *change)
{
	const uint32_t owner = change->valid & (CHANGE_UID | CHANGE_GID);
	const struct files_share *share = tree->share;
	const uint32_t set_id = S_ISUID | S_ISGID;
	struct remembered now, next;
	struct shown shown;

	remembered_get(tree, node, fd, stat, &now);
	show(share, stat, &now, &shown);
	next = now;
	if (!to_sandbox(share, change->valid & CHANGE_UID ? change->uid : shown.uid, &next.uid) ||
	    !to_sandbox(share, change->valid & CHANGE_GID ? change->gid : shown.gid, &next.gid))
		return -EPERM;
	/* As chown(2) does; a group without execution is not that of a set-id program. */
	if (owner && S_ISREG(stat->st_mode))
		next.mode &= ~(uint32_t)(S_ISUID | (stat->st_mode & S_IXGRP ? S_ISGID : 0));
	if (change->valid & CHANGE_MODE)
		next.mode = (next.mode & S_IFMT) | (change->mode & set_id);
	/* Nothing is noted of a file that is just what it seems to be. */
	if (next.mode == now.mode && share->id_base + next.uid == shown.uid &&
	    share->id_base + next.gid == shown.gid)
		return 0;
	return remembered_set(tree, fd, stat, &next);
}

/*
 * What is made in a directory with the set-group-id bit gets the directory's group, and a directory
 * the bit, too: whether the host's directory has the bit, or it is remembered.
 */
static void inherit(const struct tree *tree, struct node *parent, const struct stat *stat,
		    struct change *change)
{
	struct shown shown = {.mode = 0};
	struct stat directory;
	int fd = node_open_directory(tree, parent);

	if (fd >= 0 && fstat(fd, &directory) == 0)
		op_show(tree, parent, fd, &directory, &shown);
	fd_close(&fd);
	if (!(shown.mode & S_ISGID))
		return;
	change->gid = shown.gid;
	/* The host hands on its own bit itself. */
	if (S_ISDIR(stat->st_mode) && !(stat->st_mode & S_ISGID)) {
		change->valid |= CHANGE_MODE;
		change->mode = S_ISGID;
	}
}

void op_made_by(const struct tree *tree, struct node *parent, int fd, const struct stat *stat,
		uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct change change = {.valid = CHANGE_UID | CHANGE_GID, .uid = uid, .gid = gid};

	if (!tree->share->remember)
		return;
	if (S_ISREG(stat->st_mode) && (mode & (S_ISUID | S_ISGID))) {
		change.valid |= CHANGE_MODE;
		change.mode = mode;
	}
	inherit(tree, parent, stat, &change);
	/* If this fails, the file has the owner that it seems to have. */
	remember(tree, NULL, fd, stat, &change);
}

/* The one place that takes owners and modes from the guest. */
static int set_ownership(const struct tree *tree, struct node *node, int fd,
			 const struct stat *stat, const struct change *change)
{
	int ret = 0;

	if ((change->valid & CHANGE_MODE) && S_ISLNK(stat->st_mode))
		return -EOPNOTSUPP;
	if (tree->share->remember && (change->valid & (CHANGE_UID | CHANGE_GID | CHANGE_MODE)))
		ret = remember(tree, node, fd, stat, change);
	else
		ret = check_owner(tree->share, stat, change);
	if (ret == 0 && (change->valid & CHANGE_MODE))
		ret = set_mode(fd, change->mode);
	return ret;
}

static int set_times(int fd, const struct stat *stat, struct change *change)
{
	static const uint32_t valid[2] = {CHANGE_ATIME, CHANGE_MTIME};
	char path[FD_PATH_SIZE];
	int i;

	for (i = 0; i < 2; i++) {
		if (!(change->valid & valid[i]))
			change->time[i].tv_nsec = UTIME_OMIT;
		else if (change->time[i].tv_nsec != UTIME_NOW &&
			 (change->time[i].tv_nsec < 0 || change->time[i].tv_nsec > 999999999))
			return -EINVAL;
	}
	if (S_ISLNK(stat->st_mode))
		return utimensat(fd, "", change->time, AT_EMPTY_PATH) < 0 ? -errno : 0;
	fd_path(path, fd);
	return utimensat(AT_FDCWD, path, change->time, 0) < 0 ? -errno : 0;
}

static int apply(const struct tree *tree, struct node *node, const struct open_file *file, int fd,
		 const struct stat *stat, struct change *change)
{
	int ret = set_ownership(tree, node, fd, stat, change);

	if (ret == 0 && (change->valid & CHANGE_SIZE) && change->kill)
		ret = remembered_kill(tree, node, fd);
	if (ret == 0 && (change->valid & CHANGE_SIZE))
		ret = set_size(tree, file, fd, stat, change->size);
	if (ret == 0 && (change->valid & (CHANGE_ATIME | CHANGE_MTIME)))
		ret = set_times(fd, stat, change);
	return ret;
}

int op_change(struct tree *tree, struct node *node, const struct open_file *file,
	      struct change *change)
{
	bool size = change->valid & CHANGE_SIZE;
	struct place place;
	struct stat stat;
	int fd, ret = 0;

	/* A new size implies new times, which need no permission of their own. */
	if (size && (change->valid & (CHANGE_MODE | CHANGE_UID | CHANGE_GID)) &&
	    place_of(tree, node, &place) == 0)
		ret = place_allowed(tree, &place, POLICY_ATTRIBUTES);
	if (ret < 0)
		return ret;
	fd = op_look(tree, node, file, size ? POLICY_WRITE : POLICY_ATTRIBUTES, &stat);
	if (fd < 0)
		return fd;
	ret = apply(tree, node, file, fd, &stat, change);
	/* A link is known by its time. */
	if (node->known && S_ISLNK(stat.st_mode) && fstat(fd, &stat) == 0)
		node_know(node, &stat);
	fd_close(&fd);
	return ret;
}

/* --- the rest --------------------------------------------------------------------------------- */

int op_readlink(struct tree *tree, struct node *node, char target[PATH_MAX])
{
	struct stat stat;
	struct place place;
	int fd, ret = place_of(tree, node, &place);
	ssize_t n;

	if (ret == 0)
		ret = place_asks(tree, &place, POLICY_READ)
			      ? place_allowed(tree, &place, POLICY_READ)
			      : place_quietly_allowed(tree, &place, POLICY_READ);
	fd = ret < 0 ? ret : node_look(tree, node, &place, &stat);
	if (fd < 0)
		return fd;
	n = S_ISLNK(stat.st_mode) ? readlinkat(fd, "", target, PATH_MAX) : -1;
	ret = S_ISLNK(stat.st_mode) ? -errno : -EINVAL;
	fd_close(&fd);
	return n < 0 ? ret : (int)n;
}

/* What is free is less, and so is the whole, as with quotas of the host. */
static void limit_free(uint64_t left, __fsblkcnt64_t *whole, __fsblkcnt64_t *free)
{
	if (left >= *free)
		return;
	*whole -= *free - left;
	*free = left;
}

int op_statfs(const struct tree *tree, struct statfs *out)
{
	uint64_t bytes, files;

	/* A share is within one file system. */
	if (fstatfs(tree->share->root_fd, out) < 0)
		return -errno;
	quota_left(tree->share, &bytes, &files);
	if (bytes != UINT64_MAX && out->f_bsize > 0) {
		bytes /= (uint64_t)(out->f_frsize > 0 ? out->f_frsize : out->f_bsize);
		limit_free(bytes, &out->f_blocks, &out->f_bfree);
		out->f_bavail = min_u64(out->f_bavail, out->f_bfree);
	}
	/* Some file systems have no number of files. */
	if (files != UINT64_MAX && out->f_files > 0)
		limit_free(files, &out->f_files, &out->f_ffree);
	return 0;
}
