/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server against what no guest's kernel would send. */
#include "tests/unit/fuse_common.h"

/* --- every request, whole and broken -----------------------------------------------------------
 */

/*
 * Bodies: 4 and 8 are zeros of that many bytes, H the handle, N the node of "d", s a name, / the
 * kernel's name of none, w data of 5 bytes.
 */
static const struct {
	uint32_t opcode;
	const char *body;
	bool directory; /* on "d" and its handle, not on "f" */
	int whole;	/* the reply */
} requests[] = {
	{FUSE_LOOKUP, "s", true, ENOENT},
	{FUSE_GETATTR, "448", false, 0},
	{FUSE_SETATTR, "4488888844444444", false, 0},
	{FUSE_READLINK, "", false, EINVAL},
	{FUSE_SYMLINK, "ss", true, 0},
	{FUSE_MKNOD, "4444s", true, EPERM},
	{FUSE_MKDIR, "44s", true, EEXIST},
	{FUSE_UNLINK, "s", true, 0},
	{FUSE_RMDIR, "s", true, ENOENT},
	{FUSE_RENAME, "Nss", true, ENOENT},
	{FUSE_RENAME2, "N44ss", true, ENOENT},
	{FUSE_LINK, "8s", true, EXDEV},
	{FUSE_OPEN, "44", false, 0},
	{FUSE_OPENDIR, "44", true, 0},
	{FUSE_READ, "H844844", false, 0},
	{FUSE_WRITE, "H854844w", false, 0},
	{FUSE_STATFS, "", false, 0},
	{FUSE_FSYNC, "H44", false, 0},
	{FUSE_FSYNCDIR, "H44", true, 0},
	{FUSE_GETXATTR, "44s", false, EOPNOTSUPP},
	{FUSE_LISTXATTR, "44", false, 0},
	{FUSE_SETXATTR, "44s", false, EOPNOTSUPP},
	{FUSE_REMOVEXATTR, "s", false, EOPNOTSUPP},
	{FUSE_FLUSH, "H448", false, 0},
	{FUSE_READDIR, "H8P4844", true, 0},
	{FUSE_READDIRPLUS, "H8P4844", true, 0},
	{FUSE_GETLK, "H8884444", false, 0},
	{FUSE_SETLK, "H8884444", false, 0},
	{FUSE_SETLKW, "H8884444", false, 0},
	{FUSE_CREATE, "4444s", true, 0},
	{FUSE_TMPFILE, "4444/", true, EINVAL},
	{FUSE_FALLOCATE, "H8844", false, EINVAL},
	{FUSE_LSEEK, "H844", false, EINVAL},
	{FUSE_COPY_FILE_RANGE, "H888888", false, EXDEV},
	{FUSED_OP_STATX, "44844", false, 0},
	{FUSE_RELEASE, "H448", false, 0},
	{FUSE_RELEASEDIR, "H448", true, 0},
};

static void put_body(const char *body, uint64_t node, uint64_t fh)
{
	static const uint8_t zeros[8];
	const uint32_t five = 5, page = 4096;

	for (; *body; body++) {
		if (*body == '4' || *body == '8')
			fc_bytes(client, zeros, *body == '4' ? 4 : 8);
		else if (*body == '5' || *body == 'P')
			fc_bytes(client, *body == '5' ? &five : &page, 4);
		else if (*body == 'H' || *body == 'N')
			fc_bytes(client, *body == 'H' ? &fh : &node, 8);
		else if (*body == 'w')
			fc_bytes(client, "bytes", 5);
		else
			fc_string(client, *body == 's' ? "name" : "/");
	}
}

