/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo of the guest, in a network of the test's own: there the test may say which groups use
 * ping sockets, and send replies that no honest peer sends.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_peers_common.h"

#define ID 0x1234

static bool own_network;
static struct ip_address target;

/* The group of the test may use ping sockets; a new network permits none. */
static void permit(void)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "0 0", 3), 3);
	close(fd);
}

static void setup(void)
{
	own_network = host_own_network();
	host_setup();
	loop_hold_guest_time(host.relay.loop, true); /* for the rate */
	target = ip_own(AF_INET, IP_OWN_HOST);
}

/* False: the test is left out. */
static bool can(const char *test)
{
	if (own_network)
		permit();
	else
		host_skip(test, "no network namespaces here");
	return own_network;
}

static struct exchange *flow(void)
{
	return host_flow(&target, ID, 0, IPPROTO_ICMP);
}

static void saw_reply(unsigned frame, const struct ip_address *source, uint16_t id,
		      uint16_t sequence, const void *payload, size_t length)
{
	const struct seen seen = host_seen(frame);
	bool four = source->family == AF_INET;

	ck_assert_uint_eq(seen.protocol, four ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	ck_assert(ip_same(&seen.source, source));
	ck_assert_uint_eq(seen.data[0], four ? 0 : 129);
	ck_assert_uint_eq(seen.data[1], 0);
	if (four)
		ck_assert_uint_eq(packet_fold(packet_sum(0, seen.data, seen.length)), 0);
	ck_assert_uint_eq(load_be16(seen.data + 4), id);
	ck_assert_uint_eq(load_be16(seen.data + 6), sequence);
	ck_assert_uint_eq(seen.length, 8 + length);
	ck_assert_mem_eq(seen.data + 8, payload, length);
}

/* --- the way there and back ------------------------------------------------------------------- */

static void there_and_back(unsigned family)
{
	target = ip_own(family, IP_OWN_HOST);
	guest_pings(&target, ID, 7, "hello", 5);
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_int_eq(host.asked.op, POLICY_CONNECT);
	ck_assert_int_eq(host.asked.protocol, POLICY_ICMP);
	ck_assert_uint_eq(host.asked.port, 0);
	ck_assert(ip_same(&host.asked.address, &target));
	ck_assert(host.asked.host);
	host_turn();
	ck_assert_uint_eq(host.frames, 0);
	host_verdict(true, false);
	host_run(1);
	saw_reply(0, &target, ID, 7, "hello", 5);
	guest_pings(&target, ID, 8, "", 0);
	host_run(2);
	saw_reply(1, &target, ID, 8, "", 0);
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_uint_eq(flow()->flow.bytes_out, 5);
	ck_assert_uint_eq(flow()->flow.bytes_in, 5);
	ck_assert_int_eq(flow()->flow.class, RELAY_ECHO);
	ck_assert_uint_eq(flow()->flow.rule, 7);
	exchange_end(flow(), RELAY_EXPIRED);
	ck_assert_uint_eq(host.ends, 1);
	host_teardown();
}

START_TEST(a_request_and_its_reply)
{
	if (can("a_request_and_its_reply"))
		there_and_back(AF_INET);
}
END_TEST

START_TEST(a_request_and_its_reply_over_ipv6)
{
	if (!can("a_request_and_its_reply_over_ipv6"))
		return;
	if (host_has_ipv6())
		there_and_back(AF_INET6);
	else
		host_skip("a_request_and_its_reply_over_ipv6", "no ::1 here");
}
END_TEST

/* Two identifiers, and one for two peers. */
START_TEST(flows_are_told_apart)
{
	struct ip_address other = ip_from4(0x7f000002);

	if (!can("flows_are_told_apart"))
		return;
	guest_pings(&target, ID, 1, "one", 3);
	guest_pings(&target, ID + 1, 1, "two", 3);
	guest_pings(&other, ID, 1, "three", 5);
	ck_assert_uint_eq(host.checks, 3);
	host_verdict(true, false);
	host_run(1);
	saw_reply(0, &target, ID, 1, "one", 3);
	host_verdict(true, false);
	host_run(2);
	saw_reply(1, &target, ID + 1, 1, "two", 3);
	host_verdict(true, false);
	host_run(3);
	saw_reply(2, &other, ID, 1, "three", 5);
	host_teardown();
}
END_TEST

/* --- what is refused -------------------------------------------------------------------------- */

START_TEST(the_policy_denies)
{
	if (!can("the_policy_denies"))
		return;
	host.choice.verdict = POLICY_DENY;
	guest_pings(&target, ID, 1, "no", 2);
	ck_assert_uint_eq(host.checks, 0);
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_null(host.why);
	ck_assert_int_eq(host.error, PACKET_PROHIBITED);
	host.choice.verdict = POLICY_ALLOW;
	guest_pings(&target, ID, 1, "no", 2);
	host_verdict(false, false);
	host_run(1);
	host_saw_error(0, AF_INET, 3, 13);
	ck_assert_ptr_null(flow());
	host_teardown();
}
END_TEST

START_TEST(a_person_is_asked_and_the_guest_repeats)
{
	if (!can("a_person_is_asked_and_the_guest_repeats"))
		return;
	host.choice.verdict = POLICY_ASK;
	guest_pings(&target, ID, 1, "one", 3);
	ck_assert_uint_eq(host.relay.datagrams.kept, 0);
	host_verdict(true, true);
	host_turn();
	ck_assert_uint_eq(host.frames, 0);
	ck_assert(flow()->flow.approved);
	guest_pings(&target, ID, 2, "two", 3);
	host_run(1);
	saw_reply(0, &target, ID, 2, "two", 3);
	host_teardown();
}
END_TEST

START_TEST(long_requests_are_refused)
{
	uint8_t bytes[DATAGRAM_ECHO_PAYLOAD + 1] = "x";

	if (!can("long_requests_are_refused"))
		return;
	guest_pings(&target, ID, 1, bytes, sizeof(bytes));
	ck_assert_uint_eq(host.checks, 0);
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_nonnull(strstr(host.why, "64"));
	ck_assert_uint_eq(host.errors, 1);
	ck_assert_int_eq(host.error, PACKET_PROHIBITED);
	guest_pings(&target, ID, 1, bytes, sizeof(bytes) - 1);
	host_verdict(true, false);
	host_run(1);
	saw_reply(0, &target, ID, 1, bytes, sizeof(bytes) - 1);
	guest_pings(&target, ID, 2, bytes, sizeof(bytes)); /* not on an open flow either */
	ck_assert_uint_eq(host.errors, 2);
	host_teardown();
}
END_TEST

START_TEST(a_flood_is_cut)
{
	unsigned i;

	if (!can("a_flood_is_cut"))
		return;
	guest_pings(&target, ID, 0, "x", 1);
	host_verdict(true, false);
	for (i = 1; i < 100; i++)
		guest_pings(&target, ID, (uint16_t)i, "x", 1);
	host_run(DATAGRAM_ECHO_BURST);
	ck_assert_uint_eq(host.relay.stats.flooded, 100 - DATAGRAM_ECHO_BURST);
	host.relay.echo_rate.counted_ns -= 500000000; /* half a second later */
	for (i = 0; i < 100; i++)
		guest_pings(&target, ID, (uint16_t)i, "x", 1);
	host_run(DATAGRAM_ECHO_BURST + DATAGRAM_ECHO_SECOND / 2);
	host_teardown();
}
END_TEST

START_TEST(the_host_forbids_ping_sockets)
{
	if (!own_network) {
		host_skip("the_host_forbids_ping_sockets", "no network namespaces here");
		return;
	}
	guest_pings(&target, ID, 1, "x", 1);
	ck_assert_uint_eq(host.checks, 0); /* no person is asked in vain */
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_nonnull(strstr(host.why, "net.ipv4.ping_group_range"));
	ck_assert_int_eq(host.error, PACKET_PROHIBITED);
	ck_assert_ptr_null(flow());
	permit();
	guest_pings(&target, ID, 1, "x", 1);
	host_verdict(true, false);
	host_run(1);
	host_teardown();
}
END_TEST

/* The network of the test has no route. */
START_TEST(an_unreachable_peer)
{
	struct ip_address far = ip_from4(0xcb007101);

	if (!can("an_unreachable_peer"))
		return;
	guest_pings(&far, ID, 1, "x", 1);
	host_verdict(true, false);
	host_run(1);
	host_saw_error(0, AF_INET, 3, 0);
	ck_assert_ptr_null(host_flow(&far, ID, 0, IPPROTO_ICMP));
	ck_assert_uint_eq(host.ends, 1);
	host_teardown();
}
END_TEST

/* --- replies of others ------------------------------------------------------------------------ */

/* Sends the flow's socket a reply, from an address of the loopback. */
static void forge(uint32_t source, uint16_t sequence, size_t length)
{
	const struct ip_address address = ip_from4(source);
	const struct ip_address to = loopback(AF_INET);
	struct sockaddr_storage at, own;
	socklen_t size = ip_to_socket(&address, 0, &at), own_size = sizeof(own);
	uint8_t bytes[8 + 100] = {0};
	struct ip_address ignored;
	uint16_t id;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	ck_assert_int_eq(getsockname(flow()->socket.fd, (struct sockaddr *)&own, &own_size), 0);
	ck_assert(ip_from_socket(&own, &ignored, &id));
	ck_assert_uint_ne(id, 0);
	store_be16(bytes + 4, id);
	store_be16(bytes + 6, sequence);
	store_be16(bytes + 2, packet_fold(packet_sum(0, bytes, 8 + length)));
	size = ip_to_socket(&to, 0, &at);
	ck_assert_int_eq(sendto(fd, bytes, 8 + length, 0, (struct sockaddr *)&at, size),
			 (ssize_t)(8 + length));
	close(fd);
}

START_TEST(forged_replies_are_dropped)
{
	uint8_t zeros[DATAGRAM_ECHO_PAYLOAD] = {0};

	if (!can("forged_replies_are_dropped"))
		return;
	guest_pings(&target, ID, 1, "x", 1);
	host_verdict(true, false);
	host_run(1);
	forge(0x7f000002, 2, 4); /* of another sender */
	forge(INADDR_LOOPBACK, 3, DATAGRAM_ECHO_PAYLOAD + 1);
	forge(INADDR_LOOPBACK, 4, DATAGRAM_ECHO_PAYLOAD);
	host_run(2);
	saw_reply(1, &target, ID, 4, zeros, sizeof(zeros));
	ck_assert_uint_eq(host.relay.stats.dropped, 2);
	host_teardown();
}
END_TEST

START_TEST(without_room_nothing_is_read)
{
	unsigned asked;

	if (!can("without_room_nothing_is_read"))
		return;
	guest_pings(&target, ID, 1, "x", 1);
	host.room = 0;
	host_verdict(true, false);
	host_turn();
	asked = host.room_asked;
	ck_assert_uint_gt(asked, 0);
	host_turn();
	ck_assert_uint_eq(host.room_asked, asked);
	host_room();
	host_run(1);
	saw_reply(0, &target, ID, 1, "x", 1);
	host_teardown();
}
END_TEST

UNIT_MAIN_WITH(setup, "relay_echo", a_request_and_its_reply, a_request_and_its_reply_over_ipv6,
	       flows_are_told_apart, the_policy_denies, a_person_is_asked_and_the_guest_repeats,
	       long_requests_are_refused, a_flood_is_cut, the_host_forbids_ping_sockets,
	       an_unreachable_peer, forged_replies_are_dropped, without_room_nothing_is_read)
