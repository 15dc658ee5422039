/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server without a policy: every request in its ordinary use, seen from the host as well.
 */
#include "tests/unit/fuse_common.h"

START_TEST(a_file_is_created_written_read_and_closed)
{
	const struct fuse_fsync_in sync = {.fsync_flags = FUSE_FSYNC_FDATASYNC};
	struct fuse_fsync_in in = sync;
	uint64_t node, fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_create(client, ROOT, "new", O_RDWR, 0640, &node, &fh), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "hello world", 11, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 6, "share", 5, 0), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 6, 100, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_mem_eq(text, "share", 5);
	ck_assert_int_eq(fc_read(client, node, fh, 11, 100, text, &n), 0);
	ck_assert_uint_eq(n, 0);
	in.fh = fh;
	ck_assert_int_eq(fc_call(client, FUSE_FSYNC, node, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_flush(client, node, fh, 1), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), EBADF);
	ck_assert_str_eq(host_read(&host, "new"), "hello share");
	ck_assert_int_eq(fc_cat(client, "new", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "hello share");
	files_host_end(&host);
}
END_TEST

START_TEST(open_flags_do_what_they_say)
{
	uint64_t node, fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "0123456789");
	fh = opened("f", O_WRONLY | O_APPEND, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "ab", 2, 0), 0);
	ck_assert_str_eq(host_read(&host, "f"), "0123456789ab");
	/* A page of memory is written where it belongs. */
	ck_assert_int_eq(fc_write(client, node, fh, 0, "XY", 2, FUSE_WRITE_CACHE), 0);
	ck_assert_str_eq(host_read(&host, "f"), "XY23456789ab");
	ck_assert_int_eq(fc_read(client, node, fh, 0, 4, text, &n), EBADF);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	fh = opened("f", O_RDONLY, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "ab", 2, 0), EBADF);
	ck_assert_int_eq(fc_try_open(client, "f", O_WRONLY | O_TRUNC), 0);
	ck_assert_str_eq(host_read(&host, "f"), "");
	ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	ck_assert_int_eq(fc_try_open(client, "", O_RDWR), EISDIR);
	ck_assert_int_eq(fc_try_open(client, "", O_RDONLY), EISDIR);
	ck_assert_int_eq(fc_opendir(client, node, &fh), ENOTDIR);
	ck_assert_int_eq(fc_try_open(client, "f", O_ACCMODE), EINVAL);
	/* Create: what is there is opened, or with O_EXCL refused. */
	host_write(&host, "f", "there");
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR | O_EXCL, 0644, &node, &fh), EEXIST);
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh), 0);
	ck_assert_uint_eq(node, node_of("f"));
	ck_assert_int_eq(fc_read(client, node, fh, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR | O_TRUNC, 0644, &node, &fh), 0);
	ck_assert_str_eq(host_read(&host, "f"), "");
	host_mkdir(&host, "d");
	ck_assert_int_eq(fc_create(client, ROOT, "d", O_RDONLY, 0644, &node, &fh), EISDIR);
	files_host_end(&host);
}
END_TEST

/* The guest's umask has been applied; the server's, 022 before, is not. */
START_TEST(modes_are_those_that_the_guest_wants)
{
	struct stat stat_now;
	uint64_t node;

	umask(022);
	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_WRONLY, 0622, NULL, NULL), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0622);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 01777), 0);
	ck_assert_int_eq(stat(host_path(&host, "d"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFDIR | 01777);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFREG | 0606), 0);
	ck_assert_int_eq(stat(host_path(&host, "node"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0606);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFREG | 0606), EEXIST);
	/* The sticky bit means nothing on a file, and is kept; set-id bits never reach the host. */
	ck_assert_int_eq(fc_create(client, ROOT, "t", O_WRONLY, 07644, &node, NULL), 0);
	ck_assert_int_eq(stat(host_path(&host, "t"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 01644);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE, 0600, 0), 0);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE, 07700, 0), 0);
	ck_assert_int_eq(stat(host_path(&host, "t"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 01700);
	files_host_end(&host);
}
END_TEST

static void assert_thousand(const char *names)
{
	char name[32];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "entry-%d\n", i);
		ck_assert_ptr_nonnull(strstr(names, name));
	}
	ck_assert_ptr_nonnull(strstr(names, "..\n"));
}

