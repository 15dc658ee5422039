/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and rings that no driver makes, and floods, from a guest to the network card and a peer
 * behind it. After each attempt a datagram gets its reply and a connection is accepted.
 */
#include "tests/guest/net_host.h"

#define FLOOD_FRAMES 100000u
#define FLOOD_ROUNDS (FLOOD_FRAMES / RING_SIZE)

#define BROKEN	(ST_LIVE | ST_RESET)
#define LONG	(UINT64_C(1) << 40) /* polls: the harness detects a hang */
#define PATTERN UINT64_C(0x5555555555555555)

/* The n-th frame to send; and the frame that a second processor changes. */
#define FRAME(n) (HOSTILE_BUFFERS + 0x200u * (n))
#define CHANGING 0xf000u

/* --- the guest -------------------------------------------------------------------------------- */

static struct guest_ring *rx(struct hostile *h)
{
	return driver_ring(h, SLOT_NET, 0);
}

static struct guest_ring *tx(struct hostile *h)
{
	return driver_ring(h, SLOT_NET, 1);
}

/* Gives all used buffers back: each keeps its place in the ring. */
static void give_back(struct hostile *h)
{
	script_copy_add(h, rx(h)->base + RING_USED + 2, RING_SIZE,
			rx(h)->base + RING_AVAILABLE + 2);
	driver_kick(h, rx(h));
}

static void begin(struct hostile *h)
{
	uint16_t i;

	driver_bring_up(h, SLOT_NET);
	for (i = 0; i < RING_SIZE; i++) {
		driver_descriptor(h, rx(h), i, NET_RX(i), NET_RX_LENGTH, DESC_WRITE, 0);
		driver_offer(h, rx(h), i);
	}
	driver_kick(h, rx(h));
}

/* Puts a header and a frame into memory before the script begins. Returns their length. */
static uint32_t put(struct hostile *h, uint64_t at, uint8_t flags, const uint8_t *frame,
		    size_t length)
{
	uint8_t header[NET_HEADER] = {flags};

	guest_memory_write(&h->memory, at, header, sizeof(header));
	guest_memory_write(&h->memory, at + NET_HEADER, frame, length);
	return NET_HEADER + (uint32_t)length;
}

static void send(struct hostile *h, uint64_t at, uint32_t length, const char *what)
{
	driver_descriptor(h, tx(h), 0, at, length, 0, 0);
	driver_offer(h, tx(h), 0);
	driver_kick(h, tx(h));
	driver_expect_used(h, tx(h), 1, what);
}

/*
 * Puts the next exchange's frame, which carries the number of the exchange, into memory. Returns
 * its address.
 */
static uint64_t next_exchange(struct hostile *h, bool tcp, uint32_t *length, unsigned *number)
{
	static unsigned last = RING_SIZE;
	uint8_t frame[256], payload[2];
	struct net_segment segment = {.source = NET_GUEST, .target = NET_PEER, .flags = TCP_SYN};

	*number = ++last;
	store_be16(payload, (uint16_t)last);
	segment.source_port = (uint16_t)(NET_FIRST_PORT + last);
	segment.target_port = tcp ? NET_OPEN_PORT : NET_ECHO_PORT;
	if (!tcp) {
		segment.payload = payload;
		segment.length = sizeof(payload);
	}
	*length = put(h, FRAME(last), NET_NEEDS_CSUM, frame,
		      tcp ? net_tcp(frame, &segment) : net_udp(frame, &segment));
	return FRAME(last);
}

static void expect_answer(struct hostile *h, bool tcp, const char *what)
{
	unsigned number, i;
	uint32_t length;
	uint64_t at = next_exchange(h, tcp, &length, &number);

	send(h, at, length, what);
	/* Earlier frames may come first, and wait for buffers. */
	for (i = 0; i < 50; i++) {
		give_back(h);
		script_wait_briefly(h, HOSTILE_DEVICE + HOSTILE_DEVICE_TELL, (uint16_t)number, 100);
	}
	script_expect_done(h, script_wait32(h, HOSTILE_DEVICE + HOSTILE_DEVICE_TELL, number), what);
	give_back(h);
}

