/* SPDX-License-Identifier: Apache-2.0 */
/* The balloon's state in a snapshot, and forged ones. */
#include "devices/balloon/balloon.h"

#include <errno.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define F_REPORTING (UINT64_C(1) << 5)

#define PAGE	 4096u
#define RAM	 (MIB(1) + 5 * PAGE) /* a number of pages that is no multiple of 8 */
#define BITS	 ((RAM / PAGE + 7) / 8)
#define RAM_PAGE (FAKE_RAM_BASE / PAGE)

struct side {
	struct fake_guest guest;
	struct balloon *balloon;
};

static struct loop *loop;
static struct side old, new;

static void make(struct side *side)
{
	fake_guest_init(&side->guest, RAM);
	ck_assert_int_eq(balloon_create(&side->balloon, loop, &side->guest.memory, true), 0);
	fake_guest_attach(&side->guest, balloon_device(side->balloon));
}

static void begin(void)
{
	ck_assert_int_eq(loop_create(&loop), 0);
	make(&old);
	make(&new);
	ck_assert(fake_guest_bring_up(&old.guest, F_REPORTING));
}

static void end(void)
{
	balloon_destroy(old.balloon);
	balloon_destroy(new.balloon);
	fake_guest_destroy(&old.guest);
	fake_guest_destroy(&new.guest);
	loop_destroy(loop);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void run_once(void)
{
	struct loop_task task = {.run = stop, .arg = loop};

	loop_defer(loop, &task);
	ck_assert_int_eq(loop_run(loop), 0);
}

static void name_page(struct side *side, unsigned queue, uint32_t number)
{
	uint64_t at = fake_guest_alloc(&side->guest, 4, 4);

	store_le32(fake_guest_at(&side->guest, at), number);
	fake_queue_add_one(&side->guest.queue[queue], at, 4, false);
	fake_queue_kick(&side->guest.queue[queue]);
	run_once();
}

/* Copies the guest's memory and the device's state. */
static void save(struct pack *pack)
{
	*pack = (struct pack){.data = NULL};
	virtio_mmio_save(&old.guest.mmio, pack);
	ck_assert(!pack->failed);
	memcpy(new.guest.ram, old.guest.ram, RAM);
}

static int restore(const struct pack *pack)
{
	struct unpack unpack = {.data = pack->data, .length = pack->length};
	struct err err = {.text = ""};

	return virtio_mmio_restore(&new.guest.mmio, &unpack, &err);
}

START_TEST(an_empty_one_is_small)
{
	struct pack pack;

	begin();
	save(&pack);
	ck_assert_uint_eq(load_le64(pack.data + pack.length - 8), 0);
	ck_assert_int_eq(restore(&pack), 0);
	ck_assert(balloon_has_driver(new.balloon));
	ck_assert_uint_eq(balloon_target(new.balloon), 0);
	ck_assert_uint_eq(balloon_held(new.balloon), 0);
	pack_free(&pack);
	end();
}
END_TEST

START_TEST(target_and_pages_are_kept)
{
	struct pack pack, again = {.data = NULL};
	uint32_t last = RAM_PAGE + RAM / PAGE - 1;

	begin();
	balloon_set_target(old.balloon, 3 * PAGE);
	name_page(&old, BALLOON_QUEUE_INFLATE, RAM_PAGE + 200);
	name_page(&old, BALLOON_QUEUE_INFLATE, last);
	fake_write(&old.guest, FAKE_REG_CONFIG + 4, 2);
	save(&pack);
	ck_assert_int_eq(restore(&pack), 0);
	ck_assert_uint_eq(balloon_target(new.balloon), 3 * PAGE);
	ck_assert_uint_eq(balloon_held(new.balloon), 2 * PAGE);
	ck_assert_uint_eq(fake_read(&new.guest, FAKE_REG_CONFIG + 4), 2);
	ck_assert_uint_eq(fake_read(&new.guest, FAKE_REG_CONFIG), 3);
	/* Not their number only: which pages. */
	virtio_mmio_save(&new.guest.mmio, &again);
	ck_assert_uint_eq(again.length, pack.length);
	ck_assert(memcmp(again.data + again.length - BITS, pack.data + pack.length - BITS, BITS) ==
		  0);
	pack_free(&again);
	pack_free(&pack);
	end();
}
END_TEST

/* A chain that was not finished when the guest was saved. */
START_TEST(an_unfinished_chain_is_finished)
{
	uint32_t count = BALLOON_TURN_NUMBERS * 2 + 1, i;
	struct pack pack;
	uint64_t at;

	begin();
	at = fake_guest_alloc(&old.guest, count * 4u, 4);
	for (i = 0; i < count; i++)
		store_le32(fake_guest_at(&old.guest, at + i * 4u), UINT32_MAX);
	/* The last page has nothing else. */
	store_le32(fake_guest_at(&old.guest, at + (i - 1) * 4u), RAM_PAGE + RAM / PAGE - 1);
	fake_queue_add_one(&old.guest.queue[0], at, count * 4u, false);
	fake_queue_kick(&old.guest.queue[0]);
	run_once();
	ck_assert_uint_eq(fake_queue_used_index(&old.guest.queue[0]), 0);
	save(&pack);
	ck_assert_int_eq(restore(&pack), 0);
	for (i = 0; i < 100 && balloon_held(new.balloon) == 0; i++)
		run_once();
	ck_assert_uint_eq(balloon_held(new.balloon), PAGE);
	pack_free(&pack);
	end();
}
END_TEST

/* Where the device's own state begins, with no page in it: target, actual, length. */
#define OWN 16u

static void expect(void (*forge)(struct pack *pack), int ret)
{
	struct pack pack;

	begin();
	name_page(&old, BALLOON_QUEUE_INFLATE, RAM_PAGE + 200);
	save(&pack);
	forge(&pack);
	ck_assert_int_eq(restore(&pack), ret);
	pack_free(&pack);
	end();
}

static uint8_t *own(struct pack *pack)
{
	return pack->data + pack->length - BITS - OWN;
}

static void nothing(struct pack *pack)
{
	(void)pack;
}

static void largest_target(struct pack *pack)
{
	store_le32(own(pack), RAM / PAGE);
}

static void target_beyond_memory(struct pack *pack)
{
	store_le32(own(pack), RAM / PAGE + 1);
}

static void length_of_another_memory(struct pack *pack)
{
	store_le64(own(pack) + 8, BITS - 1);
}

static void endless(struct pack *pack)
{
	store_le64(own(pack) + 8, UINT64_MAX);
}

static void last_page(struct pack *pack)
{
	pack->data[pack->length - 1] = 1u << (RAM / PAGE - 1) % 8;
}

static void page_beyond_memory(struct pack *pack)
{
	pack->data[pack->length - 1] = (uint8_t)(1u << RAM / PAGE % 8);
}

static void cut_short(struct pack *pack)
{
	pack->length--;
}

static void without_its_state(struct pack *pack)
{
	pack->length -= BITS + OWN;
}

START_TEST(forged_states_are_refused)
{
	expect(nothing, 0);
	expect(largest_target, 0);
	expect(target_beyond_memory, -EINVAL);
	expect(length_of_another_memory, -EINVAL);
	expect(endless, -EINVAL);
	expect(last_page, 0);
	expect(page_beyond_memory, -EINVAL);
	expect(cut_short, -EINVAL);
	expect(without_its_state, -EINVAL);
}
END_TEST

UNIT_MAIN("balloon_save", an_empty_one_is_small, target_and_pages_are_kept,
	  an_unfinished_chain_is_finished, forged_states_are_refused)
