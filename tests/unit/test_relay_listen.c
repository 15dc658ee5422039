/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: how they open and close, and clients of TCP. */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_listen_common.h"
#include "tests/unit/relay_peers_common.h"

/* --- system calls that fail ------------------------------------------------------------------- */

static int accept_error;      /* of every call; 0: they are made */
static unsigned accept_calls; /* that failed */
static bool no_ipv6;

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	if (accept_error == 0)
		return (int)syscall(SYS_accept4, fd, address, length, flags);
	accept_calls++;
	errno = accept_error;
	return -1;
}

int socket(int family, int type, int protocol)
{
	if (no_ipv6 && family == AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, family, type, protocol);
}

/* --- opening and closing ---------------------------------------------------------------------- */

START_TEST(ports_are_closed_one_by_one)
{
	const struct relay_publish one = opened(loopback(AF_INET), false);
	const struct relay_publish two = opened(loopback(AF_INET), true);
	struct relay_publish other = one;
	const struct ip_address to = loopback(AF_INET);
	uint16_t own;

	/* Each field counts. */
	other.guest_port++;
	ck_assert_int_eq(publishing_close(&host.relay, &other), -ENOENT);
	other = one;
	other.udp = true;
	ck_assert_int_eq(publishing_close(&host.relay, &other), -ENOENT);
	other = one;
	other.address.family = 0;
	ck_assert_int_eq(publishing_close(&host.relay, &other), -ENOENT);
	ck_assert_int_eq(publishing_close(&host.relay, &one), 0);
	ck_assert_int_eq(publishing_close(&host.relay, &one), -ENOENT);
	/* The other one stays. */
	ck_assert_int_eq(publishing_open(&host.relay, &two), -EADDRINUSE);
	ck_assert_int_eq(client(SOCK_STREAM, &to, one.host_port, &own), -1);
	ck_assert_int_eq(publishing_open(&host.relay, &one), 0); /* again */
	close(client4(SOCK_STREAM, one.host_port, &own));
	teardown();
}
END_TEST

START_TEST(what_cannot_be_opened)
{
	const struct relay_publish tcp = opened(loopback(AF_INET), false);
	const struct relay_publish udp = opened(loopback(AF_INET), true);
	struct relay_publish other = tcp;

	ck_assert_int_eq(publishing_open(&host.relay, &tcp), -EADDRINUSE);
	ck_assert_int_eq(publishing_open(&host.relay, &udp), -EADDRINUSE);
	other.address = any;
	ck_assert_int_eq(publishing_open(&host.relay, &other), -EADDRINUSE);
	other.address = ip_from4(0x01020304);
	ck_assert_int_eq(publishing_open(&host.relay, &other), -EADDRNOTAVAIL);
	other.address.family = AF_UNIX;
	ck_assert_int_eq(publishing_open(&host.relay, &other), -EINVAL);
	other = tcp;
	other.host_port = 0;
	ck_assert_int_eq(publishing_open(&host.relay, &other), -EINVAL);
	other = port_at(loopback(AF_INET), false);
	other.guest_port = 0;
	ck_assert_int_eq(publishing_open(&host.relay, &other), -EINVAL);
	other.guest_port = 1;
	ck_assert_int_eq(publishing_open(&host.relay, &other), 0);
	teardown();
}
END_TEST

START_TEST(so_many_ports)
{
	struct relay_publish which;
	unsigned i;

	for (i = 0; i < RELAY_PUBLISHED; i++)
		which = opened(loopback(AF_INET), i % 2);
	ck_assert_int_eq(publishing_close(&host.relay, &which), 0);
	ck_assert_int_eq(publishing_open(&host.relay, &which), 0);
	which = port_at(loopback(AF_INET), false);
	ck_assert_int_eq(publishing_open(&host.relay, &which), -ENOSPC);
	teardown();
}
END_TEST

/* --- TCP -------------------------------------------------------------------------------------- */

START_TEST(a_client_of_a_tcp_port)
{
	const struct relay_publish which = opened(loopback(AF_INET), false);
	uint16_t own;
	int fd = client4(SOCK_STREAM, which.host_port, &own);

	host_run_clients(1);
	ck_assert(ip_same(&host.client, &host4));
	ck_assert_uint_eq(host.client_port, own);
	ck_assert_uint_eq(host.client_guest_port[0], GUEST);
	close(fd);
	teardown();
}
END_TEST

static bool reaches(const struct relay_publish *which, struct ip_address to,
		    const struct ip_address *seen)
{
	unsigned before = host.clients;
	uint16_t own;
	int fd = client(SOCK_STREAM, &to, which->host_port, &own);

	if (fd < 0)
		return false;
	host_run_clients(before + 1);
	ck_assert(ip_same(&host.client, seen));
	close(fd);
	return true;
}

START_TEST(all_addresses_of_both_families)
{
	const struct relay_publish which = opened(any, false);

	ck_assert(reaches(&which, loopback(AF_INET), &host4));
	ck_assert(reaches(&which, ip_from4(0x7f000002), &host4));
	if (host_has_ipv6())
		ck_assert(reaches(&which, loopback(AF_INET6), &host6));
	else
		host_skip("all_addresses_of_both_families", "no ::1 here");
	teardown();
}
END_TEST

