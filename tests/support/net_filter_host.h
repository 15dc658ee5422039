/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the filter: a scripted guest, a scripted outside, and a policy of a few rules.
 */
#ifndef CORDON_TEST_NET_FILTER_HOST_H
#define CORDON_TEST_NET_FILTER_HOST_H

#include "vmm/net/filter.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/net/tls.h"

#define SECOND	 UINT64_C(1000000000)
#define PRIVATE	 ADDRESS(10, 0, 0, 5)
#define METADATA ADDRESS(169, 254, 169, 254)
#define SHOWN	 64

struct rule {
	enum filter_protocol protocol;
	const char *name; /* NULL: by address */
	uint32_t address;
	uint16_t port; /* 0: any */
	bool host, deny, ask;
};

static const struct rule *rules;
static size_t rule_count;
static struct filter *filter;
static uint64_t now;
static uint8_t bytes[FRAME_MAX];

/* What came out: the last frame each way, all of the peer's payload, and the log. */
static struct out {
	unsigned count;
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t length;
} guest, peer;
static uint8_t said[1 << 16];
static size_t said_length;
static char logged[SHOWN][400];
static unsigned log_count;
static uint32_t ticket;
static char asked[DNS_NAME_TEXT];
static int resolve_result;
static bool log_full, log_last_only;

static inline void to_out(struct out *out, const uint8_t *frame, size_t length)
{
	out->count++;
	memcpy(out->bytes, frame, length);
	out->length = length;
	if (frame_parse(out->bytes, length, false, &out->frame) != FRAME_OK)
		out->frame = (struct frame){.kind = FRAME_IS_ARP, .data = NULL};
}

static inline void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	ck_assert_mem_eq(frame, net_guest_mac, FRAME_MAC);
	to_out(&guest, frame, length);
}

static inline void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	ck_assert_mem_eq(frame + FRAME_MAC, net_card_mac, FRAME_MAC);
	to_out(&peer, frame, length);
	ck_assert_ptr_nonnull(peer.frame.data); /* nothing leaves that would not pass once more */
	if (said_length + peer.frame.payload_length < sizeof(said)) {
		memcpy(said + said_length, peer.bytes + peer.frame.payload,
		       peer.frame.payload_length);
		said_length += peer.frame.payload_length;
	}
}

static inline bool covers(const struct rule *rule, const struct filter_request *request)
{
	bool over_tcp = request->protocol == FILTER_TLS || request->protocol == FILTER_HTTP;

	if (request->op == FILTER_RESOLVE)
		return request->host ? rule->host
				     : rule->name && strcmp(rule->name, request->name) == 0;
	/* As in the policy: what holds for TCP holds for what is spoken over it. */
	if (rule->protocol != request->protocol && !(rule->protocol == FILTER_TCP && over_tcp))
		return false;
	if (rule->host != request->host || (rule->port && rule->port != request->port))
		return false;
	if (rule->host)
		return true;
	if (rule->name)
		return request->name && strcmp(rule->name, request->name) == 0;
	return !rule->address || rule->address == request->address;
}

static inline enum filter_verdict decide(void *arg, const struct filter_request *request,
					 uint32_t *order)
{
	size_t i;

	(void)arg;
	for (i = 0; i < rule_count; i++) {
		if (!covers(&rules[i], request))
			continue;
		*order = (uint32_t)i;
		if (rules[i].ask && request->op == FILTER_CONNECT)
			return FILTER_ASK;
		return rules[i].deny ? FILTER_DENY : FILTER_ALLOW;
	}
	*order = FILTER_NO_RULE;
	return FILTER_DENY;
}

static const char *const answer_text[] = {
	[FILTER_UNASKED] = "",
	[FILTER_APPROVED] = ", approved",
	[FILTER_DECLINED] = ", declined",
	[FILTER_UNANSWERED] = ", unanswered",
	[FILTER_UNATTENDED] = ", unattended",
	[FILTER_OVERASKED] = ", overasked",
};

