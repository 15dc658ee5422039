/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the monitor. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"

#define SOURCE_PORTS 128

/* Connects from a port that only guest root can bind, so the workload can't impersonate the agent.
 */
int connect_monitor(uint32_t port)
{
	struct vsock_address to = {.family = AF_VSOCK, .cid = 2, .port = port};
	struct vsock_address from = {.family = AF_VSOCK, .cid = ~0u};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), high, ret = -1;
	unsigned i;

	if (fd >= 0 && fd < 3) {
		high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		close(fd);
		fd = high;
	}
	/* Skip ports whose last connection has not quite ended. */
	for (i = 0; fd >= 0 && ret < 0 && i < SOURCE_PORTS; i++) {
		from.port = AGENT_SOURCE_PORT_MAX - i;
		ret = bind(fd, (struct sockaddr *)&from, sizeof(from));
		if (ret < 0 && errno != EADDRINUSE)
			break;
	}
	if (ret < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		ret = -errno;
		close_fd(&fd);
		return ret;
	}
	return fd;
}
