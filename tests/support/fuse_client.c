/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fuse_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/base/bytes.h"

void fc_begin(struct fuse_client *client, uint32_t opcode, uint64_t node)
{
	const struct fuse_in_header head = {
		.opcode = opcode,
		.unique = ++client->unique,
		.nodeid = node,
		.uid = client->uid,
		.gid = client->gid,
		.pid = 1,
	};

	client->length = 0;
	fc_bytes(client, &head, sizeof(head));
}

void fc_bytes(struct fuse_client *client, const void *bytes, size_t length)
{
	length = min_u64(length, sizeof(client->message) - client->length);
	if (length > 0)
		memcpy(client->message + client->length, bytes, length);
	client->length += length;
}

void fc_string(struct fuse_client *client, const char *text)
{
	fc_bytes(client, text, strlen(text) + 1);
}

int fc_again(struct fuse_client *client)
{
	size_t room = client->room ? client->room : sizeof(client->reply);
	struct fuse_out_header head;
	ssize_t n = client->handle
			    ? client->handle(client->arg, client->message, client->length,
					     client->reply, room)
			    : fuse_session_handle(client->session, client->unique, client->message,
						  client->length, client->reply, room);

	if (n == 0 || n == FUSED_LATER)
		return n ? FC_LATER : FC_NONE;
	if (n < (ssize_t)sizeof(head) || n > (ssize_t)room)
		return FC_BROKEN;
	memcpy(&head, client->reply, sizeof(head));
	if (head.len != (size_t)n || head.unique != client->unique || head.error > 0 ||
	    (head.error && head.len != sizeof(head)))
		return FC_BROKEN;
	client->in =
		(struct unpack){.data = client->reply, .length = (size_t)n, .at = sizeof(head)};
	return -head.error;
}

int fc_send(struct fuse_client *client)
{
	store_le32(client->message, (uint32_t)client->length);
	return fc_again(client);
}

int fc_call(struct fuse_client *client, uint32_t opcode, uint64_t node, const void *body,
	    size_t length)
{
	fc_begin(client, opcode, node);
	fc_bytes(client, body, length);
	return fc_send(client);
}

int fc_take(struct fuse_client *client, void *to, size_t size)
{
	unpack_bytes(&client->in, to, size);
	return unpack_done(&client->in) ? 0 : FC_BROKEN;
}

/* A request whose reply is one structure. */
static int call_for(struct fuse_client *client, uint32_t opcode, uint64_t node, const void *body,
		    size_t length, void *to, size_t size)
{
	int ret = fc_call(client, opcode, node, body, length);

	return ret == 0 ? fc_take(client, to, size) : ret;
}

int fc_init(struct fuse_client *client, uint64_t flags, struct fuse_init_out *out)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSED_MINOR,
		.max_readahead = 1 << 20,
		.flags = (uint32_t)flags | FUSE_INIT_EXT,
		.flags2 = (uint32_t)(flags >> 32),
	};

	return call_for(client, FUSE_INIT, 0, &in, sizeof(in), out, sizeof(*out));
}

int fc_lookup(struct fuse_client *client, uint64_t parent, const char *name,
	      struct fuse_entry_out *out)
{
	return call_for(client, FUSE_LOOKUP, parent, name, strlen(name) + 1, out, sizeof(*out));
}

int fc_forget(struct fuse_client *client, uint64_t node, uint64_t lookups)
{
	const struct fuse_forget_in in = {.nlookup = lookups};

	return fc_call(client, FUSE_FORGET, node, &in, sizeof(in));
}

int fc_getattr(struct fuse_client *client, uint64_t node, struct fuse_attr *out)
{
	const struct fuse_getattr_in in = {.getattr_flags = 0};
	struct fuse_attr_out reply;
	int ret = call_for(client, FUSE_GETATTR, node, &in, sizeof(in), &reply, sizeof(reply));

	*out = reply.attr;
	return ret;
}

int fc_setattr(struct fuse_client *client, uint64_t node, uint32_t valid, uint32_t mode,
	       uint64_t size)
{
	const struct fuse_setattr_in in = {
		.valid = valid,
		.mode = mode,
		.size = size,
		.uid = 100000,
		.gid = 100000,
		.atime = 1000,
		.mtime = 1000,
		.atimensec = 7,
		.mtimensec = 7,
	};

	return fc_call(client, FUSE_SETATTR, node, &in, sizeof(in));
}

int fc_open(struct fuse_client *client, uint64_t node, uint32_t flags, struct fuse_open_out *out)
{
	const struct fuse_open_in in = {.flags = flags};

	return call_for(client, FUSE_OPEN, node, &in, sizeof(in), out, sizeof(*out));
}

