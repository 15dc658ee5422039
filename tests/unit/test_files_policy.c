/* SPDX-License-Identifier: Apache-2.0 */
/* The file server under rules: every way to a path that is denied, with a twin that is allowed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "tests/unit/files_policy_common.h"

START_TEST(verdicts_open_what_they_say)
{
	struct p9_attributes attributes;

	begin(rules, false);
	ck_assert_int_eq(p9c_try_open(client, "denied/f", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "denied/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "denied", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_stat(client, "denied/f", &attributes), 0);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDWR), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDONLY | P9_TRUNC), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY | P9_APPEND | P9_TRUNC), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY | P9_APPEND), 0);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDWR | P9_TRUNC), 0);
	end();
}
END_TEST

START_TEST(append_access_cannot_overwrite)
{
	size_t n;

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "log/f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR | P9_APPEND), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "more", 4, &n), 0);
	ck_assert_str_eq(host_read(&host, "log/f"), "logmore");
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, 0), EACCES);
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_MODE, 0777, 0), EACCES);
	ck_assert_int_eq(p9c_go(client, "log", 3), 0);
	ck_assert_int_eq(p9c_unlink(client, 3, "f", 0), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 3, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 2, "g"), EACCES);
	ck_assert_int_eq(p9c_mkdir(client, 3, "new", 0755), 0);
	ck_assert_int_eq(p9c_create(client, 3, "made", P9_WRONLY | P9_APPEND, 0644), 0);
	ck_assert_int_eq(p9c_write(client, 3, 0, "a", 1, &n), 0);
	ck_assert_int_eq(p9c_write(client, 3, 0, "b", 1, &n), 0);
	ck_assert_str_eq(host_read(&host, "log/made"), "ab");
	end();
}
END_TEST

START_TEST(what_is_hidden_does_not_exist)
{
	struct p9_attributes attributes;
	char names[400];

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, ".env", 2), ENOENT);
	ck_assert_int_eq(p9c_go(client, "d/.env", 2), ENOENT);
	ck_assert_int_eq(p9c_go(client, ".nothing", 2), ENOENT); /* it looks the same */
	ck_assert_int_eq(p9c_stat(client, ".env", &attributes), ENOENT);
	ck_assert_int_eq(p9c_ls(client, "d", names, sizeof(names)), 0);
	ck_assert_ptr_null(strstr(names, ".env"));
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, ".env", 0), ENOENT);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, ".env", P9C_ROOT, "g"), ENOENT);
	/* Creating it is refused with the same error, whether it exists or not. */
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, ".env", 0755), EACCES);
	ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, ".env", "x"), EACCES);
	ck_assert_int_eq(p9c_go(client, "log", 3), 0);
	ck_assert_int_eq(p9c_mkdir(client, 3, ".env", 0755), EACCES);
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	ck_assert_int_eq(p9c_create(client, 2, ".env", P9_RDWR, 0644), EACCES);
	ck_assert_int_eq(p9c_create(client, 3, ".env", P9_RDWR | P9_EXCL, 0644), EACCES);
	ck_assert_int_eq(p9c_go(client, "f", 4), 0);
	ck_assert_int_eq(p9c_rename(client, 4, P9C_ROOT, ".env"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 4, ".env"), EACCES);
	ck_assert_int_eq(p9c_rename(client, 4, P9C_ROOT, ".envy"), 0);
	end();
}
END_TEST

START_TEST(both_ends_of_renames_and_links_count)
{
	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "denied", 2), 0);
	ck_assert_int_eq(p9c_go(client, "read", 3), 0);
	ck_assert_int_eq(p9c_go(client, "d", 4), 0);
	ck_assert_int_eq(p9c_renameat(client, 2, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 3, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", 2, "f"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", 3, "g"), EACCES);
	ck_assert_int_eq(p9c_go(client, "denied/f", 5), 0);
	ck_assert_int_eq(p9c_go(client, "read/f", 6), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 7), 0);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 5, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 6, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, 2, 7, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, 3, 7, "g"), EACCES);
	ck_assert_int_eq(p9c_symlink(client, 3, "s", "../denied/f"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 7, "g"), 0);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", P9C_ROOT, "h"), 0);
	end();
}
END_TEST