static void expect_works(struct hostile *h)
{
	expect_answer(h, false, "a datagram is answered");
	expect_answer(h, true, "a connection is accepted");
	driver_expect_status(h, SLOT_NET, ST_LIVE, "the card is alive");
	driver_expect_rng(h);
}

static void works(struct hostile *h)
{
	begin(h);
	expect_works(h);
}

/* --- malformed frames ------------------------------------------------------------------------- */

static void malformed_frames(struct hostile *h)
{
	struct net_segment segment = {.source = NET_GUEST,
				      .target = NET_PEER,
				      .source_port = 5,
				      .target_port = NET_ECHO_PORT};
	uint8_t frame[256];
	uint32_t length, cut;

	begin(h);
	length = put(h, FRAME(0), NET_NEEDS_CSUM, frame, net_udp(frame, &segment));
	for (cut = 1; cut < length; cut++)
		send(h, FRAME(0), cut, "a frame that is cut");
	send(h, FRAME(0), NET_HEADER + NET_CARD_FRAME_MAX, "a frame with much behind it");
	send(h, FRAME(0), NET_HEADER + NET_CARD_FRAME_MAX + 1, "one that is too long");
	send(h, FRAME(0), 1u << 20, "one that is much too long");
	/* Segmentation, which was not offered; all flags; a checksum offset beyond the frame. */
	script_write(h, 1, FRAME(0) + 1, 1);
	send(h, FRAME(0), length, "segmentation");
	script_write(h, 1, FRAME(0) + 1, 0x83);
	send(h, FRAME(0), length, "more of it");
	script_write(h, 8, FRAME(0), UINT64_MAX);
	send(h, FRAME(0), length, "all bits of a header");
	script_write(h, 8, FRAME(0), 1);
	script_write(h, 4, FRAME(0) + 6, UINT32_MAX);
	send(h, FRAME(0), length, "a checksum out of the frame");
	/* Nothing readable. */
	driver_descriptor(h, tx(h), 0, FRAME(0), length, DESC_WRITE, 0);
	driver_offer(h, tx(h), 0);
	driver_kick(h, tx(h));
	driver_expect_used(h, tx(h), 1, "a frame to be written");
	expect_works(h);
}

static void chains_out_of_memory(struct hostile *h)
{
	static const uint64_t address[] = {HOSTILE_MEMORY - 32, HOSTILE_MEMORY, LAYOUT_VIRTIO_BASE,
					   UINT64_MAX - 63};
	unsigned number, queue;
	uint32_t length;
	uint64_t at;
	size_t i;

	for (queue = 0; queue < 2; queue++)
		for (i = 0; i < ARRAY_SIZE(address); i++) {
			struct guest_ring *ring = queue ? tx(h) : rx(h);

			driver_bring_up(h, SLOT_NET);
			driver_descriptor(h, ring, 0, address[i], 64, queue ? 0 : DESC_WRITE, 0);
			driver_offer(h, ring, 0);
			driver_kick(h, ring);
			/* The device looks at a receive buffer only when a frame comes. */
			if (queue == 0) {
				at = next_exchange(h, false, &length, &number);
				send(h, at, length, "a frame that is answered");
			}
			driver_expect_status_soon(h, SLOT_NET, BROKEN, "a chain out of memory");
		}
	begin(h);
	expect_works(h);
}

static void malformed_buffers(struct hostile *h)
{
	static const struct {
		uint32_t length;
		uint16_t flags;
	} bad[] = {{1, DESC_WRITE}, {11, DESC_WRITE}, {12, DESC_WRITE}, {4096, 0}};
	unsigned number;
	uint32_t length;
	uint64_t at;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_bring_up(h, SLOT_NET);
		for (k = 0; k < RING_SIZE; k++) {
			driver_descriptor(h, rx(h), (unsigned)k, NET_RX(k), bad[i].length,
					  bad[i].flags, 0);
			driver_offer(h, rx(h), (uint16_t)k);
		}
		driver_kick(h, rx(h));
		at = next_exchange(h, false, &length, &number);
		for (k = 0; k < 4; k++)
			send(h, at, length, "a frame whose answer finds no room");
	}
	/* An available index that jumps. */
	driver_bring_up(h, SLOT_NET);
	script_write(h, 2, rx(h)->base + RING_AVAILABLE + 2, 999);
	at = next_exchange(h, false, &length, &number);
	send(h, at, length, "a frame that is answered");
	driver_expect_status_soon(h, SLOT_NET, BROKEN, "an index that jumps");
	begin(h);
	expect_works(h);
}

