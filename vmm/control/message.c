/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/rights.h"

_Static_assert(MESSAGE_FDS <= RIGHTS_MAX, "the descriptors of a message have room");

int message_send(int socket_fd, json_t *body, const int *fd, unsigned fds, int flags)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct iovec iov = {.iov_base = text};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	struct rights rights;
	ssize_t n;
	int ret;

	if (!text)
		return -ENOMEM;
	iov.iov_len = strlen(text);
	if (iov.iov_len > MESSAGE_MAX || fds > MESSAGE_FDS) {
		free(text);
		return -EMSGSIZE;
	}
	rights_put(&header, &rights, fd, fds);
	do {
		n = sendmsg(socket_fd, &header, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	ret = n < 0 ? -errno : 0;
	free(text);
	return ret;
}

int message_receive(int socket_fd, struct message *message, int flags, struct err *err)
{
	char *text = malloc(MESSAGE_MAX);
	struct iovec iov = {.iov_base = text, .iov_len = MESSAGE_MAX};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	struct rights rights;
	json_error_t why;
	ssize_t n;
	int ret;

	*message = (struct message){.body = NULL};
	if (!text)
		return -ENOMEM;
	rights_room(&header, &rights, MESSAGE_FDS);
	do {
		n = recvmsg(socket_fd, &header, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		ret = n < 0 ? -errno : 0;
		goto out;
	}
	message->fds = rights_take(&header, message->fd, MESSAGE_FDS);
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

json_t *message_path(const char *path)
{
	json_t *json = json_string(path);

	if (json)
		return json;
	json = json_array();
	for (; json && *path; path++)
		if (json_array_append_new(json, json_integer((unsigned char)*path)) < 0) {
			json_decref(json);
			return NULL;
		}
	return json;
}

int message_read_path(const json_t *json, char path[PATH_MAX])
{
	const json_t *byte;
	json_int_t value;
	size_t i;

	path[0] = '\0';
	if (json_is_string(json))
		return snprintf(path, PATH_MAX, "%s", json_string_value(json)) < PATH_MAX ? 0
											  : -EINVAL;
	if (!json_is_array(json) || json_array_size(json) >= PATH_MAX)
		return -EINVAL;
	json_array_foreach(json, i, byte)
	{
		value = json_integer_value(byte);
		if (value < 1 || value > 255)
			return -EINVAL;
		path[i] = (char)value;
	}
	path[i] = '\0';
	return 0;
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
