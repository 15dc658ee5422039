/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: creates, links, moves and removes names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"

/* Tells the guest what was made at a name with this mode, unless ret is an error. */
static int made(struct fuse_request *request, const struct name *name, uint32_t mode,
		const struct stat *stat, int ret)
{
	struct fuse_root *root = request->root;
	struct fuse_entry_out out;
	struct node *node;
	struct stat now;
	int fd = -1;

	if (ret < 0)
		return ret;
	root->written = true;
	node = fuse_node_at(root, request->node, name, stat);
	if (node && root->tree->share->remember)
		fd = op_look(root->tree, node, NULL, POLICY_LOOKUP, &now);
	if (fd >= 0)
		stat = &now;
	if (fd >= 0 && request->head.opcode != FUSE_LINK)
		op_made_by(root->tree, request->node, fd, stat, mode, request->head.uid,
			   request->head.gid);
	ret = node ? fuse_node_tell(root, node, stat, fd, &out) : -ENFILE;
	fd_close(&fd);
	if (ret == 0)
		fuse_put(request, &out, sizeof(out));
	return ret;
}

/* Takes the last name of a request. */
static int take_last_name(struct fuse_request *request, struct name *name)
{
	int ret = fuse_take_name(request, name);

	return ret == 0 ? fuse_take_end(request) : ret;
}

int fuse_mkdir(struct fuse_request *request)
{
	struct fuse_mkdir_in in;
	struct name name;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = take_last_name(request, &name);
	if (ret == 0)
		ret = op_mkdir(request->root->tree, request->node, &name, in.mode, &stat);
	return made(request, &name, in.mode, &stat, ret);
}

int fuse_mknod(struct fuse_request *request)
{
	struct fuse_mknod_in in;
	struct name name;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = take_last_name(request, &name);
	if (ret == 0)
		ret = op_mknod(request->root->tree, request->node, &name, in.mode, in.rdev, &stat);
	return made(request, &name, in.mode, &stat, ret);
}

/* SYMLINK: name, target. */
int fuse_symlink(struct fuse_request *request)
{
	char target[PATH_MAX];
	struct name name;
	struct stat stat;
	int ret = fuse_take_name(request, &name);

	if (ret == 0)
		ret = fuse_take_string(request, target, sizeof(target));
	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0)
		ret = op_symlink(request->root->tree, request->node, &name, target, &stat);
	return made(request, &name, 0, &stat, ret);
}

/* Whether a number is of the request's root, as nothing goes from one to another. */
static int find_other(struct fuse_request *request, uint64_t number, struct node **node)
{
	if (FUSE_NUMBER_ROOT(number) != request->root->index + 1)
		return -EXDEV;
	return fuse_find_node(request->root, number, node);
}

/* LINK: the header's node is the directory. */
int fuse_link(struct fuse_request *request)
{
	struct tree *tree = request->root->tree;
	struct fuse_link_in in;
	struct node *node = NULL;
	struct name name;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = take_last_name(request, &name);
	if (ret == 0)
		ret = find_other(request, in.oldnodeid, &node);
	if (ret == 0)
		ret = op_link(tree, node, node->unnamed ? node->open : NULL, request->node, &name,
			      &stat);
	/* Its first name: the open file and the name are one node. */
	if (ret == 0 && node->unnamed) {
		node_move(tree, node, request->node, &name);
		node->unnamed = false;
	}
	return made(request, &name, 0, &stat, ret);
}

static int remove_name(struct fuse_request *request, int flags)
{
	struct name name;
	int ret = take_last_name(request, &name);

	if (ret == 0)
		ret = op_remove(request->root->tree, request->node, &name, flags);
	request->root->written |= ret == 0;
	return ret;
}

int fuse_unlink(struct fuse_request *request)
{
	return remove_name(request, 0);
}

int fuse_rmdir(struct fuse_request *request)
{
	return remove_name(request, AT_REMOVEDIR);
}

static int move(struct fuse_request *request, uint64_t directory, unsigned flags)
{
	struct name name, to_name;
	struct node *to = NULL;
	int ret = fuse_take_name(request, &name);

	if (ret == 0)
		ret = take_last_name(request, &to_name);
	/* Whiteouts are device nodes; the others exclude each other. */
	if (ret == 0 && flags && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		ret = -EINVAL;
	if (ret == 0)
		ret = find_other(request, directory, &to);
	if (ret == 0)
		ret = op_rename(request->root->tree, request->node, &name, to, &to_name, flags);
	request->root->written |= ret == 0;
	return ret;
}

/* RENAME: name, new name. The header's node is the old directory. */
int fuse_rename(struct fuse_request *request)
{
	struct fuse_rename_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	return ret < 0 ? ret : move(request, in.newdir, 0);
}

int fuse_rename2(struct fuse_request *request)
{
	struct fuse_rename2_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	return ret < 0 ? ret : move(request, in.newdir, in.flags);
}
