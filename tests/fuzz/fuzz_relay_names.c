/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's resolver: the script sends queries in datagrams and over a stream, valid ones with
 * bytes written over them, and plays the monitor and the resolvers outside, which reply late, in
 * any order, or to nothing. Names outside example.com must never be queried outside, and no
 * response and no pin may have a special address.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "tests/support/net_frames.h"
#include "vmm/relay/names_internal.h"
#include "vmm/relay/names_stream.h"

#define PENDING_MAX 8192 /* bytes of the stream that are not consumed */

static const char *const name_of[] = {"api.example.com", "b.example.com",  "host",
				      "other.example",	 "-x.example.com", "x y.example.com"};

struct outside {
	uint32_t ticket;
	uint16_t type;
};

static struct run {
	struct fuzz_script script;
	struct relay relay;
	struct names_stream *stream;
	size_t room;
	uint8_t pending[PENDING_MAX];
	size_t pending_length;
	bool broken;
	struct relay_wait *check[RELAY_CHECKS];
	unsigned checks;
	uint32_t last_check;
	resolver_done *done;
	void *done_arg;
	struct outside outside[RESOLVER_QUERIES];
	unsigned outsides, responses;
} run;

/* --- what the resolver of the guest stands on --------------------------------------------------
 */

static bool is_permitted(const char *name)
{
	size_t length = strlen(name);

	return length > 12 && strcmp(name + length - 12, ".example.com") == 0;
}

struct relay_choice decide_one(struct relay *relay, const struct relay_request *request)
{
	bool yes = request->host || is_permitted(request->name);

	FUZZ_REQUIRE(relay == &run.relay && request->op == POLICY_RESOLVE);
	return (struct relay_choice){yes ? POLICY_ALLOW : POLICY_DENY, 1};
}

int decide_check(struct relay *relay, struct relay_wait *wait, const struct relay_request *request)
{
	FUZZ_REQUIRE(relay == &run.relay && wait->ticket == 0);
	FUZZ_REQUIRE(request->host || is_permitted(request->name));
	if (fuzz_rarely(&run.script, 32))
		return -EBUSY;
	FUZZ_REQUIRE(run.checks < NAMES_WAITING);
	wait->ticket = ++run.last_check;
	run.check[run.checks++] = wait;
	return 0;
}

static struct relay_wait *take_check(unsigned index)
{
	struct relay_wait *wait = run.check[index];

	run.check[index] = run.check[--run.checks];
	wait->ticket = 0;
	return wait;
}

void decide_cancel(struct relay *relay, struct relay_wait *wait)
{
	unsigned i;

	FUZZ_REQUIRE(relay == &run.relay);
	for (i = 0; i < run.checks && wait->ticket; i++)
		if (run.check[i] == wait)
			take_check(i);
	FUZZ_REQUIRE(wait->ticket == 0);
}

void decide_refused(struct relay *relay, const struct relay_request *request, const char *why)
{
	FUZZ_REQUIRE(relay == &run.relay && (request->name || why));
}

void decide_note(struct relay *relay, const char *what, const char *object, const char *detail)
{
	FUZZ_REQUIRE(relay == &run.relay && strcmp(what, "dns-answer") == 0);
	FUZZ_REQUIRE(is_permitted(object) && strlen(detail) < RELAY_NOTE_TEXT);
}

bool names_host_has6(void)
{
	return !fuzz_rarely(&run.script, 4);
}

void resolver_set_servers(struct resolver *resolver, const struct resolver_servers *servers)
{
	(void)resolver;
	(void)servers;
}

int resolver_create(struct resolver **out, struct loop *loop, resolver_done *done, void *arg)
{
	(void)loop;
	run.done = done;
	run.done_arg = arg;
	*out = (struct resolver *)&run;
	return 0;
}

void resolver_destroy(struct resolver *resolver)
{
	(void)resolver;
}

int resolver_query(struct resolver *resolver, uint32_t ticket, const char *name, uint16_t type)
{
	(void)resolver;
	FUZZ_REQUIRE(is_permitted(name) && dns_address_length(type) > 0 && ticket != 0);
	if (fuzz_rarely(&run.script, 32))
		return -EAGAIN;
	FUZZ_REQUIRE(run.outsides < RESOLVER_QUERIES);
	run.outside[run.outsides++] = (struct outside){ticket, type};
	return 0;
}

void resolver_cancel(struct resolver *resolver, uint32_t ticket)
{
	unsigned i;

	(void)resolver;
	for (i = 0; i < run.outsides; i++)
		if (run.outside[i].ticket == ticket)
			run.outside[i--] = run.outside[--run.outsides];
}

