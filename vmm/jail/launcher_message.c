/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/base/rights.h"
#include "vmm/jail/launcher_internal.h"

int launcher_send(int fd, const struct launcher_head *head, const struct launcher_message *message,
		  int flags)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(*head)},
		{.iov_base = (void *)(uintptr_t)message->bytes, .iov_len = message->length},
	};
	struct msghdr packet = {.msg_iov = iov, .msg_iovlen = message->length ? 2 : 1};
	struct rights space;
	ssize_t n;

	if (message->length > LAUNCHER_BYTES || message->fds > LAUNCHER_FDS)
		return -EMSGSIZE;
	rights_put(&packet, &space, message->fd, message->fds);
	do {
		n = sendmsg(fd, &packet, MSG_NOSIGNAL | flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int launcher_receive(int fd, struct launcher_packet *packet, struct launcher_message *message,
		     int flags)
{
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(*packet)};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	struct rights space;
	ssize_t n;

	*message = (struct launcher_message){.bytes = packet->bytes};
	rights_room(&header, &space, LAUNCHER_FDS);
	do {
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	message->fds = rights_take(&header, message->fd, LAUNCHER_FDS);
	if (n == 0 && message->fds == 0)
		return 0;
	if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)n < sizeof(packet->head)) {
		launcher_message_close(message);
		return -EPROTO;
	}
	message->length = (size_t)n - sizeof(packet->head);
	return 1;
}

void launcher_message_close(struct launcher_message *message)
{
	unsigned i;

	for (i = 0; i < message->fds; i++)
		fd_close(&message->fd[i]);
	message->fds = 0;
}