static inline bool check(void *arg, const struct filter_request *request)
{
	uint32_t order;
	enum filter_verdict verdict = decide(arg, request, &order);
	bool allowed = !log_full && (verdict == FILTER_ALLOW ||
				     (verdict == FILTER_ASK && request->answer == FILTER_APPROVED));

	if (request->op == FILTER_LISTEN)
		allowed = !log_full;
	if (log_count < SHOWN)
		snprintf(logged[log_count], sizeof(logged[0]), "%s %s%s",
			 allowed ? "allow" : "deny", request->name ? request->name : "-",
			 answer_text[request->answer]);
	log_count++;
	return allowed;
}

static inline void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	if (log_last_only)
		log_count = 0;
	if (log_count < SHOWN)
		snprintf(logged[log_count], sizeof(logged[0]), "%s %s: %s", what, object, detail);
	log_count++;
}

static inline int resolve(void *arg, uint32_t number, const char *name)
{
	(void)arg;
	ticket = number;
	snprintf(asked, sizeof(asked), "%s", name);
	return resolve_result;
}

/* The person's questions: the last one as text, and how many there were. */
static char question[400];
static int questions, ask_result; /* less than 0: nobody can be asked */
static uint32_t taken_back;

static inline int put_question(void *arg, const struct filter_request *request)
{
	char text[ADDRESS_TEXT];

	(void)arg;
	if (ask_result < 0)
		return ask_result;
	snprintf(question, sizeof(question), "%d %s %s:%u", request->protocol,
		 request->name ? request->name : "-", address_text(request->address, text),
		 request->port);
	return ++questions;
}

static inline void take_back_question(void *arg, uint32_t number)
{
	(void)arg;
	taken_back = number;
}

static const struct filter_ops ops = {.to_guest = to_guest,
				      .to_peer = to_peer,
				      .decide = decide,
				      .check = check,
				      .ask = put_question,
				      .unask = take_back_question,
				      .note = note,
				      .resolve = resolve};

static inline void forget_output(void)
{
	guest = (struct out){.count = 0};
	peer = (struct out){.count = 0};
	said_length = 0;
	log_count = 0;
	asked[0] = '\0';
}

static bool once; /* the next filter's backend takes a SYN once */

static inline void begin(const struct rule *with, size_t count)
{
	struct filter_config config = {.published = 2,
				       .once = once,
				       .publish = {{.port = 8080}, {.port = 5353, .udp = true}}};

	memcpy(config.guest_mac, net_guest_mac, FRAME_MAC);
	memcpy(config.router_mac, net_router_mac, FRAME_MAC);
	memcpy(config.card_mac, net_card_mac, FRAME_MAC);
	memcpy(config.peer_mac, net_peer_mac, FRAME_MAC);
	rules = with;
	rule_count = count;
	now = 1000 * SECOND;
	resolve_result = ask_result = questions = 0;
	taken_back = 0;
	log_full = false;
	forget_output();
	ck_assert_int_eq(filter_create(&filter, &config, &ops, NULL), 0);
}

static inline void end(void)
{
	filter_destroy(filter);
}

static inline struct filter_stats stats(void)
{
	struct filter_stats now_stats;

	filter_stats(filter, &now_stats);
	return now_stats;
}

static const struct rule some[] = {
	{.protocol = FILTER_TCP, .address = NET_PEER, .port = 80},
	{.protocol = FILTER_UDP, .address = NET_PEER, .port = 123},
	{.protocol = FILTER_ICMP, .address = NET_PEER},
	{.protocol = FILTER_TCP, .name = "api.example.com", .port = 443},
	{.protocol = FILTER_TLS, .name = "tls.example.com", .port = 443},
	{.protocol = FILTER_TLS, .name = "cdn.example.com", .port = 443},
	{.protocol = FILTER_HTTP, .name = "web.example.com", .port = 8000},
	{.protocol = FILTER_TCP, .port = 9000, .host = true},
};

