/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent_forward_common.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "tests/support/unit.h"

char directory[64];
unsigned *cid;

int fake_socket(int family, int type, int protocol)
{
	return socket(family == AF_VSOCK ? AF_UNIX : family, type, protocol);
}

struct sockaddr_un path_of(uint32_t port)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};

	snprintf(path.sun_path, sizeof(path.sun_path), "%s/%u", directory, port);
	return path;
}

int fake_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct vsock_address at;
	struct sockaddr_un path;

	ck_assert_uint_eq(length, sizeof(at));
	memcpy(&at, address, sizeof(at));
	path = path_of(at.port);
	unlink(path.sun_path);
	return bind(fd, (struct sockaddr *)&path, sizeof(path));
}

int fake_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	struct vsock_address from = {.family = AF_VSOCK, .cid = *cid};

	memcpy(address, &from, sizeof(from));
	*length = sizeof(from);
	return accept4(fd, NULL, NULL, flags);
}

int fake_become(void)
{
	return 0;
}

/* What it needs of the rest of the agent. */
void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void network_low_ports(void)
{
}

void agent_log(const char *fmt, ...)
{
	(void)fmt;
}
