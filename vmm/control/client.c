/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/control/registry.h"

static int read_greeting(int fd, const char *name, struct err *err)
{
	struct message greeting;
	json_int_t version;
	const char *why;
	int ret = client_receive(fd, &greeting, err);

	if (ret < 0)
		return ret;
	version = json_integer_value(json_object_get(greeting.body, "protocol"));
	why = json_string_value(json_object_get(greeting.body, "error"));
	if (version != MESSAGE_PROTOCOL)
		ret = err_set(err, EPROTO,
			      "%s was started by another version of cordon (control protocol %d, "
			      "not %d): use that version",
			      name, (int)version, MESSAGE_PROTOCOL);
	else if (why)
		ret = err_set(err, EBUSY, "%s: %s", name, why);
	message_clear(&greeting);
	return ret;
}

static int open_socket(const char *name, unsigned timeout_ms, struct err *err)
{
	struct timeval timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000,
	};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "%s: socket", name);
	if (timeout_ms > 0 &&
	    (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)) {
		err_sys(err, "%s: socket", name);
		fd_close(&fd);
		return -EIO;
	}
	return fd;
}

/* Turns errno of connect(2) into a message. */
static int not_connected(const char *name, struct err *err)
{
	if (errno == EAGAIN)
		return err_set(err, ETIMEDOUT, "%s does not respond", name);
	if (errno == ENOENT || errno == ECONNREFUSED) /* the monitor runs but does not listen yet */
		return err_set(err, EAGAIN, "%s is still starting", name);
	return err_sys(err, "%s: control socket", name);
}

int client_connect(const char *name, unsigned timeout_ms, struct err *err)
{
	struct sockaddr_un address;
	pid_t pid;
	int fd, ret = registry_find(name, &pid, err);

	if (ret == 0)
		ret = registry_socket(name, &address, err);
	if (ret < 0)
		return ret;
	fd = open_socket(name, timeout_ms, err);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		ret = not_connected(name, err);
	if (ret == 0)
		ret = read_greeting(fd, name, err);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	return fd;
}

int client_send(int socket_fd, json_t *body, const int *fd, unsigned fds, struct err *err)
{
	int ret = body ? message_send(socket_fd, body, fd, fds, 0) : -ENOMEM;

	json_decref(body);
	if (ret == -EMSGSIZE)
		return err_set(err, EMSGSIZE, "the request is longer than %u bytes", MESSAGE_MAX);
	if (ret < 0)
		return err_code(err, -ret, "control socket");
	return 0;
}

int client_receive(int socket_fd, struct message *message, struct err *err)
{
	int ret = message_receive(socket_fd, message, 0, err);

	if (ret == 0 || ret == -ECONNRESET)
		return err_set(err, EPIPE, "the sandbox has ended");
	if (ret == -EAGAIN)
		return err_set(err, ETIMEDOUT, "the sandbox does not respond");
	if (ret < 0 && ret != -EPROTO)
		return err_code(err, -ret, "control socket");
	return ret < 0 ? ret : 0;
}

int client_request(int socket_fd, json_t *body, struct message *reply, struct err *err)
{
	return client_request_with(socket_fd, body, NULL, 0, reply, err);
}

int client_request_with(int socket_fd, json_t *body, const int *fd, unsigned fds,
			struct message *reply, struct err *err)
{
	const char *why;
	int ret = client_send(socket_fd, body, fd, fds, err);

	if (ret == 0)
		ret = client_receive(socket_fd, reply, err);
	if (ret < 0)
		return ret;
	if (json_is_true(json_object_get(reply->body, "ok")))
		return 0;
	why = json_string_value(json_object_get(reply->body, "error"));
	ret = err_set(err, EREMOTE, "%s", why ? why : "refused");
	message_clear(reply);
	return ret;
}

int client_request_once(const char *name, unsigned timeout_ms, json_t *request,
			struct message *reply, struct err *err)
{
	int fd = client_connect(name, timeout_ms, err), ret;

	if (fd < 0) {
		json_decref(request);
		return fd;
	}
	ret = client_request(fd, request, reply, err);
	fd_close(&fd);
	return ret;
}
