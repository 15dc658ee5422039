/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server under rules: every way to a path that is denied, with a twin that is allowed. */
#include "tests/unit/fuse_common.h"

START_TEST(verdicts_open_what_they_say)
{
	struct fuse_attr attr;

	begin_ruled(ruled, false);
	ck_assert_int_eq(fc_try_open(client, "denied/f", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "denied/f", O_WRONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "denied", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_stat(client, "denied/f", &attr), 0);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_RDONLY), 0);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_WRONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_RDWR), EACCES);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_RDONLY | O_TRUNC), EACCES);
	ck_assert_int_eq(fc_try_open(client, "log/f", O_RDONLY), 0);
	ck_assert_int_eq(fc_try_open(client, "log/f", O_WRONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "log/f", O_WRONLY | O_APPEND | O_TRUNC), EACCES);
	ck_assert_int_eq(fc_try_open(client, "log/f", O_WRONLY | O_APPEND), 0);
	ck_assert_int_eq(fc_try_open(client, "d/f", O_RDWR | O_TRUNC), 0);
	end_ruled();
}
END_TEST

static int allocate(uint64_t node, uint64_t fh, uint32_t mode, uint64_t offset, uint64_t length)
{
	const struct fuse_fallocate_in in = {
		.fh = fh, .mode = mode, .offset = offset, .length = length};

	return fc_call(client, FUSE_FALLOCATE, node, &in, sizeof(in));
}

START_TEST(append_access_cannot_overwrite)
{
	uint64_t node, fh, log, made;

	begin_ruled(ruled, false);
	fh = opened("log/f", O_RDWR | O_APPEND, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "more", 4, 0), 0);
	ck_assert_str_eq(host_read(&host, "log/f"), "logmore");
	ck_assert_int_eq(fc_write(client, node, fh, 0, "LOG", 3, FUSE_WRITE_CACHE), EACCES);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_SIZE, 0, 0), EACCES);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE, 0777, 0), EACCES);
	ck_assert_int_eq(allocate(node, fh, 3, 0, 3), EACCES);	  /* a hole */
	ck_assert_int_eq(allocate(node, fh, 0x10, 0, 3), EACCES); /* zeros */
	ck_assert_int_eq(allocate(node, fh, 1, 0, 3), 0);	  /* room */
	log = node_of("log");
	ck_assert_int_eq(fc_unlink(client, log, "f"), EACCES);
	ck_assert_int_eq(fc_rename(client, log, "f", ROOT, "g", 0), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, "g", node), EACCES);
	ck_assert_int_eq(fc_mkdir(client, log, "new", 0755), 0);
	ck_assert_int_eq(fc_create(client, log, "made", O_WRONLY | O_APPEND, 0644, &made, &fh), 0);
	ck_assert_int_eq(fc_write(client, made, fh, 0, "a", 1, 0), 0);
	ck_assert_int_eq(fc_write(client, made, fh, 0, "b", 1, 0), 0);
	ck_assert_str_eq(host_read(&host, "log/made"), "ab");
	ck_assert_str_eq(host_read(&host, "log/f"), "logmore");
	/* Where writing is allowed, a handle that appends can do the rest too. */
	fh = opened("d/f", O_RDWR | O_APPEND, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "D", 1, FUSE_WRITE_CACHE), 0);
	ck_assert_int_eq(allocate(node, fh, 3, 0, 1), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	end_ruled();
}
END_TEST

