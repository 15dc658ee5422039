/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports without a network card: over vsock, a Unix socket of the host leads to a vsock
 * port of the guest or to a TCP port of the guest's loopback. For a TCP port, the agent accepts the
 * vsock connections and forwards them.
 */
#ifndef CORDON_SANDBOX_PUBLISH_VSOCK_H
#define CORDON_SANDBOX_PUBLISH_VSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "devices/vsock/vsock.h"
#include "vmm/agent/channel.h"
#include "vmm/base/err.h"

struct guard;

#define PUBLISH_VSOCK_MAX AGENT_FORWARDS_MAX /* of a sandbox */

struct socket_config {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* absolute */
	uint32_t port;
	bool vsock; /* port is a vsock port, else a TCP port */
};

struct publish_vsock_config {
	unsigned count;
	struct socket_config socket[PUBLISH_VSOCK_MAX];
};

struct publish_vsock {
	const struct publish_vsock_config *config;
	struct guard *guard;
};

/*
 * Creates the sockets; clients wait until vsock_publish_open(). The vsock device removes them;
 * sockets, config and guard must outlive it. The guard's audit log gets a line when a connection
 * begins and one when it ends. 0 or -errno with a message.
 */
int publish_vsock_make(struct publish_vsock *sockets, const struct publish_vsock_config *config,
		       struct vsock *vsock, struct guard *guard, struct err *err);

/* Requests the agent to forward TCP ports. 1: the request is sent; 0: there are none; -errno. */
int publish_vsock_request(const struct publish_vsock_config *config, struct agent_channel *channel,
			  const struct agent_reply *reply);

#endif
