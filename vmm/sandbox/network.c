/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/network.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/net/address.h"
#include "vmm/policy/guard.h"

#define TICK_NS	    UINT64_C(1000000000)
#define RESOLV_CONF "/etc/resolv.conf"
#define DNS_PORT    53
#define MTU	    65520

/*
 * As the guest sees the router, and passt the two ends of its wire. Both ends of each belong to us:
 * they need not be rare. first_mac is that of a guest's card until it is told its own.
 */
static const uint8_t first_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02};
static const uint8_t router_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x01};
static const uint8_t passt_mac[FRAME_MAC] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x04};

/* --- the filter's questions --------------------------------------------------------------------
 */

static struct policy_request to_policy(const struct filter_request *request)
{
	static const enum policy_op op[] = {[FILTER_CONNECT] = POLICY_CONNECT,
					    [FILTER_RESOLVE] = POLICY_RESOLVE,
					    [FILTER_LISTEN] = POLICY_LISTEN};
	static const enum policy_protocol protocol[] = {
		[FILTER_TCP] = POLICY_TCP,   [FILTER_UDP] = POLICY_UDP,	  [FILTER_TLS] = POLICY_TLS,
		[FILTER_HTTP] = POLICY_HTTP, [FILTER_ICMP] = POLICY_ICMP, [FILTER_DNS] = POLICY_DNS,
	};
	struct policy_request to = {
		.class = POLICY_NET,
		.op = op[request->op],
		.net = {.protocol = protocol[request->protocol],
			.name = request->name,
			.port = request->port,
			/* A question for the name "host" is one for a name. */
			.host = request->host && request->op != FILTER_RESOLVE},
	};

	if (request->op != FILTER_RESOLVE) {
		to.net.family = AF_INET;
		store_be32(to.net.address, request->address);
	}
	return to;
}

/* What a person has said before of what a rule has asked: 1 yes, 0 no, -1 nothing. */
static int recall(const struct network *network, const struct policy_request *question)
{
	const struct approvals *questions = network->config.questions;

	return questions ? approvals_recall(questions, &question->net) : -1;
}

static enum filter_verdict on_decide(void *arg, const struct filter_request *request,
				     uint32_t *order)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);
	struct policy_decision decision;

	/* A published port is the user's word, not the policy's. */
	if (request->op == FILTER_LISTEN) {
		*order = 0;
		return FILTER_ALLOW;
	}
	guard_decide(network->guard, &question, &decision);
	*order = decision.number > 0 ? decision.number - 1 : FILTER_NO_RULE;
	if (decision.verdict != POLICY_ASK)
		return decision.verdict == POLICY_ALLOW ? FILTER_ALLOW : FILTER_DENY;
	switch (recall(network, &question)) {
	case 1:
		return FILTER_ALLOW;
	case 0:
		return FILTER_DENY;
	default:
		return FILTER_ASK;
	}
}

static void on_note(void *arg, const char *what, const char *object, const char *detail)
{
	struct network *network = arg;
	const struct guard_note note = {
		.class = POLICY_NET, .what = what, .object = object, .detail = detail};

	guard_note(network->guard, &note);
}

/* The policy's word, and where that is to ask, what came of it. */
static bool check_asked(struct network *network, enum filter_answer answer,
			const struct policy_request *question)
{
	static const char *const reason[] = {
		[FILTER_APPROVED] = "an operator was asked and allowed it",
		[FILTER_DECLINED] = "an operator was asked and refused it",
		[FILTER_UNANSWERED] = "an operator was asked and did not answer in time",
		[FILTER_UNATTENDED] = "a rule has an operator asked, and there is none",
		[FILTER_OVERASKED] =
			"a rule has an operator asked, and too many questions are open",
	};
	int before = answer == FILTER_UNASKED ? recall(network, question) : -1;
	bool yes = answer == FILTER_APPROVED || before == 1;
	const char *why = reason[FILTER_UNATTENDED];

	if (before >= 0)
		why = yes ? "an operator has allowed it for the sandbox's life"
			  : "an operator has refused it for the sandbox's life";
	else if (network->reason && (answer == FILTER_APPROVED || answer == FILTER_DECLINED))
		why = network->reason;
	else if (answer != FILTER_UNASKED)
		why = reason[answer];
	return guard_check_asked(network->guard, question, yes ? POLICY_ALLOW : POLICY_DENY, why) ==
	       POLICY_ALLOW;
}

