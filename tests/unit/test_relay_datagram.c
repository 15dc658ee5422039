/* SPDX-License-Identifier: Apache-2.0 */
/* UDP of the guest, with sockets of the host's loopback as peers. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/unit/relay_datagram_common.h"
#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_peers_common.h"

/* --- the way there and back ------------------------------------------------------------------- */

static void there_and_back(unsigned family)
{
	unsigned before;

	begin_with(family);
	host.name = "host";
	before = descriptors();
	guest_sends(&target, port, "hello", 5);
	ck_assert_uint_eq(descriptors(), before); /* nothing is opened before the verdict */
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_int_eq(host.asked.op, POLICY_CONNECT);
	ck_assert_int_eq(host.asked.protocol, POLICY_UDP);
	ck_assert(ip_same(&host.asked.address, &target));
	ck_assert_uint_eq(host.asked.port, port);
	ck_assert(host.asked.host);
	ck_assert_str_eq(host.asked_name, "host");
	peer_is_silent(peer);
	host_verdict(true, false);
	peer_reads_text(peer, "hello", &from);
	guest_sends(&target, port, "again", 5);
	peer_reads_text(peer, "again", &from);
	guest_sends(&target, port, "", 0);
	peer_reads_text(peer, "", NULL);
	peer_sends(peer, family, from, "reply", 5);
	peer_sends(peer, family, from, "", 0);
	host_run(2);
	host_saw_datagram(0, &target, port, GUEST_PORT, "reply", 5);
	host_saw_datagram(1, &target, port, GUEST_PORT, "", 0);
	ck_assert_uint_eq(flow()->flow.bytes_out, 10);
	ck_assert_uint_eq(flow()->flow.bytes_in, 5);
	ck_assert_uint_eq(flow()->flow.rule, 7);
	ck_assert_int_eq(flow()->flow.class, RELAY_UDP);
	ck_assert(flow()->flow.host && !flow()->flow.inbound && !flow()->flow.approved);
	ck_assert_uint_eq(host.checks, 1);
	exchange_end(flow(), RELAY_EXPIRED);
	ck_assert_uint_eq(descriptors(), before);
	ck_assert_uint_eq(host.ends, 1);
	ck_assert_int_eq(host.end, RELAY_EXPIRED);
	ck_assert_uint_eq(host.end_out, 10);
	ck_assert_uint_eq(host.end_in, 5);
	ck_assert_uint_eq(host.relay.stats.dropped, 0);
	close(peer);
	host_teardown();
}

START_TEST(a_datagram_and_its_reply)
{
	there_and_back(AF_INET);
}
END_TEST

START_TEST(a_datagram_and_its_reply_over_ipv6)
{
	if (host_has_ipv6())
		there_and_back(AF_INET6);
	else
		host_skip("a_datagram_and_its_reply_over_ipv6", "no ::1 here");
}
END_TEST

/* Only the peer's own datagrams come back. */
START_TEST(a_stranger_is_not_heard)
{
	uint16_t other = 0;
	int stranger;

	open_with(AF_INET);
	stranger = peer_open(AF_INET, SOCK_DGRAM, &other);
	peer_sends(stranger, AF_INET, from, "stranger", 8);
	peer_sends(peer, AF_INET, from, "peer", 4);
	host_run(1);
	host_saw_datagram(0, &target, port, GUEST_PORT, "peer", 4);
	host_teardown();
}
END_TEST

START_TEST(flows_have_sockets_of_their_own)
{
	uint16_t first, second;

	begin_with(AF_INET);
	guest_sends_from(1000, &target, port, "one", 3);
	guest_sends_from(1001, &target, port, "two", 3);
	host_verdict(true, false);
	host_verdict(true, false);
	peer_reads_text(peer, "one", &first);
	peer_reads_text(peer, "two", &second);
	ck_assert_uint_ne(first, second);
	peer_sends(peer, AF_INET, second, "for two", 7);
	host_run(1);
	host_saw_datagram(0, &target, port, 1001, "for two", 7);
	host_teardown();
}
END_TEST