/* --- the guest's and the peer's acts -----------------------------------------------------------
 */

static inline struct net_segment out_segment(uint32_t target, uint16_t port)
{
	return (struct net_segment){.source = ADDRESS_GUEST,
				    .target = target,
				    .source_port = 40000,
				    .target_port = port,
				    .sequence = 1000,
				    .flags = TCP_SYN};
}

static inline void send_tcp(struct net_segment segment)
{
	filter_from_guest(filter, bytes, net_tcp(bytes, &segment), false, now);
}

static inline void receive_tcp(struct net_segment segment)
{
	struct net_segment back = segment;
	size_t length;

	back.source = segment.target;
	back.target = segment.source;
	back.source_port = segment.target_port;
	back.target_port = segment.source_port;
	length = net_tcp(bytes, &back);
	net_turn(bytes);
	filter_from_peer(filter, bytes, length, now);
}

/* The peer answers the SYN. */
static inline void accept_from(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_SYN | TCP_ACK;
	segment.sequence = 5000;
	segment.acknowledged = 1001;
	receive_tcp(segment);
}

/* A connection up to where the guest may speak; false if it is refused. */
static inline bool connects(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);
	unsigned before = peer.count;

	send_tcp(segment);
	if (peer.count == before) {
		ck_assert_uint_eq(guest.frame.kind, FRAME_IS_TCP);
		ck_assert(guest.frame.tcp_flags & TCP_RST);
		return false;
	}
	accept_from(target, port);
	ck_assert_uint_eq(guest.frame.tcp_flags, TCP_SYN | TCP_ACK);
	segment.flags = TCP_ACK;
	segment.sequence = 1001;
	segment.acknowledged = 5001;
	send_tcp(segment);
	return true;
}

/* Payload of the connection, at an offset of its stream. */
static inline void say(uint32_t target, uint16_t port, const void *data, size_t offset,
		       size_t length, uint8_t flags)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_ACK | flags;
	segment.sequence = 1001 + (uint32_t)offset;
	segment.acknowledged = 5001;
	segment.payload = (const uint8_t *)data + offset;
	segment.length = length;
	send_tcp(segment);
}

static inline void acknowledge(uint32_t target, uint16_t port, size_t offset)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_ACK;
	segment.sequence = 5001;
	segment.acknowledged = 1001 + (uint32_t)offset;
	receive_tcp(segment);
}

/* A reset by the guest that has said nothing yet. */
static inline void hang_up(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_RST;
	segment.sequence = 1001;
	send_tcp(segment);
}

static inline void ask(const char *name, uint16_t type)
{
	struct net_segment segment = out_segment(ADDRESS_ROUTER, 53);
	uint8_t message[600];

	segment.payload = message;
	segment.length = net_question(message, name, type, 1232);
	filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
}

static inline int answered_rcode(void)
{
	ck_assert_int_eq(guest.frame.kind, FRAME_IS_UDP);
	ck_assert_uint_eq(guest.frame.source_port, 53);
	return guest.bytes[guest.frame.payload + 3] & 15;
}

static inline unsigned answered_count(void)
{
	return load_be16(guest.bytes + guest.frame.payload + 6);
}

static inline void resolved(uint32_t address, uint32_t ttl)
{
	struct dns_addresses one = {.count = 1, .address = {address}, .ttl = ttl};

	filter_resolved(filter, ticket, DNS_NO_ERROR, &one, now);
}

static inline void pin(const char *name, uint32_t address)
{
	ask(name, DNS_TYPE_A);
	ck_assert_str_eq(asked, name);
	resolved(address, 60);
	ck_assert_int_eq(answered_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(answered_count(), 1);
	forget_output();
}

static uint8_t hello_bytes[20000];

static inline size_t hello(const char *name)
{
	return net_hello(hello_bytes, &(struct net_hello){.name = name, .grease = true});
}

#endif
