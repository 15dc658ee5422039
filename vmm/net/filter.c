/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry points of the filter, for frames from both sides: the checks that apply to every frame,
 * ARP, the router, and counters.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

#define DNS_PORT     53
#define EXPIRE_LIMIT 1024

void filter_drop_guest(struct filter *filter, unsigned why)
{
	filter->stats.guest_drop[why]++;
}

void filter_drop_peer(struct filter *filter, unsigned why)
{
	filter->stats.peer_drop[why]++;
}

void filter_pass_to_peer(struct filter *filter, uint8_t *frame, size_t length)
{
	memcpy(frame, filter->config.peer_mac, FRAME_MAC);
	memcpy(frame + FRAME_MAC, filter->config.card_mac, FRAME_MAC);
	filter->stats.guest_frames++;
	filter->stats.guest_bytes += length;
	filter->ops->to_peer(filter->arg, frame, length);
}

void filter_pass_to_guest(struct filter *filter, uint8_t *frame, size_t length)
{
	memcpy(frame, filter->config.guest_mac, FRAME_MAC);
	memcpy(frame + FRAME_MAC, filter->config.router_mac, FRAME_MAC);
	filter->stats.peer_frames++;
	filter->stats.peer_bytes += length;
	filter->ops->to_guest(filter->arg, frame, length);
}

void filter_refuse(struct filter *filter, const struct frame *frame, unsigned why)
{
	size_t length = 0;

	filter_drop_guest(filter, why);
	if (frame->kind == FRAME_IS_TCP)
		length = reply_reset(frame, filter->out);
	/* No ICMP error is sent about an echo reply (RFC 1122, 3.2.2). */
	else if (frame->kind == FRAME_IS_UDP || frame->icmp_type == ICMP_ECHO_REQUEST)
		length = reply_prohibited(frame, ADDRESS_ROUTER, filter->out);
	if (length > 0)
		filter->ops->to_guest(filter->arg, filter->out, length);
}

void filter_refuse_peer(struct filter *filter, const struct frame *frame, unsigned why)
{
	size_t length = 0;

	filter_drop_peer(filter, why);
	if (frame->kind == FRAME_IS_TCP)
		length = reply_reset(frame, filter->out);
	if (length == 0)
		return;
	/* The refused frame may have had a group address; the reply comes from the card's. */
	memcpy(filter->out + FRAME_MAC, filter->config.card_mac, FRAME_MAC);
	filter->ops->to_peer(filter->arg, filter->out, length);
}

/* --- from the guest --------------------------------------------------------------------------- */

static bool is_mac(const uint8_t *mac, const uint8_t *other)
{
	return memcmp(mac, other, FRAME_MAC) == 0;
}

/* All addresses but the guest's are at the router's MAC. Replies and announcements are ignored. */
static void arp_from_guest(struct filter *filter, const struct frame *frame)
{
	size_t length;

	if (!is_mac(frame->arp_sender, filter->config.guest_mac) ||
	    (frame->source != ADDRESS_GUEST && frame->source != 0)) {
		filter_drop_guest(filter, FILTER_SPOOFED);
		return;
	}
	if (frame->arp_operation != ARP_REQUEST || frame->target == ADDRESS_GUEST ||
	    !address_own(frame->target)) {
		filter_drop_guest(filter, FILTER_ASTRAY);
		return;
	}
	length = reply_arp(frame, filter->config.router_mac, filter->out);
	filter->ops->to_guest(filter->arg, filter->out, length);
}

/* The router answers DNS and pings, and nothing else. */
static void to_router(struct filter *filter, const struct frame *frame, uint64_t now_ns)
{
	if (frame->kind == FRAME_IS_UDP && frame->target_port == DNS_PORT) {
		filter_dns_question(filter, frame, now_ns);
	} else if (frame->kind == FRAME_IS_ECHO && frame->icmp_type == ICMP_ECHO_REQUEST) {
		filter->ops->to_guest(filter->arg, filter->out, reply_echo(frame, filter->out));
	} else {
		filter_refuse(filter, frame, FILTER_REFUSED);
	}
}

