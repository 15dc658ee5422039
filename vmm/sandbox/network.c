/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/net/address.h"
#include "vmm/relay/wire.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network_decide.h"
#include "vmm/sandbox/network_relay.h"
#include "vmm/sandbox/network_tap.h"

#define TICK_NS	 UINT64_C(1000000000)
#define DNS_PORT 53
#define MTU	 65520

/*
 * MACs: of the router as the guest sees it, and of the two ends of passt's wire. Both ends of each
 * wire are ours, so every sandbox may have the same ones. first_mac is the guest's until its agent
 * has set another.
 */
static const uint8_t first_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02};
static const uint8_t router_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x01};
static const uint8_t passt_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x04};

/* --- the filter's calls ----------------------------------------------------------------------- */

static int on_resolve(void *arg, uint32_t ticket, const char *name)
{
	struct network *network = arg;

	return resolver_query(network->resolver, ticket, name, DNS_TYPE_A);
}

static void on_resolved(void *arg, uint32_t ticket, int rcode,
			const struct dns_addresses *addresses)
{
	struct network *network = arg;

	filter_resolved(network->filter, ticket, rcode, addresses,
			loop_guest_now_ns(network->loop));
}

static void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	struct network *network = arg;

	net_card_receive(network->card, frame, length, NULL);
}

static void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	struct network *network = arg;

	passt_send(network->passt, frame, length);
}

static const struct filter_ops filter_ops = {
	.to_guest = to_guest,
	.to_peer = to_peer,
	.decide = network_decide,
	.check = network_check,
	.ask = network_ask,
	.unask = network_unask,
	.note = network_note,
	.resolve = on_resolve,
};

/* --- the card and what is behind the filter --------------------------------------------------- */

static void resume_backend(struct network *network)
{
	if (network->passt)
		passt_resume(network->passt);
}

/* A frame may cause a reply, so both ends must have room. */
static bool card_room(void *arg)
{
	struct network *network = arg;

	return passt_has_room(network->passt) && net_card_has_room(network->card);
}

static void card_transmit(void *arg, uint8_t *frame, size_t length,
			  const struct net_card_offload *offload)
{
	struct network *network = arg;

	filter_from_guest(network->filter, frame, length, offload->partial,
			  loop_guest_now_ns(network->loop));
}

static void card_drained(void *arg)
{
	struct network *network = arg;

	resume_backend(network);
	net_card_resume(network->card);
}

static void card_reset(void *arg)
{
	struct network *network = arg;

	filter_forget(network->filter);
}

static const struct net_card_ops card_ops = {
	.room = card_room,
	.transmit = card_transmit,
	.drained = card_drained,
	.reset = card_reset,
};

static bool backend_room(void *arg)
{
	struct network *network = arg;

	/*
	 * passt sends the first frame of a connection to a published port just once: before the
	 * guest has an address that frame would be lost, and the client would wait for 10 s.
	 */
	return network->configured && net_card_has_room(network->card);
}

static void backend_frame(void *arg, uint8_t *frame, size_t length)
{
	struct network *network = arg;

	filter_from_peer(network->filter, frame, length, loop_guest_now_ns(network->loop));
}

static void backend_drained(void *arg)
{
	struct network *network = arg;

	net_card_resume(network->card);
}

void network_tell_published(struct network *network, const char *failure)
{
	if (!network->publishing)
		return;
	network->publishing = false;
	network->ops->published(network->arg, failure);
}

static void backend_started(void *arg)
{
	network_tell_published(arg, NULL);
}

static void backend_died(void *arg, const char *why)
{
	struct network *network = arg;

	if (network->publishing) {
		net_card_set_owner(network->card, NULL, NULL);
		network_tell_published(network, why);
		return;
	}
	log_warning("the sandbox has no network any more: passt has ended: %s", why);
	network_note(network, "network-lost", "passt", why);
	filter_forget(network->filter);
	net_card_set_owner(network->card, NULL, NULL);
	net_card_set_link(network->card, false);
}

static const struct backend_ops backend_ops = {
	.room = backend_room,
	.frame = backend_frame,
	.drained = backend_drained,
	.started = backend_started,
	.died = backend_died,
};

static void tick(void *arg)
{
	struct network *network = arg;

	filter_expire(network->filter, loop_guest_now_ns(network->loop));
	loop_timer_start(network->loop, &network->tick, TICK_NS);
}

/* --- life ------------------------------------------------------------------------------------- */

static int create_parts(struct network *network, const struct network_config *config,
			struct err *err)
{
	struct filter_config filter = {.published = config->published, .once = true};
	unsigned i;
	int ret;