START_TEST(directories_move_only_between_places_with_equal_rules)
{
	begin("file read   /w/project/.git/hooks/**\n"
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
	ck_assert_int_eq(p9c_go(client, "project", 2), 0);
	/* Away from its rule, and into the place of a rule: copied instead, entry by entry. */
	ck_assert_int_eq(p9c_renameat(client, 2, ".git", 2, "git"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "project", P9C_ROOT, "other"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "fake", 2, ".git"), EXDEV);
	/* A file too: it could turn into a directory at the last moment. */
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "f", 2, ".git"), EXDEV);
	ck_assert(host_has(&host, "project/.git/hooks/run"));
	ck_assert(host_has(&host, "fake"));
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "plain", 2, "plain"), 0);
	ck_assert_int_eq(p9c_go(client, "project/plain/.env", 3), ENOENT);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "fake", P9C_ROOT, "fake2"), 0);
	end();
}
END_TEST

START_TEST(a_read_only_share_overrides_the_rules)
{
	char text[16];

	begin(rules, true);
	ck_assert_int_eq(p9c_cat(client, "d/f", text, sizeof(text)), 0);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_WRONLY), EROFS);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDONLY | P9_TRUNC), EROFS);
	ck_assert_int_eq(p9c_go(client, "d", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 3), 0);
	ck_assert_int_eq(p9c_mkdir(client, 2, "x", 0755), EROFS);
	ck_assert_int_eq(p9c_symlink(client, 2, "x", "y"), EROFS);
	ck_assert_int_eq(p9c_link(client, 2, 3, "x"), EROFS);
	ck_assert_int_eq(p9c_rename(client, 3, 2, "x"), EROFS);
	ck_assert_int_eq(p9c_renameat(client, 2, "f", 2, "x"), EROFS);
	ck_assert_int_eq(p9c_unlink(client, 2, "f", 0), EROFS);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_MODE, 0777, 0), EROFS);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_SIZE, 0, 0), EROFS);
	p9c_begin(client, P9_TXATTRCREATE);
	p9c_u32(client, 3);
	p9c_string(client, "user.x");
	p9c_u64(client, 0);
	p9c_u32(client, 0);
	ck_assert_int_eq(p9c_send(client), EROFS);
	ck_assert_int_eq(p9c_remove(client, 3), EROFS);
	ck_assert_int_eq(p9c_create(client, 2, "x", P9_RDWR, 0644), EROFS);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, ".env", 0), ENOENT);
	ck_assert_str_eq(host_read(&host, "d/f"), "d");
	ck_assert(!host_has(&host, "d/x"));
	end();
}
END_TEST

START_TEST(without_a_rule_nothing_opens)
{
	struct p9_attributes attributes;

	begin("file write /w/elsewhere/**\n", false);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "x", 0755), EACCES);
	ck_assert_int_eq(p9c_stat(client, "d/f", &attributes), 0);
	end();
}
END_TEST

START_TEST(a_new_policy_applies_to_existing_fids)
{
	size_t n;

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "d/f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDWR), 0);
	files_host_replace(&host, "file hide /w/d\nfile read /w/**\n");
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), ENOENT);
	ck_assert_int_eq(p9c_write(client, 3, 0, "x", 1, &n), EACCES);
	ck_assert_int_eq(p9c_read(client, 3, 0, 1, (char[1]){0}, &n), EACCES);
	files_host_replace(&host, rules);
	ck_assert_int_eq(p9c_write(client, 3, 0, "x", 1, &n), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	end();
}
END_TEST

UNIT_MAIN("files_policy", verdicts_open_what_they_say, append_access_cannot_overwrite,
	  what_is_hidden_does_not_exist, both_ends_of_renames_and_links_count,
	  directories_move_only_between_places_with_equal_rules,
	  a_read_only_share_overrides_the_rules, without_a_rule_nothing_opens,
	  a_new_policy_applies_to_existing_fids)
