/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about published ports of a sandbox that runs. The log has an event `publish` before a
 * port is opened, and `unpublish` when it is closed, or could not be opened.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/control/requests.h"

#define BY_MAX 64

static enum policy_verdict note(const struct monitor *monitor, const char *what, const char *object,
				const char *detail)
{
	const struct guard_note event = {
		.class = POLICY_NET, .what = what, .object = object, .detail = detail};

	return guard_note(monitor->session.guard, &event);
}

static bool is_same(const struct publish *a, const struct publish *b)
{
	return a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       a->host_port == b->host_port && a->guest_port == b->guest_port && a->udp == b->udp;
}

/* The relay's reply; a client that is gone has left an open port behind. */
static void opened(void *arg, const struct publish *publish, const char *failure)
{
	struct monitor *monitor = arg;
	char text[PUBLISH_TEXT];
	struct client *client;

	if (failure)
		note(monitor, "unpublish", publish_text(publish, text), failure);
	for (client = monitor->clients; client; client = client->next) {
		if (!client->publishes || !is_same(&client->publish, publish))
			continue;
		client->publishes = false;
		if (failure)
			server_refuse(client, client->publish_id, failure);
		else
			server_reply(client, client->publish_id, NULL);
	}
}

/* Opens the port of client->publish. 0 or -errno with a message. */
static int publish(struct client *client, struct err *err)
{
	struct monitor *monitor = client->monitor;
	char text[PUBLISH_TEXT], by[BY_MAX];
	int ret;

	if (!monitor->session.guard)
		return err_set(err, ENODEV, "the sandbox has no network");
	server_peer(client, by, sizeof(by));
	publish_text(&client->publish, text);
	if (note(monitor, "publish", text, by) != POLICY_ALLOW)
		return err_set(err, EACCES,
			       "the policy requires the audit log, and it can't be written");
	ret = network_publish(&monitor->session.sandbox.network, &client->publish, opened, monitor,
			      err);
	if (ret < 0)
		note(monitor, "unpublish", text, err->text);
	return ret;
}

void op_publish(struct client *client, struct message *message)
{
	const char *port = string_of(message->body, "port");
	uint64_t id = request_id(message->body);
	struct err err = {.text = ""};
	int ret = 0;

	if (client->publishes)
		ret = err_set(&err, EBUSY, "another port is being opened for this connection");
	else
		ret = publish_parse(&client->publish, port ? port : "", &err);
	if (ret == 0)
		ret = publish(client, &err);
	if (ret < 0) {
		server_refuse(client, id, err.text);
		return;
	}
	client->publishes = true;
	client->publish_id = id;
}

void op_unpublish(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	uint64_t port = number_of(message->body, "port"), id = request_id(message->body);
	bool udp = flag_of(message->body, "udp");
	struct err err = {.text = ""};
	char text[32], by[BY_MAX];
	int ret;

	if (port < 1 || port > UINT16_MAX) {
		server_refuse(client, id, "not a port of the host: 1 to 65535");
		return;
	}
	ret = network_unpublish(&monitor->session.sandbox.network, (uint16_t)port, udp, &err);
	if (ret < 0) {
		server_refuse(client, id, err.text);
		return;
	}
	server_peer(client, by, sizeof(by));
	snprintf(text, sizeof(text), "%u/%s", (unsigned)port, udp ? "udp" : "tcp");
	note(monitor, "unpublish", text, by);
	server_reply(client, id, NULL);
}

void op_ports(struct client *client, struct message *message)
{
	const struct network *network = &client->monitor->session.sandbox.network;
	char address[IP_TEXT], text[PUBLISH_TEXT];
	json_t *list = json_array();
	const struct publish *port;
	struct ip_address ip;
	unsigned at = 0;

	while ((port = network_port_next(network, &at)) != NULL) {
		ip = (struct ip_address){.family = port->family};
		memcpy(ip.bytes, port->address, sizeof(ip.bytes));
		json_array_append_new(list, json_pack("{s:s,s:i,s:i,s:s,s:s}", "address",
						      port->family ? ip_text(&ip, address) : "*",
						      "host_port", (int)port->host_port, "port",
						      (int)port->guest_port, "protocol",
						      port->udp ? "udp" : "tcp", "text",
						      publish_text(port, text)));
	}
	server_reply(client, request_id(message->body), json_pack("{s:o}", "ports", list));
}
