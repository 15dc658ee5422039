/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network_relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/policy/guard.h"
#include "vmm/relay/client.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/network_checks.h"
#include "vmm/sandbox/network_internal.h"
#include "vmm/sandbox/network_ports.h"

#define WHY_MAX	 160
#define DNS_PORT 53

struct network_relay {
	struct network *network;
	struct relay_client *client;
	struct network_checks checks;
	struct relay_card card; /* as the relay knows it */
	struct resolver_file resolvers;
	bool started; /* the card's link is up, and ports are being opened */
	bool dead;
	char why[WHY_MAX];
	struct network_ports ports;
	unsigned opening; /* ports of the command line that are not open yet */
	void (*reported)(void *arg);
	void *reported_arg;
};

static struct net_card *card_of(const struct network_relay *relay)
{
	return relay->network->card;
}

/* --- the card --------------------------------------------------------------------------------- */

static void update_card(struct network_relay *relay)
{
	const struct net_card_takes takes = net_card_takes(card_of(relay));

	relay->card.partial = takes.partial;
	relay->card.tso4 = takes.tso4;
	relay->card.tso6 = takes.tso6;
	relay_client_set_card(relay->client, &relay->card);
}

static bool card_room(void *arg)
{
	struct network_relay *relay = arg;

	return relay_client_has_room(relay->client);
}

static void card_transmit(void *arg, uint8_t *frame, size_t length,
			  const struct net_card_offload *offload)
{
	struct network_relay *relay = arg;
	uint8_t header[NET_OFFLOAD_HEADER];

	net_offload_write(offload, header);
	relay_client_send(relay->client, header, frame, length);
}

static void card_turn(void *arg, bool begins)
{
	struct network_relay *relay = arg;

	relay_client_turn(relay->client, begins);
}

static void card_drained(void *arg)
{
	struct network_relay *relay = arg;

	relay_client_resume(relay->client);
}

static void card_reset(void *arg)
{
	struct network_relay *relay = arg;

	relay_client_forget(relay->client);
	update_card(relay);
}

static void card_started(void *arg)
{
	update_card(arg);
}

static const struct net_card_ops card_ops = {
	.room = card_room,
	.transmit = card_transmit,
	.turn = card_turn,
	.drained = card_drained,
	.reset = card_reset,
	.started = card_started,
};

/* --- the relay -------------------------------------------------------------------------------- */

static bool relay_room(void *arg)
{
	return net_card_has_room(card_of(arg));
}

/* The card drops what its guest does not take, also after a reset while frames were on their way.
 */
static void relay_frame(void *arg, const uint8_t header[RELAY_CLIENT_HEADER], uint8_t *frame,
			size_t length)
{
	struct net_card_offload offload;

	if (net_offload_read(&offload, header, length))
		net_card_receive(card_of(arg), frame, length, &offload);
}

static void relay_drained(void *arg)
{
	net_card_resume(card_of(arg));
}

/* The relay opens no file: what it needs of the host's resolv.conf it has before the verdict. */
static void update_resolvers(struct network_relay *relay)
{
	struct resolver_servers servers;

	if (resolver_file_read(&relay->resolvers, &servers))
		relay_client_set_resolvers(relay->client, &servers);
}

static void relay_check(void *arg, const struct relay_check *check)
{
	struct network_relay *relay = arg;

	if (check->op == POLICY_RESOLVE && check->ticket != 0)
		update_resolvers(relay);
	network_checks_take(&relay->checks, check);
}

static void relay_uncheck(void *arg, uint32_t ticket)
{
	struct network_relay *relay = arg;

	network_checks_drop(&relay->checks, ticket);
}

static void relay_note(void *arg, const char *what, const char *object, const char *detail)
{
	struct network_relay *relay = arg;

	network_note(relay->network, what, object, detail);
}

static void relay_published(void *arg, const struct relay_publish *which, int error)
{
	struct network_relay *relay = arg;

	network_ports_replied(&relay->ports, which, error);
}

static void tell_reported(void *arg)
{
	struct network_relay *relay = arg;
	void (*reported)(void *arg) = relay->reported;

	relay->reported = NULL;
	if (reported)
		reported(relay->reported_arg);
}

