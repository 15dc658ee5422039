/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two small TCPs that do nothing wrong, over a network that loses, repeats and reorders: whatever
 * the filter makes of their segments, everything arrives, both ends close, and the ports can be
 * used again.
 */
#include <stdlib.h>

#include "tests/support/net_filter_host.h"

#define SERVER	(NET_PEER + 5)
#define ROUNDS	16u
#define STEPS	6000u
#define WINDOW	6000u
#define LARGEST 1460u
#define TRANSIT 64u
#define TOTAL	12000u

enum state { CLOSED, SYN_SENT, SYN_RECEIVED, ESTABLISHED };

/* One end. Numbers are offsets: 0 is the SYN, 1 the first byte, total + 1 the FIN. */
struct end_point {
	enum state state;
	uint32_t iss, irs;
	uint32_t acked, next, received; /* received: behind what has come in order */
	uint32_t total;			/* bytes to say */
	uint32_t close_at;		/* says its FIN when so much of the other has come */
	bool other_fin;
	uint32_t other_total;
	bool there[TOTAL + 4]; /* what has come, in order or not */
	const uint8_t *text, *other_text;
	bool reset;
};

struct packet {
	size_t length;
	uint8_t data[2000];
};

static struct end_point client, server;
static struct packet transit[2][TRANSIT]; /* to the server, to the client, outside of the filter */
static unsigned waiting[2];
static unsigned loss; /* of 100 */
static bool server_calls;
static uint16_t port;

static unsigned dice(unsigned sides)
{
	return (unsigned)random() % sides;
}

static void put_packet(unsigned way, const uint8_t *frame, size_t length)
{
	if (dice(100) < loss || waiting[way] == TRANSIT)
		return;
	ck_assert_uint_le(length, sizeof(transit[0][0].data));
	transit[way][waiting[way]].length = length;
	memcpy(transit[way][waiting[way]++].data, frame, length);
	if (dice(100) < loss && waiting[way] < TRANSIT)
		transit[way][waiting[way]] = transit[way][waiting[way] - 1], waiting[way]++;
}

static void say_segment(struct end_point *from, uint32_t at, uint32_t length, uint8_t flags);

/* A number of the old connection's: the other end's idea of where this one is. */
static void say_reset(struct end_point *from, uint32_t number)
{
	uint32_t iss = from->iss;

	from->iss = number;
	say_segment(from, 0, 0, TCP_RST);
	from->iss = iss;
}

/* --- the two ends ----------------------------------------------------------------------------- */

static bool wants_fin(const struct end_point *end_point)
{
	return end_point->received > end_point->close_at;
}

static uint32_t limit_of(const struct end_point *of)
{
	return 1 + of->total + wants_fin(of);
}

/* One segment from an offset on, no further than the end. */
static uint32_t send_from(struct end_point *of, uint32_t at)
{
	uint32_t bytes_left = at <= of->total ? of->total + 1 - at : 0,
		 length = (uint32_t)min_u64(bytes_left, 1 + dice(LARGEST));
	bool fin = wants_fin(of) && at + length == of->total + 1;

	say_segment(of, at, length, TCP_ACK | (fin ? TCP_FIN : 0));
	return at + length + fin;
}

static void acknowledge_now(struct end_point *of)
{
	say_segment(of, of->next, 0, TCP_ACK);
}

/* The timer: the SYN, or what is not acknowledged, or new data. */
static void act(struct end_point *of)
{
	uint32_t end_at;

	if (of->state == SYN_SENT)
		say_segment(of, 0, 0, TCP_SYN);
	else if (of->state == SYN_RECEIVED)
		say_segment(of, 0, 0, TCP_SYN | TCP_ACK);
	if (of->state != ESTABLISHED)
		return;
	if (of->next < limit_of(of) && of->next - of->acked < WINDOW) {
		of->next = send_from(of, of->next);
		return;
	}
	switch (dice(8)) {
	case 0: /* a keep-alive */
		say_segment(of, of->acked - 1, 0, TCP_ACK);
		break;
	case 1:
		acknowledge_now(of);
		break;
	default:
		if (of->acked < of->next) {
			end_at = send_from(of, of->acked);
			of->next = (uint32_t)max_u64(of->next, end_at);
		}
	}
}

