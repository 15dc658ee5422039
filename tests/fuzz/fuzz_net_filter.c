/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame filter between a guest and an outside that mostly send valid frames of a few
 * connections; then a byte, a length or the order is wrong. No frame may leave that fails the
 * parser, comes from another address, or goes where no rule permits.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "tests/support/net_frames.h"
#include "vmm/net/filter.h"

#define STEPS 300

static struct run {
	struct fuzz_script script;
	struct filter *filter;
	uint64_t now;
	uint32_t ticket[8];
	unsigned tickets;
	uint32_t said; /* sequence of the guest's stream */
	bool asks, knocked;
	bool answered[4096]; /* whether a SYN was answered, by hashed target and ports */
	int question;	     /* the number of the last one */
} run;

static uint8_t bytes[FRAME_MAX + 16];

static void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	struct frame parsed;
	enum frame_verdict verdict = frame_parse(frame, length, false, &parsed);

	(void)arg;
	FUZZ_REQUIRE(memcmp(frame, net_guest_mac, FRAME_MAC) == 0);
	FUZZ_REQUIRE(verdict == FRAME_OK || verdict == FRAME_BAD_ICMP);
}

static bool *answered(uint32_t peer, uint16_t peer_port, uint16_t guest_port)
{
	return &run.answered[(peer * 31 + peer_port * 7u + guest_port) % ARRAY_SIZE(run.answered)];
}

static void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	struct frame parsed;

	(void)arg;
	FUZZ_REQUIRE(frame_parse(frame, length, false, &parsed) == FRAME_OK);
	FUZZ_REQUIRE(parsed.kind == FRAME_IS_ARP || parsed.source == ADDRESS_GUEST);
	/* 10.0.0.5 gets a frame only after it has sent one: a refusal, or from a published port. */
	FUZZ_REQUIRE(parsed.kind == FRAME_IS_ARP || run.knocked ||
		     parsed.target != ADDRESS(10, 0, 0, 5));
	FUZZ_REQUIRE(parsed.length == length);
	/*
	 * No payload leaves before the SYN has been answered, except from port 8080, which is
	 * published.
	 */
	FUZZ_REQUIRE(parsed.kind != FRAME_IS_TCP || parsed.payload_length == 0 ||
		     parsed.source_port == 8080 ||
		     *answered(parsed.target, parsed.target_port, parsed.source_port));
	FUZZ_REQUIRE(parsed.kind != FRAME_IS_TCP || parsed.payload_length == 0 ||
		     !(parsed.tcp_flags & TCP_RST));
}

/* Allows TCP 80, UDP and pings to one address, and names for TLS and HTTP. */
static bool check(void *arg, const struct filter_request *request)
{
	(void)arg;
	FUZZ_REQUIRE(!request->name || strlen(request->name) < DNS_NAME_TEXT);
	if (request->op == FILTER_LISTEN)
		return true;
	if (request->op == FILTER_RESOLVE)
		return request->name[0] == 'w' || request->host;
	switch (request->protocol) {
	case FILTER_TCP:
		return request->address == NET_PEER && request->port == 80;
	case FILTER_TLS:
		return request->name && request->name[0] == 'w' && request->port == 443;
	case FILTER_HTTP:
		return request->name && request->name[0] == 'w' && request->port == 8000;
	default:
		return request->address == NET_PEER;
	}
}

/* In some runs an operator is asked about every allowed connection. */
static enum filter_verdict decide(void *arg, const struct filter_request *request, uint32_t *order)
{
	bool allowed = check(arg, request);

	*order = allowed ? request->protocol : FILTER_NO_RULE;
	if (allowed && run.asks && request->op == FILTER_CONNECT)
		return FILTER_ASK;
	return allowed ? FILTER_ALLOW : FILTER_DENY;
}

static int ask(void *arg, const struct filter_request *request)
{
	(void)arg;
	FUZZ_REQUIRE(!request->name || strlen(request->name) < DNS_NAME_TEXT);
	return fuzz_rarely(&run.script, 8) ? -16 : ++run.question;
}

static void unask(void *arg, uint32_t question)
{
	(void)arg;
	FUZZ_REQUIRE(question > 0 && question <= (uint32_t)run.question);
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	FUZZ_REQUIRE(strlen(what) < 64 && strlen(object) < 512 && strlen(detail) < 512);
}