/* Sends a request cut at every byte, then one with a byte too many, then the whole one. */
static void cut(uint32_t opcode, int whole)
{
	const size_t head = sizeof(struct fuse_in_header);
	size_t length = client->length, at;
	int ret;

	for (at = 0; at < length; at++) {
		client->length = at;
		ret = fc_send(client);
		ck_assert_msg(ret == (at < head ? FC_NONE : EINVAL),
			      "request %u cut to %zu of %zu: %d", opcode, at, length, ret);
	}
	client->length = length;
	fc_bytes(client, "", 1);
	ret = fc_send(client);
	ck_assert_msg(ret == EINVAL, "request %u with a byte too many: %d", opcode, ret);
	client->length = length;
	/* A length that is not the message's, and extensions. */
	store_le32(client->message, (uint32_t)length + 1);
	ck_assert_int_eq(fc_again(client), EINVAL);
	store_le32(client->message, 0);
	ck_assert_int_eq(fc_again(client), EINVAL);
	store_le32(client->message, (uint32_t)length);
	client->message[offsetof(struct fuse_in_header, total_extlen)] = 1;
	ck_assert_int_eq(fc_again(client), EINVAL);
	client->message[offsetof(struct fuse_in_header, total_extlen)] = 0;
	ret = fc_send(client);
	ck_assert_msg(ret == whole, "request %u whole: %d", opcode, ret);
}

START_TEST(messages_cut_at_every_byte_are_refused)
{
	uint64_t file, file_fh, directory, directory_fh;
	size_t i;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	file_fh = opened("f", O_RDWR, &file);
	directory = node_of("d");
	ck_assert_int_eq(fc_opendir(client, directory, &directory_fh), 0);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		fc_begin(client, requests[i].opcode, requests[i].directory ? directory : file);
		put_body(requests[i].body, directory,
			 requests[i].directory ? directory_fh : file_fh);
		cut(requests[i].opcode, requests[i].whole);
	}
	files_host_end(&host);
}
END_TEST

/* The same ones about nodes and open files that do not exist, and about node 1. */
START_TEST(forged_numbers_are_refused)
{
	uint64_t file, fh, nodes[8];
	size_t i, n;
	int ret;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	fh = opened("f", O_RDWR, &file);
	nodes[0] = 0;
	nodes[1] = 2;
	nodes[2] = UINT64_MAX;
	nodes[3] = file + 100;	      /* another slot */
	nodes[4] = file ^ 1ull << 32; /* another generation */
	nodes[5] = file + (1ull << 56);
	nodes[6] = (uint64_t)(FUSED_ROOTS_MAX + 1) << 56;
	nodes[7] = FUSE_ROOT_ID;
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		for (n = 0; n < ARRAY_SIZE(nodes); n++) {
			if (requests[i].opcode == FUSE_RELEASE ||
			    requests[i].opcode == FUSE_RELEASEDIR)
				continue;
			fc_begin(client, requests[i].opcode, nodes[n]);
			put_body(requests[i].body, nodes[n], fh);
			ret = fc_send(client);
			if (nodes[n] == FUSE_ROOT_ID)
				ck_assert_int_ge(ret, 0);
			else
				ck_assert_msg(ret == ESTALE, "request %u about node %zu: %d",
					      requests[i].opcode, n, ret);
		}
		if (requests[i].body[0] != 'H')
			continue;
		/* A handle of another node, and one that is none. */
		for (n = 0; n < ARRAY_SIZE(nodes); n++) {
			fc_begin(client, requests[i].opcode, file);
			put_body(requests[i].body, file, nodes[n]);
			ret = fc_send(client);
			ck_assert_msg(ret == EBADF || ret == EINVAL,
				      "request %u with handle %zu: %d", requests[i].opcode, n, ret);
		}
		if (requests[i].opcode == FUSE_RELEASE || requests[i].opcode == FUSE_RELEASEDIR)
			continue;
		fc_begin(client, requests[i].opcode, node_of("d"));
		put_body(requests[i].body, file, fh);
		ret = fc_send(client);
		ck_assert_msg(ret == EBADF || ret == EINVAL, "request %u with d's handle: %d",
			      requests[i].opcode, ret);
	}
	ck_assert_int_eq(fc_write(client, file, fh, 0, "y", 1, 0), 0);
	files_host_end(&host);
}
END_TEST

