/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's resolver with the real one for names outside, against a server on the loopback. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/unit/relay_names_common.h"

static struct loop_source server;
static unsigned queries;

/* One address, and one that no name may lead to. */
static void server_ready(void *arg, uint32_t events)
{
	static const uint8_t records[2][28] = {
		{0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x2a, 0x00, 0x14, 0x50, [27] = 0x42},
		{0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0xfd, [27] = 0x05}};
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	uint8_t data[2048];
	ssize_t length = recvfrom(server.fd, data, 1024, 0, (void *)&from, &size);

	(void)arg;
	(void)events;
	ck_assert_int_gt(length, DNS_HEADER + 11);
	length -= 11; /* without the OPT record */
	ck_assert_uint_eq(load_be16(data + length - 4), DNS_TYPE_AAAA);
	store_be16(data + 2, 0x8180);
	store_be16(data + 6, 2);
	store_be16(data + 10, 0);
	memcpy(data + length, records, sizeof(records));
	length += (ssize_t)sizeof(records);
	ck_assert_int_eq(sendto(server.fd, data, (size_t)length, 0, (void *)&from, size), length);
	queries++;
}

static void check_sent(void *arg)
{
	if (sent.count > 0)
		loop_stop(relay.loop);
	else
		loop_timer_start(relay.loop, arg, 1000000);
}

START_TEST(a_name_is_resolved_outside)
{
	struct loop_timer timer = {.expired = check_sent, .arg = &timer};
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	struct ip_address six = {.family = AF_INET6, .bytes = {0x2a, 0, 0x14, 0x50, [15] = 0x42}};
	struct resolver_servers servers;

	begin_names();
	server = (struct loop_source){.fd = socket(AF_INET, SOCK_DGRAM, 0), .ready = server_ready};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(server.fd, (void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(server.fd, (void *)&address, &size), 0);
	ck_assert_int_eq(loop_add(relay.loop, &server, EPOLLIN), 0);
	resolver_parse("nameserver 127.0.0.1\n", 21, ntohs(address.sin_port), &servers);
	names_set_resolvers(names, &servers);
	ask("api.example.com", DNS_TYPE_AAAA);
	verdict(true);
	loop_timer_start(relay.loop, &timer, 0);
	ck_assert_int_eq(loop_run(relay.loop), 0);
	ck_assert_uint_eq(queries, 1);
	ck_assert_int_eq(sent_rcode(), DNS_NO_ERROR);
	ck_assert_uint_eq(sent_records(), 1);
	ck_assert_mem_eq(sent_address(), six.bytes, 16);
	ck_assert(names_have(names, "api.example.com", &six, relay_now(&relay)));
	loop_remove(relay.loop, &server);
	close(server.fd);
	end_names();
}
END_TEST

UNIT_MAIN("relay_names_real", a_name_is_resolved_outside)
