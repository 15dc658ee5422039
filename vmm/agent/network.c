/* SPDX-License-Identifier: Apache-2.0 */
/* The request NETWORK. */
#include <errno.h>
#include <string.h>

#include "vmm/agent/internal.h"

#define MAC	     6
#define ADDRESS	     16
#define PREFIX6_MOST 126

bool agent_channel_sets_mac(const struct agent_channel *channel)
{
	return channel->ready && (channel->features & AGENT_FEATURE_MAC);
}

bool agent_channel_sets_ipv6(const struct agent_channel *channel)
{
	return channel->ready && (channel->features & AGENT_FEATURE_IPV6);
}

static bool is_none(const uint8_t address[ADDRESS])
{
	static const uint8_t none[ADDRESS];

	return memcmp(address, none, ADDRESS) == 0;
}

/* What only agents with the feature IPV6 know. */
static bool has_more(const struct agent_network *network)
{
	return network->prefix6 || !is_none(network->address6) || !is_none(network->router6) ||
	       !is_none(network->resolver6) || (network->search && network->search[0]);
}

/* A line break would be another line of the guest's file. */
static bool is_search(const char *search)
{
	static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-_. ";
	size_t length = strlen(search);

	return length <= AGENT_NETWORK_SEARCH_MAX && strspn(search, characters) == length;
}

static void put_basic(const struct agent_network *network, uint8_t *to)
{
	agent_put32(to + AGENT_NETWORK_AT_ADDRESS, network->address);
	agent_put32(to + AGENT_NETWORK_AT_PREFIX, network->prefix);
	agent_put32(to + AGENT_NETWORK_AT_ROUTER, network->router);
	agent_put32(to + AGENT_NETWORK_AT_RESOLVER, network->resolver);
	agent_put32(to + AGENT_NETWORK_AT_MTU, network->mtu);
	if (network->mac)
		memcpy(to + AGENT_NETWORK_AT_MAC, network->mac, MAC);
}

/* Returns the payload's length. */
static size_t put_more(const struct agent_network *network, uint8_t *to)
{
	size_t length = network->search ? strlen(network->search) : 0;

	agent_put32(to + AGENT_NETWORK_AT_PREFIX6, network->prefix6);
	memcpy(to + AGENT_NETWORK_AT_ADDRESS6, network->address6, ADDRESS);
	memcpy(to + AGENT_NETWORK_AT_ROUTER6, network->router6, ADDRESS);
	memcpy(to + AGENT_NETWORK_AT_RESOLVER6, network->resolver6, ADDRESS);
	if (length > 0)
		memcpy(to + AGENT_NETWORK_SIZE_IPV6, network->search, length);
	return AGENT_NETWORK_SIZE_IPV6 + length;
}

int agent_channel_set_network(struct agent_channel *channel, const struct agent_network *network,
			      const struct agent_reply *reply)
{
	uint8_t payload[AGENT_NETWORK_MOST] = {0};
	size_t length = network->mac ? AGENT_NETWORK_SIZE_MAC : AGENT_NETWORK_SIZE;
	bool more = has_more(network);

	if ((network->search && !is_search(network->search)) || network->prefix6 > PREFIX6_MOST ||
	    is_none(network->address6) != (network->prefix6 == 0))
		return -EINVAL;
	if (channel->ready && (!(channel->features & AGENT_FEATURE_NETWORK) ||
			       (network->mac && !agent_channel_sets_mac(channel)) ||
			       (more && !agent_channel_sets_ipv6(channel))))
		return -EOPNOTSUPP;
	put_basic(network, payload);
	if (more)
		length = put_more(network, payload);
	return channel_request(channel, AGENT_NETWORK, payload, length, reply);
}
