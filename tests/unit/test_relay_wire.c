/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the relay: which the monitor takes, and that all others are refused. */
#include "vmm/relay/wire_check.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/support/unit.h"
#include "vmm/relay/flows.h"

static const struct ip_address four = {.bytes = {93, 184, 216, 34}, .family = AF_INET};
static const struct ip_address six = {.bytes = {0x26, 6, [15] = 1}, .family = AF_INET6};

/* Fields at an odd address, as behind a type in a packet. */
static uint8_t bytes[1 + sizeof(struct relay_check)];

static bool take_check(const struct relay_check *check, size_t more)
{
	size_t length = offsetof(struct relay_check, path) + strnlen(check->path, RELAY_PATH_MAX);
	struct relay_check got;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 1, check, length);
	if (!wire_read_check(bytes + 1, length + more, &got))
		return false;
	ck_assert_mem_eq(&got, check, length + 1);
	return true;
}

static bool good(const struct relay_check *check)
{
	return take_check(check, 1);
}

static struct relay_check tcp(void)
{
	return (struct relay_check){.ticket = 1,
				    .op = POLICY_CONNECT,
				    .protocol = POLICY_TCP,
				    .port = 80,
				    .address = four};
}

static struct relay_check http(void)
{
	struct relay_check check = tcp();

	check.protocol = POLICY_HTTP;
	check.has_name = check.has_method = 1;
	strcpy(check.name, "a.test");
	strcpy(check.method, "GET");
	strcpy(check.path, "/v1/a");
	return check;
}

static struct relay_check covered(void)
{
	struct relay_check check = http();

	check.covered = 1;
	return check;
}

static struct relay_check dns(void)
{
	struct relay_check check = {.op = POLICY_RESOLVE, .protocol = POLICY_DNS, .has_name = 1};

	strcpy(check.name, "a.test");
	return check;
}

static struct relay_check inbound(void)
{
	struct relay_check check = tcp();

	check.op = POLICY_LISTEN;
	return check;
}

START_TEST(requests_of_all_kinds_are_taken)
{
	struct relay_check check = tcp();

	ck_assert(good(&check));
	check.address = six;
	check.host = 1;
	ck_assert(good(&check));
	check.has_name = 1;
	strcpy(check.name, "xn--a.b_c.test");
	check.protocol = POLICY_TLS;
	ck_assert(good(&check));
	memset(check.name, 'a', DNS_NAME_TEXT - 1);
	ck_assert(good(&check));
	check = tcp();
	check.protocol = POLICY_UDP;
	ck_assert(good(&check));
	check.protocol = POLICY_ICMP;
	check.port = 0;
	ck_assert(good(&check));
	check = http();
	ck_assert(good(&check));
	check.unclear = 1;
	ck_assert(good(&check));
	memset(check.path, '/', RELAY_PATH_MAX - 1);
	memset(check.method, 'G', RELAY_METHOD - 1);
	ck_assert(good(&check));
	check = dns();
	ck_assert(good(&check));
	check.name[0] = '\0';
	ck_assert(good(&check));
	check = inbound();
	ck_assert(good(&check));
	check.protocol = POLICY_UDP;
	check.host = 1;
	ck_assert(good(&check));
}
END_TEST

START_TEST(lengths_are_those_of_the_path)
{
	struct relay_check check = http(), none = tcp();
	size_t least = offsetof(struct relay_check, path), i;
	struct relay_check got;

	ck_assert(take_check(&check, 1));
	ck_assert(!take_check(&check, 0)); /* no NUL */
	ck_assert(!take_check(&check, 2)); /* something behind it */
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 1, &none, sizeof(none));
	for (i = 0; i <= least; i++)
		ck_assert(!wire_read_check(bytes + 1, i, &got));
	ck_assert(wire_read_check(bytes + 1, least + 1, &got));
	ck_assert(!wire_read_check(bytes + 1, sizeof(check), &got));
	/* The longest path, and one without an end. */
	memset(check.path, 'x', RELAY_PATH_MAX);
	memcpy(bytes + 1, &check, sizeof(check));
	ck_assert(!wire_read_check(bytes + 1, sizeof(check), &got));
	bytes[least + RELAY_PATH_MAX] = '\0';
	ck_assert(wire_read_check(bytes + 1, least + RELAY_PATH_MAX, &got));
}
END_TEST

/* Sets one field of a good request to something else. */
#define REFUSED(make, field, value)                \
	do {                                       \
		struct relay_check wrong = make(); \
                                                   \
		ck_assert(good(&wrong));           \
		wrong.field = (value);             \
		ck_assert(!good(&wrong));          \
	} while (0)

