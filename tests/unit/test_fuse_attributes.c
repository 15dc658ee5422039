/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: status, its changes, extended attributes. */
#include "tests/unit/fuse_common.h"

#include <sys/sysmacros.h>

#include "vmm/files/operations.h"

START_TEST(attributes_are_shown_and_changed)
{
	struct fuse_attr attr;
	struct stat stat_now;
	uint64_t f;

	begin_fuse(NULL, false);
	host_write(&host, "f", "12345");
	f = node_of("f");
	ck_assert_int_eq(fc_getattr(client, f, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0644);
	ck_assert_uint_eq(attr.uid, 100000); /* the server's user is the sandbox's root */
	ck_assert_uint_eq(attr.gid, 100000);
	ck_assert_uint_eq(attr.size, 5);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_uint_eq(attr.ino & 0xffffffff, stat_now.st_ino & 0xffffffff);
	ck_assert_int_eq(fc_setattr(client, f, FATTR_MODE, 07755, 0), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 01755); /* no set-id bits */
	ck_assert_int_eq(fc_setattr(client, f, FATTR_SIZE, 0, 3), 0);
	ck_assert_str_eq(host_read(&host, "f"), "123");
	ck_assert_int_eq(fc_setattr(client, f, FATTR_SIZE, 0, UINT64_MAX), EINVAL);
	/* Setting the present owner works, another one does not. */
	ck_assert_int_eq(fc_setattr(client, f, FATTR_UID | FATTR_GID, 0, 0), 0);
	host.share.uid = 5;
	ck_assert_int_eq(fc_setattr(client, f, FATTR_UID, 0, 0), EPERM);
	ck_assert_int_eq(fc_getattr(client, f, &attr), 0);
	ck_assert_uint_eq(attr.uid, 100005);
	ck_assert_int_eq(fc_setattr(client, f, 1u << 20, 0, 0), EINVAL);
	ck_assert_int_eq(fc_setattr(client, f, FATTR_CTIME | FATTR_LOCKOWNER, 0, 0), 0);
	ck_assert_int_eq(fc_setattr(client, ROOT, FATTR_SIZE, 0, 0), EISDIR);
	ck_assert_int_eq(fc_setattr(client, ROOT, FATTR_MODE, 01777, 0), 0);
	ck_assert_int_eq(stat(host.base, &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFDIR | 01777);
	files_host_end(&host);
}
END_TEST

static int set_mtime(uint64_t node, int64_t sec, uint32_t nsec)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_MTIME, .mtime = (uint64_t)sec, .mtimensec = nsec};

	return fc_call(client, FUSE_SETATTR, node, &in, sizeof(in));
}

START_TEST(times_keep_their_nanoseconds_and_years_before_1970)
{
	struct fuse_attr attr;
	struct stat before, now;
	uint64_t f;

	begin_fuse(NULL, false);
	host_write(&host, "f", "");
	ck_assert_int_eq(symlink("f", host_path(&host, "link")), 0);
	f = node_of("f");
	ck_assert_int_eq(stat(host_path(&host, "f"), &before), 0);
	ck_assert_int_eq(set_mtime(f, 1700000000, 987654321), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &now), 0);
	ck_assert_int_eq(now.st_mtim.tv_sec, 1700000000);
	ck_assert_int_eq(now.st_mtim.tv_nsec, 987654321);
	ck_assert_int_eq(now.st_atim.tv_sec, before.st_atim.tv_sec);
	ck_assert_int_eq(set_mtime(f, -86400, 0), 0);
	ck_assert_int_eq(fc_getattr(client, f, &attr), 0);
	ck_assert_int_eq((int64_t)attr.mtime, -86400);
	ck_assert_int_eq(set_mtime(f, 0, 1000000000), EINVAL);
	ck_assert_int_eq(set_mtime(f, 0, UTIME_NOW), EINVAL);
	ck_assert_int_eq(fc_setattr(client, f, FATTR_MTIME | FATTR_MTIME_NOW, 0, 0), 0);
	ck_assert_int_eq(stat(host_path(&host, "f"), &now), 0);
	ck_assert_int_ge(now.st_mtim.tv_sec, before.st_mtim.tv_sec);
	/* Of a link, not of what it leads to. */
	ck_assert_int_eq(set_mtime(node_of("link"), 5, 6), 0);
	ck_assert_int_eq(lstat(host_path(&host, "link"), &now), 0);
	ck_assert_int_eq(now.st_mtim.tv_nsec, 6);
	ck_assert_int_eq(fc_setattr(client, node_of("link"), FATTR_MODE, 0600, 0), EOPNOTSUPP);
	files_host_end(&host);
}
END_TEST

