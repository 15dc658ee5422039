/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"

/* CMSG_SPACE rounds up. Offer the kernel only CMSG_LEN, or one descriptor more might arrive. */
#define CONTROL_BYTES CMSG_LEN(MESSAGE_FDS * sizeof(int))

union fd_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

int message_send(int socket_fd, json_t *body, const int *fd, unsigned fds, int flags)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct iovec iov = {.iov_base = text};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_buffer buffer;
	struct cmsghdr *control;
	ssize_t n;
	int ret;

	if (!text)
		return -ENOMEM;
	iov.iov_len = strlen(text);
	if (iov.iov_len > MESSAGE_MAX || fds > MESSAGE_FDS) {
		free(text);
		return -EMSGSIZE;
	}
	if (fds > 0) {
		memset(&buffer, 0, sizeof(buffer));
		header.msg_control = buffer.bytes;
		header.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		control = CMSG_FIRSTHDR(&header);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(control), fd, fds * sizeof(int));
	}
	do {
		n = sendmsg(socket_fd, &header, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	ret = n < 0 ? -errno : 0;
	free(text);
	return ret;
}

/*
 * Takes the descriptors out of the ancillary data. Also for a message that is refused because it
 * has too many: those that did arrive must be closed.
 */
static void take_fds(struct msghdr *header, struct message *message)
{
	struct cmsghdr *control;
	size_t count, i;
	int fd;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS ||
		    control->cmsg_len < CMSG_LEN(0))
			continue;
		count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
			if (message->fds < MESSAGE_FDS)
				message->fd[message->fds++] = fd;
			else
				fd_close(&fd);
		}
	}
}

int message_receive(int socket_fd, struct message *message, int flags, struct err *err)
{
	char *text = malloc(MESSAGE_MAX);
	struct iovec iov = {.iov_base = text, .iov_len = MESSAGE_MAX};
	union fd_buffer buffer;
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = buffer.bytes,
		.msg_controllen = CONTROL_BYTES,
	};
	json_error_t why;
	ssize_t n;
	int ret;

	*message = (struct message){.body = NULL};
	if (!text)
		return -ENOMEM;
	do {
		n = recvmsg(socket_fd, &header, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		ret = n < 0 ? -errno : 0;
		goto out;
	}
	take_fds(&header, message);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		ret = err_set(err, EPROTO,
			      "a message is longer than %u bytes or has too many "
			      "descriptors",
			      MESSAGE_MAX);
		goto out;
	}
	message->body = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(message->body))
		ret = err_set(err, EPROTO, "a message is not a JSON object: %s",
			      message->body ? "it is something else" : why.text);
	else
		ret = 1;
out:
	free(text);
	if (ret < 0)
		message_clear(message);
	return ret;
}

void message_clear(struct message *message)
{
	unsigned i;

	json_decref(message->body);
	message->body = NULL;
	for (i = 0; i < message->fds; i++)
		fd_close(&message->fd[i]);
	message->fds = 0;
}
