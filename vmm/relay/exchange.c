/* SPDX-License-Identifier: Apache-2.0 */
/* Life of an exchange of datagrams: the decision, what is kept meanwhile, errors, the end. */
#include "vmm/relay/exchange.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define UDP_HEADER 8 /* an echo request's is as long */

struct kept {
	struct kept *next;
	struct datagram datagram;
	uint8_t bytes[];
};

/* --- datagrams that are kept ------------------------------------------------------------------ */

void exchange_keep(struct exchange *exchange, const struct datagram *datagram)
{
	struct datagrams *all = &exchange->relay->datagrams;
	struct kept *kept = NULL;

	if (exchange->keeps && exchange->kept < DATAGRAM_KEPT_FLOW && all->kept < DATAGRAM_KEPT &&
	    datagram->length <= DATAGRAM_KEPT_BYTES - all->kept_bytes)
		kept = malloc(sizeof(*kept) + datagram->length);
	if (!kept) {
		exchange->relay->stats.dropped++;
		return;
	}
	kept->next = NULL;
	kept->datagram = *datagram;
	kept->datagram.data = kept->bytes;
	if (datagram->length)
		memcpy(kept->bytes, datagram->data, datagram->length);
	if (exchange->last_kept)
		exchange->last_kept->next = kept;
	else
		exchange->first_kept = kept;
	exchange->last_kept = kept;
	exchange->kept++;
	all->kept++;
	all->kept_bytes += datagram->length;
}

/* The datagrams go on to where they are meant for, or are dropped. */
static void release_kept(struct exchange *exchange, bool deliver)
{
	struct datagrams *all = &exchange->relay->datagrams;
	struct kept *kept;

	while ((kept = exchange->first_kept)) {
		exchange->first_kept = kept->next;
		exchange->kept--;
		all->kept--;
		all->kept_bytes -= kept->datagram.length;
		if (deliver && exchange->flow.inbound)
			datagram_to_guest(exchange, &kept->datagram);
		else if (deliver)
			exchange->ops->send(exchange, &kept->datagram);
		free(kept);
	}
	exchange->last_kept = NULL;
}

/* --- errors that reach the guest -------------------------------------------------------------- */

enum packet_error exchange_error(int error)
{
	static const struct {
		int error;
		enum packet_error tell;
	} errors[] = {
		{ECONNREFUSED, PACKET_PORT_UNREACHABLE},
		{ENOPROTOOPT, PACKET_PORT_UNREACHABLE},
		{ENETUNREACH, PACKET_NET_UNREACHABLE},
		{ENETDOWN, PACKET_NET_UNREACHABLE},
		{EADDRNOTAVAIL, PACKET_NET_UNREACHABLE},
		{EAFNOSUPPORT, PACKET_NET_UNREACHABLE},
		{EACCES, PACKET_PROHIBITED},
		{EPERM, PACKET_PROHIBITED},
		{EMSGSIZE, PACKET_TOO_BIG},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].error == error)
			return errors[i].tell;
	return PACKET_HOST_UNREACHABLE;
}

static void tell(struct exchange *exchange, enum packet_error error, uint16_t mtu)
{
	uint8_t frame[PACKET_REPLY_MAX];
	size_t length;

	if (exchange->header_length == 0)
		return;
	length = packet_write_error(&exchange->relay->ends, error, mtu, exchange->header,
				    exchange->header_length, frame);
	if (length > 0)
		relay_frame_to_guest(exchange->relay, frame, length);
}

/* Of the path, as far as the socket knows it; or what every IPv6 path carries (RFC 8200, 5). */
static uint32_t path_mtu(const struct exchange *exchange)
{
	bool four = exchange->flow.key.peer.family == AF_INET;
	socklen_t size = sizeof(int);
	int mtu;

	if (getsockopt(exchange->socket.fd, four ? IPPROTO_IP : IPPROTO_IPV6,
		       four ? IP_MTU : IPV6_MTU, &mtu, &size) < 0 ||
	    mtu <= 0)
		return 1280;
	return (uint32_t)mtu;
}

void exchange_failed(struct exchange *exchange, int error, uint32_t mtu)
{
	enum packet_error kind = exchange_error(error);

	if (kind == PACKET_TOO_BIG && mtu == 0)
		mtu = path_mtu(exchange);
	tell(exchange, kind, (uint16_t)min_u64(mtu, UINT16_MAX));
}

void exchange_remember(struct exchange *exchange, const struct packet *packet)
{
	size_t length = (packet->target.family == AF_INET ? 20 : 40) + UDP_HEADER;

	exchange->header_length = min_u64(packet->ip_length, length);
	memcpy(exchange->header, packet->ip, exchange->header_length);
}

/* --- decisions -------------------------------------------------------------------------------- */

bool exchange_permitted(struct relay *relay, const struct packet *packet,
			struct relay_request *request, struct relay_choice *choice)
{
	const char *why = NULL;

	if (!relay_may_begin(relay, false))
		return false;
	if (ip_is_own(&request->address) && !request->host) {
		why = "nothing is at this address of the sandbox's network";
	} else {
		*choice = decide_flow(relay, request);
		if (choice->verdict == POLICY_ALLOW || choice->verdict == POLICY_ASK)
			return true;
	}
	decide_refused(relay, request, why);
	relay_error(relay, packet, PACKET_PROHIBITED);
	return false;
}

/* The request about a flow of the guest, by the name that opened it. */
static struct relay_request request_of(const struct exchange *exchange)
{
	const struct relay_flow *flow = &exchange->flow;

