/* SPDX-License-Identifier: Apache-2.0 */
/* The file server without a policy: every request in its ordinary use, seen from the host as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "tests/unit/files_common.h"

START_TEST(a_file_is_created_written_read_and_closed)
{
	char text[64];
	size_t n;

	files_host_begin(&host, NULL, false);
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	ck_assert_int_eq(p9c_create(client, 2, "new", P9_RDWR, 0640), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "hello world", 11, &n), 0);
	ck_assert_uint_eq(n, 11);
	ck_assert_int_eq(p9c_write(client, 2, 6, "share", 5, &n), 0);
	ck_assert_int_eq(p9c_read(client, 2, 6, 100, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_mem_eq(text, "share", 5);
	ck_assert_int_eq(p9c_read(client, 2, 11, 100, text, &n), 0);
	ck_assert_uint_eq(n, 0);
	p9c_begin(client, P9_TFSYNC);
	p9c_u32(client, 2);
	p9c_u32(client, 1);
	ck_assert_int_eq(p9c_send(client), 0);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_str_eq(host_read(&host, "new"), "hello share");
	ck_assert_int_eq(p9c_cat(client, "new", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "hello share");
	files_host_end(&host);
}
END_TEST

START_TEST(open_flags_do_what_they_say)
{
	char text[64];
	size_t n;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "0123456789");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_WRONLY | P9_APPEND), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "ab", 2, &n), 0);
	ck_assert_str_eq(host_read(&host, "f"), "0123456789ab");
	ck_assert_int_eq(p9c_read(client, 2, 0, 4, text, &n), EBADF);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "ab", 2, &n), EBADF);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(p9c_try_open(client, "f", P9_WRONLY | P9_TRUNC), 0);
	ck_assert_str_eq(host_read(&host, "f"), "");
	ck_assert_int_eq(p9c_try_open(client, "f", P9_RDONLY | P9_DIRECTORY), ENOTDIR);
	ck_assert_int_eq(p9c_try_open(client, "", P9_RDWR), EISDIR);
	ck_assert_int_eq(p9c_try_open(client, "f", 3), EINVAL);
	/* Create: what is there is opened, or with O_EXCL refused. */
	host_write(&host, "f", "there");
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	ck_assert_int_eq(p9c_create(client, 2, "f", P9_RDWR | P9_EXCL, 0644), EEXIST);
	ck_assert_int_eq(p9c_create(client, 2, "f", P9_RDWR, 0644), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), EINVAL);
	files_host_end(&host);
}
END_TEST

START_TEST(directories_are_made_listed_and_removed)
{
	static char names[200000];
	char name[32];
	int i;

	files_host_begin(&host, NULL, false);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "d", 0750), 0);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "d", 0750), EEXIST);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d/entry-%d", i);
		host_write(&host, name, "");
	}
	ck_assert_int_eq(p9c_ls(client, "d", names, sizeof(names)), 0);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "entry-%d\n", i);
		ck_assert_ptr_nonnull(strstr(names, name));
	}
	ck_assert_ptr_nonnull(strstr(names, "..\n"));
	/* As few bytes as hold one name, again and again. */
	ck_assert_int_eq(p9c_go(client, "d", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_list(client, 2, 40, names, sizeof(names)), 0);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "entry-%d\n", i);
		ck_assert_ptr_nonnull(strstr(names, name));
	}
	ck_assert_int_eq(p9c_list(client, 2, 10, names, sizeof(names)), EINVAL);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "d", P9_REMOVEDIR), ENOTEMPTY);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "d", 0), EISDIR);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "empty", 0755), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "empty", P9_REMOVEDIR), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "empty", P9_REMOVEDIR), ENOENT);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "d", 1), EINVAL);
	files_host_end(&host);
}
END_TEST

START_TEST(links_of_both_kinds)
{
	struct p9_attributes attributes;
	char target[64];

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, "s", "../secret"), 0);
	ck_assert_int_eq(p9c_go(client, "s", 2), 0);
	ck_assert_int_eq(p9c_readlink(client, 2, target, sizeof(target)), 0);
	ck_assert_str_eq(target, "../secret");
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_uint_eq(attributes.type, P9_QID_SYMLINK);
	ck_assert_uint_eq(attributes.mode & S_IFMT, S_IFLNK);
	/* It is the guest that follows links: not we. */
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), ELOOP);
	ck_assert_int_eq(p9c_go(client, "s/x", 3), ENOENT);
	ck_assert_int_eq(p9c_go(client, "f", 3), 0);
	ck_assert_int_eq(p9c_readlink(client, 3, target, sizeof(target)), EINVAL);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 3, "hard"), 0);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 3, "hard"), EEXIST);
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), 0);
	ck_assert_uint_eq(attributes.nlink, 2);
	ck_assert_str_eq(host_read(&host, "hard"), "x");
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, P9C_ROOT, "hard-directory"), EPERM);
	/* A symbolic link to a link is a second name of the link. */
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 2, "s2"), 0);
	ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, "s", "again"), EEXIST);
	files_host_end(&host);
}
END_TEST

