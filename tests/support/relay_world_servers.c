/* SPDX-License-Identifier: Apache-2.0 */
/* Servers on loopback that the guest of a relay_world reaches. */
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/support/relay_world_internal.h"
#include "vmm/base/bytes.h"

static void client_ready(void *arg, uint32_t events)
{
	struct world_client *client = arg;
	uint8_t bytes[65536];
	ssize_t n;

	(void)events;
	while (client->server->service != WORLD_DEAF && !client->ended) {
		n = recv(client->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			client->ended = true;
			client->reset = n < 0;
			break;
		}
		keep(&client->got, &client->got_length, &client->got_size, bytes, (size_t)n);
	}
	while (client->server->service == WORLD_ECHO && client->echoed < client->got_length) {
		n = send(client->source.fd, client->got + client->echoed,
			 client->got_length - client->echoed, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		client->echoed += (size_t)n;
	}
	while (client->server->service == WORLD_SOURCE &&
	       client->echoed < client->server->script_length) {
		n = send(client->source.fd, client->server->script + client->echoed,
			 client->server->script_length - client->echoed,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		client->echoed += (size_t)n;
	}
	if ((client->server->service == WORLD_ECHO && client->ended &&
	     client->echoed == client->got_length) ||
	    (client->server->service == WORLD_SOURCE && client->server->end_script &&
	     client->echoed == client->server->script_length))
		shutdown(client->source.fd, SHUT_WR);
}

static void server_ready(void *arg, uint32_t events)
{
	struct world_server *server = arg;
	struct world_client *client = &server->client[server->clients];
	int fd = accept(server->source.fd, NULL, NULL);

	(void)events;
	must(fd >= 0 && server->clients < ARRAY_SIZE(server->client), "accept");
	server->clients++;
	client->server = server;
	client->source = (struct loop_source){.fd = fd, .ready = client_ready, .arg = client};
	must(loop_add(server->world->loop, &client->source, EPOLLIN | EPOLLOUT | EPOLLET) == 0,
	     "client");
	client_ready(client, 0);
}

struct world_server *relay_world_serve(struct relay_world *world, unsigned family,
				       enum world_service service)
{
	struct world_server *server = &world->server[world->servers++];
	struct ip_address host = world_host(family), loopback = relay_outside(&host), none;
	struct sockaddr_storage address;
	socklen_t length = ip_to_socket(&loopback, 0, &address);
	int fd = socket((int)family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(world->servers <= ARRAY_SIZE(world->server), "servers");
	*server = (struct world_server){.world = world, .service = service};
	server->source = (struct loop_source){.fd = fd, .ready = server_ready, .arg = server};
	must(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, 1024) == 0,
	     "listen");
	must(getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
		     ip_from_socket(&address, &none, &server->port),
	     "getsockname");
	must(loop_add(world->loop, &server->source, EPOLLIN) == 0, "server");
	return server;
}

void relay_world_close_servers(struct relay_world *world)
{
	unsigned i, j;

	for (i = 0; i < world->servers; i++) {
		struct world_server *server = &world->server[i];

		for (j = 0; j < server->clients; j++) {
			loop_remove(world->loop, &server->client[j].source);
			close(server->client[j].source.fd);
			free(server->client[j].got);
		}
		loop_remove(world->loop, &server->source);
		close(server->source.fd);
	}
}