START_TEST(statx_tells_when_a_file_was_made)
{
	const struct fused_statx_in in = {.sx_mask = STATX_BASIC_STATS | STATX_BTIME};
	struct fused_statx_out out;
	struct statx now;
	uint64_t f;

	begin_fuse(NULL, false);
	host_write(&host, "f", "12345");
	f = node_of("f");
	ck_assert_int_eq(fc_call(client, FUSED_OP_STATX, f, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_take(client, &out, sizeof(out)), 0);
	ck_assert_uint_eq(out.stat.size, 5);
	ck_assert_uint_eq(out.stat.mode, S_IFREG | 0644);
	ck_assert_uint_eq(out.stat.uid, 100000);
	ck_assert_int_eq(statx(AT_FDCWD, host_path(&host, "f"), 0, STATX_BTIME, &now), 0);
	ck_assert_uint_eq(out.stat.mask & STATX_BTIME, now.stx_mask & STATX_BTIME);
	if (now.stx_mask & STATX_BTIME)
		ck_assert_int_eq(out.stat.btime.sec, now.stx_btime.tv_sec);
	ck_assert_int_eq(fc_call(client, FUSED_OP_STATX, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_take(client, &out, sizeof(out)), 0);
	ck_assert_uint_eq(out.stat.mode, S_IFDIR | 0555);
	files_host_end(&host);
}
END_TEST

START_TEST(set_id_bits_are_neither_shown_nor_made_nor_written_through)
{
	struct fuse_attr attr;
	struct stat stat_now;

	begin_fuse(NULL, false);
	host_write(&host, "suid", "program");
	ck_assert_int_eq(chmod(host_path(&host, "suid"), 06755), 0);
	ck_assert_int_eq(fc_stat(client, "suid", &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0755);
	ck_assert_int_eq(fc_try_open(client, "suid", O_RDONLY), 0);
	ck_assert_int_eq(fc_try_open(client, "suid", O_WRONLY), EPERM);
	ck_assert_int_eq(fc_try_open(client, "suid", O_RDONLY | O_TRUNC), EPERM);
	ck_assert_int_eq(fc_setattr(client, node_of("suid"), FATTR_SIZE, 0, 0), EPERM);
	ck_assert_int_eq(chmod(host_path(&host, "suid"), 0755), 0);
	ck_assert_int_eq(fc_try_open(client, "suid", O_WRONLY), 0);
	ck_assert_int_eq(fc_create(client, ROOT, "made", O_RDWR, 06755, NULL, NULL), 0);
	ck_assert_int_eq(stat(host_path(&host, "made"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0755);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "dir", 06755), 0);
	ck_assert_int_eq(stat(host_path(&host, "dir"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFDIR | 0755);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFREG | 06755), 0);
	ck_assert_int_eq(stat(host_path(&host, "node"), &stat_now), 0);
	ck_assert_uint_eq(stat_now.st_mode, S_IFREG | 0755);
	files_host_end(&host);
}
END_TEST

/* Two files of one inode number on two devices are two, and the number of each stays. */
START_TEST(inode_numbers_of_two_devices_do_not_collide)
{
	begin_fuse(NULL, false);
	ck_assert_uint_ne(op_ino(makedev(8, 1), 12), op_ino(makedev(8, 2), 12));
	ck_assert_uint_ne(op_ino(makedev(0, 40), 12), op_ino(makedev(0, 41), 12));
	ck_assert_uint_eq(op_ino(makedev(8, 1), 12), op_ino(makedev(8, 1), 12));
	ck_assert_uint_eq(op_ino(makedev(8, 1), 12) & 0xffffffff, 12);
	ck_assert_uint_ne(op_ino(0, 0), 0);
	files_host_end(&host);
}
END_TEST

/* --- extended attributes ---------------------------------------------------------------------- */

static bool has_xattrs(void)
{
	if (setxattr(host_path(&host, "f"), "user.test", "", 0, 0) == 0 || errno != EOPNOTSUPP)
		return true;
	fprintf(stderr, "no extended attributes on this file system: not tested\n");
	return false;
}

START_TEST(extended_attributes_of_users_only)
{
	static char value[FUSED_XATTR_MAX];
	uint64_t f;
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "");
	f = node_of("f");
	if (has_xattrs()) {
		ck_assert_int_eq(fc_set_xattr(client, f, "user.color", "blue", 4, 0), 0);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.color", value, 0, &n), 0);
		ck_assert_uint_eq(n, 4);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.color", value, 4, &n), 0);
		ck_assert_mem_eq(value, "blue", 4);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.color", value, 3, &n), ERANGE);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.none", value, 4, &n), ENODATA);
		ck_assert_int_eq(fc_set_xattr(client, f, "user.color", "x", 1, XATTR_CREATE),
				 EEXIST);
		ck_assert_int_eq(fc_set_xattr(client, f, "user.none", "x", 1, XATTR_REPLACE),
				 ENODATA);
		/* An empty value is one. */
		ck_assert_int_eq(fc_set_xattr(client, f, "user.empty", "", 0, 0), 0);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.empty", value, 9, &n), 0);
		ck_assert_uint_eq(n, 0);
		if (setxattr(host_path(&host, "f"), "trusted.hidden", "x", 1, 0) < 0)
			ck_assert_int_eq(errno, EPERM); /* not as root: there is none to hide */
		ck_assert_int_eq(fc_list_xattr(client, f, value, sizeof(value), &n), 0);
		ck_assert_ptr_null(memmem(value, n, "trusted", 7));
		ck_assert_ptr_nonnull(memmem(value, n, "user.color", 11));
		ck_assert_ptr_nonnull(memmem(value, n, "user.empty", 11));
		ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, f, "user.color", 11), 0);
		ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, f, "user.color", 11), ENODATA);
		ck_assert_int_lt(
			getxattr(host_path(&host, "f"), "user.color", value, sizeof(value)), 0);
	}
	/* Others are the host's. */
	ck_assert_int_eq(fc_set_xattr(client, f, "security.capability", "x", 1, 0), EOPNOTSUPP);
	ck_assert_int_eq(fc_set_xattr(client, f, "trusted.x", "x", 1, 0), EOPNOTSUPP);
	ck_assert_int_eq(fc_set_xattr(client, f, "system.posix_acl_access", "x", 1, 0), EOPNOTSUPP);
	ck_assert_int_eq(fc_set_xattr(client, f, "user.", "x", 1, 0), EOPNOTSUPP);
	ck_assert_int_eq(fc_get_xattr(client, f, "security.capability", value, 9, &n), EOPNOTSUPP);
	ck_assert_int_eq(fc_get_xattr(client, f, "", value, 9, &n), EINVAL);
	ck_assert_int_eq(fc_set_xattr(client, f, "user.x", "x", 1, 4), EINVAL);
	ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, f, "trusted.x", 10), EOPNOTSUPP);
	files_host_end(&host);
}
END_TEST

