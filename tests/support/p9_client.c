/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/p9_client.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define SCRATCH_FID 0xfff00000u

void p9c_begin(struct p9_client *client, uint8_t type)
{
	client->length = 0;
	p9c_u32(client, 0);
	p9c_u8(client, type);
	p9c_u16(client, type == P9_TVERSION ? (uint16_t)P9_NOTAG : ++client->tag);
}

void p9c_bytes(struct p9_client *client, const void *bytes, size_t length)
{
	if (length > sizeof(client->message) - client->length)
		length = sizeof(client->message) - client->length;
	memcpy(client->message + client->length, bytes, length);
	client->length += length;
}

void p9c_u8(struct p9_client *client, uint8_t value)
{
	p9c_bytes(client, &value, 1);
}

void p9c_u16(struct p9_client *client, uint16_t value)
{
	uint8_t bytes[2];

	store_le16(bytes, value);
	p9c_bytes(client, bytes, 2);
}

void p9c_u32(struct p9_client *client, uint32_t value)
{
	uint8_t bytes[4];

	store_le32(bytes, value);
	p9c_bytes(client, bytes, 4);
}

void p9c_u64(struct p9_client *client, uint64_t value)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	p9c_bytes(client, bytes, 8);
}

static void put_string(struct p9_client *client, const char *text, size_t length)
{
	p9c_u16(client, (uint16_t)length);
	p9c_bytes(client, text, length);
}

void p9c_string(struct p9_client *client, const char *text)
{
	put_string(client, text, strlen(text));
}

int p9c_send(struct p9_client *client)
{
	ssize_t n;

	store_le32(client->message, (uint32_t)client->length);
	n = files_session_handle(client->session, client->message, client->length, client->reply);
	if (n < (ssize_t)P9_HEADER_SIZE || load_le32(client->reply) != (size_t)n ||
	    memcmp(client->reply + 5, client->message + 5, 2) != 0)
		return -1;
	client->in =
		(struct unpack){.data = client->reply, .length = (size_t)n, .at = P9_HEADER_SIZE};
	if (client->reply[4] == P9_RLERROR)
		return (int)unpack_u32(&client->in);
	return client->reply[4] == client->message[4] + 1 ? 0 : -1;
}

int p9c_version(struct p9_client *client, uint32_t msize, const char *version)
{
	p9c_begin(client, P9_TVERSION);
	p9c_u32(client, msize);
	p9c_string(client, version);
	return p9c_send(client);
}

int p9c_attach(struct p9_client *client, uint32_t fid)
{
	p9c_begin(client, P9_TATTACH);
	p9c_u32(client, fid);
	p9c_u32(client, P9_NOFID);
	p9c_string(client, "nobody");
	p9c_string(client, "");
	p9c_u32(client, 0);
	return p9c_send(client);
}

int p9c_walk(struct p9_client *client, uint32_t fid, uint32_t newfid, const char *path,
	     unsigned *done)
{
	size_t at, length;
	unsigned count = 0, walked;
	int ret;

	p9c_begin(client, P9_TWALK);
	p9c_u32(client, fid);
	p9c_u32(client, newfid);
	at = client->length;
	p9c_u16(client, 0);
	for (; *path; path += length + (path[length] == '/')) {
		length = strcspn(path, "/");
		put_string(client, path, length);
		count++;
	}
	store_le16(client->message + at, (uint16_t)count);
	ret = p9c_send(client);
	walked = ret == 0 ? unpack_u16(&client->in) : 0;
	if (done)
		*done = walked;
	return ret == 0 && walked < count && !done ? ENOENT : ret;
}

static int one_fid(struct p9_client *client, uint8_t type, uint32_t fid)
{
	p9c_begin(client, type);
	p9c_u32(client, fid);
	return p9c_send(client);
}

int p9c_clunk(struct p9_client *client, uint32_t fid)
{
	return one_fid(client, P9_TCLUNK, fid);
}

int p9c_remove(struct p9_client *client, uint32_t fid)
{
	return one_fid(client, P9_TREMOVE, fid);
}

int p9c_open(struct p9_client *client, uint32_t fid, uint32_t flags)
{
	p9c_begin(client, P9_TLOPEN);
	p9c_u32(client, fid);
	p9c_u32(client, flags);
	return p9c_send(client);
}

