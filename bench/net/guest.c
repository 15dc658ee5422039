/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/guest.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/net/guest_internal.h"
#include "vmm/base/bytes.h"

#define PATIENCE_NS	UINT64_C(30000000000) /* for anything to happen */
#define FLIGHT_NS	UINT64_C(300000000)   /* wait so long for datagrams in flight */
#define CONNECTIONS_MAX 500		      /* as in measures.c */

struct guest guest;

static void __attribute__((noreturn)) give_up(const char *why)
{
	fprintf(stderr, "net-relay: %s: %s\n",
		guest.what < MEASURES ? measure_name[guest.what] : "the counter", why);
	exit(1);
}

static void open_connection(enum port port)
{
	tcp_destroy(guest.tcp);
	guest.tcp = NULL;
	guest.port = port;
	guest.local_port = (uint16_t)(guest.local_port < 60000 ? guest.local_port + 1 : FIRST_PORT);
	if (tcp_open_active(&guest.tcp, &guest.config, NULL, (uint32_t)random(), loop_now_ns()) < 0)
		give_up("out of memory");
}

/* Both ends are to close. Returns whether they have. */
static bool close_connection(void)
{
	size_t length;

	tcp_shutdown(guest.tcp);
	while (tcp_peek(guest.tcp, &length))
		tcp_consume(guest.tcp, length);
	tcp_flush(guest.tcp, loop_now_ns());
	return (tcp_look(guest.tcp) & (TCP_LOOK_ENDED | TCP_LOOK_SENT)) ==
	       (TCP_LOOK_ENDED | TCP_LOOK_SENT);
}

static bool time_is_up(void)
{
	return loop_now_ns() - guest.began_ns >= guest.length_ns;
}

/* What the bytes are does not matter, so they are not written. */
static void step_out(void)
{
	size_t room;

	while (!time_is_up() && tcp_reserve(guest.tcp, CARD_MTU, &room)) {
		tcp_commit(guest.tcp, room);
		guest.total += (double)room;
	}
	if (time_is_up())
		guest.done = close_connection();
}

/* Takes what has come; returns how many bytes. */
static size_t take(uint8_t *to, size_t most)
{
	const uint8_t *from;
	size_t length, taken = 0;

	while ((from = tcp_peek(guest.tcp, &length)) != NULL) {
		if (to && taken < most)
			memcpy(to + taken, from, min_u64(length, most - taken));
		taken += length;
		tcp_consume(guest.tcp, length);
	}
	return taken;
}

static void step_in(void)
{
	guest.total += (double)take(NULL, 0);
	if (!time_is_up())
		return;
	tcp_abort(guest.tcp);
	guest.done = true;
}

static void step_round_trip(void)
{
	size_t came = take(NULL, 0);

	if (came == 0 && (guest.total > 0 || guest.ending))
		return;
	guest.total += (double)came;
	guest.ending = true; /* the first byte is on its way */
	if (time_is_up()) {
		tcp_abort(guest.tcp);
		guest.done = true;
		return;
	}
	tcp_write(guest.tcp, "x", 1);
}

static void step_connections(void)
{
	if (!(tcp_look(guest.tcp) & TCP_LOOK_ENDED))
		return;
	guest.total++;
	tcp_shutdown(guest.tcp);
	tcp_flush(guest.tcp, loop_now_ns());
	guest.done = time_is_up() || guest.total >= CONNECTIONS_MAX;
	if (!guest.done)
		open_connection(CLOSER);
}

/* The server's count of datagrams. */
static void step_counter(void)
{
	if (take((uint8_t *)&guest.counter, sizeof(guest.counter)) > 0)
		guest.total = 1;
	if (guest.total > 0)
		guest.done = close_connection();
}

static void step(void)
{
	if (tcp_look(guest.tcp) & TCP_LOOK_CLOSED && tcp_cause(guest.tcp) != TCP_CAUSE_ENDED)
		give_up(tcp_cause(guest.tcp) == TCP_CAUSE_TIMEOUT ? "time-out" : "reset");
	if (!(tcp_look(guest.tcp) & TCP_LOOK_OPEN))
		return;
	switch (guest.what) {
	case OUT:
		step_out();
		break;
	case IN:
		step_in();
		break;
	case ROUND_TRIP:
		step_round_trip();
		break;
	case CONNECTIONS:
		step_connections();
		break;
	default:
		step_counter();
		break;
	}
}