START_TEST(directories_are_made_listed_and_removed)
{
	static char names[200000];
	char name[32];
	uint64_t node, fh;
	unsigned told;
	int i;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0750), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0750), EEXIST);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d/entry-%d", i);
		host_write(&host, name, "");
	}
	ck_assert_int_eq(fc_ls(client, "d", names, sizeof(names)), 0);
	assert_thousand(names);
	/* As few bytes as hold one name, again and again. */
	node = node_of("d");
	ck_assert_int_eq(fc_opendir(client, node, &fh), 0);
	ck_assert_int_eq(fc_list(client, node, fh, 40, names, sizeof(names), NULL), 0);
	assert_thousand(names);
	ck_assert_int_eq(fc_list(client, node, fh, 24, names, sizeof(names), NULL), EINVAL);
	/* And with the status of each, so that no lookup is needed. */
	ck_assert_int_eq(fc_list(client, node, fh, 4096, names, sizeof(names), &told), 0);
	assert_thousand(names);
	ck_assert_uint_eq(told, 1000);
	ck_assert_uint_eq(fuse_stats().nodes, 1001);
	ck_assert_int_eq(fc_list(client, node, fh, 152, names, sizeof(names), &told), EINVAL);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "d"), ENOTEMPTY);
	ck_assert_int_eq(fc_unlink(client, ROOT, "d"), EISDIR);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "empty", 0755), 0);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "empty"), 0);
	ck_assert_int_eq(fc_rmdir(client, ROOT, "empty"), ENOENT);
	files_host_end(&host);
}
END_TEST

START_TEST(links_of_both_kinds)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	uint64_t link, file, inode;
	char target[64];

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", "../secret"), 0);
	link = node_of("s");
	ck_assert_int_eq(fc_readlink(client, link, target, sizeof(target)), 0);
	ck_assert_str_eq(target, "../secret");
	ck_assert_int_eq(fc_getattr(client, link, &attr), 0);
	ck_assert_uint_eq(attr.mode & S_IFMT, S_IFLNK);
	/* The guest follows links, not the server. */
	ck_assert_int_eq(fc_open(client, link, O_RDONLY, &open), ELOOP);
	ck_assert_int_eq(fc_go(client, "s/x", &file), ENOTDIR);
	file = node_of("f");
	ck_assert_int_eq(fc_readlink(client, file, target, sizeof(target)), EINVAL);
	ck_assert_int_eq(fc_link(client, ROOT, "hard", file), 0);
	ck_assert_int_eq(fc_link(client, ROOT, "hard", file), EEXIST);
	ck_assert_int_eq(fc_getattr(client, file, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 2);
	inode = attr.ino;
	ck_assert_str_eq(host_read(&host, "hard"), "x");
	/* Two names are two nodes of one inode. */
	ck_assert_uint_ne(node_of("hard"), file);
	ck_assert_int_eq(fc_stat(client, "hard", &attr), 0);
	ck_assert_uint_eq(attr.ino, inode);
	ck_assert_int_eq(fc_link(client, ROOT, "hard-directory", ROOT), EPERM);
	ck_assert_int_eq(fc_link(client, ROOT, "s2", link), 0);
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", "again"), EEXIST);
	files_host_end(&host);
}
END_TEST