/* --- responses -------------------------------------------------------------------------------- */

static void check_response(const uint8_t *data, size_t length)
{
	struct ip_address address;
	unsigned records, size;
	size_t at = DNS_HEADER;

	FUZZ_REQUIRE(length >= DNS_HEADER && length <= DNS_EDNS_MAX && data[2] & 0x80);
	run.responses++;
	records = load_be16(data + 6);
	if (records == 0)
		return;
	while (data[at] != 0)
		at += 1 + (size_t)data[at];
	for (at += 5; records > 0; records--) {
		FUZZ_REQUIRE(range_within(at, 12, length));
		size = load_be16(data + at + 10);
		FUZZ_REQUIRE(size == dns_address_length(load_be16(data + at + 2)) && size > 0);
		FUZZ_REQUIRE(range_within(at + 12, size, length));
		address = (struct ip_address){.family = size == 4 ? AF_INET : AF_INET6};
		memcpy(address.bytes, data + at + 12, size);
		FUZZ_REQUIRE(!ip_is_special(&address) || ip_is(&address, IP_OWN_HOST));
		at += 12 + size;
	}
	FUZZ_REQUIRE(at == length || length - at == 11);
}

size_t packet_write_udp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload)
{
	(void)ends;
	(void)target_port;
	(void)payload;
	(void)length;
	(void)offload;
	FUZZ_REQUIRE(ip_is(source, IP_OWN_ROUTER) && ip_is(target, IP_OWN_GUEST));
	FUZZ_REQUIRE(source_port == NAMES_PORT);
	to[0] = 1;
	return 1;
}

void relay_to_guest(struct relay *relay, const uint8_t *headers, size_t header_length,
		    const uint8_t *payload, size_t length, const struct packet_offload *offload)
{
	FUZZ_REQUIRE(relay == &run.relay && header_length == 1 && headers[0] == 1 && offload);
	check_response(payload, length);
}

static size_t on_room(void *arg)
{
	(void)arg;
	return run.room;
}