	return (struct relay_request){.op = exchange->ops->op,
				      .protocol = exchange->ops->protocol,
				      .name = flow->name,
				      .address = flow->key.peer,
				      .port = flow->key.peer_port,
				      .host = flow->host};
}

static uint32_t rule_of(const struct relay_choice *choice)
{
	return choice->order == UINT32_MAX ? RELAY_NO_RULE : choice->order;
}

/* relay_flow_ops.still_allowed. About one that waits the monitor decides anew. */
static bool still_allowed(struct relay_flow *flow)
{
	struct exchange *exchange = exchange_of(flow);
	const struct relay_request request = request_of(exchange);
	struct relay_choice choice;

	if (flow->inbound || !exchange->allowed)
		return true;
	choice = decide_one(exchange->relay, &request);
	if (choice.verdict != POLICY_ALLOW && (choice.verdict != POLICY_ASK || !flow->approved))
		return false;
	flow->rule = rule_of(&choice);
	return true;
}

/* The host has no socket for an exchange that is allowed; the log has only that it is. */
static void open_failed(struct exchange *exchange, int error)
{
	const struct relay_request request = request_of(exchange);
	const char *lack = relay_lack(error);

	if (lack)
		decide_refused(exchange->relay, &request, lack);
	exchange_failed(exchange, error, 0);
	exchange_end(exchange, RELAY_CLOSED);
}

/* relay_wait.done */
static void decided(void *arg, bool allowed, bool approved)
{
	struct exchange *exchange = arg;
	int ret;

	if (!allowed) {
		tell(exchange, PACKET_PROHIBITED, 0);
		exchange_end(exchange, RELAY_REFUSED);
		return;
	}
	exchange->allowed = true;
	exchange->flow.approved = approved;
	ret = exchange->ops->open ? exchange->ops->open(exchange) : 0;
	if (ret < 0) {
		open_failed(exchange, -ret);
		return;
	}
	exchange_seen(exchange);
	release_kept(exchange, true);
}

bool exchange_begin(struct exchange *exchange, const struct relay_request *request,
		    const struct relay_choice *choice)
{
	struct relay *relay = exchange->relay;
	struct relay_flow *flow = &exchange->flow;

	flow->host = request->host;
	flow->rule = choice ? rule_of(choice) : RELAY_NO_RULE;
	if (request->name)
		flow->name = strdup(request->name);
	exchange->keeps = !choice || choice->verdict == POLICY_ALLOW;
	exchange->wait = (struct relay_wait){.done = decided, .arg = exchange};
	if ((request->name && !flow->name) ||
	    !relay_flows_add(&relay->flows, flow, RELAY_OPENING, relay_now(relay))) {
		exchange_destroy(exchange);
		relay->stats.dropped++;
		return false;
	}
	if (decide_check(relay, &exchange->wait, request) < 0) {
		exchange_end(exchange, RELAY_REFUSED);
		relay->stats.dropped++;
		return false;
	}
	return true;
}

/*
 * What the guest has not replied to makes room first: datagrams from outside, whose senders may be
 * forged, displace no flow that both ends use.
 */
void exchange_seen(struct exchange *exchange)
{
	struct relay *relay = exchange->relay;
	bool settled = exchange->allowed && (!exchange->flow.inbound || exchange->replied);

	relay_flows_seen(&relay->flows, &exchange->flow,
			 settled ? exchange->ops->class : RELAY_OPENING, relay_now(relay));
}

void exchange_from_guest(struct exchange *exchange, const struct packet *packet,
			 const struct datagram *datagram)
{
	/* Nothing of a client has reached the guest yet, so there is nothing to reply to. */
	if (exchange->flow.inbound && !exchange->allowed) {
		exchange->relay->stats.dropped++;
		return;
	}
	exchange_remember(exchange, packet);
	exchange->replied = true;
	exchange_seen(exchange);
	if (exchange->allowed)
		exchange->ops->send(exchange, datagram);
	else
		exchange_keep(exchange, datagram);
}

/* --- life ------------------------------------------------------------------------------------- */

/* relay_flow_ops.end. One that was never allowed has no end in the log. */
static void ended(struct relay_flow *flow, enum relay_end why)
{
	struct exchange *exchange = exchange_of(flow);

	if (exchange->allowed)
		relay_log_end(exchange->relay, flow, why);
	exchange_destroy(exchange);
}

static const struct relay_flow_ops flow_ops = {.end = ended, .still_allowed = still_allowed};

void exchange_end(struct exchange *exchange, enum relay_end why)
{
	relay_flows_end(&exchange->relay->flows, &exchange->flow, why);
}

struct exchange *exchange_create(struct relay *relay, const struct exchange_ops *ops,
				 const struct relay_key *key)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange) {
		relay->stats.dropped++;
		return NULL;
	}
	exchange->relay = relay;
	exchange->ops = ops;
	exchange->flow.ops = &flow_ops;
	exchange->flow.key = *key;
	exchange->socket.fd = -1;
	return exchange;
}

void exchange_destroy(struct exchange *exchange)
{
	struct relay *relay = exchange->relay;

	decide_cancel(relay, &exchange->wait);
	exchange_unpause(exchange);
	loop_remove(relay->loop, &exchange->socket);
	fd_close(&exchange->socket.fd);
	release_kept(exchange, false);
	free(exchange->flow.name);
	free(exchange);
}