static int resolve(void *arg, uint32_t ticket, const char *name)
{
	(void)arg;
	FUZZ_REQUIRE(name[0] == 'w');
	run.ticket[run.tickets++ % ARRAY_SIZE(run.ticket)] = ticket;
	return fuzz_rarely(&run.script, 16) ? -1 : 0;
}

static const struct filter_ops ops = {.to_guest = to_guest,
				      .to_peer = to_peer,
				      .decide = decide,
				      .check = check,
				      .ask = ask,
				      .unask = unask,
				      .note = note,
				      .resolve = resolve};

static size_t hello(uint8_t *to)
{
	struct fuzz_script *script = &run.script;
	struct net_hello what = {.name = fuzz_rarely(script, 4) ? "x.org" : "www.example.com",
				 .padding = fuzz_number(script, 1),
				 .grease = fuzz_below(script, 2),
				 .encrypted = fuzz_rarely(script, 16),
				 .twice = fuzz_rarely(script, 16),
				 .record = fuzz_below(script, 64)};

	return net_hello(to, &what);
}

static size_t payload(uint8_t *to, uint16_t port)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
	static uint8_t stream[32768];
	size_t length = sizeof(get) - 1, from = 0;

	if (port == 443)
		length = hello(stream);
	else
		memcpy(stream, get, length);
	if (fuzz_below(&run.script, 2))
		from = min_u64(fuzz_number(&run.script, 1), length);
	length = min_u64(length - from, 1 + fuzz_number(&run.script, 2));
	memcpy(to, stream + from, length);
	run.said = (uint32_t)from;
	return length;
}

static size_t make_tcp(bool outwards)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK,
					TCP_ACK, TCP_ACK | TCP_FIN, TCP_RST, TCP_ACK | TCP_PSH};
	static const uint16_t ports[] = {80, 443, 8000, 8080};
	static uint8_t data[32768];
	struct fuzz_script *script = &run.script;
	struct net_segment segment = {.source = ADDRESS_GUEST,
				      .target = fuzz_rarely(script, 8) ? ADDRESS(10, 0, 0, 5)
								       : NET_PEER,
				      .source_port = (uint16_t)(40000 + fuzz_below(script, 4)),
				      .flags = flags[fuzz_below(script, ARRAY_SIZE(flags))],
				      .sequence = 1000,
				      .acknowledged = 5001};

	segment.target_port = ports[fuzz_below(script, ARRAY_SIZE(ports))];
	if (!(segment.flags & TCP_SYN)) {
		segment.length = payload(data, segment.target_port);
		segment.sequence = 1001 + run.said + (uint32_t)fuzz_rarely(script, 16);
	}
	segment.payload = data;
	if (outwards)
		return net_tcp(bytes, &segment);
	segment.source = segment.target;
	segment.target = ADDRESS_GUEST;
	segment.acknowledged = 1001;
	segment.sequence = 5001;
	if (segment.flags == (TCP_SYN | TCP_ACK))
		segment.sequence = 5000;
	else
		segment.acknowledged += (uint32_t)fuzz_number(script, 2);
	segment.target_port = segment.source_port;
	segment.source_port = ports[fuzz_below(script, ARRAY_SIZE(ports))];
	return net_tcp(bytes, &segment);
}

static size_t make_question(void)
{
	uint8_t message[600];
	struct net_segment segment = {.source = ADDRESS_GUEST,
				      .target = ADDRESS_ROUTER,
				      .source_port = 1234,
				      .target_port = 53,
				      .payload = message};
	size_t at;

	segment.length =
		net_question(message, fuzz_rarely(&run.script, 4) ? "host" : "www.example.com",
			     fuzz_rarely(&run.script, 4) ? DNS_TYPE_AAAA : DNS_TYPE_A,
			     fuzz_below(&run.script, 2) ? 1232 : 0);
	if (fuzz_rarely(&run.script, 4)) {
		at = fuzz_number(&run.script, 1) % segment.length;
		message[at] = (uint8_t)fuzz_number(&run.script, 1);
	}
	return net_udp(bytes, &segment);
}

