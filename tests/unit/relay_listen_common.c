/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_listen_common.h"

#include <sys/socket.h>

#include "tests/unit/relay_peers_common.h"

struct ip_address host4, host6;
const struct ip_address any = {.family = 0};

void setup(void)
{
	if (!host_own_network())
		host_skip("relay_listen", "no network namespaces here: ports of the host itself");
	host_setup();
	host4 = ip_own(AF_INET, IP_OWN_HOST);
	host6 = ip_own(AF_INET6, IP_OWN_HOST);
	ck_assert_int_eq(publishing_create(&host.relay), 0);
}

void teardown(void)
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

struct relay_publish port_at(struct ip_address address, bool udp)
{
	return (struct relay_publish){.address = address,
				      .host_port = free_port(udp ? SOCK_DGRAM : SOCK_STREAM),
				      .guest_port = GUEST,
				      .udp = udp};
}

struct relay_publish opened(struct ip_address address, bool udp)
{
	const struct relay_publish which = port_at(address, udp);

	ck_assert_int_eq(publishing_open(&host.relay, &which), 0);
	return which;
}

int client(int type, const struct ip_address *to, uint16_t port, uint16_t *own)
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

int client4(int type, uint16_t port, uint16_t *own)
{
	const struct ip_address to = loopback(AF_INET);
	int fd = client(type, &to, port, own);

	ck_assert_int_ge(fd, 0);
	return fd;
}
