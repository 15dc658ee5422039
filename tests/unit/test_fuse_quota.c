/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: how much a sandbox may make in its shares. */
#include <linux/falloc.h>

#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_quota_common.h"
#include "vmm/base/pack.h"

static int allocate(uint64_t node, uint64_t fh, uint32_t mode, uint64_t offset, uint64_t length)
{
	const struct fuse_fallocate_in in = {
		.fh = fh, .offset = offset, .length = length, .mode = mode};

	return fc_call(client, FUSE_FALLOCATE, node, &in, sizeof(in));
}

START_TEST(sizes_count_up_and_down)
{
	static char text[2 * FILES_QUOTA_BLOCK];
	uint64_t node, fh;

	begin_counting(10 * BLOCK, 10);
	fh = create("a", &node);
	counted(0, 1);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	counted(BLOCK, 1);
	ck_assert_int_eq(fc_write(client, node, fh, 0, text, BLOCK, 0), 0);
	counted(BLOCK, 1);
	ck_assert_int_eq(fc_write(client, node, fh, BLOCK, text, BLOCK + 1, 0), 0);
	counted(3 * BLOCK, 1);
	/* Holes count. */
	ck_assert_int_eq(fc_write(client, node, fh, 9 * BLOCK, text, BLOCK, 0), 0);
	counted(10 * BLOCK, 1);
	ck_assert_int_eq(fc_write(client, node, fh, 10 * BLOCK, "x", 1, 0), ENOSPC);
	counted(10 * BLOCK, 1);
	/* What is there already may be written. */
	ck_assert_int_eq(fc_write(client, node, fh, BLOCK, text, BLOCK, 0), 0);
	ck_assert_int_eq(resize(node, 10 * BLOCK + 1), ENOSPC);
	ck_assert_int_eq(resize(node, INT64_MAX), ENOSPC);
	ck_assert_int_eq(resize(node, 10 * BLOCK), 0);
	ck_assert_int_eq(resize(node, 4 * BLOCK + 1), 0);
	counted(5 * BLOCK, 1);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_try_open(client, "a", O_WRONLY | O_TRUNC), 0);
	counted(0, 1);
	/* A loop of growing and shrinking comes back to where it began. */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(resize(node, (uint64_t)(i % 10) * BLOCK + 5), 0);
		ck_assert_uint_eq(quota.bytes, (uint64_t)(i % 10 + 1) * BLOCK);
	}
	ck_assert_int_eq(resize(node, 0), 0);
	counted(0, 1);
	end_counting();
}
END_TEST

START_TEST(appending_counts_where_it_writes)
{
	static char text[FILES_QUOTA_BLOCK];
	uint64_t node, fh;

	begin_counting(2 * BLOCK, 10);
	fh = create("a", &node);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	fh = opened("a", O_WRONLY | O_APPEND, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, text, BLOCK, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, text, BLOCK, 0), 0);
	counted(2 * BLOCK, 1);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), ENOSPC);
	/* A page that was changed in memory is not appended. */
	ck_assert_int_eq(fc_write(client, node, fh, BLOCK, text, BLOCK, FUSE_WRITE_CACHE), 0);
	counted(2 * BLOCK, 1);
	end_counting();
}
END_TEST

START_TEST(room_and_copies_count)
{
	struct fuse_copy_file_range_in copy = {.len = 4 * BLOCK};
	uint64_t a, b, fh_a, fh_b;
	int ret;

	begin_counting(8 * BLOCK, 10);
	fh_a = create("a", &a);
	fh_b = create("b", &b);
	ck_assert_int_eq(allocate(a, fh_a, 0, 0, 9 * BLOCK), ENOSPC);
	ck_assert_int_eq(allocate(a, fh_a, 0, 0, 4 * BLOCK), 0);
	counted(4 * BLOCK, 2);
	ck_assert_int_eq(allocate(a, fh_a, FALLOC_FL_KEEP_SIZE, 4 * BLOCK, BLOCK), EOPNOTSUPP);
	ck_assert_int_eq(allocate(a, fh_a, FALLOC_FL_KEEP_SIZE, 0, 4 * BLOCK), 0);
	ck_assert_int_eq(
		allocate(a, fh_a, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, BLOCK, 9 * BLOCK), 0);
	counted(4 * BLOCK, 2);
	copy.fh_in = fh_a;
	copy.nodeid_out = b;
	copy.fh_out = fh_b;
	copy.off_out = BLOCK;
	ck_assert_int_eq(fc_call(client, FUSE_COPY_FILE_RANGE, a, &copy, sizeof(copy)), ENOSPC);
	counted(4 * BLOCK, 2);
	copy.off_out = 0;
	ret = fc_call(client, FUSE_COPY_FILE_RANGE, a, &copy, sizeof(copy));
	ck_assert_int_eq(ret, 0);
	counted(8 * BLOCK, 2);
	/* Without a limit there may be room beyond the end. */
	ck_assert_int_eq(fc_unlink(client, ROOT, "b"), 0);
	counted(8 * BLOCK, 1);
	ck_assert_int_eq(fc_release(client, b, fh_b), 0);
	counted(4 * BLOCK, 1);
	ck_assert_int_eq(fc_release(client, a, fh_a), 0);
	host.share.quota = NULL;
	fh_a = opened("a", O_RDWR, &a);
	ck_assert_int_eq(allocate(a, fh_a, FALLOC_FL_KEEP_SIZE, 4 * BLOCK, BLOCK), 0);
	ck_assert_int_eq(fc_release(client, a, fh_a), 0);
	end_counting();
}
END_TEST

