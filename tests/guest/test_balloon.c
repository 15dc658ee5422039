/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of the memory balloon, on real page tables: pages that it names are gone for the
 * guest as well, it gives away what the device itself reads, names what is not memory, and floods.
 * Afterwards the device works, and so do the others.
 */
#include "tests/guest/hostile.h"

#define PAGE	    0x1000u
#define NUMBERS	    HOSTILE_BUFFERS /* page numbers that the driver sends */
#define PAGES	    (HOSTILE_BUFFERS + 0x10000u)
#define PATTERN	    UINT64_C(0x0123456789abcdef)
#define MEMORY_PAGE (HOSTILE_MEMORY / PAGE)

static uint64_t held;

static void put_number(struct hostile *h, unsigned index, uint64_t page)
{
	script_write(h, 4, NUMBERS + 4 * index, (uint32_t)page);
}

/* Names count pages, whose numbers are there, and waits until the device has used them. */
static void name_pages(struct hostile *h, unsigned queue, uint32_t count)
{
	struct guest_ring *ring = driver_ring(h, SLOT_BALLOON, queue);

	driver_descriptor(h, ring, 0, NUMBERS, 4 * count, 0, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_used(h, ring, 1, "the balloon takes the pages");
}

static void expect_value(struct hostile *h, uint64_t address, uint64_t value, const char *what)
{
	script_expect(h, script_read(h, 8, address), value, what);
}

/* The positive twin: a page is given away and taken back, and its neighbours stay. */
static void expect_works(struct hostile *h)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		script_write(h, 8, PAGES + i * PAGE, PATTERN);
	put_number(h, 0, PAGES / PAGE + 1);
	name_pages(h, BALLOON_QUEUE_INFLATE, 1);
	expect_value(h, PAGES, PATTERN, "a page before the one that was given away");
	expect_value(h, PAGES + PAGE, 0, "a page that was given away");
	expect_value(h, PAGES + 2 * PAGE, PATTERN, "a page after it");
	name_pages(h, BALLOON_QUEUE_DEFLATE, 1);
	script_write(h, 8, PAGES + PAGE, PATTERN);
	expect_value(h, PAGES + PAGE, PATTERN, "a page that was taken back");
}

static void check_held(struct hostile *h)
{
	uint64_t now = balloon_held(h->devices.balloon);

	if (now != held)
		hostile_fail(h, "%llu bytes in the balloon instead of %llu",
			     (unsigned long long)now, (unsigned long long)held);
}

static void works(struct hostile *h)
{
	held = 0;
	driver_bring_up(h, SLOT_BALLOON);
	driver_expect_status(h, SLOT_BALLOON, ST_LIVE, "the balloon comes up");
	expect_works(h);
	expect_works(h);
	driver_expect_rng(h);
}

static void what_is_not_memory(struct hostile *h)
{
	static const uint64_t pages[] = {MEMORY_PAGE,
					 0xd0000, /* the devices */
					 0xfee00,
					 0xfffbc, /* KVM's own */
					 LAYOUT_HOLE_END / PAGE,
					 UINT32_MAX};
	unsigned i;

	held = 0;
	driver_bring_up(h, SLOT_BALLOON);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		put_number(h, i, pages[i]);
	name_pages(h, BALLOON_QUEUE_INFLATE, ARRAY_SIZE(pages));
	name_pages(h, BALLOON_QUEUE_DEFLATE, ARRAY_SIZE(pages));
	driver_expect_status(h, SLOT_BALLOON, ST_LIVE, "the balloon goes on");
	expect_works(h);
	driver_expect_rng(h);
}

/* The page of numbers, and then the rings that the device reads. */
static void what_the_device_reads(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_BALLOON, 0);
	unsigned i;

	held = 0;
	driver_bring_up(h, SLOT_BALLOON);
	put_number(h, 0, NUMBERS / PAGE);
	put_number(h, 1, LAYOUT_VMGENID / PAGE);
	name_pages(h, BALLOON_QUEUE_INFLATE, 2);
	for (i = 0; i < BALLOON_QUEUES; i++)
		put_number(h, i, HOSTILE_BALLOON / PAGE + i);
	driver_descriptor(h, ring, 0, NUMBERS, 4 * BALLOON_QUEUES, 0, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	/* The index that the driver has written is gone. */
	driver_kick(h, ring);
	driver_expect_rng(h);
	driver_bring_up(h, SLOT_BALLOON);
	driver_expect_status(h, SLOT_BALLOON, ST_LIVE, "the balloon comes up again");
	expect_works(h);
	driver_expect_rng(h);
}

static void flood(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_BALLOON, 0);
	unsigned round, i;

	held = 64 * PAGE;
	driver_bring_up(h, SLOT_BALLOON);
	for (i = 0; i < 64; i++)
		put_number(h, i, PAGES / PAGE + 2 * i);
	for (round = 0; round < 5; round++) {
		driver_descriptor(h, ring, 0, NUMBERS, 4 * 64, 0, 0);
		driver_offer(h, ring, 0);
		driver_flood(h, ring, 10);
	}
	driver_expect_rng(h);
}

/* A chain of 4 MiB of numbers, which takes the device many turns; then a reset in its midst. */
static void a_long_chain(struct hostile *h)
{
	struct guest_ring *ring = driver_ring(h, SLOT_BALLOON, 0);

	held = 0;
	driver_bring_up(h, SLOT_BALLOON);
	driver_descriptor(h, ring, 0, MIB(8), MIB(4), 0, 0);
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_expect_rng(h);
	driver_expect_used(h, ring, 1, "a long chain ends");
	driver_offer(h, ring, 0);
	driver_kick(h, ring);
	driver_bring_up(h, SLOT_BALLOON);
	expect_works(h);
	driver_expect_rng(h);
}

static const struct hostile_test tests[] = {
	{.name = "a_balloon_works", .build = works, .check = check_held},
	{.name = "a_balloon_of_what_is_not_memory",
	 .build = what_is_not_memory,
	 .check = check_held},
	{.name = "a_balloon_of_what_the_device_reads",
	 .build = what_the_device_reads,
	 .check = check_held},
	{.name = "a_flood_of_pages", .build = flood, .check = check_held},
	{.name = "a_long_chain_of_pages", .build = a_long_chain, .check = check_held},
};

HOSTILE_MAIN(tests)