static bool on_check(void *arg, const struct filter_request *request)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);

	if (request->op == FILTER_LISTEN)
		return guard_grant(network->guard, &question, "--publish") == POLICY_ALLOW;
	return check_asked(network, request->answer, &question);
}

static int on_ask(void *arg, const struct filter_request *request)
{
	struct network *network = arg;
	struct policy_request question = to_policy(request);

	if (!network->config.questions)
		return -ENOENT;
	return approvals_ask(network->config.questions, &question.net);
}

static void on_unask(void *arg, uint32_t number)
{
	struct network *network = arg;

	approvals_take_back(network->config.questions, number);
}

static void on_answered(void *arg, uint32_t number, bool yes, const char *reason)
{
	struct network *network = arg;

	network->reason = reason;
	filter_answered(network->filter, number, yes ? FILTER_APPROVED : FILTER_DECLINED,
			loop_now_ns());
	network->reason = NULL;
}

static int on_resolve(void *arg, uint32_t ticket, const char *name)
{
	struct network *network = arg;

	return resolver_query(network->resolver, ticket, name);
}

static void on_resolved(void *arg, uint32_t ticket, int rcode,
			const struct dns_addresses *addresses)
{
	struct network *network = arg;

	filter_resolved(network->filter, ticket, rcode, addresses, loop_now_ns());
}

static void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	struct network *network = arg;

	net_card_receive(network->card, frame, length);
}

static void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	struct network *network = arg;

	if (network->tap)
		tap_send(network->tap, frame, length);
	else
		passt_send(network->passt, frame, length);
}

static const struct filter_ops filter_ops = {
	.to_guest = to_guest,
	.to_peer = to_peer,
	.decide = on_decide,
	.check = on_check,
	.ask = on_ask,
	.unask = on_unask,
	.note = on_note,
	.resolve = on_resolve,
};

/* --- the card and what is behind the filter
 * ------------------------------------------------------------------------
 */

static void resume_backend(struct network *network)
{
	if (network->tap)
		tap_resume(network->tap);
	else if (network->passt)
		passt_resume(network->passt);
}

static const char *backend_name(const struct network *network)
{
	return network->tap ? "tap" : "passt";
}

/* A frame may be answered, so there must be room at both ends. */
static bool card_room(void *arg)
{
	struct network *network = arg;

	return (network->tap || passt_has_room(network->passt)) && net_card_has_room(network->card);
}

static void card_transmit(void *arg, uint8_t *frame, size_t length, bool partial)
{
	struct network *network = arg;

	filter_from_guest(network->filter, frame, length, partial, loop_now_ns());
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
	 * passt asks for a connection to a published port once, and does not repeat it: a frame
	 * that comes before the guest has an address would be lost, and with it 10 s.
	 */
	return network->configured && net_card_has_room(network->card);
}

static void backend_frame(void *arg, uint8_t *frame, size_t length)
{
	struct network *network = arg;

	filter_from_peer(network->filter, frame, length, loop_now_ns());
}

static void backend_drained(void *arg)
{
	struct network *network = arg;

	net_card_resume(network->card);
}

static void tell_published(struct network *network, const char *failure)
{
	if (!network->publishing)
		return;
	network->publishing = false;
	network->ops->published(network->arg, failure);
}

static void backend_started(void *arg)
{
	tell_published(arg, NULL);
}

static void backend_died(void *arg, const char *why)
{
	struct network *network = arg;

	if (network->publishing) {
		net_card_set_owner(network->card, NULL, NULL);
		tell_published(network, why);
		return;
	}
	log_warning("the sandbox has no network any more: %s has ended: %s", backend_name(network),
		    why);
	on_note(network, "network-lost", backend_name(network), why);
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

	filter_expire(network->filter, loop_now_ns());
	loop_timer_start(network->loop, &network->tick, TICK_NS);
}

/* --- life --------------------------------------------------------------------------------------
 */

/* A tap's other end has MACs of its own, asks for ours, and addresses that stand for others. */
static void describe_wire(struct filter_config *filter, const struct tap_wire *wire)
{
	memcpy(filter->card_mac, wire->guest_mac, FRAME_MAC);
	memcpy(filter->peer_mac, wire->host_mac, FRAME_MAC);
	filter->arp = true;
	filter->hidden[0] = wire->guest;
	filter->hidden[1] = wire->host;
}

