/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define BACKLOG 1024

/*
 * Locks the socket's directory: of two processes that find the same dead socket, only one replaces
 * it. Returns the descriptor, or -errno.
 */
static int lock_directory(const char *path, struct err *err)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	char copy[PATH_MAX];
	int fd, tries;

	strncpy(copy, path, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s: the directory of the vsock socket", path);
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (tries == 100) {
			fd_close(&fd);
			return err_set(err, EBUSY,
				       "%s: the directory of the vsock socket stays locked", path);
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* Whether path is a socket that no process listens on. */
static bool is_dead_socket(const char *path, const struct sockaddr_un *address)
{
	struct stat status;
	bool dead;
	int fd;

	if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
	fd_close(&fd);
	return dead;
}

static int bind_and_listen(struct vsock_socket *file, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = file->path;
	struct stat status;
	int fd = file->fd, ret;

	memcpy(address.sun_path, path, sizeof(address.sun_path));
	/* bind(2) gives the file the socket's mode, so the file never has any other mode. */
	if (fchmod(fd, 0600) < 0)
		return err_sys(err, "%s: mode of the vsock socket", path);
	ret = bind(fd, (struct sockaddr *)&address, sizeof(address));
	if (ret < 0 && errno == EADDRINUSE) {
		if (!is_dead_socket(path, &address))
			return err_set(
				err, EADDRINUSE,
				"%s: in use (a live socket, or not a socket): choose another "
				"path for the vsock socket",
				path);
		if (unlink(path) < 0)
			return err_sys(err, "%s: remove the dead socket", path);
		ret = bind(fd, (struct sockaddr *)&address, sizeof(address));
	}
	if (ret < 0)
		return err_sys(err, "%s: bind the vsock socket", path);
	if (lstat(path, &status) == 0) {
		file->device = status.st_dev;
		file->inode = status.st_ino;
	}
	if (listen(fd, BACKLOG) < 0)
		return err_sys(err, "%s: listen on the vsock socket", path);
	return 0;
}

int vsock_socket_open(struct vsock_socket *file, struct err *err)
{
	const char *path = file->path;
	int lock, ret;

	file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file->fd < 0)
		return err_sys(err, "%s: create the vsock socket", path);
	lock = lock_directory(path, err);
	if (lock < 0)
		return lock;
	ret = bind_and_listen(file, err);
	fd_close(&lock);
	return ret;
}

void vsock_socket_close(struct vsock_socket *file)
{
	struct stat status;

	fd_close(&file->fd);
	if (file->inode && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
	    status.st_ino == file->inode)
		unlink(file->path);
}