/* The largest that the guest may send or get, and one byte more. */
START_TEST(the_longest_datagrams)
{
	static uint8_t bytes[PACKET_MTU], got[PACKET_MTU];
	const size_t most = PACKET_MTU - 28;
	int room = 1 << 20;

	memset(bytes, 'x', sizeof(bytes));
	open_with(AF_INET);
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	guest_sends(&target, port, bytes, most);
	ck_assert_uint_eq(peer_reads(peer, got, sizeof(got), NULL), most);
	peer_sends(peer, AF_INET, from, bytes, most + 1);
	peer_sends(peer, AF_INET, from, bytes, most);
	host_run(1);
	host_saw_datagram(0, &target, port, GUEST_PORT, bytes, most);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	host.relay.card.mtu = 1000;
	peer_sends(peer, AF_INET, from, bytes, 973);
	peer_sends(peer, AF_INET, from, bytes, 972);
	host_run(2);
	host_saw_datagram(1, &target, port, GUEST_PORT, bytes, 972);
	ck_assert_uint_eq(host.relay.stats.dropped, 2);
	host.relay.card.mtu = 20; /* no datagram fits */
	peer_sends(peer, AF_INET, from, "", 0);
	host_turn();
	ck_assert_uint_eq(host.relay.stats.dropped, 3);
	host_teardown();
}
END_TEST

/* --- decisions -------------------------------------------------------------------------------- */

START_TEST(the_policy_denies)
{
	host.choice = (struct relay_choice){.verdict = POLICY_DENY, .order = 3};
	begin_with(AF_INET);
	guest_sends(&target, port, "no", 2);
	ck_assert_uint_eq(host.checks, 0);
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_null(host.why);
	ck_assert_uint_eq(host.errors, 1);
	ck_assert_int_eq(host.error, PACKET_PROHIBITED);
	ck_assert_ptr_null(flow());
	host.choice.verdict = POLICY_ALLOW;
	guest_sends(&target, port, "yes", 3);
	host_verdict(true, false);
	peer_reads_text(peer, "yes", NULL);
	ck_assert_uint_eq(host.errors, 1);
	host_teardown();
}
END_TEST

static void denied_by_the_monitor(unsigned family, uint8_t type, uint8_t code)
{
	begin_with(family);
	guest_sends(&target, port, "no", 2);
	host_verdict(false, false);
	host_run(1);
	host_saw_error(0, family, type, code);
	ck_assert_ptr_null(flow());
	peer_is_silent(peer);
	ck_assert_uint_eq(host.ends, 0);     /* what was never open has no end */
	ck_assert_uint_eq(host.refusals, 0); /* the monitor has logged it */
	host_teardown();
}

START_TEST(the_monitor_denies)
{
	denied_by_the_monitor(AF_INET, 3, 13);
}
END_TEST

START_TEST(the_monitor_denies_ipv6)
{
	if (host_has_ipv6())
		denied_by_the_monitor(AF_INET6, 1, 1);
	else
		host_skip("the_monitor_denies_ipv6", "no ::1 here");
}
END_TEST

START_TEST(a_person_is_asked_and_the_guest_repeats)
{
	host.choice = (struct relay_choice){.verdict = POLICY_ASK, .order = 5};
	begin_with(AF_INET);
	guest_sends(&target, port, "first", 5);
	guest_sends(&target, port, "second", 6);
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_uint_eq(host.relay.datagrams.kept, 0);
	ck_assert_int_eq(flow()->flow.class, RELAY_OPENING);
	host_verdict(true, true);
	ck_assert(flow()->flow.approved);
	peer_is_silent(peer);
	guest_sends(&target, port, "third", 5);
	peer_reads_text(peer, "third", NULL);
	host_teardown();
}
END_TEST

