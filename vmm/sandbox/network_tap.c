/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network_tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/agent/channel.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/special.h"
#include "vmm/net/resolver.h"
#include "vmm/net/tap.h"
#include "vmm/policy/guard.h"
#include "vmm/relay/ip.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/network_internal.h"

#define DNS_PORT 53
#define MTU_MAX	 65520

struct network_tap {
	struct network *network;
	struct tap *tap;
	struct tap_wire wire;
	struct network_tap_names names;
	bool started; /* the card's link is up */
	bool ended;
};

static struct net_card *card_of(const struct network_tap *tap)
{
	return tap->network->card;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* The kernel leaves to the guest what its driver takes. */
static void update_offloads(struct network_tap *tap)
{
	const struct net_card_takes takes = net_card_takes(card_of(tap));

	tap_set_offloads(tap->tap, takes.partial, takes.tso4, takes.tso6);
}

static bool card_room(void *arg)
{
	(void)arg;
	return true;
}

static void card_transmit(void *arg, uint8_t *frame, size_t length,
			  const struct net_card_offload *offload)
{
	struct network_tap *tap = arg;
	uint8_t header[NET_OFFLOAD_HEADER];

	net_offload_write(offload, header);
	tap_send(tap->tap, header, frame, length);
}

static void card_drained(void *arg)
{
	struct network_tap *tap = arg;

	tap_resume(tap->tap);
}

static void card_changed(void *arg)
{
	update_offloads(arg);
}

static const struct net_card_ops card_ops = {
	.room = card_room,
	.transmit = card_transmit,
	.drained = card_drained,
	.reset = card_changed,
	.started = card_changed,
};

static bool tap_room(void *arg)
{
	return net_card_has_room(card_of(arg));
}

/* What the host forwards has been checked by neither the kernel nor the card, unless it says so. */
static void tap_frame(void *arg, const uint8_t header[TAP_HEADER], uint8_t *frame, size_t length)
{
	struct net_card_offload offload;

	if (!net_offload_read(&offload, header, length))
		return;
	offload.unchecked =
		!(header[offsetof(struct virtio_net_hdr_v1, flags)] & VIRTIO_NET_HDR_F_DATA_VALID);
	net_card_receive(card_of(arg), frame, length, &offload);
}

/* The link ends for good, the sandbox goes on. */
static void end(struct network_tap *tap, const char *why)
{
	struct network *network = tap->network;

	tap->ended = true;
	network->lost = true;
	net_card_set_owner(network->card, NULL, NULL);
	net_card_set_link(network->card, false);
	log_warning("the sandbox has no network any more: --net tap=%s: %s", network->config.tap,
		    why);
	network_note(network, "network-lost", network->config.tap, why);
}

static void tap_died(void *arg, const char *why)
{
	end(arg, why);
}

static const struct tap_ops tap_ops = {.room = tap_room, .frame = tap_frame, .died = tap_died};

/* --- the policy ------------------------------------------------------------------------------- */

static void read_policy(void *arg, const struct policy *policy)
{
	*(bool *)arg = policy_allows_any(policy);
}

static bool is_allowed(const struct network *network)
{
	bool any = false;

	guard_with_policy(network->guard, read_policy, &any);
	return any;
}

void network_tap_policy_changed(struct network *network)
{
	struct network_tap *tap = network->tap;

	if (tap->ended || is_allowed(network))
		return;
	end(tap, "the policy no longer begins its net rules with \"net allow any\"");
	tap_destroy(tap->tap);
	tap->tap = NULL;
}

/* --- the resolver ----------------------------------------------------------------------------- */

static bool is_reached4(const struct sockaddr_storage *from, struct network_tap_names *names)
{
	struct sockaddr_in server;
	uint32_t address;

	memcpy(&server, from, sizeof(server));
	address = ntohl(server.sin_addr.s_addr);
	/* 0.0.0.0 is the loopback, too. */
	if (address == INADDR_ANY || address >> 24 == IN_LOOPBACKNET)
		return false;
	names->resolver = address;
	return true;
}

/* Mapped addresses are none of IPv6's, and link-local ones are of another link than the guest's. */
static bool is_reached6(const struct sockaddr_storage *from, struct network_tap_names *names)
{
	const struct special_range *range;
	struct sockaddr_in6 server;

	memcpy(&server, from, sizeof(server));
	range = special_range(AF_INET6, server.sin6_addr.s6_addr);
	if ((range && range->stays) || IN6_IS_ADDR_LINKLOCAL(&server.sin6_addr))
		return false;
	memcpy(names->resolver6, &server.sin6_addr, sizeof(names->resolver6));
	return true;
}

bool network_tap_read_names(struct network_tap_names *names, const char *text, size_t length,
			    bool ipv6)
{
	struct resolver_servers servers;
	unsigned i;

	*names = (struct network_tap_names){.resolver = 0};
	resolver_search(text, length, names->search);
	resolver_parse(text, length, DNS_PORT, &servers);
	for (i = 0; i < servers.count; i++)
		if (servers.address[i].ss_family == AF_INET &&
		    is_reached4(&servers.address[i], names))
			return true;
	for (i = 0; ipv6 && i < servers.count; i++)
		if (servers.address[i].ss_family == AF_INET6 &&
		    is_reached6(&servers.address[i], names))
			return true;
	return false;
}

static void find_names(struct network_tap *tap)
{
	bool ipv6 = tap->wire.prefix6 != 0;
	char text[RESOLVER_FILE_MAX];
	ssize_t got = resolver_file_text(NETWORK_RESOLV_CONF, text);

	if (network_tap_read_names(&tap->names, text, got > 0 ? (size_t)got : 0, ipv6))
		return;
	log_warning("--net tap=%s: names do not resolve in the sandbox: " NETWORK_RESOLV_CONF
		    " has no nameserver that it can reach, an %s address other than the "
		    "host's loopback",
		    tap->network->config.tap, ipv6 ? "IPv4 or IPv6" : "IPv4");
}

/* --- life ------------------------------------------------------------------------------------- */

int network_tap_attach(struct network *network, int fd, const struct tap_wire *wire,
		       struct err *err)
{
	struct network_tap *tap = calloc(1, sizeof(*tap));
	int ret;

