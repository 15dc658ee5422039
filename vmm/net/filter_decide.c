/* SPDX-License-Identifier: Apache-2.0 */
/* The filter's requests to the policy, and its lines in the log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

#define OBJECT_TEXT (DNS_NAME_TEXT + 64)

static const char *protocol_text(uint8_t protocol)
{
	if (protocol == IP_TCP)
		return "tcp";
	return protocol == IP_UDP ? "udp" : "icmp";
}

static void object_text(char to[OBJECT_TEXT], const char *protocol, uint32_t address, uint16_t port,
			const char *name)
{
	char text[ADDRESS_TEXT];

	address_text(address, text);
	snprintf(to, OBJECT_TEXT, "%s %s:%u%s%s", protocol, text, port, name ? " " : "",
		 name ? name : "");
}

struct filter_choice filter_decide_one(struct filter *filter, const struct filter_request *request)
{
	struct filter_choice choice = {.order = FILTER_NO_RULE};

	choice.verdict = filter->ops->decide(filter->arg, request, &choice.order);
	return choice;
}

struct filter_choice filter_decide_flow(struct filter *filter, const struct frame *frame,
					struct filter_request *request, uint64_t now_ns)
{
	struct filter_choice best = {.order = FILTER_NO_RULE}, choice;
	const char *name[PIN_NAMES_MAX], *of_best;
	uint8_t address[PIN_ADDRESS];
	unsigned i, count = 0;

	request->op = FILTER_CONNECT;
	request->address = frame->target;
	request->host = frame->target == ADDRESS_HOST;
	dns_pins_ipv4(frame->target, address);
	/* A resolver's reply never opens a special address. */
	if (!address_special(frame->target))
		count = dns_pins_names(&filter->pins, address, now_ns, name);
	/* If no rule decides, the log shows the name that the guest queried last. */
	of_best = count > 0 ? name[0] : NULL;
	for (i = 0; i <= count; i++) {
		request->name = i < count ? name[i] : NULL;
		choice = filter_decide_one(filter, request);
		if (choice.order >= best.order)
			continue;
		best = choice;
		of_best = request->name;
	}
	request->name = of_best;
	return best;
}

void filter_log_refused(struct filter *filter, const struct filter_request *request,
			const char *why, uint64_t now_ns)
{
	static const char *const word[] = {
		[FILTER_TCP] = "tcp",	[FILTER_UDP] = "udp",	[FILTER_TLS] = "tls",
		[FILTER_HTTP] = "http", [FILTER_ICMP] = "icmp", [FILTER_DNS] = "dns",
	};
	char object[OBJECT_TEXT];

	if (!bucket_try(&filter->log_rate, now_ns)) {
		filter->stats.unlogged++;
		return;
	}
	if (!why) {
		filter->ops->check(filter->arg, request);
		return;
	}
	object_text(object, word[request->protocol], request->address, request->port,
		    request->name);
	filter->ops->note(filter->arg, "flow-refused", object, why);
}

struct flow *filter_open_flow(struct filter *filter, const struct frame *frame,
			      const struct flow_key *key, enum flow_class class, const char *name,
			      uint32_t rule, uint64_t now_ns)
{
	struct flow *flow = NULL;
	char *copy = NULL;

	if (name) {
		copy = strdup(name);
		if (!copy)
			goto refuse;
	}
	if (bucket_try(&filter->flow_rate, now_ns))
		flow = flow_add(&filter->flows, key, class, now_ns);
	if (!flow) {
		free(copy);
		goto refuse;
	}
	flow->name = copy;
	flow->rule = rule;
	flow->host = key->peer == ADDRESS_HOST;
	flow->sequence = frame->sequence;
	return flow;
refuse:
	filter_refuse(filter, frame, FILTER_FLOODED);
	return NULL;
}

static bool published(const struct filter *filter, const struct flow_key *key)
{
	unsigned i;

	for (i = 0; i < filter->config.published; i++)
		if (filter->config.publish[i].port == key->guest_port &&
		    filter->config.publish[i].udp == (key->protocol == IP_UDP))
			return true;
	return false;
}