static void relay_died(void *arg, const char *why)
{
	struct network_relay *relay = arg;
	struct network *network = relay->network;
	bool starting;

	relay->dead = true;
	network->lost = true;
	snprintf(relay->why, sizeof(relay->why), "its relay has ended: %s", why);
	network_checks_close(&relay->checks);
	net_card_set_owner(network->card, NULL, NULL);
	net_card_set_link(network->card, false);
	tell_reported(relay);
	starting = network->publishing;
	network_ports_lost(&relay->ports, relay->why);
	/* Then start-up fails, and says why. */
	if (starting)
		return;
	log_warning("the sandbox has no network any more: %s", relay->why);
	network_note(network, "network-lost", "relay", why);
}

static const struct relay_client_ops client_ops = {
	.room = relay_room,
	.frame = relay_frame,
	.drained = relay_drained,
	.check = relay_check,
	.uncheck = relay_uncheck,
	.note = relay_note,
	.published = relay_published,
	.reported = tell_reported,
	.died = relay_died,
};

/* --- verdicts --------------------------------------------------------------------------------- */

static void verdict(void *arg, uint32_t ticket, bool allowed, bool approved)
{
	struct network_relay *relay = arg;

	relay_client_verdict(relay->client, ticket, allowed, approved);
}

static bool is_published(void *arg, uint16_t guest_port, bool udp)
{
	struct network_relay *relay = arg;

	return network_ports_has(&relay->ports, guest_port, udp);
}

static const struct network_checks_ops checks_ops = {.verdict = verdict, .published = is_published};

static void question_decided(void *arg, uint32_t number, enum approval_event outcome,
			     const char *reason)
{
	struct network_relay *relay = arg;

	network_checks_decided(&relay->checks, number, outcome, reason);
}

/* --- life ------------------------------------------------------------------------------------- */

struct creation {
	struct network_relay *relay;
	const struct relay_config *config;
	struct err *err;
	int ret;
};

static void create_client(void *arg, const struct policy *policy)
{
	struct creation *creation = arg;
	struct network_relay *relay = creation->relay;
	const struct relay_client_config config = {.relay = *creation->config, .policy = policy};

	creation->ret = relay_client_create(&relay->client, relay->network->loop, &config,
					    &client_ops, relay, creation->err);
}

int network_relay_open(struct network *network, const struct relay_config *config, struct err *err)
{
	struct network_relay *relay = calloc(1, sizeof(*relay));
	struct creation creation = {.relay = relay, .config = config, .err = err};
	struct approvals *questions = network->config.questions;

	network->relay = relay;
	if (!relay)
		return err_set(err, ENOMEM, "no memory for the network");
	relay->network = network;
	relay->card = config->card;
	relay->resolvers = (struct resolver_file){.path = NETWORK_RESOLV_CONF, .port = DNS_PORT};
	network_checks_init(&relay->checks, network->guard, questions, &checks_ops, relay);
	guard_with_policy(network->guard, create_client, &creation);
	if (creation.ret == 0 && questions)
		approvals_set_requester(questions, POLICY_NET, question_decided, relay);
	return creation.ret;
}

void network_relay_close(struct network *network)
{
	struct network_relay *relay = network->relay;

	if (!relay)
		return;
	network_checks_close(&relay->checks);
	/* This ends the flows, which are logged. */
	relay_client_destroy(relay->client);
	free(relay);
	network->relay = NULL;
}

static void port_opened(void *arg, const struct publish *publish, const char *failure)
{
	struct network_relay *relay = arg;

	(void)publish;
	relay->opening--;
	if (failure || relay->opening == 0)
		network_tell_published(relay->network, failure);
}

