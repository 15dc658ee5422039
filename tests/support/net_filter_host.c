/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/net_filter_host.h"

const struct rule *rules;
size_t rule_count;
struct filter *filter;
uint64_t now;
uint8_t bytes[FRAME_MAX];
struct out guest_got, peer_got;
uint8_t said[1 << 16];
size_t said_length;
char logged[SHOWN][400];
unsigned log_count;
uint32_t ticket;
char asked[DNS_NAME_TEXT];
int resolve_result;
bool log_full, log_last_only;

static void to_out(struct out *out, const uint8_t *frame, size_t length)
{
	out->count++;
	memcpy(out->bytes, frame, length);
	out->length = length;
	if (frame_parse(out->bytes, length, false, &out->frame) != FRAME_OK)
		out->frame = (struct frame){.kind = FRAME_IS_ARP, .data = NULL};
}

void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	ck_assert_mem_eq(frame, net_guest_mac, FRAME_MAC);
	to_out(&guest_got, frame, length);
}

void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	ck_assert_mem_eq(frame + FRAME_MAC, net_card_mac, FRAME_MAC);
	to_out(&peer_got, frame, length);
	ck_assert_ptr_nonnull(
		peer_got.frame.data); /* every frame that leaves must parse once more */
	if (said_length + peer_got.frame.payload_length < sizeof(said)) {
		memcpy(said + said_length, peer_got.bytes + peer_got.frame.payload,
		       peer_got.frame.payload_length);
		said_length += peer_got.frame.payload_length;
	}
}

static bool covers(const struct rule *rule, const struct filter_request *request)
{
	bool over_tcp = request->protocol == FILTER_TLS || request->protocol == FILTER_HTTP;

	if (request->op == FILTER_RESOLVE)
		return request->host ? rule->host
				     : rule->name && strcmp(rule->name, request->name) == 0;
	/* As in the policy, a rule for TCP also covers the protocols over it. */
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

static enum filter_verdict decide(void *arg, const struct filter_request *request, uint32_t *order)
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
	[FILTER_UNATTENDED] = ", unattended",
	[FILTER_UNASKABLE] = ", unaskable",
	[FILTER_OVERASKED] = ", overasked",
};

static bool check(void *arg, const struct filter_request *request)
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

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	if (log_last_only)
		log_count = 0;
	if (log_count < SHOWN)
		snprintf(logged[log_count], sizeof(logged[0]), "%s %s: %s", what, object, detail);
	log_count++;
}

static int resolve(void *arg, uint32_t number, const char *name)
{
	(void)arg;
	ticket = number;
	snprintf(asked, sizeof(asked), "%s", name);
	return resolve_result;
}

char question[400];
int questions, ask_result; /* less than 0: no operator */
uint32_t taken_back;

static int put_question(void *arg, const struct filter_request *request)
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

static void take_back_question(void *arg, uint32_t number)
{
	(void)arg;
	taken_back = number;
}

const struct filter_ops host_ops = {.to_guest = to_guest,
				    .to_peer = to_peer,
				    .decide = decide,
				    .check = check,
				    .ask = put_question,
				    .unask = take_back_question,
				    .note = note,
				    .resolve = resolve};

void forget_output(void)
{
	guest_got = (struct out){.count = 0};
	peer_got = (struct out){.count = 0};
	said_length = 0;
	log_count = 0;
	asked[0] = '\0';
}

bool once; /* the next filter's backend accepts a SYN just once */

void begin_filter(const struct rule *with, size_t count)
{
	struct filter_config config = {.published = 2,
				       .once = once,
				       .publish = {{.port = 8080}, {.port = 5353, .udp = true}}};

	net_set_macs(&config);
	rules = with;
	rule_count = count;
	now = 1000 * SECOND;
	resolve_result = ask_result = questions = 0;
	taken_back = 0;
	log_full = false;
	forget_output();
	ck_assert_int_eq(filter_create(&filter, &config, &host_ops, NULL), 0);
}

void end_filter(void)
{
	filter_destroy(filter);
}

struct filter_stats stats_of_filter(void)
{
	struct filter_stats now_stats;

	filter_stats(filter, &now_stats);
	return now_stats;
}