START_TEST(one_address_alone)
{
	struct relay_publish four = opened(loopback(AF_INET), false), six = four;

	ck_assert(reaches(&four, loopback(AF_INET), &host4));
	ck_assert(!reaches(&four, ip_from4(0x7f000002), &host4));
	if (!host_has_ipv6()) {
		host_skip("one_address_alone", "no ::1 here");
		teardown();
		return;
	}
	ck_assert(!reaches(&four, loopback(AF_INET6), &host6));
	/* The same port in the other family. */
	six.address = loopback(AF_INET6);
	ck_assert_int_eq(publishing_open(&host.relay, &six), 0);
	ck_assert(reaches(&six, loopback(AF_INET6), &host6));
	ck_assert_int_eq(publishing_close(&host.relay, &four), 0);
	ck_assert(!reaches(&six, loopback(AF_INET), &host4));
	teardown();
}
END_TEST

START_TEST(a_host_without_ipv6)
{
	struct relay_publish which;

	no_ipv6 = true;
	which = opened(any, false);
	ck_assert(reaches(&which, loopback(AF_INET), &host4));
	which = opened(any, true);
	which.address = loopback(AF_INET6);
	ck_assert_int_eq(publishing_open(&host.relay, &which), -EAFNOSUPPORT);
	teardown();
}
END_TEST

START_TEST(clients_wait_for_the_guests_card)
{
	struct relay_publish tcp, udp;
	uint16_t own;
	int fd[2];

	host.relay.card.configured = 0;
	tcp = opened(loopback(AF_INET), false);
	udp = opened(loopback(AF_INET), true);
	fd[0] = client4(SOCK_STREAM, tcp.host_port, &own);
	fd[1] = client4(SOCK_DGRAM, udp.host_port, &own);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	host_turn();
	ck_assert_uint_eq(host.clients + host.checks, 0);
	ck_assert_uint_le(host.rounds, 5);
	host.relay.card.configured = 1;
	publishing_card(&host.relay);
	host_run_clients(1);
	host_run_checks(1);
	host.relay.card.configured = 0; /* the guest starts anew */
	publishing_card(&host.relay);
	close(fd[0]);
	fd[0] = client4(SOCK_STREAM, tcp.host_port, &own);
	host_turn();
	ck_assert_uint_eq(host.clients, 1);
	host.relay.card.configured = 1;
	publishing_card(&host.relay);
	host_run_clients(2);
	close(fd[0]);
	close(fd[1]);
	teardown();
}
END_TEST

START_TEST(without_descriptors_it_rests)
{
	const struct relay_publish which = opened(loopback(AF_INET), false);
	uint16_t own;
	int fd = client4(SOCK_STREAM, which.host_port, &own);

	accept_error = EMFILE;
	host_turn();
	ck_assert_uint_eq(accept_calls, 1);
	host_turn();
	ck_assert_uint_eq(accept_calls, 1);
	accept_error = 0;
	host_run_clients(1); /* the next attempt comes by itself */
	close(fd);
	fd = client4(SOCK_STREAM, which.host_port, &own);
	accept_error = ECONNABORTED; /* says nothing about the next one */
	host_turn();
	ck_assert_uint_gt(accept_calls, PUBLISHING_ACCEPTS);
	accept_error = 0;
	host_run_clients(2);
	close(fd);
	teardown();
}
END_TEST

START_TEST(a_busy_port_leaves_others_their_turn)
{
	struct relay_publish busy = opened(loopback(AF_INET), false);
	struct relay_publish quiet = port_at(loopback(AF_INET), false);
	int fd[PUBLISHING_BACKLOG / 2];
	uint16_t own;
	unsigned i;

	quiet.guest_port = GUEST + 1;
	ck_assert_int_eq(publishing_open(&host.relay, &quiet), 0);
	for (i = 0; i < ARRAY_SIZE(fd) - 1; i++)
		fd[i] = client4(SOCK_STREAM, busy.host_port, &own);
	fd[i] = client4(SOCK_STREAM, quiet.host_port, &own);
	host_run_clients(ARRAY_SIZE(fd));
	for (i = 0; host.client_guest_port[i] != GUEST + 1; i++)
		;
	ck_assert_uint_le(i, PUBLISHING_ACCEPTS);
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	teardown();
}
END_TEST

/* Two ports lead to one of the guest; closing one ends the connections that came by it. */
START_TEST(a_closed_port_ends_its_connections)
{
	const struct relay_publish one = opened(loopback(AF_INET), false);
	const struct relay_publish two = opened(loopback(AF_INET), false);
	uint16_t own[2];
	int fd[2];

	host.accepts = true;
	fd[0] = client4(SOCK_STREAM, one.host_port, &own[0]);
	host_run_clients(1);
	fd[1] = client4(SOCK_STREAM, two.host_port, &own[1]);
	host_run_clients(2);
	ck_assert_ptr_nonnull(host_flow(&host4, GUEST, own[0], IPPROTO_TCP));
	ck_assert_int_eq(publishing_close(&host.relay, &one), 0);
	ck_assert_ptr_null(host_flow(&host4, GUEST, own[0], IPPROTO_TCP));
	ck_assert_ptr_nonnull(host_flow(&host4, GUEST, own[1], IPPROTO_TCP));
	ck_assert_int_eq(host.end, RELAY_DROPPED);
	close(fd[0]);
	close(fd[1]);
	teardown();
}
END_TEST

UNIT_MAIN_WITH(setup, "relay_listen", ports_are_closed_one_by_one, what_cannot_be_opened,
	       so_many_ports, a_client_of_a_tcp_port, all_addresses_of_both_families,
	       one_address_alone, a_host_without_ipv6, clients_wait_for_the_guests_card,
	       without_descriptors_it_rests, a_busy_port_leaves_others_their_turn,
	       a_closed_port_ends_its_connections)