static size_t make_frame(bool outwards)
{
	struct fuzz_script *script = &run.script;
	struct net_segment datagram = {.source = outwards ? ADDRESS_GUEST : NET_PEER,
				       .target = outwards ? NET_PEER : ADDRESS_GUEST,
				       .source_port = 123,
				       .target_port = 123,
				       .payload = "time",
				       .length = 4};

	switch (fuzz_below(script, 8)) {
	case 0:
		return net_arp(bytes, 1 + (uint16_t)fuzz_below(script, 2), net_guest_mac,
			       ADDRESS_GUEST, ADDRESS_ROUTER + fuzz_below(script, 4));
	case 1:
		return net_udp(bytes, &datagram);
	case 2:
		return net_echo(bytes, outwards ? 8 : 0, datagram.source, datagram.target, 7,
				fuzz_below(script, 80));
	case 3:
	case 4:
		if (outwards)
			return make_question();
		__attribute__((fallthrough));
	default:
		return make_tcp(outwards);
	}
}

static void send_frame(bool outwards)
{
	struct fuzz_script *script = &run.script;
	size_t length = make_frame(outwards), at;
	bool partial = fuzz_rarely(script, 8);

	if (!outwards)
		net_turn(bytes);
	if (fuzz_rarely(script, 4)) {
		at = fuzz_number(script, 1) % length;
		bytes[at] = (uint8_t)fuzz_number(script, 1);
		if (fuzz_below(script, 2) && load_be16(bytes + 12) == 0x0800 && length >= 62)
			net_fix(bytes, length);
	}
	if (fuzz_rarely(script, 8))
		length = fuzz_number(script, 1) % (length + 1);
	if (outwards)
		filter_from_guest(run.filter, bytes, length, partial, run.now);
	else {
		run.knocked |= load_be32(bytes + 26) == ADDRESS(10, 0, 0, 5);
		if (length >= FRAME_TRANSPORT + FRAME_TCP &&
		    (bytes[FRAME_TRANSPORT + 13] & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
			*answered(load_be32(bytes + 26), load_be16(bytes + FRAME_TRANSPORT),
				  load_be16(bytes + FRAME_TRANSPORT + 2)) = true;
		filter_from_peer(run.filter, bytes, length, run.now);
	}
}

static void answer_question(void)
{
	struct fuzz_script *script = &run.script;
	struct dns_addresses addresses = {.type = DNS_TYPE_A,
					  .count = 1 + fuzz_below(script, DNS_ADDRESSES),
					  .ttl = (uint32_t)fuzz_number(script, 4)};

	store_be32(addresses.address[0], NET_PEER);
	store_be32(addresses.address[1], ADDRESS(10, 0, 0, 5));
	filter_resolved(run.filter, run.ticket[fuzz_below(script, ARRAY_SIZE(run.ticket))],
			fuzz_rarely(script, 8) ? (int)fuzz_below(script, 16) : DNS_NO_ERROR,
			&addresses, run.now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter_config config = {.published = 2,
				       .publish = {{.port = 8080}, {.port = 443, .udp = true}}};
	struct filter_stats stats;
	unsigned i;

	memset(&run, 0, sizeof(run));
	run.script = (struct fuzz_script){.at = data, .left = size};
	run.now = UINT64_C(1000000000000);
	net_set_macs(&config);
	config.arp = size % 2; /* odd: a tap */
	config.once = !config.arp;
	run.asks = size % 4 >= 2;
	FUZZ_REQUIRE(filter_create(&run.filter, &config, &ops, NULL) == 0);
	for (i = 0; i < STEPS && !fuzz_ended(&run.script); i++) {
		run.now += fuzz_number(&run.script, 1) * 10000000u;
		switch (fuzz_below(&run.script, 16)) {
		case 0:
			filter_expire(run.filter, run.now);
			break;
		case 1:
			if (run.question > 0 && fuzz_below(&run.script, 2))
				filter_answered(run.filter,
						1 + fuzz_below(&run.script, (uint32_t)run.question),
						fuzz_rarely(&run.script, 4) ? FILTER_DECLINED
									    : FILTER_APPROVED,
						run.now);
			else
				answer_question();
			break;
		case 2:
			if (fuzz_rarely(&run.script, 16))
				filter_forget(run.filter);
			else
				filter_policy_changed(run.filter, run.now);
			break;
		case 3:
		case 4:
		case 5:
		case 6:
			send_frame(false);
			break;
		default:
			send_frame(true);
			break;
		}
		filter_stats(run.filter, &stats);
		FUZZ_REQUIRE(stats.peeks <= FILTER_PEEKS && stats.peeks <= stats.flows);
		FUZZ_REQUIRE(stats.asks <= FILTER_ASKS);
		FUZZ_REQUIRE(stats.flows <= FLOW_MAX);
	}
	filter_destroy(run.filter);
	return 0;
}
