/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/sockets.h"

#include <errno.h>

/* The n-th socket's port of the agent. */
static uint32_t port_of(const struct sockets_config *config, unsigned n)
{
	return config->socket[n].vsock ? config->socket[n].port : AGENT_FORWARD_PORT + n;
}

int sockets_make(const struct sockets_config *config, struct vsock *vsock, struct err *err)
{
	struct err why;
	unsigned i;
	int ret;

	for (i = 0; i < config->count; i++) {
		ret = vsock_publish(vsock, config->socket[i].path, port_of(config, i), &why);
		if (ret < 0)
			return err_set(err, -ret, "--publish-vsock: %s", why.text);
	}
	return 0;
}

int sockets_ask(const struct sockets_config *config, struct agent_channel *channel)
{
	struct agent_forward forward[SOCKETS_MAX];
	unsigned i, count = 0;

	for (i = 0; i < config->count; i++) {
		if (config->socket[i].vsock)
			continue;
		forward[count].port = port_of(config, i);
		forward[count++].target = (uint16_t)config->socket[i].port;
	}
	return count ? agent_channel_forward(channel, forward, count) : 0;
}
