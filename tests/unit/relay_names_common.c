/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_names_common.h"

#include <stdio.h>

#define GUEST_PORT 40000

struct relay relay;
struct names *names;
bool host_permitted, checked_host, has6;
int check_result;
unsigned checks, checks_waiting, refused, notes, has6_calls, guest_family;
char checked[DNS_NAME_TEXT], refused_name[DNS_NAME_TEXT], refused_why[64];
char note_text[8][1024];
struct sent sent;

static struct relay_wait *waiting[RELAY_CHECKS];
static uint32_t last_check;

/* --- decisions -------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && strcmp(name + length - tail, end) == 0;
}

static void check_request(const struct relay_request *request)
{
	ck_assert_int_eq(request->op, POLICY_RESOLVE);
	ck_assert_int_eq(request->protocol, POLICY_DNS);
	ck_assert_uint_eq(request->address.family, 0);
	ck_assert_uint_eq(request->port, 0);
	ck_assert(!request->method && !request->path && !request->unclear);
	ck_assert(request->host == (request->name && strcmp(request->name, "host") == 0));
}

struct relay_choice decide_one(struct relay *of, const struct relay_request *request)
{
	ck_assert_ptr_eq(of, &relay);
	check_request(request);
	if (request->host)
		return (struct relay_choice){host_permitted ? POLICY_ALLOW : POLICY_DENY, 1};
	if (ends_in(request->name, ".ask.example.net"))
		return (struct relay_choice){POLICY_ASK, 2};
	if (ends_in(request->name, ".example.com"))
		return (struct relay_choice){POLICY_ALLOW, 3};
	return (struct relay_choice){POLICY_DENY, UINT32_MAX};
}

int decide_check(struct relay *of, struct relay_wait *wait, const struct relay_request *request)
{
	ck_assert_ptr_eq(of, &relay);
	check_request(request);
	checks++;
	if (check_result < 0)
		return check_result;
	ck_assert_uint_eq(wait->ticket, 0);
	ck_assert_uint_lt(checks_waiting, RELAY_CHECKS);
	snprintf(checked, sizeof(checked), "%s", request->name);
	checked_host = request->host;
	wait->ticket = ++last_check;
	waiting[checks_waiting++] = wait;
	return 0;
}

static void stop_waiting(unsigned index)
{
	waiting[index]->ticket = 0;
	for (checks_waiting--; index < checks_waiting; index++)
		waiting[index] = waiting[index + 1];
}

void decide_cancel(struct relay *of, struct relay_wait *wait)
{
	unsigned i;

	ck_assert_ptr_eq(of, &relay);
	for (i = 0; wait->ticket && i < checks_waiting; i++)
		if (waiting[i] == wait)
			stop_waiting(i);
	ck_assert_uint_eq(wait->ticket, 0);
}

void verdict(bool allowed)
{
	struct relay_wait *wait = waiting[0];

	ck_assert_uint_gt(checks_waiting, 0);
	stop_waiting(0);
	wait->done(wait->arg, allowed, false);
}

void decide_refused(struct relay *of, const struct relay_request *request, const char *why)
{
	ck_assert_ptr_eq(of, &relay);
	check_request(request);
	refused++;
	snprintf(refused_name, sizeof(refused_name), "%s", request->name ? request->name : "-");
	snprintf(refused_why, sizeof(refused_why), "%s", why ? why : "-");
}

void decide_note(struct relay *of, const char *what, const char *object, const char *detail)
{
	ck_assert_ptr_eq(of, &relay);
	ck_assert_uint_lt(strlen(object), RELAY_NOTE_TEXT);
	ck_assert_uint_lt(strlen(detail), RELAY_NOTE_TEXT);
	snprintf(note_text[notes++ % ARRAY_SIZE(note_text)], sizeof(note_text[0]), "%s %s: %s",
		 what, object, detail);
}

bool names_host_has6(void)
{
	has6_calls++;
	return has6;
}

/* --- the guest -------------------------------------------------------------------------------- */

size_t packet_write_udp(const struct packet_ends *ends, const struct ip_address *source,
			uint16_t source_port, const struct ip_address *target, uint16_t target_port,
			const uint8_t *payload, size_t length, uint8_t to[PACKET_HEADERS_MAX],
			struct packet_offload *offload)
{
	ck_assert_ptr_eq(ends, &relay.ends);
	ck_assert_uint_le(length, DNS_EDNS_MAX);
	sent.source = *source;
	sent.target = *target;
	sent.source_port = source_port;
	sent.target_port = target_port;
	memcpy(to, "headers", 7);
	(void)payload;
	(void)offload;
	return 7;
}

void relay_to_guest(struct relay *of, const uint8_t *headers, size_t header_length,
		    const uint8_t *payload, size_t length, const struct packet_offload *offload)
{
	ck_assert_ptr_eq(of, &relay);
	ck_assert_uint_eq(header_length, 7);
	ck_assert_mem_eq(headers, "headers", 7);
	ck_assert_ptr_nonnull(offload);
	memcpy(sent.bytes, payload, length);
	sent.length = length;
	sent.count++;
}

void ask_bytes(const uint8_t *message, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	const struct packet packet = {
		.kind = PACKET_UDP,
		.source = ip_own(guest_family, IP_OWN_GUEST),
		.target = ip_own(guest_family, IP_OWN_ROUTER),
		.source_port = GUEST_PORT,
		.target_port = NAMES_PORT,
		.payload = copy,
		.payload_length = length,
	};

	memcpy(copy, message, length);
	names_datagram(&relay, &packet);
	free(copy);
}

void ask_edns(const char *name, uint16_t type, uint16_t edns)
{
	uint8_t message[1024] = {0};

	checked[0] = '\0';
	ask_bytes(message, net_question(message, name, type, edns));
}

void ask(const char *name, uint16_t type)
{
	ask_edns(name, type, 0);
}

unsigned sent_rcode(void)
{
	ck_assert_uint_gt(sent.count, 0);
	ck_assert(sent.bytes[2] & 0x80);
	return sent.bytes[3] & 15;
}

unsigned sent_records(void)
{
	return load_be16(sent.bytes + 6);
}

const uint8_t *sent_address(void)
{
	size_t at = DNS_HEADER;

	ck_assert_uint_gt(sent_records(), 0);
	while (sent.bytes[at] != 0)
		at += 1 + (size_t)sent.bytes[at];
	return sent.bytes + at + 1 + 4 + 12;
}

/* --- life ------------------------------------------------------------------------------------- */

void begin_names(void)
{
	memset(&relay, 0, sizeof(relay));
	memset(&sent, 0, sizeof(sent));
	host_permitted = has6 = true;
	check_result = 0;
	checks = checks_waiting = refused = notes = has6_calls = 0;
	guest_family = AF_INET;
	ck_assert_int_eq(loop_create(&relay.loop), 0);
	loop_hold_guest_time(relay.loop, true);
	ck_assert_int_eq(names_create(&names, &relay), 0);
	relay.names = names;
}

void end_names(void)
{
	names_destroy(names);
	ck_assert_uint_eq(checks_waiting, 0);
	loop_destroy(relay.loop);
}

void pass_time(uint64_t ns)
{
	names->rate.counted_ns -= ns;
	names->has6_until_ns -= min_u64(ns, names->has6_until_ns);
}
