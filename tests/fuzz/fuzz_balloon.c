/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers of the memory balloon: a script inflates, deflates and reports pages, most of them valid,
 * in chains of any shape, with resets, broken rings, new targets and restores in between. What must
 * hold: the device counts the pages that are in the balloon and no other, a page that was given
 * away is zero, and one that was not has what the driver wrote.
 */
#include <string.h>

#include "devices/balloon/balloon.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_guest.h"
#include "vmm/base/log.h"

#define PAGE	   4096u
#define PAGES	   64u /* whose contents the script knows */
#define LISTS	   KIB(64)
#define STEPS	   48
#define NUMBERS	   40u /* in a chain, at most */
#define F_REPORTS  (UINT64_C(1) << 5)
#define FIRST_PAGE ((uint32_t)(pages / PAGE))

static struct loop *loop;
static struct fake_guest guest;
static struct balloon *balloon;
static uint64_t pages, list; /* guest-physical */
static bool in_it[PAGES];
static uint8_t known[PAGES]; /* the byte that fills a page */

static void bring_up(void)
{
	fake_guest_forget(&guest);
	pages = fake_guest_alloc(&guest, PAGES * PAGE, PAGE);
	list = fake_guest_alloc(&guest, LISTS, PAGE);
	FUZZ_REQUIRE(fake_guest_bring_up(&guest, F_REPORTS | FAKE_F_INDIRECT_DESC));
	memset(in_it, 0, sizeof(in_it));
	memset(known, 0, sizeof(known));
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void run_once(void)
{
	struct loop_task task = {.run = stop, .arg = loop};

	loop_defer(loop, &task);
	FUZZ_REQUIRE(loop_run(loop) == 0);
}

/* No chain here is longer than a turn: the device has used all, also one that a restore brought. */
static void settle(void)
{
	unsigned i;

	run_once();
	for (i = 0; i < BALLOON_QUEUES; i++)
		FUZZ_REQUIRE(fake_queue_used_index(&guest.queue[i]) == guest.queue[i].avail_index);
}

static void check(void)
{
	unsigned i, count = 0;

	for (i = 0; i < PAGES; i++) {
		const uint8_t *page = fake_guest_at(&guest, pages + i * PAGE);

		count += in_it[i];
		FUZZ_REQUIRE(page[0] == known[i] && page[PAGE - 1] == known[i]);
	}
	FUZZ_REQUIRE(balloon_held(balloon) == (uint64_t)count * PAGE);
}

static void fill(struct fuzz_script *script)
{
	unsigned i = fuzz_below(script, PAGES);

	known[i] = (uint8_t)fuzz_number(script, 1);
	memset(fake_guest_at(&guest, pages + i * PAGE), known[i], PAGE);
}

static uint32_t some_number(struct fuzz_script *script, bool inflate)
{
	/* Not memory: below it, above it. */
	static const uint32_t bases[] = {0, 0x80000000, UINT32_MAX - 200, 0x00ffff00};
	uint32_t page = fuzz_below(script, PAGES);

	if (fuzz_rarely(script, 8))
		return bases[fuzz_below(script, ARRAY_SIZE(bases))] + page;
	if (inflate && !in_it[page])
		known[page] = 0;
	in_it[page] = inflate;
	return FIRST_PAGE + page;
}

/* A chain of page numbers, which lie across segments of any size. */
static void name_pages(struct fuzz_script *script)
{
	bool inflate = fuzz_below(script, 2);
	struct fake_queue *queue = &guest.queue[!inflate];
	unsigned count = fuzz_below(script, NUMBERS), i, used = 0;
	struct fake_segment segment[6];
	uint32_t left = 4 * count, length;

	for (i = 0; i < count; i++)
		store_le32(fake_guest_at(&guest, list + 4 * i), some_number(script, inflate));
	while (left > 0 && used < ARRAY_SIZE(segment) - 1) {
		length = used == ARRAY_SIZE(segment) - 2
				 ? left
				 : 1 + (uint32_t)fuzz_number(script, 1) % left;
		segment[used++] = (struct fake_segment){list + 4 * count - left, length, false};
		left -= length;
	}
	if (used == 0 || fuzz_rarely(script, 8))
		segment[used++] = (struct fake_segment){list + LISTS / 2, 8, true};
	if (fuzz_below(script, 2))
		fake_queue_add_indirect(queue, segment, used);
	else
		fake_queue_add(queue, segment, used);
	fake_queue_kick(queue);
}

static void report(struct fuzz_script *script)
{
	unsigned first = fuzz_below(script, PAGES),
		 last = first + fuzz_below(script, PAGES - first);
	uint32_t before = (uint32_t)fuzz_number(script, 2) % PAGE, after = before / 2, i;
	uint32_t length = (last - first + 1) * PAGE;

	if (before + after >= length)
		before = after = 0;
	for (i = first + (before > 0); i < last + (after == 0); i++)
		known[i] = 0;
	fake_queue_add_one(&guest.queue[2], pages + first * PAGE + before, length - before - after,
			   true);
	fake_queue_kick(&guest.queue[2]);
}

/* Another device goes on where this one was saved, unless the state is broken. */
static void restore(struct fuzz_script *script)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;
	struct err err = {.text = ""};
	bool broken = fuzz_rarely(script, 4);

	virtio_mmio_save(&guest.mmio, &pack);
	FUZZ_REQUIRE(!pack.failed);
	if (broken)
		pack.data[pack.length - 1 - fuzz_number(script, 1) % min_u64(pack.length, 256)] ^=
			(uint8_t)fuzz_number(script, 1);
	balloon_destroy(balloon);
	FUZZ_REQUIRE(balloon_create(&balloon, loop, &guest.memory, true) == 0);
	fake_guest_attach(&guest, balloon_device(balloon));
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	if (virtio_mmio_restore(&guest.mmio, &unpack, &err) < 0)
		FUZZ_REQUIRE(broken && err.text[0]);
	FUZZ_REQUIRE(balloon_target(balloon) <= guest.ram_size);
	FUZZ_REQUIRE(balloon_held(balloon) <= guest.ram_size);
	pack_free(&pack);
	if (broken)
		bring_up();
}