/* --- floods ----------------------------------------------------------------------------------- */

/*
 * Sends a full ring at a time, each frame from another port. Half go to an allowed peer that does
 * not reply, half to a forbidden one: the card's owner refuses each of those.
 */
static void flood(struct hostile *h, bool tcp)
{
	struct net_segment segment = {.source = NET_GUEST,
				      .target_port = NET_SILENT_PORT,
				      .flags = TCP_SYN,
				      .payload = "floods",
				      .length = tcp ? 0 : 6};
	uint64_t used = tx(h)->base + RING_USED + 2, first, wait;
	uint8_t frame[256];
	uint32_t length;
	uint16_t i;

	for (i = 0; i < RING_SIZE; i++) {
		segment.target = i % 2 ? NET_FORBIDDEN : NET_PEER;
		segment.source_port = (uint16_t)(1000 * i + 1);
		length = put(h, FRAME(i), NET_NEEDS_CSUM, frame,
			     tcp ? net_tcp(frame, &segment) : net_udp(frame, &segment));
		driver_descriptor(h, tx(h), i, FRAME(i), length, 0, 0);
		script_write(h, 2, tx(h)->base + RING_AVAILABLE + 4 + 2 * i, i);
	}
	first = script_copy_add(h, used, RING_SIZE, tx(h)->base + RING_AVAILABLE + 2);
	/* Adding an odd number reaches all ports, even though the port's bytes are swapped. */
	for (i = 0; i < RING_SIZE; i++)
		script_copy_add(h, FRAME(i) + NET_HEADER + NET_AT_TRANSPORT, 0x6b17,
				FRAME(i) + NET_HEADER + NET_AT_TRANSPORT);
	/* Sets the value that the wait below expects. */
	wait = h->commands + 2;
	script_copy_add(h, used, RING_SIZE, HOSTILE_COMMANDS + 32 * wait + 16);
	driver_kick(h, tx(h));
	script_wait_briefly(h, used, 0, LONG);
	give_back(h);
	script_repeat(h, first, FLOOD_ROUNDS);
	tx(h)->available = (uint16_t)(tx(h)->available + FLOOD_FRAMES);
	tx(h)->used = (uint16_t)(tx(h)->used + FLOOD_FRAMES);
}

static void flooded(struct hostile *h, bool tcp)
{
	begin(h);
	expect_works(h);
	flood(h, tcp);
	expect_works(h);
	expect_works(h);
}

static void syn_flood(struct hostile *h)
{
	flooded(h, true);
}

static void datagram_flood(struct hostile *h)
{
	flooded(h, false);
}

/* Every frame has come out of the card once. Those from port 0 are malformed. */
static void check_flood(struct hostile *h)
{
	const struct net_host_counts *counts = net_host_counts();
	struct net_card_stats card;

	net_card_stats(h->devices.net, &card);
	if (counts->taken != FLOOD_FRAMES + 6)
		hostile_fail(h, "%llu frames came", (unsigned long long)counts->taken);
	if (counts->refused + counts->malformed < FLOOD_FRAMES / 2)
		hostile_fail(h, "%llu were refused", (unsigned long long)counts->refused);
	if (counts->passed > FLOOD_FRAMES / 2 + 6)
		hostile_fail(h, "%llu went through", (unsigned long long)counts->passed);
	if (card.pending != 0 || card.receive_dropped != 0)
		hostile_fail(h, "%zu bytes wait, %llu were lost", card.pending,
			     (unsigned long long)card.receive_dropped);
}

/* --- resets, and frames that change ----------------------------------------------------------- */