int fc_opendir(struct fuse_client *client, uint64_t node, uint64_t *fh)
{
	const struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_open_out out = {.fh = 0};
	int ret = call_for(client, FUSE_OPENDIR, node, &in, sizeof(in), &out, sizeof(out));

	*fh = out.fh;
	return ret;
}

int fc_create(struct fuse_client *client, uint64_t parent, const char *name, uint32_t flags,
	      uint32_t mode, uint64_t *node, uint64_t *fh)
{
	const struct fuse_create_in in = {.flags = flags | O_CREAT, .mode = mode | S_IFREG};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int ret;

	fc_begin(client, FUSE_CREATE, parent);
	fc_bytes(client, &in, sizeof(in));
	fc_string(client, name);
	ret = fc_send(client);
	if (ret != 0 || fc_take(client, &out, sizeof(out)) != 0)
		return ret ? ret : FC_BROKEN;
	if (node)
		*node = out.entry.nodeid;
	if (fh)
		*fh = out.open.fh;
	return 0;
}

int fc_release(struct fuse_client *client, uint64_t node, uint64_t fh)
{
	const struct fuse_release_in in = {.fh = fh};

	return fc_call(client, FUSE_RELEASE, node, &in, sizeof(in));
}

int fc_flush(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t owner)
{
	const struct fuse_flush_in in = {.fh = fh, .lock_owner = owner};

	return fc_call(client, FUSE_FLUSH, node, &in, sizeof(in));
}

int fc_read(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size,
	    void *to, size_t *n)
{
	const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
	int ret = fc_call(client, FUSE_READ, node, &in, sizeof(in));

	*n = ret == 0 ? unpack_left(&client->in) : 0;
	if (*n > size)
		return FC_BROKEN;
	unpack_bytes(&client->in, to, *n);
	return ret;
}

int fc_write(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t offset,
	     const void *from, size_t length, uint32_t flags)
{
	const struct fuse_write_in in = {
		.fh = fh, .offset = offset, .size = (uint32_t)length, .write_flags = flags};
	struct fuse_write_out out;
	int ret;

	fc_begin(client, FUSE_WRITE, node);
	fc_bytes(client, &in, sizeof(in));
	fc_bytes(client, from, length);
	ret = fc_send(client);
	if (ret != 0)
		return ret;
	return fc_take(client, &out, sizeof(out)) == 0 && out.size == length ? 0 : FC_BROKEN;
}

/* --- names ------------------------------------------------------------------------------------ */

static int make(struct fuse_client *client, uint32_t opcode, uint64_t parent, const void *body,
		size_t length, const char *name)
{
	struct fuse_entry_out out;
	int ret;

	fc_begin(client, opcode, parent);
	fc_bytes(client, body, length);
	fc_string(client, name);
	ret = fc_send(client);
	return ret == 0 ? fc_take(client, &out, sizeof(out)) : ret;
}

int fc_mkdir(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode)
{
	const struct fuse_mkdir_in in = {.mode = mode};

	return make(client, FUSE_MKDIR, parent, &in, sizeof(in), name);
}

int fc_mknod(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode)
{
	const struct fuse_mknod_in in = {.mode = mode};

	return make(client, FUSE_MKNOD, parent, &in, sizeof(in), name);
}

int fc_symlink(struct fuse_client *client, uint64_t parent, const char *name, const char *target)
{
	return make(client, FUSE_SYMLINK, parent, name, strlen(name) + 1, target);
}

int fc_link(struct fuse_client *client, uint64_t parent, const char *name, uint64_t node)
{
	const struct fuse_link_in in = {.oldnodeid = node};

	return make(client, FUSE_LINK, parent, &in, sizeof(in), name);
}

int fc_rename(struct fuse_client *client, uint64_t from, const char *name, uint64_t to,
	      const char *to_name, uint32_t flags)
{
	const struct fuse_rename2_in in = {.newdir = to, .flags = flags};

	fc_begin(client, flags ? FUSE_RENAME2 : FUSE_RENAME, from);
	fc_bytes(client, &in, flags ? sizeof(in) : sizeof(struct fuse_rename_in));
	fc_string(client, name);
	fc_string(client, to_name);
	return fc_send(client);
}

int fc_unlink(struct fuse_client *client, uint64_t parent, const char *name)
{
	return fc_call(client, FUSE_UNLINK, parent, name, strlen(name) + 1);
}

int fc_rmdir(struct fuse_client *client, uint64_t parent, const char *name)
{
	return fc_call(client, FUSE_RMDIR, parent, name, strlen(name) + 1);
}