START_TEST(values_out_of_range_are_refused)
{
	REFUSED(tcp, op, 0);
	REFUSED(tcp, op, POLICY_RESOLVE);
	REFUSED(tcp, op, POLICY_RUN);
	REFUSED(tcp, op, 255);
	REFUSED(tcp, protocol, POLICY_DNS);
	REFUSED(tcp, protocol, 255);
	REFUSED(tcp, protocol, POLICY_ICMP); /* with a port */
	REFUSED(tcp, host, 2);
	REFUSED(tcp, unclear, 1);
	REFUSED(tcp, has_name, 1); /* and none is there */
	REFUSED(tcp, has_name, 2);
	REFUSED(tcp, name[0], 'a');
	REFUSED(tcp, has_method, 1);
	REFUSED(tcp, method[0], 'G');
	REFUSED(tcp, path[0], '/');
	REFUSED(tcp, address.family, 0);
	REFUSED(tcp, address.family, AF_UNIX);
	REFUSED(tcp, address.bytes[4], 1);
	REFUSED(tcp, address.bytes[15], 1);
	REFUSED(http, unclear, 2);
	REFUSED(http, covered, 2);
	REFUSED(covered, ticket, 0);
	REFUSED(covered, protocol, POLICY_TCP);
	REFUSED(tcp, covered, 1);
	REFUSED(dns, covered, 1);
	REFUSED(inbound, covered, 1);
	REFUSED(http, has_method, 0);
	REFUSED(http, has_method, 2);
	REFUSED(http, has_name, 0);
	REFUSED(http, protocol, POLICY_TLS);
	REFUSED(http, method[0], '\0');
	REFUSED(http, method[1], ' ');
	REFUSED(http, method[1], '\n');
	REFUSED(http, path[0], '\0');
	REFUSED(http, path[1], ' ');
	REFUSED(http, path[1], '\x1b');
	REFUSED(http, path[1], '\x7f');
	REFUSED(http, path[1], '\xc3');
	REFUSED(http, name[0], 'A');
	REFUSED(http, name[0], ' ');
	REFUSED(http, name[1], '\n');
	REFUSED(http, name[1], '\xff');
	REFUSED(dns, protocol, POLICY_UDP);
	REFUSED(dns, port, 53);
	REFUSED(dns, address, four);
	REFUSED(dns, address.bytes[0], 1);
	REFUSED(dns, has_name, 0);
	REFUSED(dns, has_method, 1);
	REFUSED(inbound, protocol, POLICY_TLS);
	REFUSED(inbound, port, 0);
	REFUSED(inbound, address.family, 0);
	REFUSED(inbound, has_name, 1);
}
END_TEST

START_TEST(strings_without_an_end_are_refused)
{
	struct relay_check check = http();

	memset(check.name, 'a', sizeof(check.name));
	ck_assert(!good(&check));
	check = http();
	memset(check.method, 'G', sizeof(check.method));
	ck_assert(!good(&check));
}
END_TEST

/* --- the others ------------------------------------------------------------------------------- */

static bool take_note(const struct relay_note *note, size_t length, const char **what,
		      struct relay_note *got)
{
	memcpy(bytes + 1, note, sizeof(*note));
	return wire_read_note(bytes + 1, length, got, what);
}

START_TEST(only_the_relays_own_events_are_taken)
{
	static const char *const events[] = {"flow-end", "flow-refused", "dns-answer"};
	static const char *const others[] = {"", "policy-set", "answer", "flow-ends",
					     "network-lost"};
	struct relay_note note = {.object = "tcp \x1b[31m\xff\n", .detail = "a\tb"}, got;
	const char *what;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		strcpy(note.what, events[i]);
		ck_assert(take_note(&note, sizeof(note), &what, &got));
		ck_assert_str_eq(what, events[i]);
		ck_assert_str_eq(got.object, "tcp ?[31m??");
		ck_assert_str_eq(got.detail, "a?b");
	}
	ck_assert(!take_note(&note, sizeof(note) - 1, &what, &got));
	ck_assert(!take_note(&note, sizeof(note) + 1, &what, &got));
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		strcpy(note.what, others[i]);
		ck_assert(!take_note(&note, sizeof(note), &what, &got));
	}
	strcpy(note.what, events[0]);
	memset(note.object, 'x', sizeof(note.object) - 1);
	ck_assert(take_note(&note, sizeof(note), &what, &got));
	note.object[sizeof(note.object) - 1] = 'x';
	ck_assert(!take_note(&note, sizeof(note), &what, &got));
	note.object[0] = '\0';
	memset(note.detail, 'x', sizeof(note.detail));
	ck_assert(!take_note(&note, sizeof(note), &what, &got));
	note.detail[0] = '\0';
	memset(note.what, 'x', sizeof(note.what));
	ck_assert(!take_note(&note, sizeof(note), &what, &got));
}
END_TEST

static bool take_published(struct relay_published reply)
{
	struct relay_published got;

	memcpy(bytes + 1, &reply, sizeof(reply));
	return wire_read_published(bytes + 1, sizeof(reply), &got);
}

