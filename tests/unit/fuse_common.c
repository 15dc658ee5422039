/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fuse_common.h"

struct files_host host;
struct fuse_client *const client = &host.client;

const char ruled[] = "file hide   /w/**/.env\n"
		     "file deny   /w/denied/**\n"
		     "file read   /w/read/**\n"
		     "file append /w/log/**\n"
		     "file write  /w/**\n";

void begin_fuse(const char *policy, bool read_only)
{
	files_host_begin(&host, policy, read_only);
}

void begin_ruled(const char *policy, bool read_only)
{
	begin_fuse(policy, read_only);
	files_host_fill(&host);
}

void end_ruled(void)
{
	ck_assert_str_eq(host_read(&host, "denied/f"), "denied");
	ck_assert_str_eq(host_read(&host, "read/f"), "read");
	ck_assert_str_eq(host_read(&host, ".env"), "hidden");
	ck_assert_str_eq(host_read(&host, "d/.env"), "hidden");
	files_host_end(&host);
}

uint64_t node_of(const char *path)
{
	uint64_t node;

	ck_assert_int_eq(fc_go(client, path, &node), 0);
	return node;
}

uint64_t opened(const char *path, uint32_t flags, uint64_t *node)
{
	struct fuse_open_out open;

	*node = node_of(path);
	ck_assert_int_eq(fc_open(client, *node, flags, &open), 0);
	return open.fh;
}

struct fuse_session_stats fuse_stats(void)
{
	struct fuse_session_stats out;

	fuse_session_stats(client->session, &out);
	return out;
}

/* --- remembering ----------------------------------------------------------------------------- */

bool begin_remembering(void)
{
	begin_ruled(ruled, false);
	host.share.remember = true;
	client->uid = client->gid = 100000;
	if (setxattr(host_path(&host, "f"), "user.test", "", 0, 0) == 0 || errno != EOPNOTSUPP)
		return true;
	fprintf(stderr, "no extended attributes on this file system: not tested\n");
	return false;
}

int chown_to(uint64_t node, uint32_t uid, uint32_t gid)
{
	const struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid};

	return fc_call(client, FUSE_SETATTR, node, &in, sizeof(in));
}

struct fuse_attr attributes(const char *path)
{
	struct fuse_attr attr;

	ck_assert_int_eq(fc_stat(client, path, &attr), 0);
	return attr;
}

struct stat on_host(const char *path)
{
	struct stat stat;

	ck_assert_int_eq(lstat(host_path(&host, path), &stat), 0);
	return stat;
}
