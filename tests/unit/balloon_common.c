/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/balloon_common.h"

#include <string.h>

struct fake_guest guest;
struct fake_queue *inflate, *deflate, *report;
struct loop *loop;
struct balloon *balloon;

void begin_with(uint64_t ram, uint64_t features)
{
	ck_assert_int_eq(loop_create(&loop), 0);
	fake_guest_init(&guest, ram);
	ck_assert_int_eq(balloon_create(&balloon, loop, &guest.memory, true), 0);
	fake_guest_attach(&guest, balloon_device(balloon));
	ck_assert(!balloon_has_driver(balloon));
	ck_assert(fake_guest_bring_up(&guest, features));
	ck_assert(balloon_has_driver(balloon));
	inflate = &guest.queue[0];
	deflate = &guest.queue[1];
	report = &guest.queue[2];
}

void begin(void)
{
	begin_with(RAM, F_DEFLATE_ON_OOM | F_REPORTING);
}

void end(void)
{
	balloon_destroy(balloon);
	loop_destroy(loop);
	fake_guest_destroy(&guest);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

void run_once(void)
{
	struct loop_task task = {.run = stop, .arg = loop};

	loop_defer(loop, &task);
	ck_assert_int_eq(loop_run(loop), 0);
}

void ring(struct fake_queue *queue)
{
	fake_queue_kick(queue);
	run_once();
}

uint64_t filled(unsigned pages)
{
	uint64_t at = fake_guest_alloc(&guest, (uint64_t)pages * PAGE, PAGE);

	memset(fake_guest_at(&guest, at), 0x5a, (size_t)pages * PAGE);
	return at;
}

bool all_are(uint64_t address, size_t length, uint8_t value)
{
	const uint8_t *at = fake_guest_at(&guest, address);

	return at[0] == value && memcmp(at, at + 1, length - 1) == 0;
}

uint16_t name_pages(struct fake_queue *queue, const uint32_t *numbers, unsigned count)
{
	uint64_t at = fake_guest_alloc(&guest, count * 4u, 4);
	uint16_t head;
	unsigned i;

	for (i = 0; i < count; i++)
		store_le32(fake_guest_at(&guest, at + i * 4u), numbers[i]);
	head = fake_queue_add_one(queue, at, count * 4u, false);
	ring(queue);
	return head;
}

void name_page(struct fake_queue *queue, uint64_t address)
{
	uint32_t number = (uint32_t)(address / PAGE);

	name_pages(queue, &number, 1);
}

void expect_used(struct fake_queue *queue, unsigned count)
{
	uint32_t head, written;

	for (; count > 0; count--) {
		ck_assert(fake_queue_take_used(queue, &head, &written));
		ck_assert_uint_eq(written, 0);
	}
	ck_assert(!fake_queue_take_used(queue, &head, &written));
}