int p9c_create(struct p9_client *client, uint32_t fid, const char *name, uint32_t flags,
	       uint32_t mode)
{
	p9c_begin(client, P9_TLCREATE);
	p9c_u32(client, fid);
	p9c_string(client, name);
	p9c_u32(client, flags);
	p9c_u32(client, mode);
	p9c_u32(client, 100000);
	return p9c_send(client);
}

int p9c_read(struct p9_client *client, uint32_t fid, uint64_t offset, uint32_t count, void *to,
	     size_t *n)
{
	int ret;

	p9c_begin(client, P9_TREAD);
	p9c_u32(client, fid);
	p9c_u64(client, offset);
	p9c_u32(client, count);
	ret = p9c_send(client);
	*n = 0;
	if (ret != 0)
		return ret;
	*n = unpack_u32(&client->in);
	if (*n > count || *n != client->in.length - client->in.at)
		return -1;
	unpack_bytes(&client->in, to, *n);
	return 0;
}

int p9c_write(struct p9_client *client, uint32_t fid, uint64_t offset, const void *from,
	      size_t length, size_t *n)
{
	int ret;

	p9c_begin(client, P9_TWRITE);
	p9c_u32(client, fid);
	p9c_u64(client, offset);
	p9c_u32(client, (uint32_t)length);
	p9c_bytes(client, from, length);
	ret = p9c_send(client);
	*n = ret == 0 ? unpack_u32(&client->in) : 0;
	return ret;
}

int p9c_getattr(struct p9_client *client, uint32_t fid, struct p9_attributes *out)
{
	struct unpack *in = &client->in;
	int ret;

	p9c_begin(client, P9_TGETATTR);
	p9c_u32(client, fid);
	p9c_u64(client, P9_GETATTR_BASIC);
	ret = p9c_send(client);
	if (ret != 0)
		return ret;
	unpack_u64(in);
	out->type = unpack_u8(in);
	unpack_u32(in);
	out->path = unpack_u64(in);
	out->mode = unpack_u32(in);
	out->uid = unpack_u32(in);
	out->gid = unpack_u32(in);
	out->nlink = unpack_u64(in);
	out->rdev = unpack_u64(in);
	out->size = unpack_u64(in);
	unpack_u64(in);
	out->blocks = unpack_u64(in);
	unpack_u64(in);
	unpack_u64(in);
	out->mtime = (int64_t)unpack_u64(in);
	return in->failed || in->length != 160 ? -1 : 0;
}

int p9c_setattr(struct p9_client *client, uint32_t fid, uint32_t valid, uint32_t mode,
		uint64_t size)
{
	unsigned i;

	p9c_begin(client, P9_TSETATTR);
	p9c_u32(client, fid);
	p9c_u32(client, valid);
	p9c_u32(client, mode);
	p9c_u32(client, 100000);
	p9c_u32(client, 100000);
	p9c_u64(client, size);
	for (i = 0; i < 4; i++)
		p9c_u64(client, 1000 + i);
	return p9c_send(client);
}

int p9c_mkdir(struct p9_client *client, uint32_t fid, const char *name, uint32_t mode)
{
	p9c_begin(client, P9_TMKDIR);
	p9c_u32(client, fid);
	p9c_string(client, name);
	p9c_u32(client, mode);
	p9c_u32(client, 100000);
	return p9c_send(client);
}

int p9c_symlink(struct p9_client *client, uint32_t fid, const char *name, const char *target)
{
	p9c_begin(client, P9_TSYMLINK);
	p9c_u32(client, fid);
	p9c_string(client, name);
	p9c_string(client, target);
	p9c_u32(client, 100000);
	return p9c_send(client);
}

int p9c_link(struct p9_client *client, uint32_t directory, uint32_t fid, const char *name)
{
	p9c_begin(client, P9_TLINK);
	p9c_u32(client, directory);
	p9c_u32(client, fid);
	p9c_string(client, name);
	return p9c_send(client);
}

int p9c_rename(struct p9_client *client, uint32_t fid, uint32_t directory, const char *name)
{
	p9c_begin(client, P9_TRENAME);
	p9c_u32(client, fid);
	p9c_u32(client, directory);
	p9c_string(client, name);
	return p9c_send(client);
}