	network->tap = tap;
	if (!tap) {
		fd_close(&fd);
		return err_set(err, ENOMEM, "out of memory for the network");
	}
	tap->network = network;
	tap->wire = *wire;
	memcpy(network->mac, wire->guest_mac, sizeof(network->mac));
	ret = tap_create(&tap->tap, network->loop, fd, &tap_ops, tap);
	return ret < 0 ? err_code(err, -ret, "--net tap=%s", network->config.tap) : 0;
}

static void warn(const char *interface, const struct tap_wire *wire)
{
	struct ip_address host = ip_from4(wire->host), host6 = {.family = AF_INET6};
	char address[IP_TEXT], address6[IP_TEXT];
	bool ipv6 = wire->prefix6 != 0;

	memcpy(host6.bytes, wire->host6, sizeof(host6.bytes));
	log_warning("--net tap=%s is not filtered: the sandbox reaches all that the host routes "
		    "for it, and the host's own services at %s%s%s",
		    interface, ip_text(&host, address), ipv6 ? " and " : "",
		    ipv6 ? ip_text(&host6, address6) : "");
}

int network_tap_open(struct network *network, struct err *err)
{
	const char *interface = network->config.tap;
	const struct guard_note note = {.class = POLICY_NET,
					.what = "network-unfiltered",
					.object = interface,
					.detail = "frames are neither judged nor logged"};
	struct tap_wire wire;
	struct err why;
	int ret;

	if (!is_allowed(network))
		return err_set(err, EPERM,
			       "--net tap=%s: frames on a tap are not filtered: the policy's first "
			       "net rule must be \"net allow any\"",
			       interface);
	ret = tap_open(interface, &wire, &why);
	if (ret < 0)
		return err_set(err, -ret, "--net tap: %s", why.text);
	ret = network_tap_attach(network, ret, &wire, err);
	if (ret < 0)
		return ret;
	if (guard_note(network->guard, &note) != POLICY_ALLOW)
		return err_set(err, EIO,
			       "--net tap=%s: the policy requires the audit log, which can't be "
			       "written",
			       interface);
	warn(interface, &wire);
	find_names(network->tap);
	return 0;
}

void network_tap_close(struct network *network)
{
	struct network_tap *tap = network->tap;

	if (!tap)
		return;
	tap_destroy(tap->tap);
	free(tap);
	network->tap = NULL;
}

bool network_tap_start(struct network *network, struct agent_network *config)
{
	struct network_tap *tap = network->tap;

	if (tap->ended)
		return false;
	*config = (struct agent_network){
		.address = tap->wire.guest,
		.prefix = tap->wire.prefix,
		.router = tap->wire.host,
		.resolver = tap->names.resolver,
		.mtu = (unsigned)min_u64(tap->wire.mtu, MTU_MAX),
	};
	if (tap->started)
		return true;
	tap->started = true;
	network_start_card(network, &card_ops, tap);
	update_offloads(tap);
	tap_resume(tap->tap);
	return true;
}

void network_tap_describe(const struct network *network, struct agent_network *config)
{
	const struct network_tap *tap = network->tap;

	config->search = tap->names.search;
	if (tap->wire.prefix6 == 0)
		return;
	config->prefix6 = tap->wire.prefix6;
	memcpy(config->address6, tap->wire.guest6, sizeof(config->address6));
	memcpy(config->router6, tap->wire.host6, sizeof(config->router6));
	memcpy(config->resolver6, tap->names.resolver6, sizeof(config->resolver6));
}
