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

static struct files_host host;
static struct p9_client *const client = &host.client;

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
	/* The kernel asks by the fid of the name, which is not the open one. */
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

START_TEST(attributes_are_shown_and_changed)
{
	struct p9_attributes attributes;
	struct stat stat_now;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "12345");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_uint_eq(attributes.mode, S_IFREG | 0644);
	ck_assert_uint_eq(attributes.uid, 100000); /* the monitor's user is the sandbox's root */
	ck_assert_uint_eq(attributes.gid, 100000);
	ck_assert_uint_eq(attributes.size, 5);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_uint_eq(attributes.path & 0xffffffff, stat_now.st_ino & 0xffffffff);
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_MODE, 07755, 0), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0755); /* no set-id bits */
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, 3), 0);
	ck_assert_str_eq(host_read(&host, "f"), "123");
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, UINT64_MAX), EINVAL);
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, 0, 0), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_int_eq(stat_now.st_mtim.tv_sec, 1002);
	ck_assert_int_eq(stat_now.st_mtim.tv_nsec, 1003);
	/* Setting the present owner works, another one does not. */
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_UID | P9_SETATTR_GID, 0, 0), 0);
	host.share.uid = 5;
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_UID, 0, 0), EPERM);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_uint_eq(attributes.uid, 100005);
	ck_assert_int_eq(p9c_setattr(client, 2, 1u << 20, 0, 0), EINVAL);
	ck_assert_int_eq(p9c_setattr(client, P9C_ROOT, P9_SETATTR_SIZE, 0, 0), EISDIR);
	ck_assert_int_eq(p9c_setattr(client, P9C_ROOT, P9_SETATTR_MODE, 01777, 0), 0);
	ck_assert_int_eq(stat(host.base, &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFDIR | 01777);
	files_host_end(&host);
}
END_TEST

