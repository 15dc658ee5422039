/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories can be shared, and where. */
#include "tests/unit/fuse_common.h"

START_TEST(invalid_shares_are_refused)
{
	struct files_share_config config = {.guest = "/w", .id_base = 100000};
	struct files_share share;
	struct err err;

	begin_fuse(NULL, false);
	host_write(&host, "file", "x");
	config.host = "/proc";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "pseudo file system"));
	config.host = host_path(&host, "file");
	ck_assert_int_eq(files_share_open(&share, &config, &err), -ENOTDIR);
	config.host = host_path(&host, "nothing");
	ck_assert_int_eq(files_share_open(&share, &config, &err), -ENOENT);
	config.host = host.base;
	config.guest = "w";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	config.guest = "/a/../b";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	config.guest = "//a/./b//";
	ck_assert_int_eq(files_share_open(&share, &config, &err), 0);
	ck_assert_str_eq(share.guest, "/a/b");
	files_share_close(&share);
	files_host_end(&host);
}
END_TEST

START_TEST(a_directory_that_was_checked_is_taken_as_it_is)
{
	struct files_share_config config = {
		.host = "/moved/meanwhile", .guest = "/w", .probed = true, .id_base = 100000};
	struct files_share share;
	struct stat is, wanted;
	struct err err;
	int fd;

	begin_fuse(NULL, false);
	config.opened = &fd;
	fd = open(host.base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(files_share_open(&share, &config, &err), 0);
	ck_assert_int_ne(share.root_fd, fd);
	ck_assert_int_eq(fstat(share.root_fd, &is), 0);
	ck_assert_int_eq(stat(host.base, &wanted), 0);
	ck_assert_uint_eq(is.st_ino, wanted.st_ino);
	files_share_close(&share);
	close(fd);
	/* What a descriptor tells is looked at nevertheless. */
	fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	ck_assert_int_eq(share.root_fd, -1);
	close(fd);
	fd = -1;
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EBADF);
	files_host_end(&host);
}
END_TEST

START_TEST(paths_in_the_guest_are_bounded)
{
	static char path[FILES_GUEST_MAX + 1], to[FILES_GUEST_MAX];
	size_t i;

	memset(path, 'n', sizeof(path) - 1);
	for (i = 0; i < sizeof(path) - 1; i += 2)
		path[i] = '/';
	ck_assert_int_eq(files_guest_path(to, path), -ENAMETOOLONG);
	path[FILES_GUEST_MAX - 2] = '\0';
	ck_assert_int_eq(files_guest_path(to, path), 0);
	ck_assert_str_eq(to, path);
	memset(path, 'n', sizeof(path) - 1);
	path[0] = '/';
	path[1 + FILES_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(files_guest_path(to, path), -ENAMETOOLONG);
	path[1 + FILES_NAME_MAX] = '\0';
	ck_assert_int_eq(files_guest_path(to, path), 0);
	ck_assert_int_eq(files_guest_path(to, "/"), 0);
	ck_assert_str_eq(to, "");
}
END_TEST

UNIT_MAIN("files_share", invalid_shares_are_refused, a_directory_that_was_checked_is_taken_as_it_is,
	  paths_in_the_guest_are_bounded)