const struct rule some[] = {
	{.protocol = FILTER_TCP, .address = NET_PEER, .port = 80},
	{.protocol = FILTER_UDP, .address = NET_PEER, .port = 123},
	{.protocol = FILTER_ICMP, .address = NET_PEER},
	{.protocol = FILTER_TCP, .name = "api.example.com", .port = 443},
	{.protocol = FILTER_TLS, .name = "tls.example.com", .port = 443},
	{.protocol = FILTER_TLS, .name = "cdn.example.com", .port = 443},
	{.protocol = FILTER_HTTP, .name = "web.example.com", .port = 8000},
	{.protocol = FILTER_TCP, .port = 9000, .host = true},
};

struct net_segment out_segment(uint32_t target, uint16_t port)
{
	return (struct net_segment){.source = ADDRESS_GUEST,
				    .target = target,
				    .source_port = 40000,
				    .target_port = port,
				    .sequence = 1000,
				    .flags = TCP_SYN};
}

void send_tcp(struct net_segment segment)
{
	filter_from_guest(filter, bytes, net_tcp(bytes, &segment), false, now);
}

void receive_tcp(struct net_segment segment)
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

void accept_from(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_SYN | TCP_ACK;
	segment.sequence = 5000;
	segment.acknowledged = 1001;
	receive_tcp(segment);
}

bool connects(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);
	unsigned before = peer_got.count;

	send_tcp(segment);
	if (peer_got.count == before) {
		ck_assert_uint_eq(guest_got.frame.kind, FRAME_IS_TCP);
		ck_assert(guest_got.frame.tcp_flags & TCP_RST);
		return false;
	}
	accept_from(target, port);
	ck_assert_uint_eq(guest_got.frame.tcp_flags, TCP_SYN | TCP_ACK);
	segment.flags = TCP_ACK;
	segment.sequence = 1001;
	segment.acknowledged = 5001;
	send_tcp(segment);
	return true;
}

void say(uint32_t target, uint16_t port, const void *data, size_t offset, size_t length,
	 uint8_t flags)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_ACK | flags;
	segment.sequence = 1001 + (uint32_t)offset;
	segment.acknowledged = 5001;
	segment.payload = (const uint8_t *)data + offset;
	segment.length = length;
	send_tcp(segment);
}

void acknowledge(uint32_t target, uint16_t port, size_t offset)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_ACK;
	segment.sequence = 5001;
	segment.acknowledged = 1001 + (uint32_t)offset;
	receive_tcp(segment);
}

void hang_up(uint32_t target, uint16_t port)
{
	struct net_segment segment = out_segment(target, port);

	segment.flags = TCP_RST;
	segment.sequence = 1001;
	send_tcp(segment);
}

void ask(const char *name, uint16_t type)
{
	struct net_segment segment = out_segment(ADDRESS_ROUTER, 53);
	uint8_t message[600];

	segment.payload = message;
	segment.length = net_question(message, name, type, 1232);
	filter_from_guest(filter, bytes, net_udp(bytes, &segment), false, now);
}

int answered_rcode(void)
{
	ck_assert_int_eq(guest_got.frame.kind, FRAME_IS_UDP);
	ck_assert_uint_eq(guest_got.frame.source_port, 53);
	return guest_got.bytes[guest_got.frame.payload + 3] & 15;
}

unsigned answered_count(void)
{
	return load_be16(guest_got.bytes + guest_got.frame.payload + 6);
}

void resolved(uint32_t address, uint32_t ttl)
{
	struct dns_addresses one = {.type = DNS_TYPE_A, .count = 1, .ttl = ttl};

	store_be32(one.address[0], address);
	filter_resolved(filter, ticket, DNS_NO_ERROR, &one, now);
}

void pin(const char *name, uint32_t address)
{
	ask(name, DNS_TYPE_A);
	ck_assert_str_eq(asked, name);
	resolved(address, 60);
	ck_assert_int_eq(answered_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(answered_count(), 1);
	forget_output();
}

uint8_t hello_bytes[20000];

size_t hello(const char *name)
{
	return net_hello(hello_bytes, &(struct net_hello){.name = name, .grease = true});
}