/* Every request about names in a directory, about a file; and reading each as the other. */
START_TEST(a_file_is_no_directory_and_a_directory_no_file)
{
	struct fuse_entry_out entry;
	uint64_t file, fh, made, made_fh, directory, directory_fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	fh = opened("f", O_RDONLY, &file);
	directory = node_of("d");
	ck_assert_int_eq(fc_opendir(client, directory, &directory_fh), 0);
	ck_assert_int_eq(fc_lookup(client, file, "x", &entry), ENOTDIR);
	ck_assert_int_eq(fc_mkdir(client, file, "x", 0755), ENOTDIR);
	ck_assert_int_eq(fc_mknod(client, file, "x", S_IFREG | 0644), ENOTDIR);
	ck_assert_int_eq(fc_symlink(client, file, "x", "y"), ENOTDIR);
	ck_assert_int_eq(fc_link(client, file, "x", file), ENOTDIR);
	ck_assert_int_eq(fc_unlink(client, file, "x"), ENOTDIR);
	ck_assert_int_eq(fc_rmdir(client, file, "x"), ENOTDIR);
	ck_assert_int_eq(fc_rename(client, file, "x", ROOT, "y", 0), ENOTDIR);
	ck_assert_int_eq(fc_rename(client, ROOT, "d", file, "x", 0), ENOTDIR);
	ck_assert_int_eq(fc_create(client, file, "x", O_RDWR, 0644, &made, &made_fh), ENOTDIR);
	ck_assert_int_eq(fc_opendir(client, file, &made_fh), ENOTDIR);
	ck_assert_int_eq(fc_list(client, file, fh, 400, text, sizeof(text), NULL), ENOTDIR);
	ck_assert_int_eq(fc_read(client, directory, directory_fh, 0, 1, text, &n), EISDIR);
	ck_assert_int_eq(fc_write(client, directory, directory_fh, 0, "x", 1, 0), EISDIR);
	ck_assert_str_eq(host_read(&host, "f"), "x");
	/* The twins. */
	ck_assert_int_eq(fc_create(client, directory, "x", O_RDWR, 0644, &made, &made_fh), 0);
	ck_assert_int_eq(fc_list(client, directory, directory_fh, 400, text, sizeof(text), NULL),
			 0);
	ck_assert_ptr_nonnull(strstr(text, "x\n"));
	ck_assert_int_eq(fc_read(client, file, fh, 0, 1, text, &n), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(unknown_requests_are_not_implemented)
{
	static const uint32_t unknown[] = {0,
					   7,
					   FUSE_ACCESS,
					   FUSE_BMAP,
					   FUSE_IOCTL,
					   FUSE_POLL,
					   FUSE_NOTIFY_REPLY,
					   FUSE_SETUPMAPPING,
					   FUSE_REMOVEMAPPING,
					   53,
					   1000,
					   CUSE_INIT,
					   UINT32_MAX};
	size_t i;

	begin_fuse(NULL, false);
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		ck_assert_int_eq(fc_call(client, unknown[i], ROOT, NULL, 0), ENOSYS);
		ck_assert_int_eq(fc_call(client, unknown[i], UINT64_MAX, "12345678", 8), ENOSYS);
	}
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, ROOT, NULL, 0), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(replies_stay_within_their_room)
{
	static char text[4096];
	uint64_t node, fh, directory, directory_fh;
	struct fuse_attr attr;
	size_t room, n;

	begin_fuse(NULL, false);
	memset(text, 'x', sizeof(text) - 1);
	host_write(&host, "f", text);
	fh = opened("f", O_RDONLY, &node);
	directory = ROOT;
	ck_assert_int_eq(fc_opendir(client, directory, &directory_fh), 0);
	for (room = 1; room < 300; room++) {
		client->room = room;
		if (room < sizeof(struct fuse_out_header)) {
			ck_assert_int_eq(fc_getattr(client, node, &attr), FC_NONE);
			continue;
		}
		ck_assert_int_eq(
			fc_getattr(client, node, &attr),
			room < sizeof(struct fuse_out_header) + sizeof(struct fuse_attr_out) ? EIO
											     : 0);
		ck_assert_int_eq(fc_read(client, node, fh, 0, sizeof(text), text, &n), 0);
		ck_assert_uint_eq(n, room - sizeof(struct fuse_out_header));
	}
	client->room = 0;
	/* A listing that does not fit has told of nothing. */
	fc_forget(client, node, 1);
	client->room = sizeof(struct fuse_out_header) + 160;
	n = fuse_stats().nodes;
	fc_list(client, directory, directory_fh, 4096, text, 8, &(unsigned){0});
	ck_assert_uint_eq(fuse_stats().nodes, n);
	client->room = 0;
	files_host_end(&host);
}
END_TEST

START_TEST(counts_beyond_the_message_are_cut_or_refused)
{
	static char text[20001];
	struct fuse_write_in in = {.size = 1000};
	uint64_t node, fh;
	size_t n;

	begin_fuse(NULL, false);
	memset(text, 'x', 20000);
	host_write(&host, "f", text);
	fh = opened("f", O_RDWR, &node);
	ck_assert_int_eq(fc_read(client, node, fh, 0, UINT32_MAX, text, &n), 0);
	ck_assert_uint_eq(n, 20000);
	ck_assert_int_eq(fc_read(client, node, fh, UINT64_MAX, 10, text, &n), EINVAL);
	ck_assert_int_eq(fc_read(client, node, fh, INT64_MAX, 10, text, &n), EINVAL);
	ck_assert_int_eq(fc_read(client, node, fh, 19999, 10, text, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(fc_write(client, node, fh, INT64_MAX, "x", 1, 0), EFBIG);
	ck_assert_int_eq(fc_write(client, node, fh, UINT64_MAX, "x", 1, 0), EFBIG);
	in.fh = fh;
	fc_begin(client, FUSE_WRITE, node);
	fc_bytes(client, &in, sizeof(in));
	fc_bytes(client, "short", 5);
	ck_assert_int_eq(fc_send(client), EINVAL);
	in.size = UINT32_MAX;
	fc_begin(client, FUSE_WRITE, node);
	fc_bytes(client, &in, sizeof(in));
	ck_assert_int_eq(fc_send(client), EINVAL);
	files_host_end(&host);
}
END_TEST

START_TEST(the_largest_write_and_one_byte_more)
{
	static char data[FUSED_DATA_MAX + 1];
	uint64_t node, fh;
	size_t n;

	begin_fuse(NULL, false);
	memset(data, 'y', sizeof(data));
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, data, FUSED_DATA_MAX, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, data, FUSED_DATA_MAX + 1, 0), EINVAL);
	memset(data, 0, sizeof(data));
	ck_assert_int_eq(fc_read(client, node, fh, 0, FUSED_DATA_MAX, data, &n), 0);
	ck_assert_uint_eq(n, FUSED_DATA_MAX);
	ck_assert(data[0] == 'y' && data[FUSED_DATA_MAX - 1] == 'y');
	files_host_end(&host);
}
END_TEST

START_TEST(offsets_of_listings_are_only_hints)
{
	static const uint64_t offsets[] = {1,	    2,		3,	    77,		  INT64_MAX,
					   1 << 30, 1ull << 40, 1ull << 62, INT64_MAX - 1};
	struct fuse_read_in in = {.size = 4096};
	char names[64];
	uint64_t fh;
	size_t i;
	int ret;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(fc_opendir(client, ROOT, &fh), 0);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		in.fh = fh;
		in.offset = offsets[i];
		ret = fc_call(client, FUSE_READDIRPLUS, ROOT, &in, sizeof(in));
		ck_assert_msg(ret == 0 || ret == EINVAL || ret == EIO, "%d", ret);
		in.fh = 1;
		ck_assert_int_eq(fc_call(client, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	}
	in.fh = fh;
	in.offset = UINT64_MAX;
	ck_assert_int_eq(fc_call(client, FUSE_READDIR, ROOT, &in, sizeof(in)), EINVAL);
	ck_assert_int_eq(fc_list(client, ROOT, fh, 4096, names, sizeof(names), NULL), 0);
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_bad", messages_cut_at_every_byte_are_refused, forged_numbers_are_refused,
	  a_file_is_no_directory_and_a_directory_no_file, unknown_requests_are_not_implemented,
	  replies_stay_within_their_room, counts_beyond_the_message_are_cut_or_refused,
	  the_largest_write_and_one_byte_more, offsets_of_listings_are_only_hints)
