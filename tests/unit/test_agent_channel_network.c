/* SPDX-License-Identifier: Apache-2.0 */
/* The channel's request NETWORK: what agents of each age get. */
#include <errno.h>
#include <string.h>

#include "tests/support/agent_host.h"
#include "tests/unit/agent_channel_common.h"

#define NETWORK AGENT_FEATURE_NETWORK
#define MAC	AGENT_FEATURE_MAC
#define IPV6	AGENT_FEATURE_IPV6

static const uint8_t mac[6] = {6, 1, 2, 3, 4, 5};
static char longest[AGENT_NETWORK_SEARCH_MAX + 2];

static struct agent_network with_ipv4(void)
{
	return (struct agent_network){.address = 0xc0000202,
				      .prefix = 24,
				      .router = 0xc0000201,
				      .resolver = 0xc0000201,
				      .mtu = 65520};
}

static struct agent_network with_ipv6(void)
{
	struct agent_network network = with_ipv4();

	network.prefix6 = 64;
	memset(network.address6, 0xa6, sizeof(network.address6));
	memset(network.router6, 0xb6, sizeof(network.router6));
	memset(network.resolver6, 0xc6, sizeof(network.resolver6));
	return network;
}

/* Sends the request, and checks the length of its payload if it was sent. */
static int request(struct fake *fake, const struct agent_network *network, uint32_t length)
{
	int ret;

	fake->out_length = 0;
	ret = agent_channel_set_network(fake->host.channel, network, NULL);
	if (ret < 0) {
		ck_assert_uint_eq(fake->out_length, 0);
		return ret;
	}
	ck_assert_uint_eq(agent_get_header(fake->out).type, AGENT_NETWORK);
	ck_assert_uint_eq(agent_get_header(fake->out).length, length);
	ck_assert_uint_eq(fake->out_length, AGENT_HEADER_SIZE + length);
	return ret;
}

START_TEST(each_agent_gets_what_it_knows)
{
	static const struct {
		uint32_t features;
		bool mac, ipv6, search;
		int result;
		uint32_t length;
	} cases[] = {
		{NETWORK | MAC | IPV6, false, false, false, 0, AGENT_NETWORK_SIZE},
		{NETWORK | MAC | IPV6, true, false, false, 0, AGENT_NETWORK_SIZE_MAC},
		{NETWORK | MAC | IPV6, true, true, false, 0, AGENT_NETWORK_SIZE_IPV6},
		{NETWORK | MAC | IPV6, false, true, false, 0, AGENT_NETWORK_SIZE_IPV6},
		{NETWORK | MAC | IPV6, true, true, true, 0, AGENT_NETWORK_SIZE_IPV6 + 4},
		{NETWORK | MAC | IPV6, false, false, true, 0, AGENT_NETWORK_SIZE_IPV6 + 4},
		/* Older ones. */
		{NETWORK | MAC, true, true, false, -EOPNOTSUPP, 0},
		{NETWORK | MAC, true, false, true, -EOPNOTSUPP, 0},
		{NETWORK | MAC, true, false, false, 0, AGENT_NETWORK_SIZE_MAC},
		{NETWORK, true, false, false, -EOPNOTSUPP, 0},
		{NETWORK, false, false, false, 0, AGENT_NETWORK_SIZE},
		{NETWORK | IPV6, true, true, false, -EOPNOTSUPP, 0},
		{0, false, false, false, -EOPNOTSUPP, 0},
		{UINT32_MAX & ~NETWORK, true, true, true, -EOPNOTSUPP, 0},
	};
	struct agent_network network;
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fake = with_features(cases[i].features);
		ck_assert_int_eq(agent_channel_sets_mac(fake->host.channel),
				 !!(cases[i].features & MAC));
		ck_assert_int_eq(agent_channel_sets_ipv6(fake->host.channel),
				 !!(cases[i].features & IPV6));
		network = cases[i].ipv6 ? with_ipv6() : with_ipv4();
		network.mac = cases[i].mac ? mac : NULL;
		network.search = cases[i].search ? "corp" : "";
		ck_assert_msg(request(fake, &network, cases[i].length) == cases[i].result,
			      "case %zu", i);
		fake_destroy(fake);
	}
	/* Before the agent has greeted nothing is known of it. */
	fake = fake_create();
	ck_assert(!agent_channel_sets_ipv6(fake->host.channel));
	network = with_ipv6();
	ck_assert_int_eq(request(fake, &network, 0), -ENOTCONN);
	fake_destroy(fake);
}
END_TEST