int p9c_renameat(struct p9_client *client, uint32_t from, const char *old, uint32_t to,
		 const char *name)
{
	p9c_begin(client, P9_TRENAMEAT);
	p9c_u32(client, from);
	p9c_string(client, old);
	p9c_u32(client, to);
	p9c_string(client, name);
	return p9c_send(client);
}

int p9c_unlink(struct p9_client *client, uint32_t fid, const char *name, uint32_t flags)
{
	p9c_begin(client, P9_TUNLINKAT);
	p9c_u32(client, fid);
	p9c_string(client, name);
	p9c_u32(client, flags);
	return p9c_send(client);
}

int p9c_readlink(struct p9_client *client, uint32_t fid, char *to, size_t size)
{
	int ret = one_fid(client, P9_TREADLINK, fid);
	size_t length;

	if (ret != 0)
		return ret;
	length = unpack_u16(&client->in);
	if (length >= size)
		return -1;
	unpack_bytes(&client->in, to, length);
	to[length] = '\0';
	return 0;
}

/* Sends one Treaddir. *offset: where the next one continues; *more: whether there were entries. */
static int list_turn(struct p9_client *client, uint32_t fid, uint32_t count, uint64_t *offset,
		     bool *more, char **to, char *end)
{
	struct unpack *in = &client->in;
	size_t length;
	int ret;

	p9c_begin(client, P9_TREADDIR);
	p9c_u32(client, fid);
	p9c_u64(client, *offset);
	p9c_u32(client, count);
	ret = p9c_send(client);
	if (ret != 0)
		return ret;
	length = unpack_u32(in);
	if (length > count || length != in->length - in->at)
		return -1;
	*more = length > 0;
	while (in->at < in->length && !in->failed) {
		in->at += P9_QID_SIZE;
		*offset = unpack_u64(in);
		unpack_u8(in);
		length = unpack_u16(in);
		if (length + 2 > (size_t)(end - *to))
			return -1;
		unpack_bytes(in, *to, length);
		*to += length;
		*(*to)++ = '\n';
		**to = '\0';
	}
	return in->failed ? -1 : 0;
}

int p9c_list(struct p9_client *client, uint32_t fid, uint32_t count, char *to, size_t size)
{
	uint64_t offset = 0;
	bool more = true;
	char *end = to + size;
	int ret = 0;

	*to = '\0';
	while (ret == 0 && more)
		ret = list_turn(client, fid, count, &offset, &more, &to, end);
	return ret;
}

int p9c_go(struct p9_client *client, const char *path, uint32_t newfid)
{
	return p9c_walk(client, P9C_ROOT, newfid, path, NULL);
}

int p9c_cat(struct p9_client *client, const char *path, char *to, size_t size)
{
	int ret = p9c_go(client, path, SCRATCH_FID);
	size_t n = 0;

	to[0] = '\0';
	if (ret != 0)
		return ret;
	ret = p9c_open(client, SCRATCH_FID, P9_RDONLY);
	if (ret == 0)
		ret = p9c_read(client, SCRATCH_FID, 0, (uint32_t)size - 1, to, &n);
	to[n] = '\0';
	p9c_clunk(client, SCRATCH_FID);
	return ret;
}

int p9c_try_open(struct p9_client *client, const char *path, uint32_t flags)
{
	int ret = p9c_go(client, path, SCRATCH_FID);

	if (ret != 0)
		return ret;
	ret = p9c_open(client, SCRATCH_FID, flags);
	p9c_clunk(client, SCRATCH_FID);
	return ret;
}

int p9c_stat(struct p9_client *client, const char *path, struct p9_attributes *out)
{
	int ret = p9c_go(client, path, SCRATCH_FID);

	if (ret != 0)
		return ret;
	ret = p9c_getattr(client, SCRATCH_FID, out);
	p9c_clunk(client, SCRATCH_FID);
	return ret;
}

int p9c_ls(struct p9_client *client, const char *path, char *to, size_t size)
{
	int ret = p9c_go(client, path, SCRATCH_FID);

	to[0] = '\0';
	if (ret != 0)
		return ret;
	ret = p9c_open(client, SCRATCH_FID, P9_RDONLY | P9_DIRECTORY);
	if (ret == 0)
		ret = p9c_list(client, SCRATCH_FID, 4000, to, size);
	p9c_clunk(client, SCRATCH_FID);
	return ret;
}