static void take_data(struct end_point *of, const struct frame *frame, uint32_t at)
{
	bool fin = frame->tcp_flags & TCP_FIN;
	uint32_t i;

	for (i = 0; i < frame->payload_length; i++) {
		if (at + i == 0 || at + i > of->other_total)
			continue;
		ck_assert_uint_eq(frame->data[frame->payload + i], of->other_text[at + i - 1]);
		of->there[at + i] = true;
	}
	if (fin) {
		ck_assert_uint_eq(at + frame->payload_length, of->other_total + 1);
		of->there[of->other_total + 1] = true;
	}
	while (of->received <= of->other_total + 1 && of->there[of->received])
		of->received++;
	if (frame->payload_length > 0 || fin || at < of->received)
		acknowledge_now(of);
}

static void take(struct end_point *of, const struct frame *frame)
{
	uint32_t ack = frame->acknowledged - of->iss;
	uint8_t flags = frame->tcp_flags;

	if (flags & TCP_RST) {
		of->reset = true;
		return;
	}
	if (flags & TCP_SYN) {
		if (of->state == CLOSED || of->state == SYN_RECEIVED) {
			of->irs = frame->sequence;
			of->state = SYN_RECEIVED;
			of->next = 1;
			of->received = 1;
			say_segment(of, 0, 0, TCP_SYN | TCP_ACK);
		} else if (of->state == SYN_SENT && (flags & TCP_ACK) && ack == 1) {
			of->irs = frame->sequence;
			of->state = ESTABLISHED;
			of->acked = of->next = of->received = 1;
			acknowledge_now(of);
		} else if (of->state == ESTABLISHED) {
			acknowledge_now(of);
		}
		return;
	}
	/* Of an old connection: it is reset, and the SYN comes once more. */
	if (of->state == SYN_SENT && (flags & TCP_ACK) && ack != 1)
		say_reset(of, frame->acknowledged);
	if (of->state == CLOSED || of->state == SYN_SENT)
		return;
	if (of->state == SYN_RECEIVED && ack == 1) {
		of->state = ESTABLISHED;
		of->acked = 1;
	}
	if (of->state != ESTABLISHED)
		return;
	/* The filter acknowledges what it holds back: then it is its to deliver. */
	if (ack > of->acked && ack <= of->next)
		of->acked = ack;
	take_data(of, frame, frame->sequence - of->irs);
}

/* --- the network ------------------------------------------------------------------------------ */

static void say_segment(struct end_point *from, uint32_t at, uint32_t length, uint8_t flags)
{
	struct net_segment segment = {.source = ADDRESS_GUEST,
				      .target = SERVER,
				      .source_port = server_calls ? port : 40000,
				      .target_port = server_calls ? 40000 : port,
				      .flags = flags,
				      .sequence = from->iss + at,
				      .acknowledged =
					      flags & TCP_ACK ? from->irs + from->received : 0,
				      .payload = length ? from->text + at - 1 : NULL,
				      .length = length};
	static uint8_t frame[FRAME_MAX];
	size_t size;

	if (from == &client) {
		size = net_tcp(frame, &segment);
		filter_from_guest(filter, frame, size, false, now);
		return;
	}
	segment.source = SERVER;
	segment.target = ADDRESS_GUEST;
	segment.source_port = server_calls ? 40000 : port;
	segment.target_port = server_calls ? port : 40000;
	size = net_tcp(frame, &segment);
	net_turn(frame);
	put_packet(1, frame, size);
}

/* From the filter: guest frames wait in a list as well, as they are handled one by one. */
static struct packet arrived[TRANSIT];
static unsigned arrived_count;

static void filter_to_guest(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	if (arrived_count == TRANSIT)
		return;
	arrived[arrived_count].length = length;
	memcpy(arrived[arrived_count++].data, frame, length);
}

static void filter_to_peer(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	put_packet(0, frame, length);
}

static void deliver(unsigned way)
{
	unsigned pick = loss > 0 ? dice((unsigned)min_u64(waiting[way], 3)) : 0;
	static struct packet packet;
	struct frame frame;

	packet = transit[way][pick];
	memmove(&transit[way][pick], &transit[way][pick + 1],
		(--waiting[way] - pick) * sizeof(packet));
	if (way == 1) {
		filter_from_peer(filter, packet.data, packet.length, now);
		return;
	}
	ck_assert_int_eq(frame_parse(packet.data, packet.length, false, &frame), FRAME_OK);
	take(&server, &frame);
}

static void guest_takes(void)
{
	static struct packet packet;
	struct frame frame;

	packet = arrived[0];
	memmove(&arrived[0], &arrived[1], --arrived_count * sizeof(packet));
	ck_assert_int_eq(frame_parse(packet.data, packet.length, false, &frame), FRAME_OK);
	take(&client, &frame);
}

/* --- a connection ----------------------------------------------------------------------------- */

static uint8_t said_by_client[TOTAL + 1], said_by_server[TOTAL + 1];