/* The router, the guest itself and what is unused: only "host" is an address outside. */
START_TEST(the_sandboxs_own_addresses_stay_inside)
{
	const struct ip_address own[] = {ip_own(AF_INET, IP_OWN_ROUTER), ip_from4(0xc00002ff),
					 ip_own(AF_INET, IP_OWN_GUEST),
					 ip_own(AF_INET6, IP_OWN_ROUTER)};
	size_t i;

	begin_with(AF_INET);
	for (i = 0; i < ARRAY_SIZE(own); i++)
		guest_sends(&own[i], 99, "x", 1);
	ck_assert_uint_eq(host.checks, 0);
	ck_assert_uint_eq(host.refusals, ARRAY_SIZE(own));
	ck_assert_uint_eq(host.errors, ARRAY_SIZE(own));
	ck_assert_int_eq(host.error, PACKET_PROHIBITED);
	ck_assert_ptr_nonnull(host.why);
	guest_sends(&target, port, "x", 1);
	ck_assert_uint_eq(host.checks, 1);
	host_teardown();
}
END_TEST

START_TEST(what_cannot_begin_is_dropped)
{
	begin_with(AF_INET);
	host.may_begin = false;
	guest_sends(&target, port, "x", 1);
	ck_assert_uint_eq(host.checks, 0);
	ck_assert_ptr_null(flow());
	host.may_begin = true;
	host.check = -EBUSY;
	guest_sends(&target, port, "x", 1);
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_ptr_null(flow());
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	ck_assert_uint_eq(host.errors + host.frames + host.ends, 0);
	host.check = 0;
	guest_sends(&target, port, "x", 1);
	ck_assert_ptr_nonnull(flow());
	host_teardown();
}
END_TEST

/* Opens a flow by a verdict, then changes the policy. Whether the flow is still there. */
static bool stays(bool approved, enum policy_verdict later)
{
	bool there;

	host.choice =
		(struct relay_choice){.verdict = approved ? POLICY_ASK : POLICY_ALLOW, .order = 7};
	host.name = "name.example";
	guest_sends(&target, port, "x", 1);
	host.name = NULL;
	host_verdict(true, approved);
	host.choice = (struct relay_choice){.verdict = later, .order = 9};
	relay_flows_policy_changed(&host.relay.flows);
	ck_assert_str_eq(host.decided_name, "name.example");
	ck_assert_int_eq(host.decided.op, POLICY_CONNECT);
	ck_assert_int_eq(host.decided.protocol, POLICY_UDP);
	ck_assert(ip_same(&host.decided.address, &target));
	ck_assert_uint_eq(host.decided.port, port);
	ck_assert(host.decided.host);
	there = flow() != NULL;
	if (there) {
		ck_assert_uint_eq(flow()->flow.rule, 9);
		exchange_end(flow(), RELAY_CLOSED);
	} else {
		ck_assert_int_eq(host.end, RELAY_DROPPED);
	}
	return there;
}

START_TEST(the_policy_changes)
{
	begin_with(AF_INET);
	ck_assert(stays(false, POLICY_ALLOW));
	ck_assert(!stays(false, POLICY_ASK));
	ck_assert(!stays(false, POLICY_DENY));
	ck_assert(stays(true, POLICY_ALLOW));
	ck_assert(stays(true, POLICY_ASK));
	ck_assert(!stays(true, POLICY_DENY));
	ck_assert_uint_eq(host.ends, 6);
	host_teardown();
}
END_TEST

/* The monitor replies to what waits, by the new policy. */
START_TEST(the_policy_changes_while_a_flow_waits)
{
	begin_with(AF_INET);
	guest_sends(&target, port, "x", 1);
	host.choice.verdict = POLICY_DENY;
	relay_flows_policy_changed(&host.relay.flows);
	ck_assert_ptr_nonnull(flow());
	host_verdict(false, false);
	host_run(1);
	host_saw_error(0, AF_INET, 3, 13);
	host_teardown();
}
END_TEST

START_TEST(a_flow_that_waits_ends)
{
	begin_with(AF_INET);
	guest_sends(&target, port, "x", 1);
	ck_assert_uint_eq(host.relay.datagrams.kept, 1);
	exchange_end(flow(), RELAY_EXPIRED);
	ck_assert_uint_eq(host.cancels, 1);
	ck_assert_uint_eq(host.ends, 0);
	ck_assert_uint_eq(host.relay.datagrams.kept, 0);
	host_teardown();
}
END_TEST

