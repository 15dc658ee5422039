/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: the table of requests, their framing, and the fields that many have. */
#include <errno.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/files/fuse_internal.h"

#define NOBODY 65534

/* What a request is about, which its header's node number says. */
enum about {
	ABOUT_NONE,    /* the session */
	ABOUT_NUMBERS, /* an open file or nodes, which the handler finds in the root */
	ABOUT_NODE,
};

static const struct {
	fuse_handler *handler;
	enum about about;
} requests[] = {
	[FUSE_LOOKUP] = {fuse_lookup, ABOUT_NODE},
	[FUSE_FORGET] = {fuse_forget, ABOUT_NONE},
	[FUSE_GETATTR] = {fuse_getattr, ABOUT_NODE},
	[FUSE_SETATTR] = {fuse_setattr, ABOUT_NODE},
	[FUSE_READLINK] = {fuse_readlink, ABOUT_NODE},
	[FUSE_SYMLINK] = {fuse_symlink, ABOUT_NODE},
	[FUSE_MKNOD] = {fuse_mknod, ABOUT_NODE},
	[FUSE_MKDIR] = {fuse_mkdir, ABOUT_NODE},
	[FUSE_UNLINK] = {fuse_unlink, ABOUT_NODE},
	[FUSE_RMDIR] = {fuse_rmdir, ABOUT_NODE},
	[FUSE_RENAME] = {fuse_rename, ABOUT_NODE},
	[FUSE_LINK] = {fuse_link, ABOUT_NODE},
	[FUSE_OPEN] = {fuse_open, ABOUT_NODE},
	[FUSE_READ] = {fuse_read, ABOUT_NODE},
	[FUSE_WRITE] = {fuse_write, ABOUT_NODE},
	[FUSE_STATFS] = {fuse_statfs, ABOUT_NODE},
	[FUSE_RELEASE] = {fuse_release, ABOUT_NUMBERS},
	[FUSE_FSYNC] = {fuse_fsync, ABOUT_NODE},
	[FUSE_SETXATTR] = {fuse_setxattr, ABOUT_NODE},
	[FUSE_GETXATTR] = {fuse_getxattr, ABOUT_NODE},
	[FUSE_LISTXATTR] = {fuse_listxattr, ABOUT_NODE},
	[FUSE_REMOVEXATTR] = {fuse_removexattr, ABOUT_NODE},
	[FUSE_FLUSH] = {fuse_flush, ABOUT_NODE},
	[FUSE_INIT] = {fuse_init, ABOUT_NONE},
	[FUSE_OPENDIR] = {fuse_opendir, ABOUT_NODE},
	[FUSE_READDIR] = {fuse_readdir, ABOUT_NODE},
	[FUSE_RELEASEDIR] = {fuse_release, ABOUT_NUMBERS},
	[FUSE_FSYNCDIR] = {fuse_fsync, ABOUT_NODE},
	[FUSE_GETLK] = {fuse_getlk, ABOUT_NODE},
	[FUSE_SETLK] = {fuse_setlk, ABOUT_NODE},
	[FUSE_SETLKW] = {fuse_setlkw, ABOUT_NODE},
	[FUSE_CREATE] = {fuse_create, ABOUT_NODE},
	[FUSE_INTERRUPT] = {fuse_interrupt, ABOUT_NONE},
	[FUSE_DESTROY] = {fuse_destroy, ABOUT_NONE},
	[FUSE_BATCH_FORGET] = {fuse_batch_forget, ABOUT_NONE},
	[FUSE_FALLOCATE] = {fuse_fallocate, ABOUT_NODE},
	[FUSE_READDIRPLUS] = {fuse_readdirplus, ABOUT_NODE},
	[FUSE_RENAME2] = {fuse_rename2, ABOUT_NODE},
	[FUSE_LSEEK] = {fuse_lseek, ABOUT_NODE},
	[FUSE_COPY_FILE_RANGE] = {fuse_copy_file_range, ABOUT_NODE},
	[FUSE_SYNCFS] = {fuse_syncfs, ABOUT_NONE},
	[FUSE_TMPFILE] = {fuse_tmpfile, ABOUT_NODE},
	[FUSED_OP_STATX] = {fuse_statx, ABOUT_NODE},
};

/* --- fields ----------------------------------------------------------------------------------- */

int fuse_take(struct fuse_request *request, void *to, size_t size)
{
	if (size > unpack_left(&request->in))
		return -EINVAL;
	unpack_bytes(&request->in, to, size);
	return 0;
}

int fuse_take_string(struct fuse_request *request, char *to, size_t size)
{
	size_t left = unpack_left(&request->in), length;
	const uint8_t *from = request->in.data + request->in.at;

	length = strnlen((const char *)from, left);
	if (length == left)
		return -EINVAL;
	request->in.at += length + 1;
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(to, from, length);
	to[length] = '\0'; /* whatever another process does to the message meanwhile */
	return 0;
}

int fuse_take_name(struct fuse_request *request, struct name *name)
{
	int ret = fuse_take_string(request, name->text, sizeof(name->text));

	if (ret < 0)
		return ret;
	name->length = strlen(name->text);
	return name_is_good(name) ? 0 : -EINVAL;
}

int fuse_take_end(const struct fuse_request *request)
{
	return unpack_done(&request->in) ? 0 : -EINVAL;
}

