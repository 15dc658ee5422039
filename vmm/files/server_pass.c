/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files, from one server of a sandbox to the next: a socket between the two, in which each
 * message is a struct fuse_passed with a descriptor. The last one has neither.
 */
#include <errno.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/rights.h"
#include "vmm/files/server_internal.h"

static int send_one(void *arg, const struct fuse_passed *what, int fd)
{
	struct iovec part = {(void *)(uintptr_t)what, sizeof(*what)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct rights rights;

	(void)arg;
	rights_put(&message, &rights, &fd, fd >= 0);
	return sendmsg(FILES_GIVE_FD, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The successor takes nothing before it has the end: without one it is given up. */
void files_give(struct fuse_session *session)
{
	const struct fuse_passed end = {.kind = 0};

	if (fuse_session_give(session, send_one, NULL) == 0)
		send_one(NULL, &end, -1);
}

/* 1: there are more; 0: that was the end. */
static int take_one(struct fuse_session *session)
{
	struct fuse_passed what;
	struct iovec part = {&what, sizeof(what)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct rights rights;
	unsigned fds;
	ssize_t n;
	int fd = -1;

	rights_room(&message, &rights, 1);
	do {
		n = recvmsg(FILES_TAKE_FD, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	fds = n < 0 ? 0 : rights_take(&message, &fd, 1);
	if (n == (ssize_t)sizeof(what) && fds == 1) {
		fuse_session_take(session, &what, fd);
		return 1;
	}
	fd_close(&fd);
	return n == (ssize_t)sizeof(what) && what.kind == 0 ? 0 : -EPIPE;
}

int files_take(struct fuse_session *session)
{
	int ret;

	do {
		ret = take_one(session);
	} while (ret > 0);
	return ret;
}