START_TEST(what_is_hidden_does_not_exist)
{
	struct fuse_entry_out entry;
	char names[400];
	uint64_t log, f, fh;
	unsigned told;

	begin_ruled(ruled, false);
	ck_assert_int_eq(fc_lookup(client, ROOT, ".env", &entry), ENOENT);
	ck_assert_int_eq(fc_lookup(client, node_of("d"), ".env", &entry), ENOENT);
	ck_assert_int_eq(fc_lookup(client, ROOT, ".nothing", &entry), ENOENT);
	ck_assert_int_eq(fc_ls(client, "d", names, sizeof(names)), 0);
	ck_assert_ptr_null(strstr(names, ".env"));
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	ck_assert_int_eq(fc_opendir(client, node_of("d"), &fh), 0);
	ck_assert_int_eq(fc_list(client, node_of("d"), fh, 400, names, sizeof(names), &told), 0);
	ck_assert_ptr_null(strstr(names, ".env"));
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(fc_unlink(client, ROOT, ".env"), ENOENT);
	ck_assert_int_eq(fc_rename(client, ROOT, ".env", ROOT, "g", 0), ENOENT);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, ".env", RENAME_EXCHANGE), ENOENT);
	/* Creating it is refused with the same error, whether it exists or not. */
	log = node_of("log");
	ck_assert_int_eq(fc_mkdir(client, ROOT, ".env", 0755), EACCES);
	ck_assert_int_eq(fc_mkdir(client, log, ".env", 0755), EACCES);
	ck_assert_int_eq(fc_mknod(client, ROOT, ".env", S_IFREG | 0644), EACCES);
	ck_assert_int_eq(fc_symlink(client, ROOT, ".env", "x"), EACCES);
	ck_assert_int_eq(fc_create(client, ROOT, ".env", O_RDWR, 0644, &f, &fh), EACCES);
	ck_assert_int_eq(fc_create(client, log, ".env", O_RDWR | O_EXCL, 0644, &f, &fh), EACCES);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, ".env", 0), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, ".env", node_of("f")), EACCES);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, ".envy", 0), 0);
	end_ruled();
}
END_TEST

START_TEST(both_ends_of_renames_and_links_count)
{
	const unsigned exchange = RENAME_EXCHANGE;
	uint64_t denied, read, d;

	begin_ruled(ruled, false);
	denied = node_of("denied");
	read = node_of("read");
	d = node_of("d");
	ck_assert_int_eq(fc_rename(client, denied, "f", ROOT, "g", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, read, "f", ROOT, "g", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, d, "f", denied, "f", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, d, "f", read, "g", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, d, "f", read, "f", exchange), EACCES);
	ck_assert_int_eq(fc_rename(client, denied, "f", d, "f", exchange), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, "g", node_of("denied/f")), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, "g", node_of("read/f")), EACCES);
	ck_assert_int_eq(fc_link(client, denied, "g", node_of("d/f")), EACCES);
	ck_assert_int_eq(fc_link(client, read, "g", node_of("d/f")), EACCES);
	ck_assert_int_eq(fc_symlink(client, read, "s", "../denied/f"), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, "g", node_of("d/f")), 0);
	ck_assert_int_eq(fc_rename(client, d, "f", ROOT, "h", 0), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, "h", exchange), 0);
	ck_assert_str_eq(host_read(&host, "f"), "d");
	end_ruled();
}
END_TEST

START_TEST(directories_move_only_between_places_with_equal_rules)
{
	uint64_t project;

	begin_ruled("file read   /w/project/.git/hooks/**\n"
		    "file hide   /w/**/.env\n"
		    "file write  /w/**\n",
		    false);
	host_mkdir(&host, "project");
	host_mkdir(&host, "project/.git");
	host_mkdir(&host, "project/.git/hooks");
	host_write(&host, "project/.git/hooks/run", "hook");
	host_mkdir(&host, "fake");
	host_mkdir(&host, "fake/hooks");
	host_write(&host, "fake/hooks/run", "evil");
	host_mkdir(&host, "plain");
	host_write(&host, "plain/.env", "moves along, still hidden");
	project = node_of("project");
	/* Away from its rule, and into the place of a rule: copied instead, entry by entry. */
	ck_assert_int_eq(fc_rename(client, project, ".git", project, "git", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "project", ROOT, "other", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "fake", project, ".git", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "fake", project, ".git", RENAME_EXCHANGE), EXDEV);
	ck_assert_int_eq(fc_rename(client, project, ".git", ROOT, "fake", RENAME_EXCHANGE), EXDEV);
	/* A file too: it could turn into a directory at the last moment. */
	ck_assert_int_eq(fc_rename(client, ROOT, "f", project, ".git", 0), EXDEV);
	ck_assert_str_eq(host_read(&host, "project/.git/hooks/run"), "hook");
	ck_assert(host_has(&host, "fake"));
	ck_assert_int_eq(fc_rename(client, ROOT, "plain", project, "plain", 0), 0);
	ck_assert_int_eq(fc_go(client, "project/plain/.env", &project), ENOENT);
	ck_assert_int_eq(fc_rename(client, ROOT, "fake", ROOT, "fake2", 0), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "fake2", ROOT, "f", RENAME_EXCHANGE), 0);
	end_ruled();
}
END_TEST