static void flood(void)
{
	for (; guest_has_slots() && guest.card->room() && !time_is_up(); guest_pump()) {
		guest_datagram();
		guest.total++;
	}
	if (time_is_up() && guest.waiting == 0)
		guest.done = true;
	else
		loop_defer(guest.loop, &guest.work);
}

/* After a round of frames: the application's turn, then the endpoint's, then the card's. */
static void work(void *arg)
{
	uint64_t now, deadline;

	(void)arg;
	if (guest.done)
		return;
	loop_timer_start(guest.loop, &guest.patience, PATIENCE_NS);
	if (guest.card->turn)
		guest.card->turn(true);
	if (!guest.tcp)
		flood();
	else
		step();
	if (guest.tcp && guest_has_slots())
		tcp_flush(guest.tcp, loop_now_ns());
	guest_pump();
	if (guest.card->turn)
		guest.card->turn(false);
	now = loop_now_ns();
	deadline = guest.tcp && guest_has_slots() ? tcp_deadline(guest.tcp) : TCP_NEVER;
	if (guest.done)
		loop_stop(guest.loop);
	else if (deadline != TCP_NEVER)
		loop_timer_start(guest.loop, &guest.timer, deadline > now ? deadline - now : 0);
}

static void timer_expired(void *arg)
{
	if (guest.done)
		return;
	if (guest.tcp)
		tcp_tick(guest.tcp, loop_now_ns());
	work(arg);
}

static void patience_over(void *arg)
{
	(void)arg;
	give_up("nothing has happened for 30 seconds");
}

/* One connection, or the datagrams; returns the seconds until its end. */
static double run(enum measure what, double seconds)
{
	guest.what = what;
	guest.total = 0;
	guest.done = guest.ending = false;
	guest.began_ns = loop_now_ns();
	guest.length_ns = (uint64_t)(seconds * 1e9);
	loop_defer(guest.loop, &guest.work);
	if (loop_run(guest.loop) < 0 || !guest.done)
		give_up("the loop has stopped");
	return (double)(loop_now_ns() - guest.began_ns) / 1e9;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(guest.loop);
}

static void rest(uint64_t time_ns)
{
	struct loop_timer timer = {.expired = stop};

	loop_timer_start(guest.loop, &timer, time_ns);
	loop_run(guest.loop);
}

static uint64_t arrived(void)
{
	open_connection(COUNTER);
	run(MEASURES, 0);
	return guest.counter;
}

static struct outcome datagrams(double seconds)
{
	uint64_t before = arrived();
	double took, count;

	tcp_destroy(guest.tcp);
	guest.tcp = NULL;
	took = run(DATAGRAMS, seconds);
	loop_timer_stop(guest.loop, &guest.patience);
	rest(FLIGHT_NS);
	count = (double)(arrived() - before);
	return (struct outcome){count / took, count};
}

struct outcome guest_measure(enum measure what, double seconds)
{
	static const enum port port[] = {
		[OUT] = SINK, [IN] = SOURCE, [ROUND_TRIP] = ECHO, [CONNECTIONS] = CLOSER};
	double took;

	if (what == DATAGRAMS)
		return datagrams(seconds);
	open_connection(port[what]);
	took = run(what, seconds);
	loop_timer_stop(guest.loop, &guest.patience);
	if (what == ROUND_TRIP)
		return (struct outcome){1e6 * took / guest.total, guest.total};
	if (what == CONNECTIONS)
		return (struct outcome){guest.total / took, guest.total};
	return (struct outcome){guest.total / 1e6 / took, guest.total / 1e6};
}

void guest_create(struct loop *loop, const struct card *card)
{
	struct in_addr server;

	/* A source of frames that gives memory to the host and takes it again is no measure. */
	mallopt(M_TRIM_THRESHOLD, (int)MIB(64));
	mallopt(M_MMAP_THRESHOLD, (int)MIB(16));
	inet_pton(AF_INET, SERVER, &server);
	guest.loop = loop;
	guest.card = card;
	guest.server = ntohl(server.s_addr);
	guest.local_port = FIRST_PORT;
	guest.memory.max = MIB(64);
	guest.config = (struct tcp_config){
		.output = guest_output, .mss = CARD_MTU - 40, .memory = &guest.memory};
	guest.work = (struct loop_task){.run = work};
	guest.timer = (struct loop_timer){.expired = timer_expired};
	guest.patience = (struct loop_timer){.expired = patience_over};
}