static void on_output(void *arg, const uint8_t *bytes, size_t length)
{
	(void)arg;
	FUZZ_REQUIRE(length <= run.room && length > NAMES_STREAM_PREFIX);
	FUZZ_REQUIRE(load_be16(bytes) == length - NAMES_STREAM_PREFIX);
	run.room -= length;
	check_response(bytes + NAMES_STREAM_PREFIX, length - NAMES_STREAM_PREFIX);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* A query, perhaps a broken one. */
static size_t make_query(uint8_t *to)
{
	static const uint16_t type[] = {DNS_TYPE_A, DNS_TYPE_AAAA, 65, 12};
	static const uint16_t edns[] = {0, 512, 1232, 4096};
	struct fuzz_script *script = &run.script;
	size_t length = net_question(to, name_of[fuzz_below(script, ARRAY_SIZE(name_of))],
				     type[fuzz_below(script, ARRAY_SIZE(type))],
				     edns[fuzz_below(script, ARRAY_SIZE(edns))]);
	unsigned changes = fuzz_rarely(script, 4) ? 1 + fuzz_below(script, 4) : 0;

	for (; changes > 0; changes--)
		to[fuzz_below(script, 256) % length] = (uint8_t)fuzz_number(script, 1);
	return fuzz_rarely(script, 16) ? fuzz_below(script, 256) % (length + 1) : length;
}

static void send_datagram(void)
{
	uint8_t message[512];
	size_t length = make_query(message);
	uint8_t *copy = malloc(length ? length : 1);
	unsigned family = fuzz_below(&run.script, 2) ? AF_INET6 : AF_INET;
	const struct packet packet = {
		.source = ip_own(family, IP_OWN_GUEST),
		.target = ip_own(family, IP_OWN_ROUTER),
		.source_port = 1,
		.payload = copy,
		.payload_length = length,
	};

	FUZZ_REQUIRE(copy);
	memcpy(copy, message, length);
	names_datagram(&run.relay, &packet);
	free(copy);
}

static void start_stream(void)
{
	static const struct names_stream_ops ops = {on_room, on_output};

	names_stream_destroy(run.stream);
	run.pending_length = 0;
	run.broken = false;
	run.room = fuzz_number(&run.script, 2);
	FUZZ_REQUIRE(names_stream_create(&run.stream, run.relay.names, &ops, NULL) == 0);
}

static void feed_stream(void)
{
	size_t arrived = fuzz_rarely(&run.script, 4) ? fuzz_below(&run.script, 256) : SIZE_MAX;
	uint8_t *copy;
	ssize_t taken;

	arrived = min_u64(arrived, run.pending_length);
	copy = malloc(arrived ? arrived : 1);
	FUZZ_REQUIRE(copy);
	memcpy(copy, run.pending, arrived);
	taken = names_stream_input(run.stream, copy, arrived);
	free(copy);
	FUZZ_REQUIRE(taken == -EPROTO || (taken >= 0 && (size_t)taken <= arrived));
	FUZZ_REQUIRE(!run.broken || taken == -EPROTO);
	run.broken = taken < 0;
	if (taken <= 0)
		return;
	run.pending_length -= (size_t)taken;
	memmove(run.pending, run.pending + taken, run.pending_length);
}

static void send_stream(void)
{
	uint8_t message[512];
	size_t length = make_query(message);

	if (run.pending_length + 2 + length <= PENDING_MAX) {
		store_be16(run.pending + run.pending_length,
			   fuzz_rarely(&run.script, 32) ? (uint16_t)fuzz_number(&run.script, 2)
							: (uint16_t)length);
		memcpy(run.pending + run.pending_length + 2, message, length);
		run.pending_length += 2 + length;
	}
	feed_stream();
}

static void say_verdict(void)
{
	struct relay_wait *wait;

	if (run.checks == 0)
		return;
	wait = take_check(fuzz_below(&run.script, 256) % run.checks);
	wait->done(wait->arg, !fuzz_rarely(&run.script, 8), fuzz_below(&run.script, 2));
}

static void reply_outside(void)
{
	static const uint8_t first[] = {0x20, 0x2a, 0xfd, 0, 10, 93, 127, 192, 169, 0xfe};
	struct fuzz_script *script = &run.script;
	struct dns_addresses addresses = {.count = fuzz_below(script, DNS_ADDRESSES + 1),
					  .ttl = (uint32_t)fuzz_number(script, 4)};
	struct outside which = {.ticket = (uint32_t)fuzz_number(script, 1), .type = DNS_TYPE_A};
	unsigned i;

	if (run.outsides > 0 && !fuzz_rarely(script, 16)) {
		i = fuzz_below(script, 256) % run.outsides;
		which = run.outside[i];
		run.outside[i] = run.outside[--run.outsides];
	}
	addresses.type = fuzz_rarely(script, 16) ? DNS_TYPE_AAAA : which.type;
	for (i = 0; i < addresses.count; i++) {
		addresses.address[i][0] = first[fuzz_below(script, ARRAY_SIZE(first))];
		addresses.address[i][1] = (uint8_t)fuzz_number(script, 1);
		addresses.address[i][3] = (uint8_t)i;
	}
	resolver_cancel(NULL, which.ticket); /* nothing is outstanding for it any more */
	run.done(run.done_arg, which.ticket,
		 fuzz_rarely(script, 8) ? (int)fuzz_below(script, 16) : DNS_NO_ERROR, &addresses);
}

static void check_state(void)
{
	const char *name[PIN_NAMES_MAX];
	const struct ip_address own = ip_own(AF_INET, IP_OWN_HOST),
				loopback = ip_from4(ADDRESS(127, 0, 0, 0));

	FUZZ_REQUIRE(names_stream_waiting(run.stream) <= NAMES_STREAM_WAITING);
	FUZZ_REQUIRE(run.checks + run.outsides <= NAMES_WAITING);
	FUZZ_REQUIRE(names_of(run.relay.names, &own, relay_now(&run.relay), name) == 0);
	FUZZ_REQUIRE(names_of(run.relay.names, &loopback, relay_now(&run.relay), name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const step[])(void) = {send_datagram, send_stream, send_stream,
					     say_verdict,   say_verdict, reply_outside,
					     reply_outside};
	static struct loop *loop;
	unsigned which;

	if (!loop) {
		FUZZ_REQUIRE(loop_create(&loop) == 0);
		loop_hold_guest_time(loop, true);
	}
	memset(&run, 0, sizeof(run));
	run.script = (struct fuzz_script){.at = data, .left = size};
	run.relay.loop = loop;
	FUZZ_REQUIRE(names_create(&run.relay.names, &run.relay) == 0);
	start_stream();
	while (!fuzz_ended(&run.script)) {
		which = fuzz_below(&run.script, 64);
		if (which == 63)
			names_forget(run.relay.names);
		if (which >= 62)
			start_stream();
		else if (which == 61) /* the guest reads: only output() takes room away */
			run.room = max_u64(run.room, fuzz_number(&run.script, 2));
		else
			step[which % ARRAY_SIZE(step)]();
		check_state();
	}
	names_stream_destroy(run.stream);
	names_destroy(run.relay.names);
	FUZZ_REQUIRE(run.checks == 0 && run.outsides == 0);
	return 0;
}