static void step(struct fuzz_script *script)
{
	switch (fuzz_below(script, 12)) {
	case 0:
		bring_up();
		break;
	case 1:
		fake_queue_set_avail_index(&guest.queue[fuzz_below(script, 3)],
					   (uint16_t)fuzz_number(script, 2));
		fake_queue_kick(&guest.queue[0]);
		run_once();
		bring_up();
		break;
	case 2:
		balloon_set_target(balloon, fuzz_number(script, 8));
		FUZZ_REQUIRE(fake_read(&guest, FAKE_REG_CONFIG) <= guest.ram_size / PAGE);
		fake_write_size(&guest, FAKE_REG_CONFIG + fuzz_below(script, 12),
				1u << fuzz_below(script, 4), fuzz_number(script, 8));
		break;
	case 3:
		restore(script);
		break;
	case 4:
	case 5:
		report(script);
		break;
	case 6:
		fill(script);
		break;
	default:
		name_pages(script);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	unsigned steps;

	log_set_level(LOG_LEVEL_ERROR);
	if (!loop)
		FUZZ_REQUIRE(loop_create(&loop) == 0);
	fake_guest_init(&guest, MIB(1));
	FUZZ_REQUIRE(balloon_create(&balloon, loop, &guest.memory, true) == 0);
	fake_guest_attach(&guest, balloon_device(balloon));
	bring_up();
	for (steps = 0; steps < STEPS && !fuzz_ended(&script); steps++) {
		step(&script);
		settle();
		check();
	}
	balloon_destroy(balloon);
	fake_guest_destroy(&guest);
	return 0;
}
