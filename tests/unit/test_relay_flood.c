/* SPDX-License-Identifier: Apache-2.0 */
/* Floods of the guest's, after which its network works as before. */
#include "tests/support/relay_world.h"
#include "tests/support/unit.h"
#include "vmm/relay/link.h"

#define SYNS  100000
#define BATCH 50 /* frames before the relay has its turn: the link takes many more */

static struct relay_world world;

static void flood(const struct ip_address *to, uint16_t peer_port)
{
	struct tcp_segment syn = {.flags = TCP_SYN, .window = 65535, .mss = 1460};
	unsigned i;

	for (i = 0; i < SYNS; i++) {
		syn.sequence = i * 7919;
		relay_world_segment(&world, (uint16_t)(1024 + i % 60000), to, peer_port, &syn);
		while (i % BATCH == BATCH - 1 && !link_has_room(world.frames))
			relay_world_run(&world, 100000);
	}
	while (world.relay->stats.guest_frames < SYNS)
		relay_world_run(&world, 100000);
}

static bool no_flow(void *arg)
{
	(void)arg;
	return world.relay->flows.count == 0;
}

static void still_works(const struct ip_address *to, const struct world_server *server)
{
	struct world_connection *connection;

	do /* its rate of new flows may be used up for a moment */
		connection = relay_world_connect(&world, to, server->port);
	while (!relay_world_until(&world, world_is_open_or_closed, connection) ||
	       !world_is_open(connection));
	world_send(connection, "hello", 5, true);
	ck_assert(relay_world_until(&world, world_has_ended, connection));
	ck_assert_uint_eq(connection->got_length, 5);
}

START_TEST(connections_that_are_refused_by_the_policy)
{
	struct ip_address host = world_host(AF_INET), outside = ip_from4(0x08080808);
	struct world_server *server;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	flood(&outside, 443);
	ck_assert_uint_eq(world.relay->flows.count, 0);
	ck_assert_uint_eq(world.relay->memory.used, 0);
	/* The log has some of them, and the number of the others is known. */
	ck_assert_uint_gt(world.relay->stats.unlogged, 0);
	ck_assert_uint_lt(world.checks, 5000);
	still_works(&host, server);
	relay_world_end(&world);
}
END_TEST

START_TEST(connections_that_the_host_refuses)
{
	struct ip_address host = world_host(AF_INET);
	struct world_server *server;

	relay_world_begin(&world, "net allow tcp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	flood(&host, 1);
	ck_assert(relay_world_until(&world, no_flow, NULL));
	ck_assert_uint_eq(world.relay->memory.used, 0);
	ck_assert_uint_gt(world.relay->stats.flooded, 0);
	still_works(&host, server);
	relay_world_end(&world);
}
END_TEST

/* Every kind of frame, cut at every length. */
START_TEST(frames_cut_at_every_length)
{
	struct ip_address host = world_host(AF_INET), host6 = world_host(AF_INET6);
	const struct ip_address *const to[] = {&host, &host6};
	struct packet_offload offload;
	struct world_server *server;
	uint8_t frame[PACKET_HEADERS_MAX + 64] = {0};
	size_t length, cut, i;

	relay_world_begin(&world, "net allow tcp host:*\nnet allow udp host:*\n");
	server = relay_world_serve(&world, AF_INET, WORLD_ECHO);
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		const struct ip_address guest = ip_own(to[i]->family, IP_OWN_GUEST);
		const struct tcp_segment segment = {
			.flags = TCP_ACK, .data = frame + PACKET_HEADERS_MAX, .length = 40};

		length = packet_write_tcp(&world.ends, &guest, 1000, to[i], 1, &segment, frame,
					  &offload);
		for (cut = 0; cut <= length; cut++)
			relay_world_frame(&world, frame, cut);
		length = packet_write_udp(&world.ends, &guest, 1000, to[i], 1,
					  frame + PACKET_HEADERS_MAX, 40, frame, &offload);
		for (cut = 0; cut <= length; cut++)
			relay_world_frame(&world, frame, cut);
		relay_world_run(&world, 20000000);
	}
	ck_assert_uint_gt(world.relay->stats.drop[PACKET_TRUNCATED], 100);
	still_works(&host, server);
	relay_world_end(&world);
}
END_TEST

UNIT_MAIN("relay_flood", connections_that_are_refused_by_the_policy,
	  connections_that_the_host_refuses, frames_cut_at_every_length)