static int create_parts(struct network *network, const struct network_config *config,
			struct err *err)
{
	struct filter_config filter = {.published = config->published, .once = !network->tap};
	unsigned i;
	int ret;

	memcpy(filter.guest_mac, first_mac, FRAME_MAC);
	memcpy(filter.router_mac, router_mac, FRAME_MAC);
	memcpy(filter.card_mac, first_mac, FRAME_MAC);
	memcpy(filter.peer_mac, passt_mac, FRAME_MAC);
	if (network->tap)
		describe_wire(&filter, tap_wire(network->tap));
	for (i = 0; i < config->published; i++) {
		filter.publish[i].port = config->publish[i].guest_port;
		filter.publish[i].udp = config->publish[i].udp;
	}
	ret = filter_create(&network->filter, &filter, &filter_ops, network);
	if (ret == 0)
		ret = resolver_create(&network->resolver, network->loop, RESOLV_CONF, DNS_PORT,
				      on_resolved, network);
	return ret < 0 ? err_code(err, -ret, "the network") : 0;
}

/* A unicast address of nobody's, and never one of ours: their first byte has other low bits. */
static int choose_mac(struct network *network, struct err *err)
{
	if (getrandom(network->mac, sizeof(network->mac), 0) != sizeof(network->mac))
		return err_sys(err, "getrandom");
	network->mac[0] = (network->mac[0] & 0xf8) | 0x06;
	return 0;
}

int network_open(struct network *network, struct loop *loop, const struct network_config *config,
		 struct net_card *card, struct guard *guard, const struct network_ops *ops,
		 void *arg, struct err *err)
{
	struct err why;
	int ret;

	*network = (struct network){
		.loop = loop, .guard = guard, .config = *config, .ops = ops, .arg = arg};
	if ((!config->user && !config->tap[0]) || !guard)
		return 0;
	if (config->tap[0]) {
		ret = tap_create(&network->tap, loop, config->tap, &backend_ops, network, &why);
		if (ret < 0)
			return err_set(err, -ret, "--net tap: %s", why.text);
	}
	ret = choose_mac(network, err);
	if (ret < 0)
		return ret;
	network->tick = (struct loop_timer){.expired = tick, .arg = network};
	network->card = card;
	if (config->questions)
		approvals_set_requester(config->questions, on_answered, network);
	return create_parts(network, config, err);
}

/* Who wants ports published is told by ops->published(), and ends. */
static void explain_no_network(struct network *network, const char *why)
{
	if (!network->publishing) {
		log_warning("the sandbox has no network: %s", why);
		on_note(network, "network-lost", "passt", why);
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

/* Once: a second one would not get the published ports. */
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
		tell_published(network, why.text);
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
		approvals_set_requester(network->config.questions, NULL, NULL);
	if (network->card)
		net_card_set_owner(network->card, NULL, NULL);
	network->card = NULL;
	resolver_destroy(network->resolver);
	network->resolver = NULL;
	/* Its flows end, and are logged. */
	filter_destroy(network->filter);
	network->filter = NULL;
	passt_destroy(network->passt);
	network->passt = NULL;
	tap_destroy(network->tap);
	network->tap = NULL;
}

int network_request(struct network *network, struct agent_channel *channel,
		    const struct agent_reply *reply)
{
	struct agent_network config = {.address = ADDRESS_GUEST,
				       .prefix = ADDRESS_PREFIX,
				       .router = ADDRESS_ROUTER,
				       .resolver = ADDRESS_ROUTER,
				       .mtu = MTU};
	int ret;

	if (network->card && network->tap) {
		config.mtu = (unsigned)min_u64(MTU, tap_wire(network->tap)->mtu);
		start_card(network);
	} else if (!network->card || (!network->passt && start_passt(network) < 0)) {
		return 0;
	}
	/* An agent of an older initramfs leaves the card its first one. */
	if (agent_channel_sets_mac(channel)) {
		config.mac = network->mac;
		net_card_set_mac(network->card, network->mac);
		filter_set_guest_mac(network->filter, network->mac);
	}
	ret = agent_channel_set_network(channel, &config, reply);
	return ret < 0 ? ret : 1;
}

void network_configured(struct network *network)
{
	network->configured = true;
	resume_backend(network);
}

void network_policy_changed(struct network *network)
{
	if (network->filter)
		filter_policy_changed(network->filter, loop_now_ns());
}