/* The rest of a reply, as a string. */
static void take_text(struct fuse_client *client, char *to, size_t size)
{
	size_t n = min_u64(unpack_left(&client->in), size - 1);

	unpack_bytes(&client->in, to, n);
	to[n] = '\0';
}

int fc_readlink(struct fuse_client *client, uint64_t node, char *to, size_t size)
{
	int ret = fc_call(client, FUSE_READLINK, node, NULL, 0);

	to[0] = '\0';
	if (ret == 0)
		take_text(client, to, size);
	return ret;
}

/* Takes one entry of a listing, adds its name to the text, and counts a node. */
static bool take_entry(struct fuse_client *client, bool plus, char *to, size_t room,
		       uint64_t *offset, unsigned *told)
{
	struct fuse_entry_out entry = {.nodeid = 0};
	struct fuse_dirent dirent;
	const uint8_t *name;
	size_t used = strlen(to);

	if (plus)
		unpack_bytes(&client->in, &entry, sizeof(entry));
	unpack_bytes(&client->in, &dirent, sizeof(dirent));
	name = unpack_skip(&client->in, dirent.namelen);
	unpack_skip(&client->in, align_up(dirent.namelen, 8) - dirent.namelen);
	if (client->in.failed || used + dirent.namelen + 2 > room)
		return false;
	memcpy(to + used, name, dirent.namelen);
	strcpy(to + used + dirent.namelen, "\n");
	*offset = dirent.off;
	if (plus)
		*told += entry.nodeid != 0;
	return true;
}

int fc_list(struct fuse_client *client, uint64_t node, uint64_t fh, uint32_t size, char *to,
	    size_t room, unsigned *told)
{
	struct fuse_read_in in = {.fh = fh, .size = size};
	int ret;

	to[0] = '\0';
	if (told)
		*told = 0;
	do {
		ret = fc_call(client, told ? FUSE_READDIRPLUS : FUSE_READDIR, node, &in,
			      sizeof(in));
		if (ret != 0 || unpack_left(&client->in) == 0)
			return ret;
		while (unpack_left(&client->in) > 0)
			if (!take_entry(client, told, to, room, &in.offset, told))
				return FC_BROKEN;
	} while (true);
}

/* --- locks and attributes --------------------------------------------------------------------- */

int fc_lock(struct fuse_client *client, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t owner,
	    int type, uint64_t start, uint64_t end, uint32_t flags)
{
	const struct fuse_lk_in in = {
		.fh = fh,
		.owner = owner,
		.lk = {.start = start, .end = end, .type = (uint32_t)type, .pid = (uint32_t)owner},
		.lk_flags = flags,
	};

	return fc_call(client, opcode, node, &in, sizeof(in));
}

int fc_getlk(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t owner, int type,
	     struct fuse_file_lock *out)
{
	int ret = fc_lock(client, FUSE_GETLK, node, fh, owner, type, 0, INT64_MAX, 0);

	return ret == 0 ? fc_take(client, out, sizeof(*out)) : ret;
}

int fc_set_xattr(struct fuse_client *client, uint64_t node, const char *name, const void *value,
		 size_t length, uint32_t flags)
{
	const uint32_t in[2] = {(uint32_t)length, flags};

	fc_begin(client, FUSE_SETXATTR, node);
	fc_bytes(client, in, sizeof(in));
	fc_string(client, name);
	fc_bytes(client, value, length);
	return fc_send(client);
}

static int get_xattr(struct fuse_client *client, const char *name, uint64_t node, void *value,
		     uint32_t size, size_t *n)
{
	const struct fuse_getxattr_in in = {.size = size};
	struct fuse_getxattr_out out = {.size = 0};
	int ret;

	fc_begin(client, name ? FUSE_GETXATTR : FUSE_LISTXATTR, node);
	fc_bytes(client, &in, sizeof(in));
	if (name)
		fc_string(client, name);
	ret = fc_send(client);
	*n = 0;
	if (ret != 0)
		return ret;
	if (size == 0) {
		ret = fc_take(client, &out, sizeof(out));
		*n = out.size;
		return ret;
	}
	*n = unpack_left(&client->in);
	if (*n > size)
		return FC_BROKEN;
	unpack_bytes(&client->in, value, *n);
	return 0;
}

int fc_get_xattr(struct fuse_client *client, uint64_t node, const char *name, void *value,
		 uint32_t size, size_t *n)
{
	return get_xattr(client, name, node, value, size, n);
}

int fc_list_xattr(struct fuse_client *client, uint64_t node, void *names, uint32_t size, size_t *n)
{
	return get_xattr(client, NULL, node, names, size, n);
}
