/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets with false fields on valid rings: the socket device may reset the connection for them,
 * and goes on with all others.
 */
#include "tests/guest/hostile.h"

#define CONNECTIONS 5000u	/* more than the device allows */
#define WINDOW	    (64u << 10) /* of a new connection, guest to host */
#define KEPT	    64u		/* replies without a buffer that the device keeps */

static struct vsock_stats stats_of(struct hostile *h)
{
	struct vsock_stats stats;

	vsock_stats(h->devices.vsock, &stats);
	return stats;
}

static void connect_to(struct hostile *h, uint32_t from, uint32_t to, uint32_t window)
{
	struct vsock_header header = packet(VSOCK_OP_REQUEST, from, to);

	header.buf_alloc = window;
	packet_send(h, &header, 0);
}

static void still_works(struct hostile *h)
{
	driver_expect_status(h, SLOT_VSOCK, ST_LIVE, "packets never need a reset");
	packets_expect_alive(h);
	driver_expect_rng(h);
}

static void good_packets(struct hostile *h)
{
	struct vsock_header header = packet(VSOCK_OP_RW, 77, PORT_SINK);
	unsigned i;

	packets_expect_alive(h);
	for (i = 0; i < 100; i++) {
		header.length = 1 + i * 40;
		packet_send(h, &header, header.length);
	}
	still_works(h);
}

static void check_good(struct hostile *h)
{
	struct vsock_stats stats = stats_of(h);

	if (stats.bytes_from_guest != 100 + 99 * 100 / 2 * 40)
		hostile_fail(h, "%llu bytes came", (unsigned long long)stats.bytes_from_guest);
	else if (stats.bad_packets != 0)
		hostile_fail(h, "good packets were called bad");
}

/* How many bad packets the script sends, counted while the script is written. */
static unsigned bad_sent, maybe_bad_sent;

static void lying_lengths(struct hostile *h)
{
	static const uint32_t length[] = {0,	 1,	99,	  101,	      4096,
					  65536, 65537, 1u << 31, 0xffffffd3, UINT32_MAX};
	static const uint32_t payload[] = {0, 1, 100, 65536, 300000};
	struct vsock_header header;
	uint32_t port = 100;
	size_t i, k;

	packets_begin(h);
	for (i = 0; i < ARRAY_SIZE(length); i++)
		for (k = 0; k < ARRAY_SIZE(payload); k++) {
			/* To a new connection, and to one that does not exist. */
			connect_to(h, ++port, PORT_SINK, 65536);
			header = packet(VSOCK_OP_RW, port, PORT_SINK);
			header.length = length[i];
			packet_send(h, &header, payload[k]);
			header.src_port = 99;
			packet_send(h, &header, payload[k]);
			if (length[i] > payload[k])
				bad_sent += 2;
			else if (length[i] > WINDOW) /* there is a window only on a connection */
				bad_sent++;
		}
	still_works(h);
}

static void cut_headers(struct hostile *h)
{
	struct vsock_header header = packet(VSOCK_OP_RW, 5, PORT_SINK);
	uint32_t cut;

	packets_begin(h);
	connect_to(h, 5, PORT_SINK, 65536);
	for (cut = 1; cut < VSOCK_HEADER_BYTES; cut++)
		packet_send_cut(h, &header, 0, cut);
	bad_sent = VSOCK_HEADER_BYTES - 1;
	still_works(h);
}

static void check_bad(struct hostile *h)
{
	uint64_t bad = stats_of(h).bad_packets;

	if (bad_sent == 0 || bad < bad_sent || bad > bad_sent + maybe_bad_sent)
		hostile_fail(h, "%llu packets were called bad, not %u (and at most %u more)",
			     (unsigned long long)bad, bad_sent, maybe_bad_sent);
}

/*
 * Whether a known operation between the right addresses is in order depends on the connection's
 * state; on a new connection only REQUEST and RESPONSE are out of order. Every other packet is bad.
 */
