/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network.h"

#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/guard.h"
#include "vmm/relay/wire.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network_internal.h"
#include "vmm/sandbox/network_relay.h"
#include "vmm/sandbox/network_tap.h"

#define MTU 65520

/*
 * Both ends of the wire between card and relay are ours, so every sandbox may have the same MACs.
 * first_mac is the guest's until its agent has set another.
 */
static const uint8_t first_mac[PACKET_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02};
static const uint8_t router_mac[PACKET_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x01};

/* --- for network_relay.c and network_tap.c ---------------------------------------------------- */

void network_note(const struct network *network, const char *what, const char *object,
		  const char *detail)
{
	const struct guard_note note = {
		.class = POLICY_NET, .what = what, .object = object, .detail = detail};

	guard_note(network->guard, &note);
}

void network_start_card(const struct network *network, const struct net_card_ops *ops, void *arg)
{
	net_card_set_rates(network->card, network->config.bytes_per_second,
			   network->config.frames_per_second);
	net_card_set_owner(network->card, ops, arg);
	net_card_set_link(network->card, true);
}

void network_tell_published(struct network *network, const char *failure)
{
	if (!network->publishing)
		return;
	network->publishing = false;
	network->ops->published(network->arg, failure);
}

/* --- life ------------------------------------------------------------------------------------- */

/* A locally administered unicast address, unlike those above in the low bits of its first byte. */
static int choose_mac(struct network *network, struct err *err)
{
	if (getrandom(network->mac, sizeof(network->mac), 0) != sizeof(network->mac))
		return err_sys(err, "getrandom");
	network->mac[0] = (network->mac[0] & 0xf8) | 0x06;
	return 0;
}

static int open_relay(struct network *network, struct err *err)
{
	struct relay_config config = {.card = {.mtu = MTU}};

	memcpy(config.router_mac, router_mac, PACKET_MAC);
	memcpy(config.card.mac, first_mac, PACKET_MAC);
	return network_relay_open(network, &config, err);
}

int network_open(struct network *network, struct loop *loop, const struct network_config *config,
		 struct net_card *card, struct guard *guard, const struct network_ops *ops,
		 void *arg, struct err *err)
{
	int ret;

	*network = (struct network){
		.loop = loop, .guard = guard, .config = *config, .ops = ops, .arg = arg};
	if ((!config->user && !config->tap[0]) || !guard)
		return 0;
	network->card = card;
	if (config->tap[0])
		return network_tap_open(network, err);
	ret = choose_mac(network, err);
	return ret < 0 ? ret : open_relay(network, err);
}

void network_close(struct network *network)
{
	if (!network->loop)
		return;
	if (network->config.questions)
		approvals_set_requester(network->config.questions, POLICY_NET, NULL, NULL);
	if (network->card)
		net_card_set_owner(network->card, NULL, NULL);
	network_relay_close(network);
	network_tap_close(network);
	network->card = NULL;
	/* Closed: at a second call the approvals may be gone. */
	network->config.questions = NULL;
	network->loop = NULL;
}

/* --- the agent -------------------------------------------------------------------------------- */

static uint32_t own_ipv4(enum ip_own which)
{
	const struct ip_address address = ip_own(AF_INET, which);

	return load_be32(address.bytes);
}

int network_request(struct network *network, struct agent_channel *channel,
		    const struct agent_reply *reply)
{
	struct agent_network config = {.address = own_ipv4(IP_OWN_GUEST),
				       .prefix = IP_OWN_PREFIX4,
				       .router = own_ipv4(IP_OWN_ROUTER),
				       .resolver = own_ipv4(IP_OWN_ROUTER),
				       .mtu = MTU};
	char search[RESOLVER_SEARCH_TEXT];
	int ret;

	if (!network_exists(network))
		return 0;
	if (network->tap) {
		if (!network_tap_start(network, &config))
			return 0;
	} else if (!network_relay_start(network)) {
		return 0;
	}
	/* An older agent sets up IPv4 alone. */
	if (agent_channel_sets_ipv6(channel) && network->tap)
		network_tap_describe(network, &config);
	else if (agent_channel_sets_ipv6(channel))
		network_relay_describe(&config, search);
	/* The agent of an older initramfs leaves the card its first MAC. */
	if (agent_channel_sets_mac(channel)) {
		config.mac = network->mac;
		net_card_set_mac(network->card, network->mac);
		if (network->relay)
			network_relay_set_mac(network);
	}
	ret = agent_channel_set_network(channel, &config, reply);
	return ret < 0 ? ret : 1;
}

void network_configured(struct network *network)
{
	if (network->relay)
		network_relay_configured(network);
}

void network_policy_changed(struct network *network)
{
	if (network->tap)
		network_tap_policy_changed(network);
	if (network->relay)
		network_relay_policy_changed(network);
}