/* Once the reset is acknowledged no frame comes any more. */
static void resets_under_way(struct hostile *h)
{
	unsigned round, number, i;
	uint32_t length;
	uint64_t at;

	for (round = 0; round < 50; round++) {
		begin(h);
		at = next_exchange(h, false, &length, &number);
		driver_descriptor(h, tx(h), 0, at, length, 0, 0);
		for (i = 0; i < RING_SIZE; i++)
			driver_offer(h, tx(h), 0);
		driver_kick(h, tx(h));
		script_wait_briefly(h, tx(h)->base + RING_USED + 2, (uint16_t)(round % 16), 1000);
		driver_write(h, SLOT_NET, REG_STATUS, 0);
		for (i = 0; i < RING_SIZE; i++)
			script_write(h, 8, NET_RX(i) + NET_HEADER, PATTERN);
		script_wait_briefly(h, NET_RX(0) + NET_HEADER, 0, 500);
		for (i = 0; i < RING_SIZE; i++)
			script_expect(h, script_read(h, 8, NET_RX(i) + NET_HEADER), PATTERN,
				      "nothing comes after a reset");
	}
	begin(h);
	expect_works(h);
}

/* The card uses the bytes that it has checked, whatever another processor writes meanwhile. */
static void changing_frames(struct hostile *h)
{
	static const struct {
		unsigned at;
		uint16_t value[2];
	} change[] = {
		{0, {1, 0x0101}},		     /* flags, segmentation */
		{NET_HEADER + 12, {0x0008, 0x0608}}, /* type: IPv4, ARP */
		{NET_HEADER + 14, {0x0045, 0x004f}}, /* length of the IP header */
		{NET_HEADER + 16, {0x1e00, 0xffff}}, /* length of the packet */
		{NET_HEADER + 38, {0x0a00, 0xffff}}, /* length of the datagram */
		{NET_HEADER + 22, {0x1140, 0x0640}}, /* UDP, TCP */
		{NET_HEADER + 30, {0xb85d, 0xb85e}}, /* to a forbidden address */
	};
	struct net_segment segment = {.source = NET_GUEST,
				      .target = NET_PEER,
				      .source_port = 5,
				      .target_port = NET_SILENT_PORT,
				      .payload = "so",
				      .length = 2};
	uint8_t frame[256];
	uint32_t length = put(h, CHANGING, NET_NEEDS_CSUM, frame, net_udp(frame, &segment));
	unsigned round, k;
	size_t i;

	for (k = 0; k < 2; k++)
		for (i = 0; i < ARRAY_SIZE(change); i++)
			script_flip(h, (uint16_t)(CHANGING + change[i].at), change[i].value[k]);
	begin(h);
	for (round = 0; round < 500; round++) {
		send(h, CHANGING, length, "a frame that changes");
		give_back(h);
	}
	expect_works(h);
}

static const struct hostile_test tests[] = {
	{.name = "a_card_works", .setup = net_host_setup, .build = works, .tell = net_host_tell},
	{.name = "malformed_frames",
	 .setup = net_host_setup,
	 .build = malformed_frames,
	 .tell = net_host_tell},
	{.name = "frames_out_of_memory",
	 .setup = net_host_setup,
	 .build = chains_out_of_memory,
	 .tell = net_host_tell},
	{.name = "malformed_buffers",
	 .setup = net_host_setup,
	 .build = malformed_buffers,
	 .tell = net_host_tell},
	{.name = "a_flood_of_connections",
	 .setup = net_host_setup,
	 .build = syn_flood,
	 .check = check_flood,
	 .tell = net_host_tell,
	 .growth = MIB(8)},
	{.name = "a_flood_of_datagrams",
	 .setup = net_host_setup,
	 .build = datagram_flood,
	 .check = check_flood,
	 .tell = net_host_tell,
	 .growth = MIB(8)},
	{.name = "resets_under_traffic",
	 .setup = net_host_setup,
	 .build = resets_under_way,
	 .tell = net_host_tell},
	{.name = "frames_that_change",
	 .setup = net_host_setup,
	 .build = changing_frames,
	 .tell = net_host_tell,
	 .flip_thread = true},
};

HOSTILE_MAIN(tests)