static void ipv4_from_guest(struct filter *filter, const struct frame *frame, uint8_t *bytes,
			    uint64_t now_ns)
{
	if (frame->source != ADDRESS_GUEST) {
		filter_drop_guest(filter, FILTER_SPOOFED);
		return;
	}
	if (!is_mac(frame->target_mac, filter->config.router_mac)) {
		filter_drop_guest(filter, FILTER_ASTRAY);
		return;
	}
	if (frame->target == ADDRESS_ROUTER) {
		to_router(filter, frame, now_ns);
		return;
	}
	if ((address_own(frame->target) && frame->target != ADDRESS_HOST) ||
	    frame->target == filter->config.hidden[0] ||
	    frame->target == filter->config.hidden[1]) {
		filter_refuse(filter, frame, FILTER_ASTRAY);
		return;
	}
	if (frame->kind == FRAME_IS_TCP)
		filter_tcp_from_guest(filter, frame, bytes, now_ns);
	else if (frame->kind == FRAME_IS_UDP)
		filter_udp_from_guest(filter, frame, bytes, now_ns);
	else
		filter_echo_from_guest(filter, frame, bytes, now_ns);
}

void filter_from_guest(struct filter *filter, uint8_t *bytes, size_t length, bool partial,
		       uint64_t now_ns)
{
	struct frame frame;
	enum frame_verdict verdict = frame_parse(bytes, length, partial, &frame);

	if (verdict != FRAME_OK) {
		filter_drop_guest(filter, verdict);
		return;
	}
	if (!is_mac(frame.source_mac, filter->config.guest_mac)) {
		filter_drop_guest(filter, FILTER_SPOOFED);
		return;
	}
	if (partial)
		frame_complete(&frame, bytes);
	if (frame.kind == FRAME_IS_ARP)
		arp_from_guest(filter, &frame);
	else
		ipv4_from_guest(filter, &frame, bytes, now_ns);
}

/* --- from the backend ------------------------------------------------------------------------- */

/* The other end of a tap requests the card's MAC. Everything else that it announces is ignored. */
static void arp_from_peer(struct filter *filter, const struct frame *frame)
{
	if (!filter->config.arp || frame->arp_operation != ARP_REQUEST ||
	    frame->target != ADDRESS_GUEST) {
		filter_drop_peer(filter, FILTER_ASTRAY);
		return;
	}
	filter->ops->to_peer(filter->arg, filter->out,
			     reply_arp(frame, filter->config.card_mac, filter->out));
}

