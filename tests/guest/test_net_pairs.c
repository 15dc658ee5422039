/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card with two pairs of queues, and commands that no driver gives. After each attempt an
 * exchange on either pair works.
 */
#include "tests/guest/net_host.h"

#define CONTROL	  4 /* the control queue, after the pairs' four */
#define BUFFERS	  (RING_SIZE / 2)
#define FRAME(n)  (HOSTILE_BUFFERS + 0x200u * (n))
#define COMMAND	  0xfe00u /* after the rings, where another processor reaches them */
#define ANSWER	  0xfe80u
#define UNSAID	  77u
#define MQ	  4u
#define PAIRS_SET 0u
#define OK	  0u
#define ERR	  1u
#define BROKEN	  (ST_LIVE | ST_RESET)

static struct guest_ring *queue(struct hostile *h, unsigned number)
{
	return driver_ring(h, SLOT_NET, number);
}

/* Gives buffers to both pairs. */
static void begin(struct hostile *h)
{
	unsigned pair, i;

	driver_bring_up(h, SLOT_NET);
	for (pair = 0; pair < 2; pair++) {
		for (i = 0; i < BUFFERS; i++) {
			driver_descriptor(h, queue(h, 2 * pair), i, NET_RX(BUFFERS * pair + i),
					  NET_RX_LENGTH, DESC_WRITE, 0);
			driver_offer(h, queue(h, 2 * pair), (uint16_t)i);
		}
		driver_kick(h, queue(h, 2 * pair));
	}
}