START_TEST(names_count)
{
	uint64_t node, fh;

	begin_counting(FILES_QUOTA_NONE, 4);
	fh = create("a", &node);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", "x"), 0);
	ck_assert_int_eq(fc_link(client, ROOT, "hard", node), 0);
	counted(0, 4);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "e", 0755), ENOSPC);
	ck_assert_int_eq(fc_symlink(client, ROOT, "e", "x"), ENOSPC);
	ck_assert_int_eq(fc_mknod(client, ROOT, "e", S_IFREG | 0644), ENOSPC);
	ck_assert_int_eq(fc_link(client, ROOT, "e", node), ENOSPC);
	ck_assert_int_eq(fc_create(client, ROOT, "e", O_RDWR, 0644, NULL, NULL), ENOSPC);
	ck_assert(!host_has(&host, "e"));
	/* What exists may be opened so, and what fails costs nothing. */
	ck_assert_int_eq(fc_create(client, ROOT, "a", O_RDWR, 0644, NULL, NULL), 0);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "d"), 0);
	counted(0, 3);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "a", 0755), EEXIST);
	ck_assert_int_eq(fc_symlink(client, ROOT, "a", "x"), EEXIST);
	ck_assert_int_eq(fc_mknod(client, ROOT, "a", S_IFREG | 0644), EEXIST);
	ck_assert_int_eq(fc_link(client, ROOT, "a", node), EEXIST);
	ck_assert_int_eq(fc_create(client, ROOT, "a", O_RDWR | O_EXCL, 0644, NULL, NULL), EEXIST);
	ck_assert_int_eq(fc_unlink(client, ROOT, "none"), ENOENT);
	counted(0, 3);
	ck_assert_int_eq(fc_rename(client, ROOT, "s", ROOT, "t", 0), 0);
	counted(0, 3);
	ck_assert_int_eq(fc_rename(client, ROOT, "t", ROOT, "hard", 0), 0);
	counted(0, 2);
	ck_assert_int_eq(fc_unlink(client, ROOT, "hard"), 0);
	ck_assert_int_eq(fc_unlink(client, ROOT, "a"), 0);
	counted(0, 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	/* Another one of the host gives nothing beyond that. */
	host_write(&host, "f", "text");
	ck_assert_int_eq(fc_unlink(client, ROOT, "f"), 0);
	counted(0, 0);
	end_counting();
}
END_TEST

START_TEST(the_last_name_and_the_last_close_give_back)
{
	uint64_t node, fh, read;
	struct fuse_open_out out;

	begin_counting(4 * BLOCK, 10);
	fh = create("a", &node);
	ck_assert_int_eq(resize(node, 4 * BLOCK), 0);
	ck_assert_int_eq(fc_link(client, ROOT, "b", node), 0);
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &out), 0);
	read = out.fh;
	ck_assert_int_eq(fc_unlink(client, ROOT, "a"), 0);
	counted(4 * BLOCK, 1);
	ck_assert_int_eq(fc_unlink(client, ROOT, "b"), 0);
	counted(4 * BLOCK, 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	counted(4 * BLOCK, 0);
	ck_assert_int_eq(fc_release(client, node, read), 0);
	counted(0, 0);
	/* One that is replaced, open and not. */
	fh = create("a", &node);
	ck_assert_int_eq(resize(node, BLOCK), 0);
	create("b", &node);
	ck_assert_int_eq(resize(node, 2 * BLOCK), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "b", ROOT, "a", 0), 0);
	counted(3 * BLOCK, 1);
	ck_assert_int_eq(fc_release(client, node_of("a"), fh), 0);
	counted(2 * BLOCK, 1);
	host_write(&host, "c", "text");
	ck_assert_int_eq(fc_rename(client, ROOT, "a", ROOT, "c", RENAME_NOREPLACE), EEXIST);
	ck_assert_int_eq(fc_rename(client, ROOT, "a", ROOT, "c", RENAME_EXCHANGE), 0);
	counted(2 * BLOCK, 1);
	ck_assert_int_eq(fc_rename(client, ROOT, "a", ROOT, "c", 0), 0);
	/* It is still open. */
	counted(2 * BLOCK, 0);
	end_counting();
}
END_TEST