START_TEST(values_of_attributes_are_bounded)
{
	static char value[FUSED_XATTR_MAX + 1];
	uint64_t f;
	int ret;

	begin_fuse(NULL, false);
	host_write(&host, "f", "");
	f = node_of("f");
	ck_assert_int_eq(fc_set_xattr(client, f, "user.big", value, FUSED_XATTR_MAX + 1, 0), E2BIG);
	/* How many fit depends on the host's file system. */
	ret = fc_set_xattr(client, f, "user.big", value, FUSED_XATTR_MAX, 0);
	ck_assert_msg(ret == 0 || ret == ENOSPC || ret == E2BIG || ret == EOPNOTSUPP, "%d", ret);
	files_host_end(&host);
}
END_TEST

START_TEST(what_cordon_notes_is_not_the_guests)
{
	char value[256];
	uint64_t f;
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "");
	f = node_of("f");
	if (has_xattrs()) {
		ck_assert_int_eq(
			setxattr(host_path(&host, "f"), "user.cordon.stat", "secret", 6, 0), 0);
		ck_assert_int_eq(fc_get_xattr(client, f, "user.cordon.stat", value, 9, &n),
				 ENODATA);
		ck_assert_int_eq(fc_set_xattr(client, f, "user.cordon.stat", "x", 1, 0), EPERM);
		ck_assert_int_eq(fc_set_xattr(client, f, "user.cordon.new", "x", 1, 0), EPERM);
		ck_assert_int_eq(fc_call(client, FUSE_REMOVEXATTR, f, "user.cordon.stat", 17),
				 EPERM);
		ck_assert_int_eq(fc_list_xattr(client, f, value, sizeof(value), &n), 0);
		ck_assert_ptr_null(memmem(value, n, "cordon", 6));
		ck_assert_int_eq(fc_set_xattr(client, f, "user.cordonx", "x", 1, 0), 0);
	}
	files_host_end(&host);
}
END_TEST

START_TEST(the_file_system_is_described)
{
	struct fuse_statfs_out out;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, ROOT, NULL, 0), 0);
	ck_assert_int_eq(fc_take(client, &out, sizeof(out)), 0);
	ck_assert_uint_gt(out.st.bsize, 0);
	ck_assert_uint_gt(out.st.blocks, 0);
	ck_assert_uint_eq(out.st.namelen, 255);
	files_host_end(&host);
}
END_TEST

/* A directory is listed to see whether upper and lower case are the same in it. */
START_TEST(a_lookup_leaves_the_time_of_access)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct stat stat_now;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "");
	ck_assert_int_eq(utimensat(AT_FDCWD, host_path(&host, "d"), times, 0), 0);
	node_of("d/f");
	ck_assert_int_eq(stat(host_path(&host, "d"), &stat_now), 0);
	ck_assert_int_eq(stat_now.st_atim.tv_sec, 1000);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_attributes", attributes_are_shown_and_changed,
	  times_keep_their_nanoseconds_and_years_before_1970, statx_tells_when_a_file_was_made,
	  set_id_bits_are_neither_shown_nor_made_nor_written_through,
	  inode_numbers_of_two_devices_do_not_collide, extended_attributes_of_users_only,
	  values_of_attributes_are_bounded, what_cordon_notes_is_not_the_guests,
	  the_file_system_is_described, a_lookup_leaves_the_time_of_access)