static void put_command(struct hostile *h, uint8_t class, uint8_t command, uint16_t pairs,
			uint32_t length)
{
	struct guest_ring *ring = queue(h, CONTROL);

	script_write(h, 8, COMMAND, class | (uint64_t)command << 8 | (uint64_t)pairs << 16);
	script_write(h, 1, ANSWER, UNSAID);
	driver_descriptor(h, ring, 0, COMMAND, length, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, ANSWER, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
}

static void command(struct hostile *h, uint8_t class, uint8_t number, uint16_t pairs,
		    uint32_t length, uint8_t answer)
{
	put_command(h, class, number, pairs, length);
	driver_kick(h, queue(h, CONTROL));
	driver_expect_used(h, queue(h, CONTROL), 1, "a command is taken");
	script_expect(h, script_read(h, 1, ANSWER), answer, "its answer");
}

/* Sends a datagram on pair `from`, and expects the reply on pair `to`. */
static void exchange(struct hostile *h, unsigned from, unsigned to)
{
	static unsigned last;
	struct guest_ring *tx = queue(h, 2 * from + 1);
	uint8_t frame[256], payload[2], header[NET_HEADER] = {NET_NEEDS_CSUM};
	struct net_segment segment = {.source = NET_GUEST,
				      .target = NET_PEER,
				      .source_port = (uint16_t)(NET_FIRST_PORT + ++last),
				      .target_port = NET_ECHO_PORT,
				      .payload = payload,
				      .length = sizeof(payload)};
	size_t length;

	store_be16(payload, (uint16_t)last);
	length = net_udp(frame, &segment);
	guest_memory_write(&h->memory, FRAME(last), header, sizeof(header));
	guest_memory_write(&h->memory, FRAME(last) + NET_HEADER, frame, length);
	driver_descriptor(h, tx, 0, FRAME(last), NET_HEADER + (uint32_t)length, 0, 0);
	driver_offer(h, tx, 0);
	driver_kick(h, tx);
	driver_expect_used(h, tx, 1, "a frame is taken");
	driver_expect_used(h, queue(h, 2 * to), 1, "its answer comes where it should");
	script_expect_done(h, script_wait32(h, HOSTILE_DEVICE + HOSTILE_DEVICE_TELL, last),
			   "and is the answer");
}

/* Starts with a reset. */
static void expect_works(struct hostile *h)
{
	begin(h);
	exchange(h, 1, 0); /* only one pair is in use */
	command(h, MQ, PAIRS_SET, 2, 4, OK);
	exchange(h, 1, 1);
	exchange(h, 0, 0);
	command(h, MQ, PAIRS_SET, 1, 4, OK);
	exchange(h, 1, 0);
	driver_expect_status(h, SLOT_NET, ST_LIVE, "the card is alive");
	driver_expect_rng(h);
}

static void malformed_commands(struct hostile *h)
{
	static const struct {
		uint8_t class, command;
		uint16_t pairs;
		uint32_t length;
	} bad[] = {{MQ, PAIRS_SET, 0, 4},
		   {MQ, PAIRS_SET, 3, 4},
		   {MQ, PAIRS_SET, 0xffff, 4},
		   {MQ, PAIRS_SET, 2, 1},
		   {MQ, PAIRS_SET, 2, 3},
		   {MQ, PAIRS_SET, 2, 5},
		   {MQ, PAIRS_SET, 2, 1u << 20},
		   {MQ, 1, 2, 4},
		   {0, 0, 2, 4},
		   {1, 0, 2, 4},
		   {3, 0, 2, 4},
		   {255, 255, 0xffff, 4}};
	struct guest_ring *ring = queue(h, CONTROL);
	size_t i;

	begin(h);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		command(h, bad[i].class, bad[i].command, bad[i].pairs, bad[i].length, ERR);
	/* Without room for the status the command has no effect. */
	script_write(h, 8, COMMAND, MQ | (uint64_t)2 << 16);
	driver_descriptor(h, ring, 0, COMMAND, 4, 0, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_used(h, ring, 1, "a command without an answer is taken");
	exchange(h, 1, 0);
	/* The status goes over the command, into a large buffer. */
	driver_descriptor(h, ring, 0, COMMAND, 4, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, COMMAND, 1u << 20, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_used(h, ring, 1, "an answer over the command");
	script_expect(h, script_read(h, 1, COMMAND), OK, "is written there");
	exchange(h, 1, 1);
	/* The status before the command, or the command outside of memory. */
	driver_descriptor(h, ring, 0, ANSWER, 1, DESC_WRITE | DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, COMMAND, 4, 0, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_status_soon(h, SLOT_NET, BROKEN, "an answer before the command");
	begin(h);
	driver_descriptor(h, ring, 0, HOSTILE_MEMORY - 2, 4, DESC_NEXT, 1);
	driver_descriptor(h, ring, 1, ANSWER, 1, DESC_WRITE, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_status_soon(h, SLOT_NET, BROKEN, "a command out of memory");
	expect_works(h);
}

/* Full rings of commands, with more doorbells than needed. */
static void flood(struct hostile *h)
{
	struct guest_ring *ring = queue(h, CONTROL);
	unsigned round;

	begin(h);
	for (round = 0; round < 200; round++) {
		put_command(h, MQ, PAIRS_SET, (uint16_t)(round % 4), 4);
		driver_flood(h, ring, 4);
	}
	expect_works(h);
}

/*
 * Commands change while the card reads them: each takes effect as one of the values, and the card
 * stays alive.
 */
static void changing_commands(struct hostile *h)
{
	unsigned round;

	script_flip(h, COMMAND, MQ);
	script_flip(h, COMMAND + 2, 1);
	script_flip(h, COMMAND + 2, 2);
	script_flip(h, COMMAND, 0x0104);
	script_flip(h, COMMAND + 2, 0xffff);
	script_flip(h, COMMAND, 0xffff);
	script_flip(h, COMMAND + 2, 0);
	begin(h);
	for (round = 0; round < 500; round++) {
		put_command(h, MQ, PAIRS_SET, 2, 4);
		driver_kick(h, queue(h, CONTROL));
		driver_expect_used(h, queue(h, CONTROL), 1, "a command that changes");
	}
	driver_expect_status(h, SLOT_NET, ST_LIVE, "the card is alive");
	driver_expect_rng(h);
}

/* Whatever the card read, the number of pairs in use is a valid one. */
static void check_pairs(struct hostile *h)
{
	struct net_card_stats stats;

	net_card_stats(h->devices.net, &stats);
	if (stats.pairs < 1 || stats.pairs > 2)
		hostile_fail(h, "%u pairs are in use", stats.pairs);
}

static const struct hostile_test tests[] = {
	{.name = "two_pairs_work",
	 .setup = net_host_setup,
	 .tell = net_host_tell,
	 .build = expect_works,
	 .several_pairs = true},
	{.name = "malformed_commands",
	 .setup = net_host_setup,
	 .tell = net_host_tell,
	 .build = malformed_commands,
	 .several_pairs = true},
	{.name = "a_flood_of_commands",
	 .setup = net_host_setup,
	 .tell = net_host_tell,
	 .build = flood,
	 .several_pairs = true},
	{.name = "commands_that_change",
	 .setup = net_host_setup,
	 .tell = net_host_tell,
	 .build = changing_commands,
	 .check = check_pairs,
	 .several_pairs = true,
	 .flip_thread = true},
};

HOSTILE_MAIN(tests)