static void send_odd(struct hostile *h, const struct vsock_header *header, uint32_t payload,
		     bool connected)
{
	bool known = header->op > VSOCK_OP_INVALID && header->op < VSOCK_OPS &&
		     header->type == VSOCK_TYPE_STREAM && header->src_cid == VSOCK_GUEST_CID &&
		     header->dst_cid == VSOCK_HOST_CID;

	packet_send(h, header, payload);
	if (!known || (connected && header->op <= VSOCK_OP_RESPONSE))
		bad_sent++;
	else if (!connected)
		maybe_bad_sent++;
}

/* Known and unknown operations, types, flags and addresses, on a connection and without one. */
static void unknown_operations(struct hostile *h)
{
	static const uint16_t op[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 256, 0x7fff, 0xffff};
	static const uint16_t type[] = {0, 1, 2, 0xffff};
	static const uint32_t flags[] = {0, 1, 2, 3, UINT32_MAX};
	static const uint64_t cid[] = {0, 1, 2, 3, 4, UINT32_MAX, UINT64_MAX};
	struct vsock_header header;
	uint32_t port = 100;
	size_t i, k;

	packets_begin(h);
	for (i = 0; i < ARRAY_SIZE(op); i++) {
		for (k = 0; k < ARRAY_SIZE(type) * ARRAY_SIZE(flags); k++) {
			connect_to(h, ++port, k & 1 ? PORT_SINK : PORT_SOURCE, 65536);
			header = packet(op[i], port, k & 1 ? PORT_SINK : PORT_SOURCE);
			header.type = type[k % ARRAY_SIZE(type)];
			header.flags = flags[k / ARRAY_SIZE(type)];
			send_odd(h, &header, 0, true);
			send_odd(h, &header, 10, false);
		}
		for (k = 0; k < ARRAY_SIZE(cid); k++) {
			header = packet(op[i], port, PORT_SINK);
			header.src_cid = cid[k];
			send_odd(h, &header, 0, false);
			header.src_cid = VSOCK_GUEST_CID;
			header.dst_cid = cid[k];
			send_odd(h, &header, 0, false);
		}
	}
	still_works(h);
}

/* --- credit ----------------------------------------------------------------------------------- */

static void credit(struct hostile *h, uint32_t window, uint32_t acknowledged)
{
	struct vsock_header header = packet(VSOCK_OP_CREDIT_UPDATE, 7, PORT_SOURCE);
	unsigned i;

	packets_begin(h);
	connect_to(h, 7, PORT_SOURCE, window);
	header.buf_alloc = window;
	for (i = 0; i < 60; i++) {
		header.fwd_cnt = acknowledged * i;
		packet_send(h, &header, 0);
	}
	still_works(h);
}

static void credit_0(struct hostile *h)
{
	credit(h, 0, 0);
}

static void check_credit_0(struct hostile *h)
{
	if (h->accepted == 0)
		hostile_fail(h, "no connection was accepted");
	else if (stats_of(h).bytes_to_guest != 0)
		hostile_fail(h, "bytes came without credit");
}

static void credit_1(struct hostile *h)
{
	credit(h, 1, 0);
}

static void check_credit_1(struct hostile *h)
{
	if (stats_of(h).bytes_to_guest != 1)
		hostile_fail(h, "%llu bytes came for a credit of 1",
			     (unsigned long long)stats_of(h).bytes_to_guest);
}

static void credit_4g(struct hostile *h)
{
	credit(h, UINT32_MAX, 0);
}

/*
 * Acknowledges bytes that were never sent. Three of the 60 numbers wrap to what may be true: 16, 32
 * and 48.
 */
static void credit_lies(struct hostile *h)
{
	credit(h, 4096, 0x10000001);
}

static void check_credit_lies(struct hostile *h)
{
	if (stats_of(h).bytes_to_guest != 4096 + 48)
		hostile_fail(h, "%llu bytes came for a credit of 4096 and 48 acknowledged",
			     (unsigned long long)stats_of(h).bytes_to_guest);
}

