/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_real_path(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : 0;
}

ssize_t fd_read_full(int fd, void *to, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = read(fd, (char *)to + done, length - done);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t fd_pread_full(int fd, void *to, size_t length, off_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = pread(fd, (char *)to + done, length - done, offset + (off_t)done);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *from, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = write(fd, (const char *)from + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

void fd_notify(int event_fd)
{
	const uint64_t one = 1;
	ssize_t n;

	/* EAGAIN: its counter is full. */
	do {
		n = write(event_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

void fd_raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FD_WANTED)
		return;
	files.rlim_cur = files.rlim_max < FD_WANTED ? files.rlim_max : FD_WANTED;
	setrlimit(RLIMIT_NOFILE, &files);
}
