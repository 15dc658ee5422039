/* SPDX-License-Identifier: Apache-2.0 */
/* UDP and ICMP echo: the guest opens a flow, and replies come back on it. */
#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

static void send_on(struct filter *filter, struct flow *flow, const struct frame *frame,
		    uint8_t *bytes, uint64_t now_ns)
{
	flow->bytes_out += frame->payload_length;
	flow_seen(&filter->flows, flow, flow->class, now_ns);
	filter_pass_to_peer(filter, bytes, frame->length);
}

static void open_flow(struct filter *filter, const struct frame *frame, uint8_t *bytes,
		      const struct flow_key *key, struct filter_request *request, uint64_t now_ns)
{
	struct filter_ask ask = {.key = *key};
	struct filter_choice choice;
	struct flow *flow;

	if (filter_ask_waits(filter, key, frame))
		return;
	choice = filter_decide_flow(filter, frame, request, now_ns);
	if (choice.verdict == FILTER_ASK) {
		ask.request = *request;
		ask.rule = choice.order;
		filter_ask_packet(filter, &ask, frame, now_ns);
		return;
	}
	if (choice.verdict == FILTER_DENY) {
		filter_log_refused(filter, request, NULL, now_ns);
		filter_refuse(filter, frame, FILTER_REFUSED);
		return;
	}
	/* Allowed only if it can be logged. */
	if (!filter->ops->check(filter->arg, request)) {
		filter_refuse(filter, frame, FILTER_REFUSED);
		return;
	}
	flow = filter_open_flow(filter, frame, key, filter_class_of(key), request->name,
				choice.order, now_ns);
	if (flow)
		send_on(filter, flow, frame, bytes, now_ns);
}

void filter_udp_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			   uint64_t now_ns)
{
	const struct flow_key key = {.peer = frame->target,
				     .guest_port = frame->source_port,
				     .peer_port = frame->target_port,
				     .protocol = IP_UDP};
	struct filter_request request = {.protocol = FILTER_UDP, .port = frame->target_port};
	struct flow *flow = flow_find(&filter->flows, &key);

	if (flow)
		send_on(filter, flow, frame, bytes, now_ns);
	else
		open_flow(filter, frame, bytes, &key, &request, now_ns);
}

void filter_echo_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			    uint64_t now_ns)
{
	const struct flow_key key = {
		.peer = frame->target, .guest_port = frame->icmp_id, .protocol = IP_ICMP};
	struct filter_request request = {.protocol = FILTER_ICMP};
	struct flow *flow;

	/* The guest may send only echo requests: none come in, so there is nothing to reply to. */
	if (frame->icmp_type != ICMP_ECHO_REQUEST) {
		filter_drop_guest(filter, FILTER_NO_FLOW);
		return;
	}
	/* The payload of echo requests could be a tunnel: allow little, and few of them. */
	if (frame->payload_length > FILTER_ECHO_PAYLOAD ||
	    !bucket_try(&filter->echo_rate, now_ns)) {
		filter_refuse(filter, frame, FILTER_FLOODED);
		return;
	}
	flow = flow_find(&filter->flows, &key);
	if (flow)
		send_on(filter, flow, frame, bytes, now_ns);
	else
		open_flow(filter, frame, bytes, &key, &request, now_ns);
}

void filter_datagram_from_peer(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			       uint64_t now_ns)
{
	bool udp = frame->kind == FRAME_IS_UDP;
	const struct flow_key key = {.peer = frame->source,
				     .guest_port = udp ? frame->target_port : frame->icmp_id,
				     .peer_port = udp ? frame->source_port : 0,
				     .protocol = udp ? IP_UDP : IP_ICMP};
	struct flow *flow = NULL;

	if (udp || frame->icmp_type == ICMP_ECHO_REPLY)
		flow = flow_find(&filter->flows, &key);
	if (!flow && udp)
		flow = filter_open_inbound(filter, frame, &key, FLOW_UDP, now_ns);
	else if (!flow)
		filter_drop_peer(filter, FILTER_NO_FLOW);
	if (!flow)
		return;
	flow->bytes_in += frame->payload_length;
	flow_seen(&filter->flows, flow, flow->class, now_ns);
	filter_pass_to_guest(filter, bytes, frame->length);
}
