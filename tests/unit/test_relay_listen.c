/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports, in a network of the test's own where the host permits that. */
#include "vmm/relay/listen.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/unit/relay_exchange_common.h"
#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_peers_common.h"

#define GUEST 80

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

/* --- what all tests begin and end with -------------------------------------------------------- */

static struct ip_address host4, host6; /* clients of the loopback, as the guest sees them */

static void setup(void)
{
	if (!host_own_network())
		host_skip("relay_listen", "no network namespaces here: ports of the host itself");
	host_setup();
	host4 = ip_own(AF_INET, IP_OWN_HOST);
	host6 = ip_own(AF_INET6, IP_OWN_HOST);
	ck_assert_int_eq(publishing_create(&host.relay), 0);
}

static void teardown(void)
{
	publishing_destroy(&host.relay);
	ck_assert_uint_eq(host.relay.flows.count, 0);
	publishing_destroy(&host.relay);
	host_teardown();
}

/* A port that is available. */
static uint16_t free_port(int type)
{
	uint16_t port = 0;

	close(peer_open(AF_INET, type, &port));
	return port;
}

static struct relay_publish port_at(struct ip_address address, bool udp)
{
	return (struct relay_publish){.address = address,
				      .host_port = free_port(udp ? SOCK_DGRAM : SOCK_STREAM),
				      .guest_port = GUEST,
				      .udp = udp};
}

static struct relay_publish opened(struct ip_address address, bool udp)
{
	const struct relay_publish which = port_at(address, udp);

	ck_assert_int_eq(publishing_open(&host.relay, &which), 0);
	return which;
}

static const struct ip_address any = {.family = 0};

/* A client that connects to an address of this host, or says a word. Its port. */
static int client(int type, const struct ip_address *to, uint16_t port, uint16_t *own)
{
	struct sockaddr_storage at;
	socklen_t length = ip_to_socket(to, port, &at);
	struct ip_address address;
	int fd;

	*own = 0;
	fd = peer_open(to->family, type, own);
	if (connect(fd, (struct sockaddr *)&at, length) < 0) {
		close(fd);
		return -1;
	}
	length = sizeof(at);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	ck_assert(ip_from_socket(&at, &address, own));
	return fd;
}

static int client4(int type, uint16_t port, uint16_t *own)
{
	const struct ip_address to = loopback(AF_INET);
	int fd = client(type, &to, port, own);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* --- opening and closing ---------------------------------------------------------------------- */

START_TEST(ports_are_listed_and_closed)
{
	const struct relay_publish one = opened(loopback(AF_INET), false);
	const struct relay_publish two = opened(loopback(AF_INET), true);
	struct relay_publish other = one;
	const struct ip_address to = loopback(AF_INET);
	uint16_t own;

	ck_assert_uint_eq(publishing_each(&host.relay, 0)->host_port, one.host_port);
	ck_assert_uint_eq(publishing_each(&host.relay, 1)->host_port, two.host_port);
	ck_assert_ptr_null(publishing_each(&host.relay, 2));
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
	ck_assert_uint_eq(publishing_each(&host.relay, 0)->host_port, two.host_port);
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

/* --- UDP -------------------------------------------------------------------------------------- */

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

UNIT_MAIN_WITH(setup, "relay_listen", ports_are_listed_and_closed, what_cannot_be_opened,
	       so_many_ports, a_client_of_a_tcp_port, all_addresses_of_both_families,
	       one_address_alone, a_host_without_ipv6, clients_wait_for_the_guests_card,
	       without_descriptors_it_rests, a_busy_port_leaves_others_their_turn,
	       a_closed_port_ends_its_connections, a_client_of_a_udp_port,
	       clients_of_all_addresses_of_both_families, clients_of_all_ipv4_addresses,
	       the_end_of_a_client_leaves_the_others, the_monitor_denies_a_client,
	       clients_that_cannot_begin, a_flow_of_the_guest_comes_first,
	       clients_that_look_the_same, a_client_of_two_ports, without_room_nothing_is_read,
	       longer_than_the_guest_takes, the_policy_changes)
