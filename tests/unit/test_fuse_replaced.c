/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE server: a policy is replaced, and open files are not, or not only, where they were
 * opened.
 */
#include "tests/unit/fuse_common.h"

static const char narrow[] = "file deny /w/linked\nfile deny /w/d/moved\nfile write /w/**\n";

static uint64_t node, fh;

static int write_it(void)
{
	return fc_write(client, node, fh, 0, "x", 1, 0);
}

static int set_attributes(uint64_t at, uint32_t valid, uint64_t handle)
{
	const struct fuse_setattr_in in = {
		.valid = valid | (handle ? FATTR_FH : 0), .fh = handle, .mode = 0600};

	return fc_call(client, FUSE_SETATTR, at, &in, sizeof(in));
}

/* What a guest may do with an open file that it may not read or write any more: nothing. */
static void unusable(void)
{
	const struct fuse_fallocate_in room = {.fh = fh, .length = 1};
	const struct fuse_lseek_in seek = {.fh = fh, .whence = SEEK_DATA};
	struct fuse_file_lock lock;
	char text[8];
	size_t n;

	ck_assert_int_eq(write_it(), EACCES);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, FUSE_WRITE_CACHE), EACCES);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), EACCES);
	ck_assert_int_eq(fc_call(client, FUSE_FALLOCATE, node, &room, sizeof(room)), EACCES);
	ck_assert_int_eq(fc_call(client, FUSE_LSEEK, node, &seek, sizeof(seek)), EACCES);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 1, 0), EACCES);
	ck_assert_int_eq(fc_getlk(client, node, fh, 1, F_WRLCK, &lock), EACCES);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_UNLCK, 0, 1, 0), 0);
}

static void usable(void)
{
	struct fuse_file_lock lock;
	char text[8];
	size_t n;

	ck_assert_int_eq(write_it(), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 1, 0), 0);
	ck_assert_int_eq(fc_getlk(client, node, fh, 1, F_WRLCK, &lock), 0);
}

/* Its name was removed and it has another one: no rule about that name can be asked for. */
START_TEST(a_file_under_an_unknown_name_is_not_used)
{
	uint64_t gone, gone_fh;
	struct fuse_attr attr;

	begin_ruled(ruled, false);
	host_write(&host, "g", "g");
	fh = opened("d/f", O_RDWR, &node);
	gone_fh = opened("g", O_RDWR, &gone);
	ck_assert_int_eq(fc_link(client, ROOT, "linked", node), 0);
	ck_assert_int_eq(fc_unlink(client, node_of("d"), "f"), 0);
	ck_assert_int_eq(fc_unlink(client, ROOT, "g"), 0);
	usable();
	ck_assert_int_eq(set_attributes(node, FATTR_SIZE, fh), 0);
	files_host_replace(&host, narrow);
	unusable();
	ck_assert_int_eq(set_attributes(node, FATTR_SIZE, fh), EACCES);
	ck_assert_int_eq(set_attributes(node, FATTR_SIZE, 0), EACCES);
	ck_assert_int_eq(set_attributes(node, FATTR_MODE, fh), EACCES);
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	/* One without any name is reached by this open file alone. */
	ck_assert_int_eq(fc_write(client, gone, gone_fh, 0, "x", 1, 0), 0);
	ck_assert_int_eq(set_attributes(gone, FATTR_SIZE, gone_fh), 0);
	/* The last name of the other one is removed, too. */
	ck_assert_int_eq(unlink(host_path(&host, "linked")), 0);
	usable();
	end_ruled();
}
END_TEST

/* The name is there again, and it is that of the same file: it may be used as the rules say now. */
START_TEST(a_file_that_was_linked_back_needs_a_new_open)
{
	struct fuse_open_out out;

	begin_ruled(ruled, false);
	fh = opened("d/f", O_RDWR, &node);
	ck_assert_int_eq(fc_link(client, ROOT, "linked", node), 0);
	ck_assert_int_eq(fc_unlink(client, node_of("d"), "f"), 0);
	ck_assert_int_eq(fc_link(client, node_of("d"), "f", node_of("linked")), 0);
	usable();
	files_host_replace(&host, narrow);
	unusable();
	ck_assert_int_eq(fc_open(client, node_of("d/f"), O_RDWR, &out), 0);
	ck_assert_int_eq(fc_open(client, node_of("linked"), O_RDWR, &out), EACCES);
	end_ruled();
}
END_TEST

/* Another root of the session, whose directory is in this one. */
START_TEST(what_moves_by_another_root_is_seen)
{
	struct files_share_config config = {.guest = "/w/d", .id_base = 100000};
	struct err err = {.text = ""};
	struct fuse_entry_out entry;
	struct files_share inner;
	uint64_t other, other_fh;

	begin_ruled(ruled, false);
	host_write(&host, "d/stays", "stays");
	config.host = host_path(&host, "d");
	config.guard = host.guard;
	ck_assert_int_eq(files_share_open(&inner, &config, &err), 0);
	ck_assert_int_eq(fuse_session_add(client->session, "1", &inner, FUSED_STRICT), 0);
	fh = opened("d/f", O_RDWR, &node);
	other_fh = opened("d/stays", O_RDWR, &other);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "1", &entry), 0);
	ck_assert_int_eq(fc_rename(client, entry.nodeid, "f", entry.nodeid, "moved", 0), 0);
	usable();
	files_host_replace(&host, narrow);
	unusable();
	ck_assert_int_eq(fc_write(client, other, other_fh, 0, "x", 1, 0), 0);
	/* Another file at the place changes nothing. */
	host_write(&host, "d/f", "new");
	unusable();
	ck_assert_int_eq(set_attributes(node, FATTR_SIZE, fh), EACCES);
	ck_assert_str_eq(host_read(&host, "d/f"), "new");
	ck_assert_int_eq(fuse_session_remove(client->session, "1"), 0);
	files_share_close(&inner);
	end_ruled();
}
END_TEST

START_TEST(a_listing_of_a_directory_elsewhere_ends)
{
	uint64_t d, directory, gone, gone_fh;
	char names[400], old[512];

	begin_ruled(ruled, false);
	host_mkdir(&host, "d/gone");
	d = node_of("d");
	gone = node_of("d/gone");
	ck_assert_int_eq(fc_opendir(client, d, &directory), 0);
	ck_assert_int_eq(fc_opendir(client, gone, &gone_fh), 0);
	ck_assert_int_eq(rmdir(host_path(&host, "d/gone")), 0);
	snprintf(old, sizeof(old), "%s", host_path(&host, "d"));
	ck_assert_int_eq(rename(old, host_path(&host, "elsewhere")), 0);
	files_host_replace(&host, "file deny /w/elsewhere/**\nfile write /w/**\n");
	ck_assert_int_eq(fc_list(client, d, directory, 400, names, sizeof(names), NULL), EACCES);
	/* As the host's kernel says of a directory that is removed. */
	ck_assert_int_eq(fc_list(client, gone, gone_fh, 400, names, sizeof(names), NULL), ENOENT);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_replaced", a_file_under_an_unknown_name_is_not_used,
	  a_file_that_was_linked_back_needs_a_new_open, what_moves_by_another_root_is_seen,
	  a_listing_of_a_directory_elsewhere_ends)
