/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, locks, and changes by the host. */
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

UNIT_MAIN("files_attributes", attributes_are_shown_and_changed,
	  set_id_bits_are_neither_shown_nor_made_nor_written_through,
	  extended_attributes_of_users_only,
	  locks_hold_against_the_host_and_are_shared_in_the_guest, what_the_host_changes_shows,
	  the_file_system_is_described)
