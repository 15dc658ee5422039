/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: open files that go from one session to the one that was restored from it. */
#include <errno.h>
#include <fcntl.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_lock.h"

/* Of FUSE_PASSED_FILE; of FUSE_PASSED_LOCKS the flags are those of the open. */
#define FLAG_FLOCKED 1u
#define FLAG_UNNAMED 2u

/* --- giving ----------------------------------------------------------------------------------- */

struct giving {
	int (*give)(void *arg, const struct fuse_passed *what, int fd);
	void *arg;
};

static int give_handle(const struct giving *giving, const struct fuse_root *root,
		       const struct fuse_handle *handle)
{
	const struct node *node = handle->file.node;
	struct fuse_passed what = {
		.kind = FUSE_PASSED_FILE,
		.root = root->index,
		.slot = handle->slot,
		.flags = (handle->flocked ? FLAG_FLOCKED : 0) | (node->unnamed ? FLAG_UNNAMED : 0),
		.approved = handle->file.approved,
		.version = handle->file.version,
	};
	int ret;

	if (handle->file.fd < 0)
		return 0;
	ret = giving->give(giving->arg, &what, handle->file.fd);
	if (ret < 0 || !handle->locked || !node->locks || node->locks->host < 0)
		return ret;
	/* For each handle of the node: one of them will do. */
	what.kind = FUSE_PASSED_LOCKS;
	what.flags = (uint32_t)node->locks->host_flags;
	return giving->give(giving->arg, &what, node->locks->host);
}

int fuse_session_give(struct fuse_session *session,
		      int (*give)(void *arg, const struct fuse_passed *what, int fd), void *arg)
{
	const struct giving giving = {give, arg};
	struct fuse_root *root;
	unsigned i;
	uint32_t slot;
	int ret = 0;

	for (i = 0; i < FUSED_ROOTS_MAX && ret == 0; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		for (slot = 0; root->used && slot < root->handles.used && ret == 0; slot++)
			if (root->handles.slot[slot].item)
				ret = give_handle(&giving, root, root->handles.slot[slot].item);
		fuse_root_unlock(root);
	}
	return ret;
}

/* --- taking ----------------------------------------------------------------------------------- */

/* Both take over fd. */
static void take_file(struct fuse_root *root, struct fuse_handle *handle,
		      const struct fuse_passed *what, int fd)
{
	struct open_file *file = &handle->file;
	struct stat stat;

	if (!handle->again || fstat(fd, &stat) < 0 || S_ISDIR(stat.st_mode) != file->directory) {
		fd_close(&fd);
		return;
	}
	handle->again = false;
	if (file_passed(root->tree, file, file->node, fd, file->flags, &stat) < 0) {
		file->fd = -1;
		return;
	}
	file->version = what->version;
	file->approved = what->approved;
	handle->flocked = what->flags & FLAG_FLOCKED;
	file->node->unnamed = what->flags & FLAG_UNNAMED;
}

static void take_locks(struct fuse_root *root, const struct fuse_handle *handle,
		       const struct fuse_passed *what, int fd)
{
	struct fuse_locks *locks = handle->file.node->locks;

	if (!handle->locked || !locks || locks->host >= 0 || !file_count(root->tree)) {
		fd_close(&fd);
		return;
	}
	locks->host = fd;
	locks->host_flags = what->flags == O_RDWR     ? O_RDWR
			    : what->flags == O_WRONLY ? O_WRONLY
						      : O_RDONLY;
}

void fuse_session_take(struct fuse_session *session, const struct fuse_passed *what, int fd)
{
	struct fuse_root *root = what->root < FUSED_ROOTS_MAX ? &session->roots[what->root] : NULL;
	struct fuse_handle *handle = NULL;

	if (root) {
		pthread_mutex_lock(&root->mutex);
		if (root->used && what->slot < root->handles.used)
			handle = root->handles.slot[what->slot].item;
		if (handle && what->kind == FUSE_PASSED_FILE)
			take_file(root, handle, what, fd);
		else if (handle && what->kind == FUSE_PASSED_LOCKS)
			take_locks(root, handle, what, fd);
		else
			handle = NULL;
		fuse_root_unlock(root);
	}
	if (!handle)
		fd_close(&fd);
}
