/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/relay_resolver.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/net/dns.h"

#define QUERY_PORT 5353

static void must(bool true_one, const char *what)
{
	if (true_one)
		return;
	perror(what);
	abort();
}

/* The question comes back with one record behind it. */
static void query_ready(void *arg, uint32_t events)
{
	static const uint8_t record[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
	struct relay_resolver *resolver = arg;
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	uint8_t data[1024];
	size_t end = DNS_HEADER;
	ssize_t n = recvfrom(resolver->source.fd, data, 512, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &size);

	(void)events;
	if (n < DNS_HEADER)
		return;
	resolver->queries++;
	while (end < (size_t)n && data[end])
		end += 1u + data[end];
	end += 5;
	store_be16(data + 2, 0x8180);
	store_be16(data + 6, data[end - 3] == DNS_TYPE_A);
	store_be16(data + 8, 0);
	store_be16(data + 10, 0);
	if (data[end - 3] == DNS_TYPE_A) {
		memcpy(data + end, record, sizeof(record));
		store_be32(data + end + sizeof(record), resolver->address);
		end += sizeof(record) + 4;
	}
	sendto(resolver->source.fd, data, end, 0, (struct sockaddr *)&from, size);
}

void relay_resolver_begin(struct relay_resolver *resolver)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*resolver = (struct relay_resolver){.address = RESOLVER_ADDRESS};
	resolver->source = (struct loop_source){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
						.ready = query_ready,
						.arg = resolver};
	must(bind(resolver->source.fd, (struct sockaddr *)&address, size) == 0 &&
		     getsockname(resolver->source.fd, (struct sockaddr *)&address, &size) == 0,
	     "resolver");
	resolver->port = ntohs(address.sin_port);
}

void relay_resolver_serve(struct relay_resolver *resolver, struct relay_world *world)
{
	must(loop_add(world->loop, &resolver->source, EPOLLIN) == 0, "resolver");
}

void relay_resolver_end(struct relay_resolver *resolver, struct relay_world *world)
{
	loop_remove(world->loop, &resolver->source);
	close(resolver->source.fd);
}

static bool has_response(void *arg)
{
	const struct relay_world *world = arg;

	return world->last.kind == PACKET_UDP && world->last.target_port == QUERY_PORT;
}

void relay_resolver_ask(struct relay_world *world, const char *name)
{
	const struct ip_address guest = ip_own(AF_INET, IP_OWN_GUEST),
				router = ip_own(AF_INET, IP_OWN_ROUTER);
	uint8_t query[DNS_QUERY_MAX], frame[PACKET_HEADERS_MAX + DNS_QUERY_MAX];
	struct packet_offload offload;
	const struct dns_query what = {.name = name, .type = DNS_TYPE_A, .id = 1};
	size_t length = dns_write_query(&what, query), headers;

	memset(&world->last, 0, sizeof(world->last));
	headers = packet_write_udp(&world->ends, &guest, QUERY_PORT, &router, 53, query, length,
				   frame, &offload);
	memcpy(frame + headers, query, length);
	relay_world_frame(world, frame, headers + length);
	must(relay_world_until(world, has_response, world), "response");
}

void resolver_redirect(struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET && (ntohl(four->sin_addr.s_addr) == RESOLVER_ADDRESS ||
					      ntohl(four->sin_addr.s_addr) == RESOLVER_PRIVATE))
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must((address->ss_family == AF_INET &&
	      ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) ||
		     (address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr)),
	     "a connection to the outside");
}
