/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/relay/names.h"

bool names_host_has6(void)
{
	/* Any public address does: connect(2) only looks for a route and a source address. */
	const struct sockaddr_in6 public = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(NAMES_PORT),
		.sin6_addr = {{{0x20, 0x01, 0x48, 0x60, 0x48, 0x60, [14] = 0x88, 0x88}}},
	};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool has;

	if (fd < 0)
		return false;
	has = connect(fd, (const struct sockaddr *)&public, sizeof(public)) == 0;
	close(fd);
	return has;
}