START_TEST(fids_follow_the_guests_renames)
{
	char text[64];
	size_t n;

	files_host_begin(&host, NULL, false);
	host_mkdir(&host, "a");
	host_mkdir(&host, "a/b");
	host_write(&host, "a/b/f", "deep");
	host_write(&host, "other", "other");
	ck_assert_int_eq(p9c_go(client, "a/b/f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "a", 3), 0);
	ck_assert_int_eq(p9c_rename(client, 3, P9C_ROOT, "renamed-and-longer"), 0);
	ck_assert(host_has(&host, "renamed-and-longer/b/f"));
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "deep", 4);
	ck_assert_int_eq(p9c_renameat(client, 3, "b", P9C_ROOT, "b"), 0);
	ck_assert_int_eq(p9c_go(client, "b/f", 4), 0);
	ck_assert_int_eq(p9c_go(client, "renamed-and-longer/b", 5), ENOENT);
	/* What was at the new name is gone for its fids; an open file is still there. */
	ck_assert_int_eq(p9c_go(client, "other", 5), 0);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "other", 3, "g"), 0);
	ck_assert_int_eq(p9c_renameat(client, 3, "g", P9C_ROOT, "b"), EISDIR);
	ck_assert_int_eq(p9c_go(client, "b", 6), 0);
	ck_assert_int_eq(p9c_renameat(client, 3, "g", 6, "f"), 0);
	ck_assert_int_eq(p9c_cat(client, "b/f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "other");
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "deep", 4);
	ck_assert_int_eq(p9c_open(client, 4, P9_RDONLY), ENOENT);
	ck_assert_int_eq(p9c_open(client, 5, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 5, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "other", 5);
	/* The root stays, and nothing goes into itself. */
	ck_assert_int_eq(p9c_rename(client, P9C_ROOT, 6, "root"), EBUSY);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "b", 6, "b"), EINVAL);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "nothing", 6, "b"), ENOENT);
	files_host_end(&host);
}
END_TEST

START_TEST(renaming_one_of_two_names_of_a_file_keeps_both)
{
	files_host_begin(&host, NULL, false);
	host_write(&host, "a", "x");
	ck_assert_int_eq(link(host_path(&host, "a"), host_path(&host, "b")), 0);
	ck_assert_int_eq(p9c_go(client, "a", 2), 0);
	ck_assert_int_eq(p9c_go(client, "b", 3), 0);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "a", P9C_ROOT, "b"), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_removed_file_lives_on_in_its_open_fids)
{
	struct p9_attributes attributes;
	char text[64];
	size_t n;

	files_host_begin(&host, NULL, false);
	host_write(&host, "tmp", "temporary");
	ck_assert_int_eq(p9c_go(client, "tmp", 2), 0);
	ck_assert_int_eq(p9c_go(client, "tmp", 3), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "tmp", 0), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 20, text, &n), 0);
	ck_assert_uint_eq(n, 9);
	/* The kernel's request has the fid of the name, which is not the open one. */
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), 0);
	ck_assert_uint_eq(attributes.nlink, 0);
	ck_assert_uint_eq(attributes.size, 9);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_SIZE, 0, 4), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 20, text, &n), 0);
	ck_assert_uint_eq(n, 4);
	/* A new file of that name is another one. */
	host_write(&host, "tmp", "new");
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), 0);
	ck_assert_uint_eq(attributes.size, 4);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), ENOENT);
	ck_assert_int_eq(p9c_remove(client, 3), ENOENT);
	ck_assert_str_eq(host_read(&host, "tmp"), "new");
	ck_assert_int_eq(p9c_go(client, "tmp", 3), 0);
	ck_assert_int_eq(p9c_remove(client, 3), 0);
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), EBADF);
	ck_assert(!host_has(&host, "tmp"));
	ck_assert_int_eq(p9c_remove(client, P9C_ROOT), EBUSY);
	files_host_end(&host);
}
END_TEST

/* Without a name there is nothing to ask the policy about: an open file stays what it was opened
 * for. */
START_TEST(a_removed_file_is_changed_only_as_it_was_opened)
{
	static const struct {
		uint32_t flags;
		int size, times;
	} opens[] = {
		{P9_RDWR, 0, 0},
		{P9_WRONLY, 0, 0},
		{P9_WRONLY | P9_APPEND, EACCES, 0},
		{P9_RDONLY, EACCES, EACCES},
	};
	char name[8];
	size_t i;

	files_host_begin(&host, NULL, false);
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		host_write(&host, name, "contents");
		ck_assert_int_eq(p9c_go(client, name, 2), 0);
		ck_assert_int_eq(p9c_go(client, name, 3), 0);
		ck_assert_int_eq(p9c_open(client, 2, opens[i].flags), 0);
		ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, name, 0), 0);
		ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, 4), opens[i].size);
		ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_SIZE, 0, 3), opens[i].size);
		ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_MODE, 0600, 0), opens[i].times);
		ck_assert_int_eq(p9c_clunk(client, 2), 0);
		ck_assert_int_eq(p9c_clunk(client, 3), 0);
	}
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files", a_file_is_created_written_read_and_closed, open_flags_do_what_they_say,
	  directories_are_made_listed_and_removed, links_of_both_kinds,
	  fids_follow_the_guests_renames, renaming_one_of_two_names_of_a_file_keeps_both,
	  a_removed_file_lives_on_in_its_open_fids, a_removed_file_is_changed_only_as_it_was_opened)