/* The ports of the command line: the sandbox does not start if one of them can't be opened. */
static void open_ports(struct network_relay *relay)
{
	const struct network_config *config = &relay->network->config;
	struct err why = {.text = ""};
	unsigned i;
	int ret = 0;

	if (config->published == 0)
		return;
	relay->network->publishing = true;
	relay->opening = config->published;
	if (relay->dead)
		ret = err_set(&why, EPIPE, "%s", relay->why);
	for (i = 0; i < config->published && ret == 0; i++)
		ret = network_ports_open(&relay->ports, relay->client, &config->publish[i],
					 port_opened, relay, &why);
	if (ret < 0)
		network_tell_published(relay->network, why.text);
}

bool network_relay_start(struct network *network)
{
	struct network_relay *relay = network->relay;

	if (!relay->started)
		open_ports(relay);
	if (!relay->dead && !relay->started) {
		network_start_card(network, &card_ops, relay);
		update_card(relay);
	}
	relay->started = true;
	return !relay->dead;
}

void network_relay_describe(struct agent_network *config, char *search)
{
	const struct ip_address guest = ip_own(AF_INET6, IP_OWN_GUEST);
	const struct ip_address router = ip_own(AF_INET6, IP_OWN_ROUTER);

	memcpy(config->address6, guest.bytes, sizeof(config->address6));
	memcpy(config->router6, router.bytes, sizeof(config->router6));
	memcpy(config->resolver6, router.bytes, sizeof(config->resolver6));
	config->prefix6 = IP_OWN_PREFIX6;
	resolver_file_search(NETWORK_RESOLV_CONF, search);
	config->search = search;
}

void network_relay_set_mac(struct network *network)
{
	memcpy(network->relay->card.mac, network->mac, PACKET_MAC);
	update_card(network->relay);
}

void network_relay_configured(struct network *network)
{
	network->relay->card.configured = true;
	if (!network->relay->dead)
		update_card(network->relay);
}

static void send_policy(void *arg, const struct policy *policy)
{
	relay_client_set_policy(arg, policy);
}

void network_relay_policy_changed(struct network *network)
{
	struct network_relay *relay = network->relay;

	if (relay->dead)
		return;
	guard_with_policy(network->guard, send_policy, relay->client);
	network_checks_policy_changed(&relay->checks);
}

void network_hold_time(struct network *network, bool held)
{
	if (network->relay)
		relay_client_set_guest_time(network->relay->client, held);
}

/* --- ports ------------------------------------------------------------------------------------ */

static int check_ports(const struct network *network, struct err *err)
{
	if (!network_exists(network))
		return err_set(err, ENODEV, "the sandbox was started without a network");
	if (network->tap)
		return err_set(err, ENOTSUP,
			       "with --net tap=%s the sandbox has an address of its own, at which "
			       "all of its ports are open",
			       network->config.tap);
	if (network->relay->dead)
		return err_set(err, EPIPE, "the sandbox has no network any more: %s",
			       network->relay->why);
	return 0;
}

int network_publish(struct network *network, const struct publish *publish,
		    network_port_opened *opened, void *arg, struct err *err)
{
	int ret = check_ports(network, err);

	return ret < 0 ? ret
		       : network_ports_open(&network->relay->ports, network->relay->client, publish,
					    opened, arg, err);
}

int network_unpublish(struct network *network, uint16_t host_port, bool udp, struct err *err)
{
	int ret = check_ports(network, err);

	return ret < 0 ? ret
		       : network_ports_close(&network->relay->ports, network->relay->client,
					     host_port, udp, err);
}

const struct publish *network_port_next(const struct network *network, unsigned *at)
{
	const struct network_relay *relay = network->relay;

	while (relay && *at < relay->ports.count)
		if (relay->ports.port[(*at)++].open)
			return &relay->ports.port[*at - 1].publish;
	return NULL;
}

/* --- reports ---------------------------------------------------------------------------------- */

bool network_request_report(struct network *network, void (*reported)(void *arg), void *arg)
{
	struct network_relay *relay = network->relay;

	if (!relay || relay->dead)
		return false;
	relay->reported = reported;
	relay->reported_arg = arg;
	relay_client_request_report(relay->client);
	return true;
}

const struct relay_client_report *network_report(const struct network *network)
{
	return relay_client_report(network->relay->client);
}

unsigned network_waiting(const struct network *network)
{
	return network->relay->checks.count;
}
