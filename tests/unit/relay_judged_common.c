/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_judged_common.h"

#include <sys/syscall.h>
#include <unistd.h>

struct relay_world world;
struct relay_resolver resolver;
struct world_server *server;
struct ip_address address;

/* The address of every name leads to this host. */
int connect(int fd, const struct sockaddr *to, socklen_t length)
{
	struct sockaddr_storage copy = {.ss_family = 0};

	memcpy(&copy, to, length);
	if (copy.ss_family == AF_INET || copy.ss_family == AF_INET6)
		resolver_redirect(&copy);
	return (int)syscall(SYS_connect, fd, &copy, length);
}

void begin(const char *rules, enum world_service service)
{
	relay_resolver_begin(&resolver);
	world.dns_port = resolver.port;
	relay_world_begin(&world, rules);
	relay_resolver_serve(&resolver, &world);
	address = ip_from4(RESOLVER_ADDRESS);
	server = relay_world_serve(&world, AF_INET, service);
}

void end(void)
{
	relay_resolver_end(&resolver, &world);
	relay_world_end(&world);
	memset(&world, 0, sizeof(world));
}

struct world_connection *open_one(void)
{
	struct world_connection *connection = relay_world_connect(&world, &address, server->port);

	ck_assert(relay_world_until(&world, world_is_open, connection));
	return connection;
}

bool client_has(void *length)
{
	return server->clients > 0 &&
	       server->client[server->clients - 1].got_length >= *(const size_t *)length;
}

size_t hello(uint8_t to[32768], const char *name)
{
	struct net_hello what = {.name = name};

	return net_hello(to, &what);
}

struct world_connection *begin_one(const char *rules, enum world_service service)
{
	begin(rules, service);
	relay_resolver_ask(&world, "good.example");
	return open_one();
}

size_t send_hello(struct world_connection *connection, const char *name)
{
	static uint8_t bytes[32768];
	size_t length = hello(bytes, name);

	world_send(connection, bytes, length, false);
	return length;
}
