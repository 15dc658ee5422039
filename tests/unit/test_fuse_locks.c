/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server's locks: between processes of the guest, and against the host. */
#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_locks_common.h"

#include <sys/file.h>

START_TEST(ranges_are_split_and_joined)
{
	struct fuse_file_lock lock;
	int fd = begin_locks();

	ck_assert_int_eq(set(1, F_WRLCK, 0, 99), 0);
	ck_assert_uint_eq(fuse_stats().locks, 1);
	ck_assert_int_eq(set(2, F_RDLCK, 50, 60), EAGAIN);
	ck_assert_int_eq(fc_getlk(client, node, fh, 2, F_RDLCK, &lock), 0);
	ck_assert_uint_eq(lock.type, F_WRLCK);
	ck_assert_uint_eq(lock.pid, 1);
	ck_assert_uint_eq(lock.end, 99);
	/* A part in the middle becomes shared, and is then unlocked. */
	ck_assert_int_eq(set(1, F_RDLCK, 40, 59), 0);
	ck_assert_uint_eq(fuse_stats().locks, 3);
	ck_assert_int_eq(set(2, F_RDLCK, 50, 54), 0);
	ck_assert_int_eq(set(2, F_RDLCK, 35, 45), EAGAIN);
	ck_assert_int_eq(set(1, F_UNLCK, 40, 59), 0);
	ck_assert_int_eq(set(2, F_WRLCK, 40, 59), 0);
	ck_assert_uint_eq(fuse_stats().locks, 3);
	ck_assert_int_eq(set(2, F_UNLCK, 0, ALL), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 40, 59), 0);
	ck_assert_uint_eq(fuse_stats().locks, 1);
	ck_assert_int_eq(set(1, F_UNLCK, 10, 19), 0);
	ck_assert_uint_eq(fuse_stats().locks, 2);
	ck_assert_int_eq(fc_getlk(client, node, fh, 1, F_WRLCK, &lock), 0);
	ck_assert_uint_eq(lock.type, F_UNLCK);
	ck_assert_int_eq(fc_flush(client, node, fh, 1), 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) < 0, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(the_host_holds_the_union_of_the_guests_ranges)
{
	int fd = begin_locks();

	ck_assert_int_eq(set(1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(2, F_RDLCK, 5, 14), 0);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 0, 1), F_RDLCK);
	ck_assert_int_eq(host_sees(fd, F_RDLCK, 0, 0), F_UNLCK);
	/* What one gives back the other still has. */
	ck_assert_int_eq(set(1, F_UNLCK, 0, ALL), 0);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 0, 5), F_UNLCK);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 5, 1), F_RDLCK);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 14, 1), F_RDLCK);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 15, 0), F_UNLCK);
	ck_assert_int_eq(set(1, F_WRLCK, 20, ALL), 0);
	ck_assert_int_eq(host_sees(fd, F_RDLCK, 1000000, 1), F_WRLCK);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 0, 0), F_UNLCK);
	ck_assert_uint_eq(fuse_stats().open, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(locks_of_the_host_are_respected_but_not_named)
{
	struct fuse_file_lock lock;
	int fd = begin_locks();

	ck_assert_int_eq(host_locks(fd, F_WRLCK), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 0, ALL), EAGAIN);
	ck_assert_int_eq(set(1, F_RDLCK, 3, 3), EAGAIN);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	ck_assert_int_eq(fc_getlk(client, node, fh, 1, F_RDLCK, &lock), 0);
	ck_assert_uint_eq(lock.type, F_WRLCK);
	ck_assert_uint_eq(lock.pid, 0);
	ck_assert_int_eq(host_locks(fd, F_UNLCK), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 0, ALL), 0);
	ck_assert_int_lt(host_locks(fd, F_RDLCK), 0);
	ck_assert_int_eq(set(1, F_UNLCK, 0, ALL), 0);
	ck_assert_int_eq(host_locks(fd, F_RDLCK), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(a_lock_for_writing_needs_no_second_lock_for_reading)
{
	struct fuse_open_out reader;
	int fd = begin_locks();

	/* First through a file that is open for reading, then through one for writing. */
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &reader), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, reader.fh, 1, F_RDLCK, 0, 9, 0), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 20, 29), 0);
	ck_assert_int_eq(host_sees(fd, F_WRLCK, 0, 1), F_RDLCK);
	ck_assert_int_eq(host_sees(fd, F_RDLCK, 25, 1), F_WRLCK);
	ck_assert_int_eq(set(1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(host_sees(fd, F_RDLCK, 0, 1), F_WRLCK);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(the_two_kinds_do_not_meet)
{
	struct fuse_open_out reader;
	int fd = begin_locks();

	/* Needs no file that is open for writing. */
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &reader), 0);
	ck_assert_int_eq(set_flock(reader.fh, F_WRLCK), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 0, ALL), 0);
	ck_assert_int_eq(set_flock(fh, F_RDLCK), EAGAIN);
	ck_assert_int_lt(flock(fd, LOCK_SH | LOCK_NB), 0);
	ck_assert_int_eq(set_flock(reader.fh, F_RDLCK), 0);
	ck_assert_int_eq(set_flock(fh, F_RDLCK), 0);
	ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
	ck_assert_int_eq(set_flock(reader.fh, F_WRLCK), EAGAIN);
	/* A process that closes one of its descriptors ends its fcntl locks only. */
	ck_assert_int_eq(fc_flush(client, node, fh, 1), 0);
	ck_assert_uint_eq(fuse_stats().locks, 2);
	ck_assert_int_eq(host_locks(fd, F_WRLCK), 0);
	ck_assert_int_eq(fc_release(client, node, reader.fh), 0);
	ck_assert_int_eq(set_flock(fh, F_UNLCK), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(a_read_only_share_takes_no_lock_on_the_host)
{
	uint64_t other;
	int fd;

	begin_fuse(NULL, true);
	host_write(&host, "f", "x");
	fh = opened("f", O_RDONLY, &node);
	other = opened("f", O_RDONLY, &node);
	fd = open(host_path(&host, "f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(set(1, F_RDLCK, 0, ALL), 0);
	ck_assert_int_eq(set_flock(fh, F_WRLCK), 0);
	ck_assert_int_eq(set_flock(other, F_RDLCK), EAGAIN);
	ck_assert_int_eq(host_locks(fd, F_WRLCK), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(invalid_locks_are_refused)
{
	struct fuse_file_lock lock;
	int fd = begin_locks();

	ck_assert_int_eq(set(1, 3, 0, 9), EINVAL);
	ck_assert_int_eq(set(1, -1, 0, 9), EINVAL);
	ck_assert_int_eq(set(1, F_WRLCK, 9, 8), EINVAL);
	ck_assert_int_eq(set(1, F_WRLCK, 0, UINT64_MAX), EINVAL);
	ck_assert_int_eq(set(1, F_WRLCK, UINT64_MAX, UINT64_MAX), EINVAL);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 9, 2), EINVAL);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, 77, 1, F_WRLCK, 0, 9, 0), EBADF);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, ROOT, fh, 1, F_WRLCK, 0, 9, 0), EBADF);
	ck_assert_int_eq(fc_getlk(client, node, fh, 1, F_UNLCK, &lock), EINVAL);
	ck_assert_int_eq(set(1, F_UNLCK, 0, 9), 0);
	ck_assert_int_eq(set(1, F_WRLCK, INT64_MAX, INT64_MAX), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 0, INT64_MAX - 1), 0);
	ck_assert_uint_eq(fuse_stats().locks, 1);
	ck_assert_int_eq(set(1, F_UNLCK, INT64_MAX, INT64_MAX), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_locks", ranges_are_split_and_joined, the_host_holds_the_union_of_the_guests_ranges,
	  locks_of_the_host_are_respected_but_not_named,
	  a_lock_for_writing_needs_no_second_lock_for_reading, the_two_kinds_do_not_meet,
	  a_read_only_share_takes_no_lock_on_the_host, invalid_locks_are_refused)
