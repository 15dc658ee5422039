/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network_ports.h"

#include <errno.h>
#include <string.h>

static struct relay_publish wire_of(const struct publish *publish)
{
	struct relay_publish which;

	/* Padding too: it leaves the process. */
	memset(&which, 0, sizeof(which));
	which.address.family = publish->family;
	memcpy(which.address.bytes, publish->address, sizeof(which.address.bytes));
	which.host_port = publish->host_port;
	which.guest_port = publish->guest_port;
	which.udp = publish->udp;
	return which;
}

static void take_out(struct network_ports *ports, unsigned index)
{
	ports->count--;
	memmove(&ports->port[index], &ports->port[index + 1],
		(ports->count - index) * sizeof(ports->port[0]));
}

/* Tells what waits for a port, which is no longer in the list if failure says why. */
static void tell(const struct network_port *port, const char *failure)
{
	if (port->opened)
		port->opened(port->arg, &port->publish, failure);
}

int network_ports_open(struct network_ports *ports, struct relay_client *client,
		       const struct publish *publish, network_port_opened *opened, void *arg,
		       struct err *err)
{
	const struct relay_publish which = wire_of(publish);
	unsigned i;
	int ret;

	for (i = 0; i < ports->count; i++)
		if (publish_clash(&ports->port[i].publish, publish))
			return err_set(err, EADDRINUSE, "port %u of the host is published already",
				       publish->host_port);
	if (ports->count == RELAY_PUBLISHED)
		return err_set(err, E2BIG, "more than %d ports", RELAY_PUBLISHED);
	ret = relay_client_publish(client, &which);
	if (ret == -EPIPE)
		return err_set(err, EPIPE, "the sandbox has no network any more");
	if (ret < 0)
		return err_set(err, -ret, "the relay of the network is busy: try again");
	ports->port[ports->count++] =
		(struct network_port){.publish = *publish, .opened = opened, .arg = arg};
	return 0;
}

int network_ports_close(struct network_ports *ports, struct relay_client *client,
			uint16_t host_port, bool udp, struct err *err)
{
	const struct publish *publish;
	struct relay_publish which;
	unsigned i = 0, closed = 0;
	int ret;

	while (i < ports->count) {
		publish = &ports->port[i].publish;
		if (publish->host_port != host_port || publish->udp != udp) {
			i++;
			continue;
		}
		/* The reply that the port is open could not be told from one to its next opening.
		 */
		if (!ports->port[i].open)
			return err_set(err, EBUSY, "port %u is being opened: try again", host_port);
		which = wire_of(publish);
		ret = relay_client_unpublish(client, &which);
		if (ret < 0)
			return err_set(err, -ret, "the relay of the network is busy: try again");
		take_out(ports, i);
		closed++;
	}
	return closed > 0 ? 0
			  : err_set(err, ENOENT,
				    "port %u/%s of the host is not published: 'cordon "
				    "ports' lists those that are",
				    host_port, udp ? "udp" : "tcp");
}

void network_ports_replied(struct network_ports *ports, const struct relay_publish *which,
			   int error)
{
	struct network_port port;
	struct relay_publish own;
	struct err why;
	unsigned i;

	for (i = 0; i < ports->count; i++) {
		own = wire_of(&ports->port[i].publish);
		if (relay_publish_same(&own, which))
			break;
	}
	if (i == ports->count || ports->port[i].open)
		return;
	ports->port[i].open = true;
	port = ports->port[i];
	if (error != 0) {
		take_out(ports, i);
		publish_failed(&port.publish, error, &why);
	}
	tell(&port, error != 0 ? why.text : NULL);
}

void network_ports_lost(struct network_ports *ports, const char *why)
{
	struct network_port port;

	while (ports->count > 0) {
		port = ports->port[0];
		take_out(ports, 0);
		if (!port.open)
			tell(&port, why);
	}
}

bool network_ports_has(const struct network_ports *ports, uint16_t guest_port, bool udp)
{
	unsigned i;

	for (i = 0; i < ports->count; i++)
		if (ports->port[i].publish.guest_port == guest_port &&
		    ports->port[i].publish.udp == udp)
			return true;
	return false;
}
