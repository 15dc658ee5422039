/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that fail: each as the one whose name follows `fault_`. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/fault.h"

/* A function of `kind` that fails by returning `bad`, with errno `error`. */
#define FAILS(kind, error, bad, type, name, parameters, arguments) \
	type fault_##name parameters;                              \
	type fault_##name parameters                               \
	{                                                          \
		if (!fault_is_due(kind))                           \
			return name arguments;                     \
		errno = error;                                     \
		return bad;                                        \
	}

#define ALLOC(type, name, parameters, arguments) \
	FAILS(FAULT_ALLOC, ENOMEM, NULL, type, name, parameters, arguments)
#define MAKES_FD(name, parameters, arguments) \
	FAILS(FAULT_FD, EMFILE, -1, int, name, parameters, arguments)
#define WRITES_DISK(name, parameters, arguments) \
	FAILS(FAULT_DISK, ENOSPC, -1, int, name, parameters, arguments)
#define WAITS(type, name, parameters, arguments) \
	FAILS(FAULT_EINTR, EINTR, -1, type, name, parameters, arguments)

/* --- memory ----------------------------------------------------------------------------------- */

ALLOC(void *, malloc, (size_t size), (size))
ALLOC(void *, calloc, (size_t count, size_t size), (count, size))
ALLOC(void *, realloc, (void *old, size_t size), (old, size))
ALLOC(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
ALLOC(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALLOC(char *, strdup, (const char *text), (text))
ALLOC(char *, strndup, (const char *text, size_t size), (text, size))
ALLOC(FILE *, open_memstream, (char **text, size_t *size), (text, size))

static int print(char **text, const char *format, va_list list)
{
	if (!fault_is_due(FAULT_ALLOC))
		return vasprintf(text, format, list);
	errno = ENOMEM;
	return -1;
}

int fault_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fault_asprintf(char **text, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = print(text, format, list);
	va_end(list);
	return n;
}

/* What asprintf() is with _FORTIFY_SOURCE. */
int fault___asprintf_chk(char **text, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int fault___asprintf_chk(char **text, int flag, const char *format, ...)
{
	va_list list;
	int n;

	(void)flag;
	va_start(list, format);
	n = print(text, format, list);
	va_end(list);
	return n;
}

void *fault_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *fault_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (!fault_is_due(FAULT_ALLOC))
		return mmap(address, length, protection, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

/* --- descriptors ------------------------------------------------------------------------------ */

MAKES_FD(socket, (int family, int type, int protocol), (family, type, protocol))
MAKES_FD(socketpair, (int family, int type, int protocol, int fd[2]), (family, type, protocol, fd))
MAKES_FD(accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
	 (fd, address, length, flags))
MAKES_FD(pipe2, (int fd[2], int flags), (fd, flags))
MAKES_FD(eventfd, (unsigned value, int flags), (value, flags))
MAKES_FD(epoll_create1, (int flags), (flags))
MAKES_FD(timerfd_create, (clockid_t clock, int flags), (clock, flags))
MAKES_FD(signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
MAKES_FD(memfd_create, (const char *name, unsigned flags), (name, flags))
MAKES_FD(dup2, (int from, int to), (from, to))
FAILS(FAULT_FD, EMFILE, NULL, DIR *, opendir, (const char *path), (path))

static mode_t mode_of(int flags, va_list list)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

int fault_open(const char *path, int flags, ...);
int fault_open(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	if (!fault_is_due(FAULT_FD))
		return open(path, flags, mode);
	errno = EMFILE;
	return -1;
}

int fault_openat(int directory, const char *path, int flags, ...);
int fault_openat(int directory, const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = mode_of(flags, list);
	va_end(list);
	if (!fault_is_due(FAULT_FD))
		return openat(directory, path, flags, mode);
	errno = EMFILE;
	return -1;
}

/* --- disks ------------------------------------------------------------------------------------ */

WRITES_DISK(ftruncate, (int fd, off_t length), (fd, length))
WRITES_DISK(fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
WRITES_DISK(fsync, (int fd), (fd))
WRITES_DISK(mkdir, (const char *path, mode_t mode), (path, mode))
WRITES_DISK(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRITES_DISK(rename, (const char *from, const char *to), (from, to))
WRITES_DISK(renameat, (int from, const char *name, int to, const char *other),
	    (from, name, to, other))
WRITES_DISK(linkat, (int from, const char *name, int to, const char *other, int flags),
	    (from, name, to, other, flags))

/* --- what waits, and what does only a part ---------------------------------------------------- */

WAITS(int, poll, (struct pollfd * list, nfds_t count, int timeout), (list, count, timeout))
WAITS(int, epoll_wait, (int fd, struct epoll_event *events, int most, int timeout),
      (fd, events, most, timeout))
WAITS(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
WAITS(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WAITS(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))

/* Of other descriptors a part is not what a kernel gives: messages, counters, devices. */
static bool has_parts(int fd)
{
	struct stat status;
	int type = 0;
	socklen_t length = sizeof(type);

	if (fstat(fd, &status) < 0)
		return false;
	if (S_ISSOCK(status.st_mode))
		return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
		       type == SOCK_STREAM;
	return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode);
}

static bool is_file(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* How much of `size` to go on with; errno, and false, if the call fails. */
static bool begin(int fd, size_t *size, bool writes)
{
	if (fault_is_due(FAULT_EINTR)) {
		errno = EINTR;
		return false;
	}
	if (writes && is_file(fd) && fault_is_due(FAULT_DISK)) {
		errno = ENOSPC;
		return false;
	}
	if (*size > 1 && has_parts(fd) && fault_is_due(FAULT_SHORT))
		*size /= 2;
	return true;
}

#define TRANSFERS(writes, name, parameters, arguments)                 \
	ssize_t fault_##name parameters;                               \
	ssize_t fault_##name parameters                                \
	{                                                              \
		return begin(fd, &size, writes) ? name arguments : -1; \
	}

TRANSFERS(false, read, (int fd, void *data, size_t size), (fd, data, size))
TRANSFERS(false, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
TRANSFERS(false, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
TRANSFERS(true, write, (int fd, const void *data, size_t size), (fd, data, size))
TRANSFERS(true, pwrite, (int fd, const void *data, size_t size, off_t offset),
	  (fd, data, size, offset))
TRANSFERS(true, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))

/* The first of several buffers alone is a part. */
#define TRANSFERS_VECTOR(writes, name, parameters, arguments) \
	ssize_t fault_##name parameters;                      \
	ssize_t fault_##name parameters                       \
	{                                                     \
		size_t size = (size_t)count;                  \
                                                              \
		if (!begin(fd, &size, writes))                \
			return -1;                            \
		count = (int)size;                            \
		return name arguments;                        \
	}

TRANSFERS_VECTOR(false, readv, (int fd, const struct iovec *iov, int count), (fd, iov, count))
TRANSFERS_VECTOR(false, preadv, (int fd, const struct iovec *iov, int count, off_t offset),
		 (fd, iov, count, offset))
TRANSFERS_VECTOR(true, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))
TRANSFERS_VECTOR(true, pwritev, (int fd, const struct iovec *iov, int count, off_t offset),
		 (fd, iov, count, offset))