static void prepare(struct end_point *of, uint32_t total, const uint8_t *text)
{
	*of = (struct end_point){.iss = (uint32_t)random() * 3u, .total = total, .text = text};
	if (dice(3) == 0)
		of->iss = UINT32_MAX - dice(TOTAL); /* wraps */
}

static bool is_over(const struct end_point *of)
{
	return of->state == ESTABLISHED && of->received == of->other_total + 2 &&
	       of->acked == of->total + 2;
}

static void connection(bool tls, unsigned round)
{
	size_t length = hello("tls.example.com");
	unsigned i;

	for (i = 0; i < TOTAL; i++) {
		said_by_client[i] = (uint8_t)random();
		said_by_server[i] = (uint8_t)random();
	}
	if (tls)
		memcpy(said_by_client, hello_bytes, length);
	prepare(&client, tls ? (uint32_t)length + dice(TOTAL - 4000) : dice(TOTAL), said_by_client);
	prepare(&server, dice(TOTAL), said_by_server);
	client.other_total = server.total;
	client.other_text = said_by_server;
	server.other_total = client.total;
	server.other_text = said_by_client;
	/* Who closes when: at once, or when the other's end has come, but not both wait. */
	client.close_at = dice(2) ? 0 : server.total + 1;
	server.close_at = client.close_at == 0 && dice(2) ? client.total + 1 : 0;
	(server_calls ? &server : &client)->state = SYN_SENT;
	for (i = 0; i < STEPS && !(is_over(&client) && is_over(&server)); i++) {
		now += SECOND / 100;
		switch (dice(5)) {
		case 0:
			act(&client);
			break;
		case 1:
			act(&server);
			break;
		default:
			if (arrived_count > 0)
				guest_takes();
			else if (waiting[0] > 0 && dice(2))
				deliver(0);
			else if (waiting[1] > 0)
				deliver(1);
		}
		if (client.reset || server.reset)
			break;
	}
	if (!(is_over(&client) && is_over(&server)))
		ck_abort_msg(
			"round %u: loss %u%%, %s, step %u: client %u at %u/%u of %u, has %u of "
			"%u%s; server %u at %u/%u of %u, has %u of %u%s; out of place %llu "
			"%llu, gaps %llu",
			round, loss,
			server_calls ? "inbound"
			: tls	     ? "tls"
				     : "plain",
			i, client.state, client.acked, client.next, client.total, client.received,
			client.other_total, client.reset ? " RESET" : "", server.state,
			server.acked, server.next, server.total, server.received,
			server.other_total, server.reset ? " RESET" : "",
			(unsigned long long)stats_of_filter().guest_drop[FILTER_OUT_OF_PLACE],
			(unsigned long long)stats_of_filter().peer_drop[FILTER_OUT_OF_PLACE],
			(unsigned long long)stats_of_filter().guest_drop[FILTER_PEEK_GAP]);
}

static void run(unsigned lossy, bool tls, bool inbound)
{
	static const struct rule plain[] = {
		{.protocol = FILTER_TCP, .port = 80},
		{.protocol = FILTER_TLS, .name = "tls.example.com", .port = 443}};
	static struct filter_ops own;
	struct filter_config config = {.published = 1, .publish = {{.port = 8080}}};
	unsigned round;

	own = host_ops;
	net_set_macs(&config);
	log_last_only = true;
	own.to_guest = filter_to_guest;
	own.to_peer = filter_to_peer;
	rules = plain;
	rule_count = ARRAY_SIZE(plain);
	now = 1000 * SECOND;
	loss = lossy;
	server_calls = inbound;
	port = inbound ? 8080 : tls ? 443 : 80;
	srandom(lossy + 7 * tls + 31 * inbound);
	ck_assert_int_eq(filter_create(&filter, &config, &own, NULL), 0);
	/* The same ports each time. */
	for (round = 0; round < ROUNDS; round++) {
		ask("tls.example.com", DNS_TYPE_A);
		resolved(SERVER, 60);
		waiting[0] = waiting[1] = arrived_count = 0;
		connection(tls, round);
	}
	filter_destroy(filter);
	log_last_only = false;
}

START_TEST(honest_traffic_arrives)
{
	run(0, false, false);
	run(10, false, false);
}
END_TEST

START_TEST(honest_traffic_from_outside_arrives)
{
	run(0, false, true);
	run(10, false, true);
}
END_TEST

START_TEST(inspected_traffic_arrives)
{
	run(0, true, false);
	run(20, true, false);
}
END_TEST

UNIT_MAIN("net_honest", inspected_traffic_arrives, honest_traffic_arrives,
	  honest_traffic_from_outside_arrives)