START_TEST(set_id_bits_are_neither_shown_nor_made_nor_written_through)
{
	struct p9_attributes attributes;
	struct stat stat_now;

	files_host_begin(&host, NULL, false);
	host_write(&host, "suid", "program");
	ck_assert_int_eq(chmod(host_path(&host, "suid"), 06755), 0);
	ck_assert_int_eq(p9c_stat(client, "suid", &attributes), 0);
	ck_assert_uint_eq(attributes.mode, S_IFREG | 0755);
	ck_assert_int_eq(p9c_try_open(client, "suid", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(client, "suid", P9_WRONLY), EPERM);
	ck_assert_int_eq(p9c_try_open(client, "suid", P9_RDONLY | P9_TRUNC), EPERM);
	ck_assert_int_eq(p9c_go(client, "suid", 2), 0);
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, 0), EPERM);
	ck_assert_int_eq(chmod(host_path(&host, "suid"), 0755), 0);
	ck_assert_int_eq(p9c_try_open(client, "suid", P9_WRONLY), 0);
	ck_assert_int_eq(p9c_go(client, "", 3), 0);
	ck_assert_int_eq(p9c_create(client, 3, "made", P9_RDWR, 06755), 0);
	ck_assert_int_eq(stat(host_path(&host, "made"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0755);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "dir", 06755), 0);
	ck_assert_int_eq(stat(host_path(&host, "dir"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFDIR | 0755);
	files_host_end(&host);
}
END_TEST

static int set_xattr(const char *name, const char *value, size_t length, uint64_t size)
{
	size_t n;
	int ret;

	ck_assert_int_eq(p9c_go(client, "f", 5), 0);
	p9c_begin(client, P9_TXATTRCREATE);
	p9c_u32(client, 5);
	p9c_string(client, name);
	p9c_u64(client, size);
	p9c_u32(client, 0);
	ret = p9c_send(client);
	if (ret == 0 && length > 0)
		ret = p9c_write(client, 5, 0, value, length, &n);
	return ret ? (p9c_clunk(client, 5), ret) : p9c_clunk(client, 5);
}

static int get_xattr(const char *name, char *value, size_t *n)
{
	uint64_t size;
	int ret;

	ck_assert_int_eq(p9c_go(client, "f", 5), 0);
	p9c_begin(client, P9_TXATTRWALK);
	p9c_u32(client, 5);
	p9c_u32(client, 6);
	p9c_string(client, name);
	ret = p9c_send(client);
	size = ret == 0 ? unpack_u64(&client->in) : 0;
	if (ret == 0) {
		ck_assert_int_eq(p9c_read(client, 6, 0, 4096, value, n), 0);
		ck_assert_uint_eq(*n, size);
		ck_assert_int_eq(p9c_clunk(client, 6), 0);
	}
	p9c_clunk(client, 5);
	return ret;
}

START_TEST(extended_attributes_of_users_only)
{
	char value[4096], names[256];
	size_t n;
	ssize_t listed;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "");
	if (setxattr(host_path(&host, "f"), "user.test", "", 0, 0) < 0 && errno == EOPNOTSUPP) {
		fprintf(stderr, "no extended attributes on this file system: not tested\n");
		files_host_end(&host);
		return;
	}
	ck_assert_int_eq(set_xattr("user.color", "blue", 4, 4), 0);
	ck_assert_int_eq(get_xattr("user.color", value, &n), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(value, "blue", 4);
	ck_assert_int_eq(get_xattr("user.none", value, &n), ENODATA);
	/* Half a value, or more than was announced, is no value. */
	ck_assert_int_eq(set_xattr("user.half", "blue", 4, 9), EINVAL);
	ck_assert_int_eq(set_xattr("user.more", "blue", 4, 2), ENOSPC);
	ck_assert_int_eq(set_xattr("user.huge", "", 0, FILES_XATTR_MAX + 1), E2BIG);
	/* Others are the host's. */
	ck_assert_int_eq(set_xattr("security.capability", "blue", 4, 4), EOPNOTSUPP);
	ck_assert_int_eq(set_xattr("trusted.x", "blue", 4, 4), EOPNOTSUPP);
	ck_assert_int_eq(set_xattr("system.posix_acl_access", "blue", 4, 4), EOPNOTSUPP);
	ck_assert_int_eq(set_xattr("user.", "blue", 4, 4), EOPNOTSUPP);
	ck_assert_int_eq(get_xattr("security.capability", value, &n), EOPNOTSUPP);
	if (setxattr(host_path(&host, "f"), "trusted.hidden", "x", 1, 0) < 0)
		ck_assert_int_eq(errno, EPERM); /* not as root: then there is none to hide */
	ck_assert_int_eq(get_xattr("", value, &n), 0);
	ck_assert_ptr_null(memmem(value, n, "trusted", 7));
	ck_assert_ptr_nonnull(memmem(value, n, "user.color", 11));
	ck_assert_int_eq(set_xattr("user.color", "", 0, 0), 0);
	listed = listxattr(host_path(&host, "f"), names, sizeof(names));
	ck_assert_int_ge(listed, 0);
	ck_assert_ptr_null(memmem(names, (size_t)listed, "user.color", 10));
	files_host_end(&host);
}
END_TEST

static int lock(uint32_t fid, uint8_t type, uint8_t *status)
{
	int ret;

	p9c_begin(client, P9_TLOCK);
	p9c_u32(client, fid);
	p9c_u8(client, type);
	p9c_u32(client, 1);
	p9c_u64(client, 0);
	p9c_u64(client, 0);
	p9c_u32(client, 42);
	p9c_string(client, "guest");
	ret = p9c_send(client);
	*status = ret == 0 ? unpack_u8(&client->in) : 0xff;
	return ret;
}

static int get_lock(uint32_t fid, uint8_t *type)
{
	int ret;

	p9c_begin(client, P9_TGETLOCK);
	p9c_u32(client, fid);
	p9c_u8(client, P9_LOCK_WRLCK);
	p9c_u64(client, 0);
	p9c_u64(client, 0);
	p9c_u32(client, 42);
	p9c_string(client, "guest");
	ret = p9c_send(client);
	*type = ret == 0 ? unpack_u8(&client->in) : 0xff;
	return ret;
}

START_TEST(locks_hold_against_the_host_and_are_shared_in_the_guest)
{
	struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	uint8_t status;
	int fd;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	fd = open(host_path(&host, "f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(lock(2, P9_LOCK_WRLCK, &status), EBADF);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR), 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), 0);
	ck_assert_int_eq(lock(2, P9_LOCK_WRLCK, &status), 0);
	ck_assert_uint_eq(status, P9_LOCK_BLOCKED);
	ck_assert_int_eq(get_lock(2, &status), 0);
	ck_assert_uint_eq(status, P9_LOCK_WRLCK);
	other.l_type = F_UNLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), 0);
	ck_assert_int_eq(get_lock(2, &status), 0);
	ck_assert_uint_eq(status, P9_LOCK_UNLCK);
	ck_assert_int_eq(lock(2, P9_LOCK_WRLCK, &status), 0);
	ck_assert_uint_eq(status, P9_LOCK_SUCCESS);
	other.l_type = F_WRLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), -1);
	/* Another open file of the guest: its kernel has decided. */
	ck_assert_int_eq(p9c_go(client, "f", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDWR), 0);
	ck_assert_int_eq(lock(3, P9_LOCK_WRLCK, &status), 0);
	ck_assert_uint_eq(status, P9_LOCK_SUCCESS);
	ck_assert_int_eq(lock(2, 7, &status), EINVAL);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(what_the_host_changes_shows)
{
	struct p9_attributes attributes;
	char text[64];

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "one");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	host_write(&host, "f", "three");
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_uint_eq(attributes.size, 5);
	/* As editors save: the fid stands for the place, not for the file that was there. */
	host_write(&host, "f.new", "replaced");
	ck_assert_int_eq(rename(host_path(&host, "f.new"), host_path(&host, "f")), 0);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_uint_eq(attributes.size, 8);
	ck_assert_int_eq(p9c_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "replaced");
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), ENOENT);
	files_host_end(&host);
}
END_TEST

START_TEST(the_file_system_is_described)
{
	files_host_begin(&host, NULL, false);
	p9c_begin(client, P9_TSTATFS);
	p9c_u32(client, P9C_ROOT);
	ck_assert_int_eq(p9c_send(client), 0);
	ck_assert_uint_eq(client->in.length - client->in.at, 60);
	ck_assert_uint_eq(unpack_u32(&client->in), P9_MAGIC);
	ck_assert_uint_gt(unpack_u32(&client->in), 0);
	ck_assert_uint_gt(unpack_u64(&client->in), 0);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files", a_file_is_created_written_read_and_closed, open_flags_do_what_they_say,
	  directories_are_made_listed_and_removed, links_of_both_kinds,
	  fids_follow_the_guests_renames, renaming_one_of_two_names_of_a_file_keeps_both,
	  a_removed_file_lives_on_in_its_open_fids, a_removed_file_is_changed_only_as_it_was_opened,
	  attributes_are_shown_and_changed,
	  set_id_bits_are_neither_shown_nor_made_nor_written_through,
	  extended_attributes_of_users_only,
	  locks_hold_against_the_host_and_are_shared_in_the_guest, what_the_host_changes_shows,
	  the_file_system_is_described)