static void check_credit_4g(struct hostile *h)
{
	if (stats_of(h).bytes_to_guest == 0)
		hostile_fail(h, "no bytes came");
}

/* Sends far more than its credit to an endpoint that does not read: the first byte beyond it resets
 * the connection. */
static void credit_ignored(struct hostile *h)
{
	struct vsock_header header = packet(VSOCK_OP_RW, 9, PORT_DEAF);
	unsigned i;

	packets_begin(h);
	connect_to(h, 9, PORT_DEAF, 65536);
	header.length = WINDOW;
	for (i = 0; i < 200; i++)
		packet_send(h, &header, WINDOW);
	still_works(h);
}

static void check_credit_ignored(struct hostile *h)
{
	struct vsock_stats stats = stats_of(h);

	if (stats.bytes_from_guest != WINDOW || stats.bad_packets != 1)
		hostile_fail(h, "%llu bytes were taken, %llu packets were called bad",
			     (unsigned long long)stats.bytes_from_guest,
			     (unsigned long long)stats.bad_packets);
}

/* --- many ------------------------------------------------------------------------------------- */

static void flood(struct hostile *h, uint32_t port)
{
	struct vsock_header header;
	uint32_t i;

	packets_begin(h);
	for (i = 0; i < CONNECTIONS; i++) {
		connect_to(h, 10000 + i, port, 65536);
		header = packet(VSOCK_OP_RW, 10000 + i, port);
		header.length = 4096;
		packet_send(h, &header, 4096);
	}
	driver_expect_status(h, SLOT_VSOCK, ST_LIVE, "connections never need a reset");
	driver_expect_rng(h);
}

static void connection_flood(struct hostile *h)
{
	flood(h, PORT_SINK);
	/* A reset ends all streams, a few at a time. */
	driver_write(h, SLOT_VSOCK, REG_STATUS, 0);
	script_expect_done(h, script_wait32(h, HOSTILE_DEVICE + HOSTILE_DEVICE_STREAMS, 0),
			   "a reset ends all streams");
	packets_expect_alive(h);
}

static void check_flood(struct hostile *h)
{
	struct vsock_stats stats = stats_of(h);

	if (stats.streams_peak > VSOCK_STREAMS_MAX || stats.streams_peak < 1000)
		hostile_fail(h, "%llu streams at once", (unsigned long long)stats.streams_peak);
	else if (stats.refused == 0)
		hostile_fail(h, "no connection was refused");
}

/* The endpoints do not read: the device keeps all bytes, in a bounded amount of memory. */
static void connection_flood_unread(struct hostile *h)
{
	flood(h, PORT_DEAF);
}

static void check_flood_unread(struct hostile *h)
{
	struct vsock_stats stats = stats_of(h);

	check_flood(h);
	if (stats.buffered_bytes < MIB(4) || stats.buffered_bytes > MIB(32))
		hostile_fail(h, "%llu bytes are kept", (unsigned long long)stats.buffered_bytes);
}

/*
 * Connections that are reset as soon as they are open; and a flood of requests to a port where
 * nothing listens.
 */
static void connections_come_and_go(struct hostile *h)
{
	struct vsock_header header;
	uint32_t i;

	packets_begin(h);
	for (i = 0; i < 64; i++) {
		connect_to(h, 500 + i, PORT_SINK, 65536);
		header = packet(VSOCK_OP_RST, 500 + i, PORT_SINK);
		packet_send(h, &header, 0);
	}
	for (i = 0; i < 2000; i++)
		connect_to(h, i, PORT_UNUSED, 65536);
	still_works(h);
}

/* The available ring names the same chains again: RING_SIZE more than the device has used. */
static void offer_all_again(struct hostile *h, const struct guest_ring *ring)
{
	script_copy_add(h, ring->base + RING_USED + 2, RING_SIZE, ring->base + RING_AVAILABLE + 2);
	driver_kick(h, ring);
}