START_TEST(the_payload_has_every_field)
{
	struct agent_network network = with_ipv6();
	struct fake *fake = with_features(UINT32_MAX);
	const uint8_t *at = fake->out + AGENT_HEADER_SIZE;
	size_t i;

	network.mac = mac;
	network.search = "corp.example lab";
	ck_assert_int_eq(request(fake, &network, AGENT_NETWORK_SIZE_IPV6 + 16), 0);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_ADDRESS), 0xc0000202);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_PREFIX), 24);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_ROUTER), 0xc0000201);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_RESOLVER), 0xc0000201);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_MTU), 65520);
	ck_assert_mem_eq(at + AGENT_NETWORK_AT_MAC, mac, 6);
	ck_assert_uint_eq(at[26] | at[27], 0);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_PREFIX6), 64);
	for (i = 0; i < 16; i++) {
		ck_assert_uint_eq(at[AGENT_NETWORK_AT_ADDRESS6 + i], 0xa6);
		ck_assert_uint_eq(at[AGENT_NETWORK_AT_ROUTER6 + i], 0xb6);
		ck_assert_uint_eq(at[AGENT_NETWORK_AT_RESOLVER6 + i], 0xc6);
	}
	ck_assert_mem_eq(at + AGENT_NETWORK_SIZE_IPV6, "corp.example lab", 16);
	/* One of the other fields alone goes out, too. */
	network = with_ipv4();
	network.resolver6[15] = 1;
	ck_assert_int_eq(request(fake, &network, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert_uint_eq(at[AGENT_NETWORK_AT_RESOLVER6 + 15], 1);
	ck_assert_uint_eq(agent_get32(at + AGENT_NETWORK_AT_MAC), 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(bad_settings_are_not_sent)
{
	static const struct {
		const char *search;
		int result;
	} searches[] = {
		{"a", 0},	   {"A-b_c.9 d", 0},   {"a\nnameserver 198.51.100.1", -EINVAL},
		{"a\tb", -EINVAL}, {"a\x7f", -EINVAL}, {"\xc3\xa4", -EINVAL},
		{"a#b", -EINVAL},  {longest, -EINVAL}, {longest + 1, 0},
	};
	struct agent_network network = with_ipv6();
	struct fake *fake = with_features(UINT32_MAX);
	size_t i;

	memset(longest, 'd', sizeof(longest) - 1);
	for (i = 0; i < ARRAY_SIZE(searches); i++) {
		network.search = searches[i].search;
		ck_assert_msg(
			request(fake, &network,
				AGENT_NETWORK_SIZE_IPV6 + (uint32_t)strlen(searches[i].search)) ==
				searches[i].result,
			"search %zu", i);
	}
	network.search = NULL;
	network.prefix6 = 126;
	ck_assert_int_eq(request(fake, &network, AGENT_NETWORK_SIZE_IPV6), 0);
	network.prefix6 = 127;
	ck_assert_int_eq(request(fake, &network, 0), -EINVAL);
	network.prefix6 = 0;
	ck_assert_int_eq(request(fake, &network, 0), -EINVAL);
	memset(network.address6, 0, sizeof(network.address6));
	ck_assert_int_eq(request(fake, &network, AGENT_NETWORK_SIZE_IPV6), 0);
	network.prefix6 = 64;
	ck_assert_int_eq(request(fake, &network, 0), -EINVAL);
	fake_destroy(fake);
}
END_TEST

UNIT_MAIN("agent_channel_network", each_agent_gets_what_it_knows, the_payload_has_every_field,
	  bad_settings_are_not_sent)