struct flow *filter_open_inbound(struct filter *filter, const struct frame *frame,
				 const struct flow_key *key, enum flow_class class, uint64_t now_ns)
{
	const struct filter_request request = {
		.op = FILTER_LISTEN,
		.protocol = key->protocol == IP_UDP ? FILTER_UDP : FILTER_TCP,
		.address = key->peer,
		.port = key->guest_port,
		.host = key->peer == ADDRESS_HOST,
	};
	struct flow *flow = NULL;

	if (!published(filter, key)) {
		filter_refuse_peer(filter, frame,
				   frame->kind == FRAME_IS_TCP ? FILTER_REFUSED : FILTER_NO_FLOW);
		return NULL;
	}
	if (bucket_try(&filter->flow_rate, now_ns))
		flow = flow_add(&filter->flows, key, class, now_ns);
	if (!flow) {
		filter_refuse_peer(filter, frame, FILTER_FLOODED);
		return NULL;
	}
	/* Allowed only if it can be logged. */
	if (!filter->ops->check(filter->arg, &request)) {
		flow_end(&filter->flows, flow, FLOW_REFUSED);
		filter_refuse_peer(filter, frame, FILTER_REFUSED);
		return NULL;
	}
	flow->inbound = true;
	flow->host = request.host;
	flow->sequence = frame->sequence;
	/*
	 * A connection that the guest began from that port, and that still waits, would be a second
	 * flow of that key.
	 */
	filter_ask_cancel(filter, key);
	return flow;
}

/* An approval holds as long as the policy allows the connection or says 'ask'. */
static bool allows(struct filter *filter, struct flow *flow, const struct filter_request *request)
{
	struct filter_choice choice = filter_decide_one(filter, request);

	if (choice.verdict == FILTER_DENY || (choice.verdict == FILTER_ASK && !flow->approved))
		return false;
	flow->rule = choice.order;
	return true;
}

bool filter_still_allowed(struct filter *filter, struct flow *flow)
{
	static const enum filter_protocol tcp[] = {FILTER_TCP, FILTER_TLS, FILTER_HTTP};
	struct filter_request request = {
		.op = flow->inbound ? FILTER_LISTEN : FILTER_CONNECT,
		.name = flow->name,
		.address = flow->key.peer,
		.port = flow->inbound ? flow->key.guest_port : flow->key.peer_port,
		.host = flow->host,
	};
	size_t i;

	if (flow->key.protocol != IP_TCP) {
		request.protocol = flow->key.protocol == IP_UDP ? FILTER_UDP : FILTER_ICMP;
		return allows(filter, flow, &request);
	}
	for (i = 0; i < ARRAY_SIZE(tcp); i++) {
		request.protocol = tcp[i];
		if (allows(filter, flow, &request))
			return true;
	}
	return false;
}

void filter_log_end(struct filter *filter, const struct flow *flow, enum flow_end how)
{
	char object[OBJECT_TEXT], detail[160];
	uint64_t passed = flow->seen_ns - flow->begun_ns;

	/* A refused flow has its line already. */
	if (how == FLOW_REFUSED)
		return;
	if (filter->forgetting && filter->forgotten.logged++ >= FILTER_FORGET_LOGGED) {
		filter->forgotten.flows++;
		filter->forgotten.bytes_out += flow->bytes_out;
		filter->forgotten.bytes_in += flow->bytes_in;
		return;
	}
	object_text(object, protocol_text(flow->key.protocol), flow->key.peer,
		    flow->inbound ? flow->key.guest_port : flow->key.peer_port, flow->name);
	snprintf(detail, sizeof(detail),
		 "end=%s out=%" PRIu64 " in=%" PRIu64 " seconds=%" PRIu64 ".%03" PRIu64,
		 flow_end_text(how), flow->bytes_out, flow->bytes_in, passed / 1000000000u,
		 passed / 1000000u % 1000u);
	filter->ops->note(filter->arg, "flow-end", object, detail);
}

void filter_log_forgotten(struct filter *filter)
{
	const struct filter_sum *sum = &filter->forgotten;
	char object[40], detail[100];

	if (sum->flows > 0) {
		snprintf(object, sizeof(object), "%u more", sum->flows);
		snprintf(detail, sizeof(detail), "end=%s out=%" PRIu64 " in=%" PRIu64,
			 flow_end_text(FLOW_DROPPED), sum->bytes_out, sum->bytes_in);
		filter->ops->note(filter->arg, "flow-end", object, detail);
	}
	filter->forgotten = (struct filter_sum){.flows = 0};
}
