/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports of UDP, and their clients. */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_listen_common.h"
#include "tests/unit/relay_peers_common.h"

/* Sends from a client, and lets the monitor allow it. The number of frames it makes in all. */
static void first_datagram(int fd, const char *text, unsigned frames)
{
	unsigned checks = host.checks;

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	host_run_checks(checks + 1);
	host_verdict(true, false);
	host_run(frames);
}

static void there_and_back(const struct relay_publish *which, struct ip_address to,
			   const struct ip_address *seen)
{
	unsigned frames = host.frames, checks = host.checks;
	uint16_t own;
	int fd = client(SOCK_DGRAM, &to, which->host_port, &own);
	struct exchange *exchange;

	ck_assert_int_eq(write(fd, "hello", 5), 5);
	host_run_checks(checks + 1);
	ck_assert_int_eq(host.asked.op, POLICY_LISTEN);
	ck_assert_int_eq(host.asked.protocol, POLICY_UDP);
	ck_assert(ip_same(&host.asked.address, seen));
	ck_assert_uint_eq(host.asked.port, GUEST);
	ck_assert(host.asked.host);
	ck_assert_uint_eq(host.frames, frames); /* nothing before it is logged */
	host_verdict(true, false);
	host_run(frames + 1);
	host_saw_datagram(frames, seen, own, GUEST, "hello", 5);
	exchange = host_flow(seen, GUEST, own, IPPROTO_UDP);
	ck_assert(exchange->flow.inbound && exchange->flow.host);
	ck_assert_int_eq(exchange->flow.class, RELAY_OPENING);
	/* The client's socket is connected: it takes a reply only from where it has sent to. */
	guest_sends_from(GUEST, seen, own, "reply", 5);
	peer_reads_text(fd, "reply", NULL);
	ck_assert_int_eq(exchange->flow.class, RELAY_UDP);
	ck_assert_int_eq(write(fd, "", 0), 0);
	host_run(frames + 2);
	ck_assert_uint_eq(exchange->flow.bytes_in, 5);
	ck_assert_uint_eq(exchange->flow.bytes_out, 5);
	ck_assert_uint_eq(host.checks, checks + 1);
	exchange_end(exchange, RELAY_EXPIRED);
	close(fd);
}

START_TEST(a_client_of_a_udp_port)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);

	there_and_back(&which, loopback(AF_INET), &host4);
	teardown();
}
END_TEST

START_TEST(clients_of_all_addresses_of_both_families)
{
	const struct relay_publish which = opened(any, true);

	there_and_back(&which, loopback(AF_INET), &host4);
	there_and_back(&which, ip_from4(0x7f000002), &host4); /* replies leave from there */
	if (host_has_ipv6())
		there_and_back(&which, loopback(AF_INET6), &host6);
	else
		host_skip("clients_of_all_addresses_of_both_families", "no ::1 here");
	teardown();
}
END_TEST

START_TEST(clients_of_all_ipv4_addresses)
{
	const struct relay_publish which = opened((struct ip_address){.family = AF_INET}, true);

	there_and_back(&which, loopback(AF_INET), &host4);
	there_and_back(&which, ip_from4(0x7f000002), &host4);
	teardown();
}
END_TEST

START_TEST(the_end_of_a_client_leaves_the_others)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own[2];
	int fd[2] = {client4(SOCK_DGRAM, which.host_port, &own[0]),
		     client4(SOCK_DGRAM, which.host_port, &own[1])};

	first_datagram(fd[0], "one", 1);
	first_datagram(fd[1], "two", 2);
	exchange_end(host_flow(&host4, GUEST, own[0], IPPROTO_UDP), RELAY_EVICTED);
	ck_assert_uint_eq(host.ends, 1);
	guest_sends_from(GUEST, &host4, own[1], "for two", 7);
	peer_reads_text(fd[1], "for two", NULL);
	first_datagram(fd[0], "again", 3); /* a new flow */
	host_saw_datagram(2, &host4, own[0], GUEST, "again", 5);
	ck_assert_int_eq(publishing_close(&host.relay, &which), 0);
	ck_assert_uint_eq(host.relay.flows.count, 0);
	ck_assert_int_eq(host.end, RELAY_DROPPED);
	close(fd[0]);
	close(fd[1]);
	teardown();
}
END_TEST

START_TEST(the_monitor_denies_a_client)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own);

	ck_assert_int_eq(write(fd, "no", 2), 2);
	host_run_checks(1);
	guest_sends_from(GUEST, &host4, own, "early", 5); /* a guess: it has seen nothing */
	peer_is_silent(fd);
	host_verdict(false, false);
	host_turn();
	ck_assert_uint_eq(host.frames, 0);
	ck_assert_uint_eq(host.relay.flows.count, 0);
	first_datagram(fd, "yes", 1);
	host_saw_datagram(0, &host4, own, GUEST, "yes", 3);
	close(fd);
	teardown();
}
END_TEST

START_TEST(clients_that_cannot_begin)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own);

	host.may_begin = false;
	ck_assert_int_eq(write(fd, "x", 1), 1);
	host_turn();
	ck_assert_uint_eq(host.checks, 0);
	host.may_begin = true;
	host.check = -EBUSY;
	ck_assert_int_eq(write(fd, "x", 1), 1);
	host_run_checks(1);
	ck_assert_uint_eq(host.relay.flows.count, 0);
	host.check = 0;
	first_datagram(fd, "yes", 1);
	host_saw_datagram(0, &host4, own, GUEST, "yes", 3);
	close(fd);
	teardown();
}
END_TEST

