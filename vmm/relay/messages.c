/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/messages.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/relay/link.h"
#include "vmm/relay/listen.h"
#include "vmm/relay/names.h"
#include "vmm/policy/policy_copy.h"
#include "vmm/relay/relay.h"

static void reply(struct relay *relay, uint32_t type, const void *data, size_t length)
{
	const struct iovec part[2] = {{&type, sizeof(type)}, {(void *)data, length}};

	link_send(relay->messages, part, length ? 2 : 1);
}

/* A relay without the names or the policy is no use: its end tells the monitor, and the user. */
static void give_up(struct relay *relay, const char *what, int ret)
{
	log_error("relay: cannot %s: %s", what, strerror(-ret));
	relay->failed = ret;
	loop_stop(relay->loop);
}

static void take_config(struct relay *relay, const void *data, int fd)
{
	int ret;

	(void)fd;
	if (relay->names)
		return;
	memcpy(&relay->config, data, sizeof(relay->config));
	memcpy(relay->ends.router_mac, relay->config.router_mac, PACKET_MAC);
	relay_set_card(relay, &relay->config.card);
	ret = names_create(&relay->names, relay);
	if (ret < 0)
		give_up(relay, "begin", ret);
}

static void take_policy(struct relay *relay, const void *data, int fd)
{
	struct policy *policy;
	bool first = !relay->policy;
	int ret = policy_copy_read(fd, &policy);

	(void)data;
	/* Without the policy in force nothing may be open: NULL denies all. */
	policy_free(relay->policy);
	relay->policy = policy;
	relay_flows_policy_changed(&relay->flows);
	if (ret < 0)
		give_up(relay, "read the policy", ret);
	else if (first && relay->names && relay->failed == 0)
		reply(relay, RELAY_READY, NULL, 0);
}

static void take_resolvers(struct relay *relay, const void *data, int fd)
{
	struct resolver_servers servers;

	(void)fd;
	memcpy(&servers, data, sizeof(servers));
	if (relay->names)
		names_set_resolvers(relay->names, &servers);
}

static void take_card(struct relay *relay, const void *data, int fd)
{
	struct relay_card card;

	(void)fd;
	memcpy(&card, data, sizeof(card));
	relay_set_card(relay, &card);
	publishing_card(relay);
}

static void publish(struct relay *relay, const void *data, int fd)
{
	struct relay_published done = {.error = 0};

	(void)fd;
	memcpy(&done.which, data, sizeof(done.which));
	done.error = -publishing_open(relay, &done.which);
	reply(relay, RELAY_PUBLISHED_REPLY, &done, sizeof(done));
}

static void unpublish(struct relay *relay, const void *data, int fd)
{
	struct relay_publish which;

	(void)fd;
	memcpy(&which, data, sizeof(which));
	publishing_close(relay, &which);
}

static void take_verdict(struct relay *relay, const void *data, int fd)
{
	struct relay_verdict verdict;

	(void)fd;
	memcpy(&verdict, data, sizeof(verdict));
	decide_verdict(relay, &verdict);
}

static void forget(struct relay *relay, const void *data, int fd)
{
	(void)data;
	(void)fd;
	relay_flows_end_all(&relay->flows, RELAY_DROPPED);
	if (relay->names)
		names_forget(relay->names);
}

static void send_flow(struct relay *relay, const struct relay_flow *flow, uint32_t left)
{
	struct relay_flow_info info = {
		.left = left,
		.protocol = (uint8_t)relay_protocol(flow),
		.inbound = flow->inbound,
		.host = flow->host,
		.guest_port = flow->key.guest_port,
		.peer_port = flow->key.peer_port,
		.peer = flow->key.peer,
		.bytes_out = flow->bytes_out,
		.bytes_in = flow->bytes_in,
		.age_ns = relay_now(relay) - flow->begun_ns,
		.rule = flow->rule == UINT32_MAX ? RELAY_NO_RULE : flow->rule,
	};

	if (flow->name)
		memcpy(info.name, flow->name, min_u64(strlen(flow->name), sizeof(info.name) - 1));
	reply(relay, RELAY_FLOW, &info, sizeof(info));
}

static void send_stats(struct relay *relay, const void *data, int fd)
{
	struct relay_flow *flow = NULL;
	uint32_t left;

	(void)data;
	(void)fd;
	relay->stats.flows = relay->flows.count;
	relay->stats.memory = relay->memory.used;
	reply(relay, RELAY_STATS_REPLY, &relay->stats, sizeof(relay->stats));
	left = (uint32_t)min_u64(relay->flows.count, RELAY_FLOWS_SHOWN);
	while (left > 0 && (flow = relay_flows_after(&relay->flows, flow)) != NULL)
		send_flow(relay, flow, --left);
}

static void set_guest_time(struct relay *relay, const void *data, int fd)
{
	uint8_t held;

	(void)fd;
	memcpy(&held, data, sizeof(held));
	loop_hold_guest_time(relay->loop, held != 0);
}

static const struct {
	uint32_t type;
	size_t length;
	void (*take)(struct relay *relay, const void *data, int fd);
} messages[] = {
	{RELAY_CONFIG, sizeof(struct relay_config), take_config},
	{RELAY_POLICY, 0, take_policy},
	{RELAY_CARD, sizeof(struct relay_card), take_card},
	{RELAY_PUBLISH, sizeof(struct relay_publish), publish},
	{RELAY_UNPUBLISH, sizeof(struct relay_publish), unpublish},
	{RELAY_VERDICT, sizeof(struct relay_verdict), take_verdict},
	{RELAY_FORGET, 0, forget},
	{RELAY_STATS, 0, send_stats},
	{RELAY_GUEST_TIME, sizeof(uint8_t), set_guest_time},
	{RELAY_RESOLVERS, sizeof(struct resolver_servers), take_resolvers},
};

void messages_take(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay *relay = arg;
	uint32_t type = 0;
	size_t i;

	if (length >= sizeof(type))
		memcpy(&type, data, sizeof(type));
	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		if (messages[i].type == type && length == sizeof(type) + messages[i].length) {
			messages[i].take(relay, data + sizeof(type), fd);
			break;
		}
	}
	if (fd >= 0)
		close(fd);
}