	memcpy(filter.guest_mac, first_mac, FRAME_MAC);
	memcpy(filter.router_mac, router_mac, FRAME_MAC);
	memcpy(filter.card_mac, first_mac, FRAME_MAC);
	memcpy(filter.peer_mac, passt_mac, FRAME_MAC);
	for (i = 0; i < config->published; i++) {
		filter.publish[i].port = config->publish[i].guest_port;
		filter.publish[i].udp = config->publish[i].udp;
	}
	ret = filter_create(&network->filter, &filter, &filter_ops, network);
	if (ret == 0)
		ret = resolver_create(&network->resolver, network->loop, NETWORK_RESOLV_CONF,
				      DNS_PORT, on_resolved, network);
	return ret < 0 ? err_code(err, -ret, "the network") : 0;
}

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
	struct relay_config config = {
		.dns_port = DNS_PORT, .resolv_conf = NETWORK_RESOLV_CONF, .card = {.mtu = MTU}};

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
	if (ret < 0)
		return ret;
	network->tick = (struct loop_timer){.expired = tick, .arg = network, .guest = true};
	if (config->user)
		return open_relay(network, err);
	if (config->questions)
		approvals_set_requester(config->questions, POLICY_NET, network_decided, network);
	return create_parts(network, config, err);
}

/*
 * If ports are to be published, ops->published() reports the failure instead, and the sandbox ends.
 */
static void explain_no_network(struct network *network, const char *why)
{
	if (!network->publishing) {
		log_warning("the sandbox has no network: %s", why);
		network_note(network, "network-lost", "passt", why);
	}
	network->card = NULL;
}

static void start_card(struct network *network)
{
	net_card_set_rates(network->card, network->config.bytes_per_second,
			   network->config.frames_per_second);
	net_card_set_owner(network->card, &card_ops, network);
	net_card_set_link(network->card, true);
	loop_timer_start(network->loop, &network->tick, TICK_NS);
}

/* Called once: a second passt would not get the published ports. */
static int start_passt(struct network *network)
{
	const struct passt_config config = {.program = "passt",
					    .publish = network->config.publish,
					    .published = network->config.published};
	struct err why = {""};
	int ret;

	network->publishing = network->config.published > 0;
	ret = passt_create(&network->passt, network->loop, &config, &backend_ops, network, &why);
	if (ret < 0) {
		explain_no_network(network, why.text);
		network_tell_published(network, why.text);
		return ret;
	}
	start_card(network);
	return 0;
}

void network_close(struct network *network)
{
	if (!network->loop)
		return;
	loop_timer_stop(network->loop, &network->tick);
	if (network->config.questions)
		approvals_set_requester(network->config.questions, POLICY_NET, NULL, NULL);
	if (network->card)
		net_card_set_owner(network->card, NULL, NULL);
	network_relay_close(network);
	network->card = NULL;
	resolver_destroy(network->resolver);
	network->resolver = NULL;
	/* This ends the flows, which are logged. */
	filter_destroy(network->filter);
	network->filter = NULL;
	passt_destroy(network->passt);
	network->passt = NULL;
	network_tap_close(network);
	/* Closed: at a second call the approvals may be gone. */
	network->config.questions = NULL;
	network->loop = NULL;
}

int network_request(struct network *network, struct agent_channel *channel,
		    const struct agent_reply *reply)
{
	struct agent_network config = {.address = ADDRESS_GUEST,
				       .prefix = ADDRESS_PREFIX,
				       .router = ADDRESS_ROUTER,
				       .resolver = ADDRESS_ROUTER,
				       .mtu = MTU};
	char search[RESOLVER_SEARCH_TEXT];
	int ret;

	if (network->tap) {
		if (!network_tap_start(network, &config))
			return 0;
	} else if (network->relay) {
		if (!network_relay_start(network))
			return 0;
		/* An older agent sets up IPv4 alone. */
		if (agent_channel_sets_ipv6(channel))
			network_relay_describe(&config, search);
	} else if (!network->card || (!network->passt && start_passt(network) < 0)) {
		return 0;
	}
	/* The agent of an older initramfs leaves the card its first MAC. */
	if (agent_channel_sets_mac(channel)) {
		config.mac = network->mac;
		net_card_set_mac(network->card, network->mac);
		if (network->relay)
			network_relay_set_mac(network);
		else if (network->filter)
			filter_set_guest_mac(network->filter, network->mac);
	}
	ret = agent_channel_set_network(channel, &config, reply);
	return ret < 0 ? ret : 1;
}

void network_configured(struct network *network)
{
	network->configured = true;
	if (network->relay)
		network_relay_configured(network);
	else
		resume_backend(network);
}

void network_policy_changed(struct network *network)
{
	if (network->tap)
		network_tap_policy_changed(network);
	if (network->relay)
		network_relay_policy_changed(network);
	if (network->filter)
		filter_policy_changed(network->filter, loop_guest_now_ns(network->loop));
}