void filter_from_peer(struct filter *filter, uint8_t *bytes, size_t length, uint64_t now_ns)
{
	struct frame frame;
	enum frame_verdict verdict = frame_parse(bytes, length, false, &frame);

	if (verdict != FRAME_OK) {
		filter_drop_peer(filter, verdict);
		return;
	}
	if (frame.kind == FRAME_IS_ARP) {
		arp_from_peer(filter, &frame);
		return;
	}
	if (address_own(frame.source) && frame.source != ADDRESS_HOST) {
		filter_drop_peer(filter, FILTER_SPOOFED);
		return;
	}
	if (frame.target != ADDRESS_GUEST) {
		filter_drop_peer(filter, FILTER_ASTRAY);
		return;
	}
	if (frame.kind == FRAME_IS_TCP)
		filter_tcp_from_peer(filter, &frame, bytes, now_ns);
	else
		filter_datagram_from_peer(filter, &frame, bytes, now_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

static void flow_ended(void *arg, struct flow *flow, enum flow_end how)
{
	struct filter *filter = arg;

	if (flow->peek && flow->peek->asking)
		filter_ask_cancel(filter, &flow->key);
	filter_peek_end(filter, flow);
	/* The backend must end its connection: the flow no longer exists. */
	if (flow->key.protocol == IP_TCP && how != FLOW_CLOSED && how != FLOW_REFUSED)
		filter_track_give_up(filter, flow);
	filter_log_end(filter, flow, how);
}

int filter_create(struct filter **out, const struct filter_config *config,
		  const struct filter_ops *ops, void *arg)
{
	struct filter *filter = calloc(1, sizeof(*filter));
	int ret;

	*out = NULL;
	if (!filter)
		return -ENOMEM;
	filter->config = *config;
	filter->ops = ops;
	filter->arg = arg;
	bucket_init_burst(&filter->flow_rate, FILTER_FLOWS_SECOND, FILTER_FLOWS_BURST, 0);
	bucket_init_burst(&filter->dns_rate, FILTER_DNS_SECOND, FILTER_DNS_BURST, 0);
	bucket_init_burst(&filter->echo_rate, FILTER_ECHO_SECOND, 2 * FILTER_ECHO_SECOND, 0);
	bucket_init_burst(&filter->log_rate, FILTER_LOGGED_SECOND, 10 * FILTER_LOGGED_SECOND, 0);
	ret = flow_table_init(&filter->flows);
	if (ret == 0)
		ret = dns_pins_init(&filter->pins);
	filter->flows.ended = flow_ended;
	filter->flows.arg = filter;
	if (ret < 0) {
		filter_destroy(filter);
		return ret;
	}
	*out = filter;
	return 0;
}

void filter_destroy(struct filter *filter)
{
	if (!filter)
		return;
	filter_ask_forget(filter, false);
	flow_table_destroy(&filter->flows);
	dns_pins_destroy(&filter->pins);
	free(filter);
}

void filter_set_guest_mac(struct filter *filter, const uint8_t mac[FRAME_MAC])
{
	memcpy(filter->config.guest_mac, mac, FRAME_MAC);
}

void filter_expire(struct filter *filter, uint64_t now_ns)
{
	filter_ask_keep(filter, now_ns);
	flow_expire(&filter->flows, now_ns, EXPIRE_LIMIT);
}

void filter_policy_changed(struct filter *filter, uint64_t now_ns)
{
	uint32_t at = 0;
	struct flow *flow;

	filter->forgetting = true;
	while ((flow = flow_next(&filter->flows, &at)) != NULL)
		if (!filter_still_allowed(filter, flow))
			flow_end(&filter->flows, flow, FLOW_DROPPED);
	filter->forgetting = false;
	filter_log_forgotten(filter);
	filter_ask_again(filter, now_ns);
}

void filter_forget(struct filter *filter)
{
	filter_ask_forget(filter, true);
	filter->forgetting = true;
	flow_end_all(&filter->flows, FLOW_DROPPED);
	filter->forgetting = false;
	filter_log_forgotten(filter);
	dns_pins_clear(&filter->pins);
	/* Later replies of resolvers find no ticket. */
	memset(filter->dns, 0, sizeof(filter->dns));
}

void filter_stats(const struct filter *filter, struct filter_stats *stats)
{
	*stats = filter->stats;
	stats->flows = filter->flows.count;
	stats->pins = filter->pins.count;
	stats->peeks = filter->peeks;
	stats->asks = filter->asks;
}

const struct flow *filter_flow_next(const struct filter *filter, uint32_t *at)
{
	return flow_next(&filter->flows, at);
}

const char *filter_drop_text(unsigned drop)
{
	static const char *const text[] = {
		[FILTER_SPOOFED] = "spoofed source",
		[FILTER_ASTRAY] = "misaddressed",
		[FILTER_NO_FLOW] = "no such connection",
		[FILTER_REFUSED] = "refused by the policy",
		[FILTER_FLOODED] = "too many",
		[FILTER_PEEK_GAP] = "first bytes out of order",
		[FILTER_IN_USE] = "ports in use",
		[FILTER_OUT_OF_PLACE] = "out of place in its connection",
	};

	if (drop < FRAME_VERDICTS)
		return frame_verdict_text(drop);
	return drop < FILTER_DROPS ? text[drop] : "unknown";
}