/* --- bounds of what is kept ------------------------------------------------------------------- */

START_TEST(a_flow_keeps_eight_datagrams_in_order)
{
	char text[8];
	unsigned i;

	begin_with(AF_INET);
	for (i = 0; i <= DATAGRAM_KEPT_FLOW; i++) {
		snprintf(text, sizeof(text), "no. %u", i);
		guest_sends(&target, port, text, 5);
	}
	ck_assert_uint_eq(host.relay.datagrams.kept, DATAGRAM_KEPT_FLOW);
	ck_assert_uint_eq(host.relay.datagrams.kept_bytes, 5 * DATAGRAM_KEPT_FLOW);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	host_verdict(true, false);
	ck_assert_uint_eq(host.relay.datagrams.kept, 0);
	for (i = 0; i < DATAGRAM_KEPT_FLOW; i++) {
		snprintf(text, sizeof(text), "no. %u", i);
		peer_reads_text(peer, text, NULL);
	}
	peer_is_silent(peer);
	host_teardown();
}
END_TEST

START_TEST(all_flows_keep_sixty_four_datagrams)
{
	unsigned i, passed = 0;
	char byte;

	begin_with(AF_INET);
	for (i = 0; i < DATAGRAM_KEPT + 10; i++)
		guest_sends_from((uint16_t)(1000 + i), &target, port, "x", 1);
	ck_assert_uint_eq(host.checks, DATAGRAM_KEPT + 10); /* they are decided all the same */
	ck_assert_uint_eq(host.relay.datagrams.kept, DATAGRAM_KEPT);
	ck_assert_uint_eq(host.relay.stats.dropped, 10);
	for (i = 0; i < DATAGRAM_KEPT + 10; i++)
		host_verdict(true, false);
	while (recv(peer, &byte, 1, MSG_DONTWAIT) == 1)
		passed++;
	ck_assert_uint_eq(passed, DATAGRAM_KEPT);
	guest_sends_from(2000, &target, port, "x", 1); /* there is room again */
	ck_assert_uint_eq(host.relay.datagrams.kept, 1);
	host_teardown();
}
END_TEST

START_TEST(all_flows_keep_so_many_bytes)
{
	static uint8_t bytes[PACKET_MTU];
	const size_t length = DATAGRAM_KEPT_BYTES / 4 - 1000;
	unsigned i;

	begin_with(AF_INET);
	for (i = 0; i < 5; i++)
		guest_sends_from((uint16_t)(1000 + i), &target, port, bytes, length);
	ck_assert_uint_eq(host.relay.datagrams.kept_bytes, 4 * length);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	guest_sends_from(2000, &target, port, bytes, 4000);
	ck_assert_uint_eq(host.relay.datagrams.kept_bytes, DATAGRAM_KEPT_BYTES);
	guest_sends_from(2001, &target, port, bytes, 1);
	ck_assert_uint_eq(host.relay.stats.dropped, 2);
	guest_sends_from(2002, &target, port, bytes, 0);
	ck_assert_uint_eq(host.relay.datagrams.kept, 6);
	host_teardown();
}
END_TEST

UNIT_MAIN_WITH(host_setup, "relay_datagram", a_datagram_and_its_reply,
	       a_datagram_and_its_reply_over_ipv6, a_stranger_is_not_heard,
	       flows_have_sockets_of_their_own, the_longest_datagrams, the_policy_denies,
	       the_monitor_denies, the_monitor_denies_ipv6, a_person_is_asked_and_the_guest_repeats,
	       the_sandboxs_own_addresses_stay_inside, what_cannot_begin_is_dropped,
	       the_policy_changes, the_policy_changes_while_a_flow_waits, a_flow_that_waits_ends,
	       a_flow_keeps_eight_datagrams_in_order, all_flows_keep_sixty_four_datagrams,
	       all_flows_keep_so_many_bytes)
