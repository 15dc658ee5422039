/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fuse_locks_common.h"

uint64_t node, fh;

int set(uint64_t owner, int type, uint64_t start, uint64_t end)
{
	return fc_lock(client, FUSE_SETLK, node, fh, owner, type, start, end, 0);
}

int set_flock(uint64_t handle, int type)
{
	return fc_lock(client, FUSE_SETLK, node, handle, 1, type, 0, ALL, FUSE_LK_FLOCK);
}

short host_sees(int fd, short type, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type;
}

int host_locks(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

int begin_locks(void)
{
	int fd;

	begin_fuse(NULL, false);
	host_write(&host, "f", "0123456789");
	fh = opened("f", O_RDWR, &node);
	fd = open(host_path(&host, "f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}