START_TEST(replies_about_ports_are_checked)
{
	const struct relay_published fine = {
		.which = {.address = four, .host_port = 80, .guest_port = 81}, .error = EADDRINUSE};
	struct relay_published reply = fine, got;

	ck_assert(take_published(fine));
	ck_assert(!wire_read_published(bytes + 1, sizeof(fine) - 1, &got));
	ck_assert(!wire_read_published(bytes + 1, sizeof(fine) + 1, &got));
	reply.which.address = (struct ip_address){.family = 0};
	ck_assert(take_published(reply));
	reply.which.address.bytes[3] = 1;
	ck_assert(!take_published(reply));
	reply = fine;
	reply.which.udp = 2;
	ck_assert(!take_published(reply));
	reply = fine;
	reply.which.host_port = 0;
	ck_assert(!take_published(reply));
	reply = fine;
	reply.which.guest_port = 0;
	ck_assert(!take_published(reply));
	reply = fine;
	reply.error = -1;
	ck_assert(!take_published(reply));
	reply.error = 4096;
	ck_assert(!take_published(reply));
	reply.error = 4095;
	ck_assert(take_published(reply));
}
END_TEST

static bool take_stats(struct relay_stats stats)
{
	struct relay_stats got;

	memcpy(bytes + 1, &stats, sizeof(stats));
	return wire_read_stats(bytes + 1, sizeof(stats), &got);
}

static bool take_flow(struct relay_flow_info flow)
{
	struct relay_flow_info got;

	memcpy(bytes + 1, &flow, sizeof(flow));
	return wire_read_flow(bytes + 1, sizeof(flow), &got);
}

START_TEST(reports_are_checked)
{
	const struct relay_flow_info fine = {
		.protocol = POLICY_ICMP, .peer = six, .name = "a.test"};
	struct relay_flow_info flow = fine;

	ck_assert(take_stats((struct relay_stats){.flows = RELAY_FLOWS, .waiting = RELAY_CHECKS}));
	ck_assert(!take_stats((struct relay_stats){.flows = RELAY_FLOWS + 1}));
	ck_assert(!take_stats((struct relay_stats){.waiting = RELAY_CHECKS + 1}));
	ck_assert(take_flow(fine));
	ck_assert(!wire_read_flow(bytes + 1, sizeof(flow) - 1, &flow));
	ck_assert(!wire_read_flow(bytes + 1, sizeof(flow) + 1, &flow));
	flow = fine;
	flow.left = RELAY_FLOWS - 1;
	ck_assert(take_flow(flow));
	flow.left = RELAY_FLOWS;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.protocol = POLICY_TLS;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.inbound = 2;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.host = 2;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.peer.family = 0;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.bytes_in = (uint64_t)INT64_MAX + 1;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.age_ns = UINT64_MAX;
	ck_assert(!take_flow(flow));
	flow = fine;
	flow.name[0] = '\x1b';
	ck_assert(!take_flow(flow));
	memset(flow.name, 'a', sizeof(flow.name));
	ck_assert(!take_flow(flow));
}
END_TEST

START_TEST(counts_are_checked)
{
	struct relay_stats stats = {.flows = 0};
	uint64_t *count = (uint64_t *)(void *)&stats;
	size_t i;

	/* No count is beyond what the control protocol has. */
	for (i = 0; i < offsetof(struct relay_stats, flows) / sizeof(uint64_t); i++) {
		count[i] = INT64_MAX;
		ck_assert(take_stats(stats) ||
			  &count[i] == &stats.drop[PACKET_OK]); /* that is no drop */
		count[i] = (uint64_t)INT64_MAX + 1;
		ck_assert(!take_stats(stats));
		count[i] = 0;
	}
	stats.drop[PACKET_OK] = 1;
	ck_assert(!take_stats(stats));
}
END_TEST

START_TEST(frames_of_a_message_have_their_lengths)
{
	uint8_t frame[100] = {0};
	size_t length;

	/* 0: all that is left. */
	for (length = 0; length <= sizeof(frame); length++)
		ck_assert_uint_eq(wire_frame(frame, length), length);
	store_le16(frame + 10, 88);
	ck_assert_uint_eq(wire_frame(frame, 100), 100);
	ck_assert_uint_gt(wire_frame(frame, 99), 99);
	ck_assert_uint_eq(wire_frame(frame, 11), 11);
	store_le16(frame + 10, 1);
	ck_assert_uint_eq(wire_frame(frame, 100), 13);
	ck_assert_uint_gt(wire_frame(frame, 12), 12);
	store_le16(frame + 10, UINT16_MAX);
	ck_assert_uint_gt(wire_frame(frame, 100), 100);
}
END_TEST

UNIT_MAIN("relay_wire", frames_of_a_message_have_their_lengths, requests_of_all_kinds_are_taken,
	  lengths_are_those_of_the_path, values_out_of_range_are_refused,
	  strings_without_an_end_are_refused, only_the_relays_own_events_are_taken,
	  replies_about_ports_are_checked, reports_are_checked, counts_are_checked)