void fuse_put(struct fuse_request *request, const void *from, size_t size)
{
	struct fuse_reply *out = &request->out;

	if (size > out->size - out->at) {
		out->failed = true;
		return;
	}
	memcpy(out->data + out->at, from, size);
	out->at += size;
}

/* --- roots ------------------------------------------------------------------------------------ */

/*
 * The guest sees of the host's root only what every user may read: a server that runs as the host's
 * root handles its requests as the user nobody. Without root's file system ids the thread also
 * loses the capabilities that override permissions.
 */
static bool drops_rights(const struct fuse_root *root)
{
	return root->tree->share->host_root && geteuid() == 0;
}

/* setfsuid() and setfsgid() don't report errors, but return the previous id: 0 or -EPERM. */
static int act_as(int id)
{
	setfsgid((unsigned)id);
	setfsuid((unsigned)id);
	return setfsgid(-1) == id && setfsuid(-1) == id ? 0 : -EPERM;
}

void fuse_suspend(struct fuse_request *request, struct fuse_handle *handle)
{
	handle->users++;
	request->root->busy++;
	fuse_root_unlock(request->root);
}

void fuse_resume(struct fuse_request *request, struct fuse_handle *handle)
{
	pthread_mutex_lock(&request->root->mutex);
	handle->users--;
	if (--request->root->busy == 0)
		pthread_cond_broadcast(&request->root->idle);
	fuse_handle_free_unused(request->root, handle);
}

int fuse_in_root(struct fuse_request *request, fuse_handler *handler)
{
	struct fuse_root *root = request->root;
	int ret = -ESTALE;
	bool drops;

	pthread_mutex_lock(&root->mutex);
	if (root->used) {
		root->tree->approved = 0;
		drops = drops_rights(root);
		ret = drops ? act_as(NOBODY) : 0;
		if (ret == 0)
			ret = handler(request);
		if (drops)
			act_as(0); /* the effective id: it can't fail */
	}
	fuse_root_unlock(root);
	return ret;
}

/* Finds the node that the request is about. */
static int on_node(struct fuse_request *request)
{
	int ret = fuse_find_node(request->root, request->head.nodeid, &request->node);

	return ret < 0 ? ret : requests[request->head.opcode].handler(request);
}

unsigned fuse_message_root(const void *in, size_t length)
{
	uint64_t node =
		length >= sizeof(struct fuse_in_header)
			? load_le64((const uint8_t *)in + offsetof(struct fuse_in_header, nodeid))
			: 0;
	uint64_t root = FUSE_NUMBER_ROOT(node);

	return root <= FUSED_ROOTS_MAX ? (unsigned)root : 0;
}

static int dispatch(struct fuse_request *request)
{
	uint32_t opcode = request->head.opcode;
	unsigned root = fuse_message_root(&request->head, sizeof(request->head));
	fuse_handler *handler = NULL;

	if (opcode < ARRAY_SIZE(requests))
		handler = requests[opcode].handler;
	if (!handler)
		return -ENOSYS;
	if (!request->session->begun && opcode != FUSE_INIT)
		return -EIO;
	if (requests[opcode].about == ABOUT_NONE)
		return handler(request);
	if (request->head.nodeid == FUSE_ROOT_ID)
		return fuse_top(request);
	if (root == 0)
		return -ESTALE;
	request->root = &request->session->roots[root - 1];
	return fuse_in_root(request, requests[opcode].about == ABOUT_NODE ? on_node : handler);
}

/* --- messages --------------------------------------------------------------------------------- */

static bool has_reply(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

ssize_t fuse_session_handle(struct fuse_session *session, uint64_t tag, const void *in,
			    size_t length, void *out, size_t room)
{
	struct fuse_request request = {
		.session = session,
		.tag = tag,
		.in = {.data = in, .length = length, .at = sizeof(struct fuse_in_header)},
		.out = {.data = out, .size = room, .at = sizeof(struct fuse_out_header)},
	};
	struct fuse_out_header head = {.len = sizeof(head)};
	bool replies;
	int ret;

	if (length < sizeof(request.head))
		return 0;
	memcpy(&request.head, in, sizeof(request.head));
	replies = has_reply(request.head.opcode);
	if (replies && room < sizeof(head))
		return 0;
	session->requests++;
	/* Extensions are not negotiated. */
	if (request.head.len != length || request.head.total_extlen)
		ret = -EINVAL;
	else
		ret = dispatch(&request);
	if (ret == -FILES_ASKED) {
		ret = fuse_wait(&request, 0, 0, false);
		if (ret == -ENOLCK)
			ret = -EACCES;
	}
	/* One that waited may not have reached its handler again. */
	if (ret != FUSE_REPLY_LATER && atomic_load_explicit(&session->waits, memory_order_relaxed))
		fuse_wait_end(session, tag);
	if (!replies || ret == FUSE_NO_REPLY)
		return 0;
	if (ret == FUSE_REPLY_LATER)
		return FUSED_LATER;
	if (ret == 0 && request.out.failed)
		ret = -EIO;
	if (ret == 0)
		head.len = (uint32_t)request.out.at;
	head.error = ret;
	head.unique = request.head.unique;
	memcpy(out, &head, sizeof(head));
	return head.len;
}