/* A flow is the guest's with that port, and has a socket already. */
START_TEST(a_flow_of_the_guest_comes_first)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own);

	guest_sends_from(GUEST, &host4, own, "out", 3);
	host_verdict(true, false);
	host_run(1); /* the client's socket takes datagrams of the published port alone */
	host_saw_error(0, AF_INET, 3, 3);
	ck_assert_int_eq(write(fd, "in", 2), 2);
	host_turn();
	ck_assert_uint_eq(host.checks, 1);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	exchange_end(host_flow(&host4, GUEST, own, IPPROTO_UDP), RELAY_EXPIRED);
	first_datagram(fd, "in", 2);
	close(fd);
	teardown();
}
END_TEST

/* 127.0.0.1 and 127.0.0.2 are one client to the guest: the first one has the flow. */
START_TEST(clients_that_look_the_same)
{
	const struct relay_publish which = opened(any, true);
	struct sockaddr_storage at;
	struct ip_address second = ip_from4(0x7f000002), to = loopback(AF_INET);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own), other;

	first_datagram(fd, "one", 1);
	other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(other, (struct sockaddr *)&at, ip_to_socket(&second, own, &at)), 0);
	ck_assert_int_eq(sendto(other, "two", 3, 0, (struct sockaddr *)&at,
				ip_to_socket(&to, which.host_port, &at)),
			 3);
	host_turn();
	ck_assert_uint_eq(host.frames, 1);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	guest_sends_from(GUEST, &host4, own, "reply", 5);
	peer_reads_text(fd, "reply", NULL);
	close(fd);
	close(other);
	teardown();
}
END_TEST

/* The same client at two ports that lead to one of the guest: the first one has the flow. */
START_TEST(a_client_of_two_ports)
{
	const struct relay_publish one = opened(loopback(AF_INET), true);
	const struct relay_publish two = opened(loopback(AF_INET), true);
	const struct ip_address to = loopback(AF_INET);
	struct sockaddr_storage at;
	uint16_t own;
	int fd = client4(SOCK_DGRAM, one.host_port, &own);

	first_datagram(fd, "one", 1);
	ck_assert_int_eq(sendto(fd, "two", 3, 0, (struct sockaddr *)&at,
				ip_to_socket(&to, two.host_port, &at)),
			 3);
	host_turn();
	ck_assert_uint_eq(host.frames, 1);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	ck_assert_int_eq(publishing_close(&host.relay, &two), 0);
	guest_sends_from(GUEST, &host4, own, "reply", 5);
	peer_reads_text(fd, "reply", NULL);
	close(fd);
	teardown();
}
END_TEST

START_TEST(without_room_nothing_is_read)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own);
	unsigned asked;

	first_datagram(fd, "one", 1);
	host.room = 0;
	ck_assert_int_eq(write(fd, "two", 3), 3);
	ck_assert_int_eq(write(fd, "three", 5), 5);
	host_turn();
	asked = host.room_asked;
	ck_assert_uint_gt(asked, 0);
	host_turn();
	ck_assert_uint_eq(host.room_asked, asked);
	host.room = 1;
	datagram_resume(&host.relay);
	host_run(2);
	host_turn();
	ck_assert_uint_eq(host.frames, 2);
	host_room();
	host_run(3);
	host_saw_datagram(2, &host4, own, GUEST, "three", 5);
	close(fd);
	teardown();
}
END_TEST

START_TEST(longer_than_the_guest_takes)
{
	static uint8_t bytes[PACKET_MTU];
	const struct relay_publish which = opened(loopback(AF_INET), true);
	const size_t most = PACKET_MTU - 28;
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own), room = 1 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	first_datagram(fd, "one", 1);
	ck_assert_int_eq(write(fd, bytes, most + 1), (ssize_t)most + 1);
	ck_assert_int_eq(write(fd, bytes, most), (ssize_t)most);
	host_run(2);
	host_saw_datagram(1, &host4, own, GUEST, bytes, most);
	ck_assert_uint_eq(host.relay.stats.dropped, 1);
	close(fd);
	teardown();
}
END_TEST

/* No rule has let a client in, so none takes it away. */
START_TEST(the_policy_changes)
{
	const struct relay_publish which = opened(loopback(AF_INET), true);
	uint16_t own;
	int fd = client4(SOCK_DGRAM, which.host_port, &own);

	first_datagram(fd, "one", 1);
	host.choice.verdict = POLICY_DENY;
	relay_flows_policy_changed(&host.relay.flows);
	ck_assert_ptr_nonnull(host_flow(&host4, GUEST, own, IPPROTO_UDP));
	close(fd);
	teardown();
}
END_TEST

UNIT_MAIN_WITH(setup, "relay_listen_udp", a_client_of_a_udp_port,
	       clients_of_all_addresses_of_both_families, clients_of_all_ipv4_addresses,
	       the_end_of_a_client_leaves_the_others, the_monitor_denies_a_client,
	       clients_that_cannot_begin, a_flow_of_the_guest_comes_first,
	       clients_that_look_the_same, a_client_of_two_ports, without_room_nothing_is_read,
	       longer_than_the_guest_takes, the_policy_changes)