START_TEST(a_read_only_share_overrides_the_rules)
{
	uint64_t d, f, fh;
	char text[16];

	begin_ruled(ruled, true);
	ck_assert_int_eq(fc_cat(client, "d/f", text, sizeof(text)), 0);
	ck_assert_int_eq(fc_try_open(client, "d/f", O_WRONLY), EROFS);
	ck_assert_int_eq(fc_try_open(client, "d/f", O_RDONLY | O_TRUNC), EROFS);
	d = node_of("d");
	f = node_of("d/f");
	ck_assert_int_eq(fc_mkdir(client, d, "x", 0755), EROFS);
	ck_assert_int_eq(fc_mknod(client, d, "x", S_IFREG | 0644), EROFS);
	ck_assert_int_eq(fc_symlink(client, d, "x", "y"), EROFS);
	ck_assert_int_eq(fc_link(client, d, "x", f), EROFS);
	ck_assert_int_eq(fc_rename(client, d, "f", d, "x", 0), EROFS);
	ck_assert_int_eq(fc_rename(client, d, "f", ROOT, "f", RENAME_EXCHANGE), EROFS);
	ck_assert_int_eq(fc_unlink(client, d, "f"), EROFS);
	ck_assert_int_eq(fc_setattr(client, f, FATTR_MODE, 0777, 0), EROFS);
	ck_assert_int_eq(fc_setattr(client, f, FATTR_SIZE, 0, 0), EROFS);
	ck_assert_int_eq(fc_set_xattr(client, f, "user.x", "v", 1, 0), EROFS);
	ck_assert_int_eq(fc_create(client, d, "x", O_RDWR, 0644, &f, &fh), EROFS);
	ck_assert_int_eq(fc_unlink(client, ROOT, ".env"), ENOENT);
	ck_assert_str_eq(host_read(&host, "d/f"), "d");
	ck_assert(!host_has(&host, "d/x"));
	end_ruled();
}
END_TEST

START_TEST(without_a_rule_nothing_opens)
{
	struct fuse_attr attr;
	uint64_t fh;

	begin_ruled("file write /w/elsewhere/**\n", false);
	ck_assert_int_eq(fc_try_open(client, "d/f", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_opendir(client, ROOT, &fh), EACCES);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "x", 0755), EACCES);
	ck_assert_int_eq(fc_stat(client, "d/f", &attr), 0);
	end_ruled();
}
END_TEST

START_TEST(a_new_policy_applies_to_existing_nodes_and_open_files)
{
	uint64_t node, fh, d, directory;
	struct fuse_open_out open;
	char text[64];
	size_t n;

	begin_ruled(ruled, false);
	fh = opened("d/f", O_RDWR, &node);
	d = node_of("d");
	ck_assert_int_eq(fc_opendir(client, d, &directory), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), 0);
	files_host_replace(&host, "file hide /w/d\nfile read /w/**\n");
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), ENOENT);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), EACCES);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), EACCES);
	ck_assert_int_eq(fc_list(client, d, directory, 400, text, sizeof(text), NULL), EACCES);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_RDLCK, 0, 1, 0), EACCES);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_UNLCK, 0, 1, 0), 0);
	files_host_replace(&host, "file read /w/**\n");
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), EACCES);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), 0);
	files_host_replace(&host, "file append /w/**\n");
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), EACCES);
	files_host_replace(&host, ruled);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_RDLCK, 0, 1, 0), 0);
	end_ruled();
}
END_TEST

UNIT_MAIN("fuse_policy", verdicts_open_what_they_say, append_access_cannot_overwrite,
	  what_is_hidden_does_not_exist, both_ends_of_renames_and_links_count,
	  directories_move_only_between_places_with_equal_rules,
	  a_read_only_share_overrides_the_rules, without_a_rule_nothing_opens,
	  a_new_policy_applies_to_existing_nodes_and_open_files)
