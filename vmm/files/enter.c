/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that may be entered, as each name in them stands for one file. A guest's kernel looks
 * up each directory on its way, and the directory is judged then. A hostile guest need not, nor one
 * that has a working directory or caches names, so those above a place are judged again now and
 * then.
 */
#include <errno.h>
#include <fcntl.h>

#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/files/internal.h"

int may_enter(struct tree *tree, int fd, const struct stat *stat)
{
	struct caseless *caseless = &tree->caseless;
	enum caseless_is is;

	is = S_ISDIR(stat->st_mode) ? caseless_directory(caseless, fd, stat) : CASELESS_NO;
	if (is != CASELESS_YES)
		return is == CASELESS_NO ? 0 : MAY_LOOK;
	if (!caseless->told)
		log_warning("share %s: a directory in it takes upper and lower case for the same, "
			    "and rules do not: it is not entered",
			    tree->share->guest);
	caseless->told = true;
	return -EACCES;
}

void node_entered(struct node *node, bool may)
{
	node->entered = may ? clock_now_ns(CLOCK_MONOTONIC_COARSE) : 0;
}

static int enter_again(struct tree *tree, struct node *node)
{
	struct place place;
	struct stat stat;
	int fd, ret;

	/* What can't be opened because of what it is, the caller will see. */
	if (place_of_any(tree, node, &place) < 0)
		return 0;
	fd = place_open(tree, &place, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES || fd == -ELOOP ? 0 : fd;
	ret = fstat(fd, &stat) < 0 ? -errno : may_enter(tree, fd, &stat);
	fd_close(&fd);
	node_entered(node, ret == 0);
	return ret == 0 ? 0 : -EACCES;
}

/* The share's own directory is open. */
static int enter_root(struct tree *tree)
{
	int fd = tree->share->root_fd, ret;
	struct stat stat;

	ret = fstat(fd, &stat) < 0 ? -errno : may_enter(tree, fd, &stat);
	node_entered(tree->root, ret == 0);
	return ret == 0 ? 0 : -EACCES;
}

int may_be_in(struct tree *tree, struct node *node)
{
	uint64_t now = clock_now_ns(CLOCK_MONOTONIC_COARSE);
	int ret = 0;

	for (; node && ret == 0; node = node->parent)
		if (node->entered == 0 || now - node->entered > FILES_ENTER_NS)
			ret = node->parent ? enter_again(tree, node) : enter_root(tree);
	return ret;
}