START_TEST(nodes_follow_the_guests_renames)
{
	uint64_t a, f, fh, other, b, moved;
	struct fuse_open_out open;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_mkdir(&host, "a");
	host_mkdir(&host, "a/b");
	host_write(&host, "a/b/f", "deep");
	host_write(&host, "other", "other");
	f = node_of("a/b/f");
	a = node_of("a");
	ck_assert_int_eq(fc_rename(client, ROOT, "a", ROOT, "renamed-and-longer", 0), 0);
	ck_assert(host_has(&host, "renamed-and-longer/b/f"));
	ck_assert_int_eq(fc_open(client, f, O_RDWR, &open), 0);
	fh = open.fh;
	ck_assert_int_eq(fc_read(client, f, fh, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "deep", 4);
	ck_assert_int_eq(fc_rename(client, a, "b", ROOT, "b", 0), 0);
	ck_assert_uint_eq(node_of("b/f"), f);
	ck_assert_int_eq(fc_go(client, "renamed-and-longer/b", &b), ENOENT);
	/* What was at the new name is gone for its nodes; an open file is still there. */
	other = node_of("other");
	ck_assert_int_eq(fc_rename(client, ROOT, "other", a, "g", 0), 0);
	ck_assert_int_eq(fc_rename(client, a, "g", ROOT, "b", 0), EISDIR);
	b = node_of("b");
	ck_assert_int_eq(fc_rename(client, a, "g", b, "f", RENAME_NOREPLACE), EEXIST);
	ck_assert_int_eq(fc_rename(client, a, "g", b, "f", 0), 0);
	ck_assert_int_eq(fc_cat(client, "b/f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "other");
	ck_assert_int_eq(fc_read(client, f, fh, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "deep", 4);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), ENOENT);
	ck_assert_int_eq(fc_open(client, other, O_RDONLY, &open), 0);
	ck_assert_uint_eq(node_of("b/f"), other);
	/* Nothing goes into itself. */
	ck_assert_int_eq(fc_rename(client, ROOT, "b", b, "b", 0), EINVAL);
	ck_assert_int_eq(fc_rename(client, ROOT, "nothing", b, "b", 0), ENOENT);
	ck_assert_int_eq(fc_rename(client, ROOT, "b", ROOT, "c", RENAME_WHITEOUT), EINVAL);
	ck_assert_int_eq(fc_rename(client, ROOT, "b", ROOT, "c", RENAME_NOREPLACE), 0);
	ck_assert_int_eq(fc_go(client, "c", &moved), 0);
	ck_assert_uint_eq(moved, b);
	files_host_end(&host);
}
END_TEST

START_TEST(two_names_are_exchanged_with_their_nodes)
{
	uint64_t file, directory, in;
	char text[64];

	begin_fuse(NULL, false);
	host_write(&host, "file", "file");
	host_mkdir(&host, "d");
	host_write(&host, "d/in", "in");
	file = node_of("file");
	directory = node_of("d");
	in = node_of("d/in");
	ck_assert_int_eq(fc_rename(client, ROOT, "file", ROOT, "none", RENAME_EXCHANGE), ENOENT);
	ck_assert_int_eq(fc_rename(client, ROOT, "file", ROOT, "d", RENAME_EXCHANGE), 0);
	ck_assert_str_eq(host_read(&host, "d"), "file");
	ck_assert_uint_eq(node_of("d"), file);
	ck_assert_uint_eq(node_of("file"), directory);
	ck_assert_uint_eq(node_of("file/in"), in);
	ck_assert_int_eq(fc_cat(client, "file/in", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "in");
	ck_assert_int_eq(fc_rename(client, ROOT, "d", directory, "in", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(node_of("file/in"), file);
	ck_assert_int_eq(fc_rename(client, ROOT, "file", directory, "in", RENAME_EXCHANGE), EINVAL);
	files_host_end(&host);
}
END_TEST

START_TEST(renaming_one_of_two_names_of_a_file_keeps_both)
{
	struct fuse_open_out open;
	uint64_t a, b;

	begin_fuse(NULL, false);
	host_write(&host, "a", "x");
	ck_assert_int_eq(link(host_path(&host, "a"), host_path(&host, "b")), 0);
	a = node_of("a");
	b = node_of("b");
	ck_assert_int_eq(fc_rename(client, ROOT, "a", ROOT, "b", 0), 0);
	ck_assert_int_eq(fc_open(client, a, O_RDONLY, &open), 0);
	ck_assert_int_eq(fc_open(client, b, O_RDONLY, &open), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_removed_file_lives_on_while_it_is_open)
{
	struct fuse_attr attr;
	uint64_t node, fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "tmp", "temporary");
	fh = opened("tmp", O_RDWR, &node);
	ck_assert_int_eq(fc_unlink(client, ROOT, "tmp"), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 20, text, &n), 0);
	ck_assert_uint_eq(n, 9);
	/* The kernel's request names the node, not the open file. */
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_uint_eq(attr.size, 9);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_SIZE, 0, 4), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 20, text, &n), 0);
	ck_assert_uint_eq(n, 4);
	/* A new file of that name is another one. */
	host_write(&host, "tmp", "new");
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	ck_assert_uint_eq(attr.size, 4);
	ck_assert_uint_ne(node_of("tmp"), node);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), ENOENT);
	ck_assert_str_eq(host_read(&host, "tmp"), "new");
	files_host_end(&host);
}
END_TEST

/* Through an open file, as ftruncate(2) and fchmod(2) do. */
static int change_open(uint64_t node, uint64_t fh, uint32_t valid)
{
	const struct fuse_setattr_in in = {
		.valid = valid | FATTR_FH, .fh = fh, .size = 3, .mode = 0600};

	return fc_call(client, FUSE_SETATTR, node, &in, sizeof(in));
}

/* Without a name there is nothing to decide about: an open file stays what it was opened for. */
START_TEST(a_removed_file_is_changed_only_as_it_was_opened)
{
	static const struct {
		uint32_t flags;
		int size, mode;
	} opens[] = {
		{O_RDWR, 0, 0},
		{O_WRONLY, 0, 0},
		{O_WRONLY | O_APPEND, EACCES, 0},
		{O_RDONLY, EACCES, EACCES},
	};
	uint64_t node, fh;
	char name[8];
	size_t i;

	begin_fuse(NULL, false);
	for (i = 0; i < ARRAY_SIZE(opens); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		host_write(&host, name, "contents");
		fh = opened(name, opens[i].flags, &node);
		ck_assert_int_eq(fc_unlink(client, ROOT, name), 0);
		ck_assert_int_eq(fc_setattr(client, node, FATTR_SIZE, 0, 4), opens[i].size);
		ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE, 0600, 0), opens[i].mode);
		ck_assert_int_eq(change_open(node, fh, FATTR_SIZE), opens[i].size);
		ck_assert_int_eq(change_open(node, fh, FATTR_MODE), opens[i].mode);
		ck_assert_int_eq(fc_release(client, node, fh), 0);
	}
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse", a_file_is_created_written_read_and_closed, open_flags_do_what_they_say,
	  modes_are_those_that_the_guest_wants, directories_are_made_listed_and_removed,
	  links_of_both_kinds, nodes_follow_the_guests_renames,
	  two_names_are_exchanged_with_their_nodes, renaming_one_of_two_names_of_a_file_keeps_both,
	  a_removed_file_lives_on_while_it_is_open, a_removed_file_is_changed_only_as_it_was_opened)