/*
 * Requests to a port where nothing listens, and no receive buffers for the replies: the device
 * keeps as many replies as it may and leaves the other packets in the ring. When buffers come,
 * every request gets its reply.
 */
static void unread_replies(struct hostile *h)
{
	struct vsock_header header = packet(VSOCK_OP_REQUEST, 5, PORT_UNUSED);
	struct guest_ring *tx, *rx;
	uint16_t i;

	driver_bring_up(h, SLOT_VSOCK);
	tx = driver_ring(h, SLOT_VSOCK, 1);
	rx = driver_ring(h, SLOT_VSOCK, 0);
	/* Apart from those of packet_send(), which are all written before the script runs. */
	packet_put(h, &header, PACKET_PAYLOAD);
	driver_descriptor(h, tx, 0, PACKET_PAYLOAD, VSOCK_HEADER_BYTES, 0, 0);
	for (i = 0; i < RING_SIZE; i++)
		script_write(h, 2, tx->base + RING_AVAILABLE + 4 + 2 * i, 0);
	for (i = 0; i < KEPT; i += RING_SIZE) {
		offer_all_again(h, tx);
		driver_expect_used(h, tx, RING_SIZE, "the device keeps replies");
	}
	offer_all_again(h, tx);
	script_wait_briefly(h, tx->base + RING_USED + 2, UINT16_MAX, 100);
	script_expect(h, script_read(h, 2, tx->base + RING_USED + 2), KEPT,
		      "the other requests stay in the ring");
	driver_expect_status(h, SLOT_VSOCK, ST_LIVE, "the device is alive");
	driver_expect_rng(h);
	for (i = 0; i < RING_SIZE; i++) {
		driver_descriptor(h, rx, i, HOSTILE_BUFFERS + i * 4096u, 4096, DESC_WRITE, 0);
		driver_offer(h, rx, i);
	}
	driver_kick(h, rx);
	driver_expect_used(h, rx, RING_SIZE, "replies come");
	driver_expect_used(h, tx, RING_SIZE, "the device takes the requests that were left");
	for (i = 0; i < KEPT; i += RING_SIZE) {
		offer_all_again(h, rx);
		driver_expect_used(h, rx, RING_SIZE, "every request gets its reply");
	}
	still_works(h);
}

static const struct hostile_test tests[] = {
	{.name = "good_packets",
	 .setup = packets_listen,
	 .build = good_packets,
	 .check = check_good},
	{.name = "lying_lengths",
	 .setup = packets_listen,
	 .build = lying_lengths,
	 .check = check_bad},
	{.name = "cut_headers", .setup = packets_listen, .build = cut_headers, .check = check_bad},
	{.name = "unknown_operations",
	 .setup = packets_listen,
	 .build = unknown_operations,
	 .check = check_bad},
	{.name = "credit_of_0",
	 .setup = packets_listen,
	 .build = credit_0,
	 .check = check_credit_0},
	{.name = "credit_of_1",
	 .setup = packets_listen,
	 .build = credit_1,
	 .check = check_credit_1},
	{.name = "credit_of_4_gib",
	 .setup = packets_listen,
	 .build = credit_4g,
	 .check = check_credit_4g},
	{.name = "credit_for_nothing",
	 .setup = packets_listen,
	 .build = credit_lies,
	 .check = check_credit_lies},
	{.name = "credit_ignored",
	 .setup = packets_listen,
	 .build = credit_ignored,
	 .check = check_credit_ignored},
	{.name = "connection_flood",
	 .setup = packets_listen,
	 .build = connection_flood,
	 .check = check_flood,
	 .growth = MIB(40)},
	{.name = "connection_flood_unread",
	 .setup = packets_listen,
	 .build = connection_flood_unread,
	 .check = check_flood_unread,
	 .growth = MIB(40)},
	{.name = "connections_come_and_go",
	 .setup = packets_listen,
	 .build = connections_come_and_go},
	{.name = "unread_replies", .setup = packets_listen, .build = unread_replies},
};

HOSTILE_MAIN(tests)
