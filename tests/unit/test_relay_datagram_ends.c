/* SPDX-License-Identifier: Apache-2.0 */
/* UDP of the guest: errors of peers and of the host, and a link to the guest without room. */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/relay_datagram_common.h"
#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_peers_common.h"

/* --- system calls that fail ------------------------------------------------------------------- */

static int send_error, connect_error, socket_error; /* of the next call; 0: it is made */

static bool fails(int *error)
{
	errno = *error;
	*error = 0;
	return errno != 0;
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
	return fails(&send_error) ? -1 : sendto(fd, data, length, flags, NULL, 0);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return fails(&connect_error) ? -1 : (int)syscall(SYS_connect, fd, address, length);
}

int socket(int family, int type, int protocol)
{
	return fails(&socket_error) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

/* --- the peer's real outcome ------------------------------------------------------------------ */

static void closed_port(unsigned family, uint8_t type, uint8_t code)
{
	begin_with(family);
	close(peer);
	guest_sends(&target, port, "x", 1);
	host_verdict(true, false);
	host_run(1);
	host_saw_error(0, family, type, code);
	host_turn();
	ck_assert_uint_eq(host.frames, 1); /* once */
	/* The flow goes on, and no datagram is lost to an error about an earlier one. */
	ck_assert_ptr_nonnull(flow());
	guest_sends(&target, port, "to no one", 9);
	peer = peer_open(family, SOCK_DGRAM, &port);
	guest_sends(&target, port, "hello", 5);
	peer_reads_text(peer, "hello", &from);
	host_run(2);
	peer_sends(peer, family, from, "reply", 5);
	host_run(3);
	host_saw_datagram(2, &target, port, GUEST_PORT, "reply", 5);
	host_turn();
	ck_assert_uint_eq(host.frames, 3);
	host_teardown();
}

START_TEST(a_closed_port)
{
	closed_port(AF_INET, 3, 3);
}
END_TEST

START_TEST(a_closed_port_over_ipv6)
{
	if (host_has_ipv6())
		closed_port(AF_INET6, 1, 4);
	else
		host_skip("a_closed_port_over_ipv6", "no ::1 here");
}
END_TEST

static const struct {
	int error;
	uint8_t type4, code4, type6, code6;
} outcomes[] = {
	{ECONNREFUSED, 3, 3, 1, 4}, {EHOSTUNREACH, 3, 1, 1, 3},	 {ENETUNREACH, 3, 0, 1, 0},
	{EACCES, 3, 13, 1, 1},	    {EPERM, 3, 13, 1, 1},	 {EHOSTDOWN, 3, 1, 1, 3},
	{ENETDOWN, 3, 0, 1, 0},	    {EADDRNOTAVAIL, 3, 0, 1, 0}, {EINVAL, 3, 1, 1, 3},
};

START_TEST(errors_of_sending_reach_the_guest)
{
	static const int silent[] = {EAGAIN, ENOBUFS, ENOMEM};
	unsigned i;

	open_with(AF_INET);
	for (i = 0; i < ARRAY_SIZE(outcomes); i++) {
		send_error = outcomes[i].error;
		guest_sends(&target, port, "lost", 4);
		host_run(i + 1);
		host_saw_error(i, AF_INET, outcomes[i].type4, outcomes[i].code4);
	}
	for (i = 0; i < ARRAY_SIZE(silent); i++) {
		send_error = silent[i];
		guest_sends(&target, port, "lost", 4);
	}
	host_run(ARRAY_SIZE(outcomes));
	ck_assert_uint_eq(host.relay.stats.dropped, ARRAY_SIZE(outcomes) + ARRAY_SIZE(silent));
	ck_assert_uint_eq(flow()->flow.bytes_out, 5);
	guest_sends(&target, port, "sent", 4);
	peer_reads_text(peer, "sent", NULL);
	host_teardown();
}
END_TEST

START_TEST(errors_of_sending_reach_the_guest_over_ipv6)
{
	unsigned i;

	if (!host_has_ipv6()) {
		host_skip("errors_of_sending_reach_the_guest_over_ipv6", "no ::1 here");
		return;
	}
	open_with(AF_INET6);
	for (i = 0; i < ARRAY_SIZE(outcomes); i++) {
		send_error = outcomes[i].error;
		guest_sends(&target, port, "lost", 4);
		host_run(i + 1);
		host_saw_error(i, AF_INET6, outcomes[i].type6, outcomes[i].code6);
	}
	send_error = EMSGSIZE;
	guest_sends(&target, port, "lost", 4);
	host_run(i + 1);
	host_saw_error(i, AF_INET6, 2, 0);
	ck_assert_uint_ge(load_be32(host_seen(i).data + 4), 1280);
	host_teardown();
}
END_TEST

START_TEST(a_datagram_that_is_too_big)
{
	open_with(AF_INET);
	send_error = EMSGSIZE;
	guest_sends(&target, port, "lost", 4);
	host_run(1);
	host_saw_error(0, AF_INET, 3, 4);
	ck_assert_uint_ge(load_be16(host_seen(0).data + 6), 1280); /* that of the loopback */
	guest_sends(&target, port, "sent", 4);
	peer_reads_text(peer, "sent", NULL);
	host_teardown();
}
END_TEST

START_TEST(errors_of_opening_end_the_flow)
{
	unsigned i, before, refusals = 0;

	begin_with(AF_INET);
	before = descriptors();
	for (i = 0; i < ARRAY_SIZE(outcomes); i++) {
		guest_sends(&target, port, "lost", 4);
		connect_error = outcomes[i].error;
		host_verdict(true, false);
		host_run(i + 1);
		host_saw_error(i, AF_INET, outcomes[i].type4, outcomes[i].code4);
		ck_assert_ptr_null(flow());
		ck_assert_uint_eq(host.ends, i + 1);
		ck_assert_int_eq(host.end, RELAY_CLOSED);
		/* Only what this host lacks is a refusal. */
		refusals += outcomes[i].error == EADDRNOTAVAIL;
		ck_assert_uint_eq(host.refusals, refusals);
	}
	ck_assert_uint_eq(descriptors(), before);
	guest_sends(&target, port, "lost", 4);
	connect_error = EAGAIN; /* no local port */
	host_verdict(true, false);
	ck_assert_uint_eq(host.refusals, refusals + 1);
	ck_assert_ptr_nonnull(strstr(host.why, "no port"));
	guest_sends(&target, port, "sent", 4);
	host_verdict(true, false);
	peer_reads_text(peer, "sent", NULL);
	host_teardown();
}
END_TEST

START_TEST(a_host_without_sockets)
{
	begin_with(AF_INET);
	guest_sends(&target, port, "lost", 4);
	socket_error = EMFILE;
	host_verdict(true, false);
	host_run(1);
	host_saw_error(0, AF_INET, 3, 1);
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_nonnull(host.why);
	target = ip_own(AF_INET6, IP_OWN_HOST);
	guest_sends(&target, port, "lost", 4);
	socket_error = EAFNOSUPPORT; /* IPv6 is switched off */
	host_verdict(true, false);
	host_run(2);
	host_saw_error(1, AF_INET6, 1, 0);
	ck_assert_uint_eq(host.refusals, 1);
	ck_assert_ptr_null(flow());
	host_teardown();
}
END_TEST

/* --- a link without room ---------------------------------------------------------------------- */

START_TEST(without_room_nothing_is_read)
{
	unsigned asked;

	open_with(AF_INET);
	host.room = 0;
	peer_sends(peer, AF_INET, from, "one", 3);
	peer_sends(peer, AF_INET, from, "two", 3);
	host_turn();
	asked = host.room_asked;
	ck_assert_uint_gt(asked, 0);
	host_turn(); /* it does not spin */
	ck_assert_uint_eq(host.room_asked, asked);
	ck_assert_uint_eq(host.frames, 0);
	ck_assert(flow()->paused);
	host.room = 1;
	datagram_resume(&host.relay);
	host_run(1);
	host_turn();
	ck_assert_uint_eq(host.frames, 1);
	ck_assert(flow()->paused);
	host_room();
	host_run(2);
	ck_assert(!flow()->paused);
	host_saw_datagram(0, &target, port, GUEST_PORT, "one", 3);
	host_saw_datagram(1, &target, port, GUEST_PORT, "two", 3);
	peer_sends(peer, AF_INET, from, "three", 5); /* it is watched again */
	host_run(3);
	ck_assert_uint_eq(host.relay.stats.dropped, 0);
	host_teardown();
}
END_TEST

/* An error is reported even for a socket that is not watched: it must not spin either. */
START_TEST(without_room_errors_are_taken)
{
	unsigned asked;

	open_with(AF_INET);
	host.room = 0;
	peer_sends(peer, AF_INET, from, "one", 3);
	host_turn();
	close(peer);
	guest_sends(&target, port, "x", 1);
	host_turn();
	asked = host.room_asked;
	host_turn();
	ck_assert_uint_eq(host.room_asked, asked);
	host_teardown();
}
END_TEST

#define MANY (2 * DATAGRAM_RESUME + 3)

START_TEST(many_paused_flows_go_on_in_turn)
{
	uint16_t ports[MANY];
	unsigned i, asked;

	begin_with(AF_INET);
	for (i = 0; i < MANY; i++) {
		guest_sends_from((uint16_t)(1000 + i), &target, port, "x", 1);
		host_verdict(true, false);
		peer_reads_text(peer, "x", &ports[i]);
	}
	host.room = 0;
	for (i = 0; i < MANY; i++)
		peer_sends(peer, AF_INET, ports[i], "y", 1);
	host_turn();
	asked = host.room_asked;
	host_turn();
	ck_assert_uint_eq(host.room_asked, asked);
	/* One in the middle and both ends of the list go. */
	exchange_end(host_flow(&target, 1000, port, IPPROTO_UDP), RELAY_EXPIRED);
	exchange_end(host_flow(&target, 1050, port, IPPROTO_UDP), RELAY_EXPIRED);
	exchange_end(host_flow(&target, 1000 + MANY - 1, port, IPPROTO_UDP), RELAY_EXPIRED);
	host_room();
	host_run(MANY - 3);
	host_saw_datagram(0, &target, port, 1001, "y", 1); /* the first that was paused */
	host_saw_datagram(MANY - 4, &target, port, 1000 + MANY - 2, "y", 1);
	ck_assert_ptr_null(host.relay.datagrams.first_paused);
	host_teardown();
}
END_TEST

START_TEST(a_busy_peer_leaves_others_their_turn)
{
	uint16_t busy, quiet;
	unsigned i;

	begin_with(AF_INET);
	guest_sends_from(1000, &target, port, "x", 1);
	guest_sends_from(1001, &target, port, "x", 1);
	host_verdict(true, false);
	host_verdict(true, false);
	peer_reads_text(peer, "x", &busy);
	peer_reads_text(peer, "x", &quiet);
	for (i = 0; i < 100; i++)
		peer_sends(peer, AF_INET, busy, "busy", 4);
	peer_sends(peer, AF_INET, quiet, "quiet", 5);
	host_run(101);
	for (i = 0; host_seen(i).length != 8 + 5; i++)
		;
	ck_assert_uint_le(i, DATAGRAM_BATCH);
	host_teardown();
}
END_TEST

UNIT_MAIN_WITH(host_setup, "relay_datagram_ends", a_closed_port, a_closed_port_over_ipv6,
	       errors_of_sending_reach_the_guest, errors_of_sending_reach_the_guest_over_ipv6,
	       a_datagram_that_is_too_big, errors_of_opening_end_the_flow, a_host_without_sockets,
	       without_room_nothing_is_read, without_room_errors_are_taken,
	       many_paused_flows_go_on_in_turn, a_busy_peer_leaves_others_their_turn)
