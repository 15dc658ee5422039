/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that plays with sequence numbers, against a real server that records what arrives. The
 * policy allows one request; each attempt tries to bring another one past it. The server must never
 * see a byte of that, and the same connection, played by the rules, works.
 */
#include <stdio.h>

#include "tests/support/relay_world.h"
#include "tests/support/unit.h"

#define GOOD "GET /good HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n"
#define EVIL "GET /evil HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n"
#define SIZE (sizeof(GOOD) - 1)

#define F TCP_FIN
#define S TCP_SYN
#define R TCP_RST
#define P TCP_PSH
#define A TCP_ACK
#define U 0x20u

struct step {
	uint8_t flags;
	int64_t at;	  /* sequence number, from the one behind the SYN's */
	const char *data; /* or NULL */
	uint32_t acked;	  /* added to the right acknowledgement */
	uint16_t window;  /* 0: 65535; 1: 0 */
};

struct attempt {
	const char *what;
	uint32_t isn;
	struct step step[8];
};

static struct relay_world world;
static struct world_server *server;

/* The attempts: what the guest sends after its SYN, and, where `open` does not come, at once. */
#define OPEN                     \
	{                        \
		A, 0, NULL, 0, 0 \
	}
static const struct attempt attempts[] = {
	{"evil alone", 1000, {OPEN, {P | A, 0, EVIL, 0, 0}}},
	{"overlaps the first half",
	 1000,
	 {OPEN, {A, 0, "GET /good", 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"overlaps from the middle",
	 1000,
	 {OPEN,
	  {A, 0, "GET /", 0, 0},
	  {P | A, 3, "/evil HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n", 0, 0}}},
	{"out of order, then good",
	 1000,
	 {OPEN,
	  {A, 5, "evil HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n", 0, 0},
	  {P | A, 0, "GET /good HTTP/1.1\r\n", 0, 0},
	  {A, 20, "Host: 192.0.2.4\r\n\r\n", 0, 0}}},
	{"resent with other bytes", 1000, {OPEN, {P | A, 0, GOOD, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"resent and longer", 1000, {OPEN, {P | A, 0, GOOD, 0, 0}, {P | A, 0, GOOD EVIL, 0, 0}}},
	{"evil behind good", 1000, {OPEN, {P | A, 0, GOOD EVIL, 0, 0}}},
	{"evil split behind good",
	 1000,
	 {OPEN,
	  {A, 0, GOOD "GET /", 0, 0},
	  {A, SIZE + 5, "evil HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n", 0, 0}}},
	{"a second SYN before the first byte",
	 1000,
	 {OPEN, {S, -40, NULL, 0, 0}, {A, -39, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a second SYN below, good there, evil here",
	 1000,
	 {OPEN,
	  {S, -(int64_t)SIZE - 1, NULL, 0, 0},
	  {A, -(int64_t)SIZE, GOOD, 0, 0},
	  {P | A, 0, EVIL, 0, 0}}},
	{"a second SYN above", 1000, {OPEN, {S, 100, NULL, 0, 0}, {A, 101, EVIL, 0, 0}}},
	{"a second SYN with data", 1000, {OPEN, {S, -1, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"data in the SYN's place", 1000, {OPEN, {S | A, -1, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"before the handshake", 1000, {{P | A, 0, EVIL, 1, 0}, {A, 0, EVIL, 0x80000000, 0}}},
	{"acknowledges what was never sent",
	 1000,
	 {OPEN, {P | A, 0, EVIL, 1000000, 0}, {P | A, 0, EVIL, 1, 0}}},
	{"acknowledges the past", 1000, {OPEN, {P | A, 0, EVIL, 0xffffff00, 0}}},
	{"no ACK flag", 1000, {OPEN, {P, 0, EVIL, 0, 0}, {0, 0, EVIL, 0, 0}}},
	{"all flags", 1000, {OPEN, {F | S | R | P | A | U, 0, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"no flags", 1000, {OPEN, {0, 0, EVIL, 0, 0}}},
	{"urgent", 1000, {OPEN, {P | A | U, 0, EVIL, 0, 0}}},
	{"a reset within the window, and on",
	 1000,
	 {OPEN, {R, 100, NULL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a reset with data", 1000, {OPEN, {R | A, 0, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a reset, and on", 1000, {OPEN, {R, 0, NULL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a reset out of the window",
	 1000,
	 {OPEN, {R, 500000000, NULL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"FIN, and on behind it", 1000, {OPEN, {F | A, 0, NULL, 0, 0}, {P | A, 1, EVIL, 0, 0}}},
	{"FIN with evil", 1000, {OPEN, {F | P | A, 0, EVIL, 0, 0}}},
	{"FIN far ahead", 1000, {OPEN, {F | A, 30000, NULL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"good, FIN, evil behind the FIN",
	 1000,
	 {OPEN, {F | P | A, 0, GOOD, 0, 0}, {P | A, SIZE + 1, EVIL, 0, 0}}},
	{"good, FIN, evil in the FIN's place",
	 1000,
	 {OPEN, {F | P | A, 0, GOOD, 0, 0}, {P | A, SIZE, EVIL, 0, 0}}},
	{"two FINs", 1000, {OPEN, {F | A, 0, NULL, 0, 0}, {F | P | A, 0, EVIL, 0, 0}}},
	{"numbers that wrap",
	 0xfffffff0,
	 {OPEN, {A, 0, "GET /good", 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a SYN at the wrap", 0xffffffff, {OPEN, {S, -5, NULL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"a window of 0", 1000, {OPEN, {P | A, 0, EVIL, 0, 1}}},
	{"a window that shrinks",
	 1000,
	 {OPEN, {A, 0, NULL, 0, 1}, {P | A, 0, EVIL, 0, 1}, {A, 0, NULL, 0, 0}}},
	{"beyond the window", 1000, {OPEN, {P | A, 1 << 20, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"half the numbers away",
	 1000,
	 {OPEN, {P | A, INT32_MAX, EVIL, 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"byte before the first", 1000, {OPEN, {P | A, -1, "X" EVIL, 0, 0}}},
	{"good a byte early",
	 1000,
	 {OPEN,
	  {P | A, -1, "X" GOOD, 0, 0},
	  {P | A, -1, "X" EVIL, 0, 0},
	  {A, SIZE, "GET /evil", 0, 0}}},
	{"keep-alive with a byte", 1000, {OPEN, {A, -1, "E", 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"empty segments",
	 1000,
	 {OPEN, {A, 0, "", 0, 0}, {A, 1, "", 0, 0}, {P | A, 0, EVIL, 0, 0}}},
	{"byte by byte over each other",
	 1000,
	 {OPEN,
	  {A, 0, "G", 0, 0},
	  {A, 0, "GE", 0, 0},
	  {A, 1, "ET /e", 0, 0},
	  {A, 5, "good", 0, 0},
	  {A, 5, "evil", 0, 0},
	  {A, 6, "vil HTTP/1.1\r\nHost: 192.0.2.4\r\n\r\n", 0, 0}}},
	{"the same ports after a reset",
	 1000,
	 {OPEN,
	  {P | A, 0, GOOD, 0, 0},
	  {R, SIZE, NULL, 0, 0},
	  {S, -1, NULL, 0, 0},
	  {P | A, 0, EVIL, 0, 0}}},
	{"the same ports after an end",
	 1000,
	 {OPEN, {F | P | A, 0, GOOD, 0, 0}, {S, 100000, NULL, 0, 0}, {P | A, 100001, EVIL, 0, 0}}},
};

static struct ip_address host;
static uint32_t peer_isn;
static bool answered;

/* Keeps the number of the relay's SYN-ACK, which an attacker sees too. */
static void watch(struct relay_world *of, const uint8_t *frame, size_t length)
{
	struct packet packet;

	(void)of;
	if (packet_parse(frame, length, true, &packet) != PACKET_OK || packet.kind != PACKET_TCP ||
	    (packet.tcp.flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
		return;
	peer_isn = packet.tcp.sequence;
	answered = true;
}

static bool is_answered(void *arg)
{
	(void)arg;
	return answered;
}

static void play(const struct attempt *attempt, uint16_t port)
{
	const struct tcp_segment syn = {
		.sequence = attempt->isn, .flags = TCP_SYN, .window = 65535, .mss = 1460};
	size_t i;

	answered = false;
	relay_world_segment(&world, port, &host, server->port, &syn);
	ck_assert_msg(relay_world_until(&world, is_answered, NULL), "%s", attempt->what);
	for (i = 0; i < ARRAY_SIZE(attempt->step); i++) {
		const struct step *step = &attempt->step[i];
		struct tcp_segment segment = {
			.sequence = attempt->isn + 1 + (uint32_t)step->at,
			.acknowledged = peer_isn + 1 + step->acked,
			.flags = step->flags,
			.window = step->window ? 0 : 65535,
			.data = (const uint8_t *)step->data,
			.length = step->data ? strlen(step->data) : 0,
		};

		if (!step->flags && !step->data)
			continue;
		relay_world_segment(&world, port, &host, server->port, &segment);
		relay_world_run(&world, 3000000);
	}
	relay_world_run(&world, 10000000);
}

/* What a client sent is a beginning of any number of permitted requests. */
static void check(const struct world_client *client, const char *what)
{
	size_t i;

	for (i = 0; i < client->got_length; i++)
		ck_assert_msg(client->got[i] == (uint8_t)GOOD[i % SIZE], "%s: %.*s", what,
			      (int)client->got_length, (const char *)client->got);
}

START_TEST(no_attempt_brings_a_byte_past_the_judge)
{
	struct world_connection *honest;
	unsigned i, before;

	relay_world_begin(&world, "net allow http GET host:*/good\n");
	world.on_frame = watch;
	host = world_host(AF_INET);
	server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	ck_assert_uint_ge(ARRAY_SIZE(attempts), 40);
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		before = server->clients;
		play(&attempts[i], (uint16_t)(20000 + i));
		while (before < server->clients)
			check(&server->client[before++], attempts[i].what);
		if (server->clients > ARRAY_SIZE(server->client) - 4)
			server = relay_world_serve(&world, AF_INET, WORLD_SINK);
		/* The twin. */
		before = server->clients;
		honest = relay_world_connect(&world, &host, server->port);
		ck_assert(relay_world_until(&world, world_is_open, honest));
		world_send(honest, GOOD GOOD, 2 * SIZE, true);
		while (server->clients == before || !server->client[before].ended)
			relay_world_run(&world, 1000000);
		ck_assert_uint_eq(server->client[before].got_length, 2 * SIZE);
		check(&server->client[before], "honest");
		world_abort(honest);
		if (server->clients > ARRAY_SIZE(server->client) - 4)
			server = relay_world_serve(&world, AF_INET, WORLD_SINK);
	}
	relay_world_end(&world);
}
END_TEST

UNIT_MAIN("relay_attack", no_attempt_brings_a_byte_past_the_judge)
