/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: bounded, each in the list of its node. */
#include <errno.h>
#include <unistd.h>

#include "vmm/base/budget.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/internal.h"

/* Of all sessions: the monitor needs descriptors for other purposes too. */
static atomic_uint open_all;

static uint64_t policy_version(const struct tree *tree)
{
	return tree->share->guard ? guard_version(tree->share->guard) : 0;
}

bool file_count(struct tree *tree)
{
	if (atomic_fetch_add(&tree->usage->open, 1) < tree->usage->open_max) {
		if (atomic_fetch_add(&open_all, 1) < budget(BUDGET_FILES))
			return true;
		atomic_fetch_sub(&open_all, 1);
	}
	atomic_fetch_sub(&tree->usage->open, 1);
	return false;
}

void file_uncount(struct tree *tree)
{
	atomic_fetch_sub(&tree->usage->open, 1);
	atomic_fetch_sub(&open_all, 1);
}

static int open_with(struct tree *tree, struct open_file *file, struct node *node, int fd,
		     uint32_t flags, const struct stat *stat, typeof(quota_opened) *opened)
{
	int ret = file_count(tree) ? 0 : -EMFILE;

	if (ret == 0) {
		ret = opened(tree->share, fd, stat, &file->counted);
		if (ret < 0)
			file_uncount(tree);
	}
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	file->fd = fd;
	file->flags = flags;
	file->directory = S_ISDIR(stat->st_mode);
	file->node = node;
	file->next = node->open;
	node->open = file;
	file->version = policy_version(tree);
	file->allowed = 0;
	file->approved = tree->approved;
	return 0;
}

int file_open(struct tree *tree, struct open_file *file, struct node *node, int fd, uint32_t flags,
	      const struct stat *stat)
{
	return open_with(tree, file, node, fd, flags, stat, quota_opened);
}

int file_passed(struct tree *tree, struct open_file *file, struct node *node, int fd,
		uint32_t flags, const struct stat *stat)
{
	return open_with(tree, file, node, fd, flags, stat, quota_passed);
}

void file_close(struct tree *tree, struct open_file *file)
{
	struct open_file **at = &file->node->open;

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	quota_closed(tree->share, file->counted, file->fd);
	fd_close(&file->fd);
	file_uncount(tree);
}

int file_without_place_allowed(const struct tree *tree, const struct open_file *file)
{
	struct stat stat;

	if (file->version == policy_version(tree))
		return 0;
	if (fstat(file->fd, &stat) < 0)
		return -errno;
	return stat.st_nlink == 0 ? 0 : -EACCES;
}

/*
 * Whether the open file is what is at its node's place now. Another root of the session, another
 * sandbox or the host may have given it another name, of which the node does not know. (Its inode
 * number is not used again as long as it is open.)
 */
static bool is_at(const struct tree *tree, const struct open_file *file, const struct place *place)
{
	struct stat open, there;
	int fd = place_look(tree, place, &there);
	bool is = fd >= 0 && fstat(file->fd, &open) == 0 && open.st_dev == there.st_dev &&
		  open.st_ino == there.st_ino;

	fd_close(&fd);
	return is;
}

/* An operator's approval of an open, or of the creation, is one of all that it was opened for. */
static bool was_approved(const struct open_file *file, enum policy_op op)
{
	uint32_t suffices = 1u << op;

	if (op != POLICY_READ)
		suffices |= 1u << POLICY_WRITE | 1u << POLICY_CREATE;
	return file->approved & suffices;
}

int file_allowed(struct tree *tree, struct open_file *file, enum policy_op op)
{
	uint64_t version = policy_version(tree);
	struct place place;
	int ret;

	if (!tree->share->guard)
		return 0;
	if (file->checked == version && file->moves == tree->moves && file->allowed & 1u << op)
		return 0;
	ret = place_of(tree, file->node, &place);
	if (ret < 0)
		return ret == -ENOENT ? file_without_place_allowed(tree, file) : ret;
	/* Under the policy that allowed the open, names moved only to where the rules are alike. */
	if (file->version != version && file->checked != version && !is_at(tree, file, &place))
		return file_without_place_allowed(tree, file);
	if (place_quietly_allowed(tree, &place, op) < 0 &&
	    !(place_asks(tree, &place, op) && was_approved(file, op)))
		return -EACCES;
	if (file->checked != version || file->moves != tree->moves)
		file->allowed = 0;
	file->checked = version;
	file->moves = tree->moves;
	file->allowed |= 1u << op;
	return 0;
}