START_TEST(a_file_without_a_name_counts_while_it_is_open)
{
	const struct fuse_create_in in = {.flags = O_RDWR | O_TMPFILE, .mode = 0644};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int i;

	begin_counting(2 * BLOCK, 10);
	for (i = 0; i < 2; i++) {
		fc_begin(client, FUSE_TMPFILE, ROOT);
		fc_bytes(client, &in, sizeof(in));
		fc_string(client, "");
		ck_assert_int_eq(fc_send(client), 0);
		ck_assert_int_eq(fc_take(client, &out, sizeof(out)), 0);
		counted(0, 0);
		ck_assert_int_eq(fc_write(client, out.entry.nodeid, out.open.fh, BLOCK, "x", 1, 0),
				 0);
		counted(2 * BLOCK, 0);
		if (i > 0)
			ck_assert_int_eq(fc_link(client, ROOT, "a", out.entry.nodeid), 0);
		ck_assert_int_eq(fc_release(client, out.entry.nodeid, out.open.fh), 0);
		counted(i > 0 ? 2 * BLOCK : 0, i > 0);
	}
	ck_assert_int_eq(fc_unlink(client, ROOT, "a"), 0);
	counted(0, 0);
	end_counting();
}
END_TEST

START_TEST(attributes_count)
{
	static char value[3000];
	uint64_t node, fh;

	begin_counting(BLOCK, 10);
	fh = create("a", &node);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	if (setxattr(host_path(&host, "a"), "user.x", "", 0, 0) == 0) {
		removexattr(host_path(&host, "a"), "user.x");
		ck_assert_int_eq(fc_set_xattr(client, node, "user.a", value, 3000, 0), 0);
		counted(3006, 1);
		ck_assert_int_eq(fc_set_xattr(client, node, "user.b", value, 3000, 0), ENOSPC);
		ck_assert_int_eq(fc_set_xattr(client, node, "user.a", value, 100, 0), 0);
		counted(106, 1);
		ck_assert_int_eq(fc_set_xattr(client, node, "user.a", value, 10, XATTR_CREATE),
				 EEXIST);
		ck_assert_int_eq(fc_set_xattr(client, node, "user.b", value, 100, 0), 0);
		counted(212, 1);
		ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, node, "user.b", 7), 0);
		ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, node, "user.b", 7), ENODATA);
		counted(106, 1);
		ck_assert_int_eq(fc_unlink(client, ROOT, "a"), 0);
		counted(0, 0);
	}
	end_counting();
}
END_TEST

START_TEST(the_file_system_shows_what_is_left)
{
	struct fuse_statfs_out before, after;
	uint64_t node;

	begin_counting(FILES_QUOTA_NONE, FILES_QUOTA_NONE);
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, ROOT, NULL, 0), 0);
	ck_assert_int_eq(fc_take(client, &before, sizeof(before)), 0);
	create("a", &node);
	ck_assert_int_eq(resize(node, 4 * BLOCK), 0);
	quota.bytes_max = 1 << 20;
	quota.files_max = 11;
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, ROOT, NULL, 0), 0);
	ck_assert_int_eq(fc_take(client, &after, sizeof(after)), 0);
	ck_assert_uint_eq(after.st.bavail * after.st.frsize, (1 << 20) - 4 * BLOCK);
	if (after.st.files)
		ck_assert_uint_eq(after.st.ffree, 10);
	ck_assert_uint_le(after.st.blocks, before.st.blocks);
	/* A limit below what there is: nothing more. */
	quota.bytes_max = quota.files_max = 0;
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, ROOT, NULL, 0), 0);
	ck_assert_int_eq(fc_take(client, &after, sizeof(after)), 0);
	ck_assert_uint_eq(after.st.bfree, 0);
	ck_assert_int_eq(resize(node, 5 * BLOCK), ENOSPC);
	ck_assert_int_eq(resize(node, 3 * BLOCK), 0);
	end_counting();
}
END_TEST

START_TEST(a_copy_of_the_session_counts_on)
{
	struct pack saved = {.data = NULL};
	struct fuse_session *session;
	struct unpack from;
	uint64_t node;

	begin_counting(4 * BLOCK, 2);
	create("a", &node);
	ck_assert_int_eq(resize(node, 3 * BLOCK), 0);
	fuse_session_save(client->session, &saved);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	fuse_session_destroy(client->session);
	quota.bytes = quota.files = 0;
	ck_assert_int_eq(fuse_session_create(&session, NULL), 0);
	client->session = session;
	ck_assert_int_eq(fuse_session_add(session, "0", &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(fuse_session_restore(session, &from), 0);
	ck_assert(unpack_done(&from));
	fuse_session_reopen(session);
	counted(3 * BLOCK, 1);
	ck_assert_int_eq(resize(node, 5 * BLOCK), ENOSPC);
	ck_assert_int_eq(resize(node, 4 * BLOCK), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "b", 0755), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "c", 0755), ENOSPC);
	pack_free(&saved);
	end_counting();
}
END_TEST

UNIT_MAIN("fuse_quota", sizes_count_up_and_down, appending_counts_where_it_writes,
	  room_and_copies_count, names_count, the_last_name_and_the_last_close_give_back,
	  a_file_without_a_name_counts_while_it_is_open, attributes_count,
	  the_file_system_shows_what_is_left, a_copy_of_the_session_counts_on)
