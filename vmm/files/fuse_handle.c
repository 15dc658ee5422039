/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: open files that the guest has numbers for. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"

int fuse_handle_new(struct fuse_root *root, struct node *node, int fd, uint32_t flags,
		    const struct stat *stat, struct fuse_handle **out)
{
	struct fuse_handle *handle = calloc(1, sizeof(*handle));
	int64_t slot = handle ? fuse_table_add(&root->handles, handle) : -ENOMEM;
	int ret;

	if (slot < 0) {
		free(handle);
		fd_close(&fd);
		return (int)slot;
	}
	ret = file_open(root->tree, &handle->file, node, fd, flags, stat);
	if (ret < 0) {
		fuse_table_remove(&root->handles, (uint32_t)slot);
		free(handle);
		return ret;
	}
	node_get(node);
	handle->slot = (uint32_t)slot;
	*out = handle;
	return 0;
}

uint64_t fuse_handle_number(const struct fuse_root *root, const struct fuse_handle *handle)
{
	return fuse_table_number(&root->handles, handle->slot);
}

int fuse_find_handle(const struct fuse_request *request, uint64_t number, struct fuse_handle **out)
{
	*out = fuse_table_find(&request->root->handles, number);
	if (!*out || (*out)->file.node != request->node)
		return -EBADF;
	return (*out)->file.fd < 0 ? -ESTALE : 0;
}

void fuse_handle_free_unused(struct fuse_root *root, struct fuse_handle *handle)
{
	struct node *node = handle->file.node;

	if (!handle->gone || handle->users > 0)
		return;
	if (handle->file.fd >= 0)
		file_close(root->tree, &handle->file);
	node_put(root->tree, node);
	free(handle);
}

void fuse_handle_release(struct fuse_root *root, struct fuse_handle *handle)
{
	fuse_locks_drop(root, handle, NULL);
	/* What waits for a lock through it has no file any more. */
	fuse_wake(root, handle->file.node);
	fuse_table_remove(&root->handles, handle->slot);
	handle->gone = true;
	fuse_handle_free_unused(root, handle);
}

int fuse_handle_borrow(struct fuse_request *request, uint64_t number, uint32_t flags,
		       struct fuse_handle **out)
{
	struct stat stat;
	int ret, fd;

	if (number || !request->session->config.no_open) {
		ret = fuse_find_handle(request, number, out);
	} else {
		fd = op_open(request->root->tree, request->node, flags, &stat);
		ret = fd < 0 ? fd
			     : fuse_handle_new(request->root, request->node, fd, flags, &stat, out);
	}
	if (ret == 0)
		(*out)->users++;
	return ret;
}

void fuse_handle_back(struct fuse_request *request, uint64_t number, struct fuse_handle *handle)
{
	/* The guest may have begun anew meanwhile, which releases all. */
	if (!number && !handle->gone)
		fuse_handle_release(request->root, handle);
	handle->users--;
	fuse_handle_free_unused(request->root, handle);
}

/* --- after a restore -------------------------------------------------------------------------- */

static int reopen_handles(struct fuse_request *request)
{
	const uint32_t kept = O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_DIRECTORY;
	struct fuse_root *root = request->root;
	struct fuse_handle *handle;
	struct stat stat;
	uint32_t i, flags;
	int fd;

	for (i = 0; i < root->handles.used; i++) {
		handle = root->handles.slot[i].item;
		if (!handle || !handle->again)
			continue;
		handle->again = false;
		flags = handle->file.flags & kept;
		if (handle->file.directory)
			flags |= O_DIRECTORY;
		/* If this fails, the guest gets an error when it uses the file. */
		fd = op_open(root->tree, handle->file.node, flags, &stat);
		if (fd >= 0 && S_ISDIR(stat.st_mode) != handle->file.directory)
			fd_close(&fd);
		else if (fd >= 0 && file_open(root->tree, &handle->file, handle->file.node, fd,
					      flags, &stat) < 0)
			handle->file.fd = -1;
	}
	return 0;
}

void fuse_session_reopen(struct fuse_session *session)
{
	struct fuse_request request = {.session = session};
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		request.root = &session->roots[i];
		fuse_in_root(&request, reopen_handles);
	}
}
