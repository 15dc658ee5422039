/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports without a network card: a Unix socket of the host leads to a TCP port of the
 * guest's loopback, or to a vsock port, over vsock. Where it is a TCP port, the agent takes the
 * connections and passes them on.
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
	bool vsock; /* the port is vsock's; else TCP's */
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
 * Makes the sockets; clients wait until vsock_publish_open(). They go with the vsock device, before
 * sockets, config and guard do. In the guard's audit log each connection has a line when it begins,
 * and one when it ends. 0 or -errno with a message.
 */
int publish_vsock_make(struct publish_vsock *sockets, const struct publish_vsock_config *config,
		       struct vsock *vsock, struct guard *guard, struct err *err);

/* Sends the agent the request for its part: 1; 0: it has none; -errno. */
int publish_vsock_request(const struct publish_vsock_config *config, struct agent_channel *channel,
			  const struct agent_reply *reply);

#endif
