/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE client's combined calls. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/fuse_client.h"

int fc_walk(struct fuse_client *client, uint64_t from, const char *path, uint64_t *node)
{
	struct fuse_entry_out entry;
	char name[4096];
	size_t length;
	int ret;

	*node = from;
	for (; *path; path += length + (path[length] == '/')) {
		length = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		ret = fc_lookup(client, *node, name, &entry);
		if (ret != 0)
			return ret;
		if (entry.nodeid == 0)
			return ENOENT;
		*node = entry.nodeid;
	}
	return 0;
}

int fc_go(struct fuse_client *client, const char *path, uint64_t *node)
{
	return fc_walk(client, client->root, path, node);
}

int fc_cat(struct fuse_client *client, const char *path, char *to, size_t size)
{
	struct fuse_open_out open;
	uint64_t node;
	size_t n = 0;
	int ret = fc_go(client, path, &node);

	to[0] = '\0';
	if (ret == 0)
		ret = fc_open(client, node, O_RDONLY, &open);
	if (ret != 0)
		return ret;
	ret = fc_read(client, node, open.fh, 0, (uint32_t)size - 1, to, &n);
	to[n] = '\0';
	fc_release(client, node, open.fh);
	return ret;
}

int fc_try_open(struct fuse_client *client, const char *path, uint32_t flags)
{
	struct fuse_open_out open;
	uint64_t node;
	int ret = fc_go(client, path, &node);

	if (ret == 0)
		ret = fc_open(client, node, flags, &open);
	if (ret == 0)
		fc_release(client, node, open.fh);
	return ret;
}

int fc_stat(struct fuse_client *client, const char *path, struct fuse_attr *out)
{
	uint64_t node;
	int ret = fc_go(client, path, &node);

	return ret == 0 ? fc_getattr(client, node, out) : ret;
}

int fc_ls(struct fuse_client *client, const char *path, char *to, size_t size)
{
	uint64_t node, fh;
	int ret = fc_go(client, path, &node);

	to[0] = '\0';
	if (ret == 0)
		ret = fc_opendir(client, node, &fh);
	if (ret != 0)
		return ret;
	ret = fc_list(client, node, fh, 4000, to, size, NULL);
	fc_release(client, node, fh);
	return ret;
}
