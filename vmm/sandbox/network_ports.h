/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published ports of a sandbox whose network goes through a relay: those of the command line,
 * and those that are opened and closed while it runs. The relay opens them; its reply comes later.
 */
#ifndef CORDON_SANDBOX_NETWORK_PORTS_H
#define CORDON_SANDBOX_NETWORK_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/net/publish.h"
#include "vmm/relay/client.h"

/* A port is open; or failure says why it is not. Once for each port. */
typedef void network_port_opened(void *arg, const struct publish *publish, const char *failure);

struct network_ports {
	struct network_port {
		struct publish publish;
		bool open; /* the relay has said so */
		network_port_opened *opened;
		void *arg;
	} port[RELAY_PUBLISHED];
	unsigned count;
};

/*
 * Opens a port; opened() is called later. 0, or -errno with a message; then opened() is not called.
 */
int network_ports_open(struct network_ports *ports, struct relay_client *client,
		       const struct publish *publish, network_port_opened *opened, void *arg,
		       struct err *err);

/* Closes all ports of that number of the host, and their connections. -ENOENT: there is none. */
int network_ports_close(struct network_ports *ports, struct relay_client *client,
			uint16_t host_port, bool udp, struct err *err);

/* The relay's reply: error is an errno, or 0. */
void network_ports_replied(struct network_ports *ports, const struct relay_publish *which,
			   int error);

/* The relay has ended, so none is open: opened() is called for those that were being opened. */
void network_ports_lost(struct network_ports *ports, const char *why);

/* Whether a port of the guest is published. */
bool network_ports_has(const struct network_ports *ports, uint16_t guest_port, bool udp);

#endif
