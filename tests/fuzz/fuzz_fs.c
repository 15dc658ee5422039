/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the file system device: a script makes chains that are valid or wrong in one place,
 * in segments of any size, of which the server replies to some at once and to others later, rightly
 * or not, with resets, holds, changes of the server, saves and restores, and broken rings in
 * between. What must hold: every chain comes back once, a valid request with its own reply or an
 * error, and the device keeps to the server's rules (tests/support/fake_fs.h).
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_fs.h"
#include "vmm/base/log.h"

#define STEPS  48
#define QUEUES 2

static struct fake_fs *fake;
static struct fuzz_script *script;
static uint64_t features;
static bool hold, gone;

/* A reply that may be wrong: in its length, or to another request. */
static void some_reply(struct fake_fs *server, struct fake_slot *slot)
{
	(void)server;
	if (!fuzz_rarely(script, 4))
		return;
	switch (fuzz_below(script, 5)) {
	case 0:
		slot->reply_length = 0;
		break;
	case 1:
		slot->reply_length = fuzz_number(script, 3);
		break;
	case 2:
		slot->reply_length = SIZE_MAX - fuzz_below(script, 64);
		break;
	case 3:
		store_le32(slot->out, (uint32_t)fuzz_number(script, 4));
		break;
	default:
		slot->out[8] ^= 0x80;
		break;
	}
}

static unsigned some_queue(void)
{
	return fuzz_below(script, QUEUES + 1);
}

/* Whether a chain of two descriptors, or one with a table of its own, can be added. */
static bool has_descriptors(unsigned queue)
{
	struct fake_queue *it = &fake->guest.queue[queue];
	unsigned used = (uint16_t)(it->avail_index - it->used_index);

	return 2 * (used + 1) <= it->size;
}

static void request(void)
{
	unsigned queue = some_queue();
	struct fake_request *it;
	uint32_t length = 40 + fuzz_below(script, 200), room = fuzz_below(script, 256);
	uint32_t claim = length, segment = fuzz_rarely(script, 4) ? 9 + fuzz_below(script, 60) : 0;

	if (fuzz_rarely(script, 6))
		claim = (uint32_t)fuzz_number(script, 4);
	if (fuzz_rarely(script, 16))
		length = FS_REQUEST_MAX - 1 + fuzz_below(script, 3);
	if (fuzz_rarely(script, 16))
		length = fuzz_below(script, 40);
	if (length > 4096)
		segment = 0;
	if (!(features & FAKE_F_INDIRECT_DESC))
		segment = 0;
	if (length + room == 0 || !has_descriptors(queue))
		return;
	if (fake->guest.allocated + length + room + KIB(16) > fake->guest.ram_size / 2)
		return;
	it = fake_fs_request_of(fake, queue, length, claim, room, segment);
	if (length > FAKE_FS_LANE)
		fake_fs_set_lane(fake, it, fuzz_below(script, 4));
	if (!fuzz_rarely(script, 4))
		fake_fs_ring(fake, queue);
}

/* What is in the memory of the old driver is forgotten. */
static void again(void)
{
	fake_write(&fake->guest, FAKE_REG_STATUS, 0);
	fake_guest_forget(&fake->guest);
	FUZZ_REQUIRE(fake_guest_bring_up(&fake->guest, features));
}

static void break_ring(void)
{
	struct fake_queue *queue = &fake->guest.queue[some_queue()];

	fake_queue_set(queue, 0, FAKE_RAM_BASE + fuzz_number(script, 4),
		       (uint32_t)fuzz_number(script, 4), (uint16_t)fuzz_below(script, 8),
		       (uint16_t)fuzz_number(script, 2));
	if (fuzz_below(script, 2))
		fake_queue_offer(queue, 0);
	else
		fake_queue_set_avail_index(queue, (uint16_t)fuzz_number(script, 2));
	fake_fs_ring(fake, queue->index);
	fs_room(fake->fs);
	again();
}

static void finish_some(void)
{
	unsigned i;

	for (i = 0; i < FS_SLOTS; i++)
		if (fake->slot[i].state == FAKE_SLOT_SENT && fuzz_below(script, 2))
			fake_fs_finish(fake, i);
}

static void connect_another(void)
{
	gone = fuzz_below(script, 2);
	fs_set_server(fake->fs, NULL, NULL);
	fake_fs_free_slots(fake);
	fs_set_server(fake->fs, gone ? NULL : &fake_fs_ops, fake);
}

/* A new device goes on where the old one was saved, with what waited at the server. */
static void save_and_restore(void)
{
	struct pack pack = {.data = NULL};
	struct unpack unpack;
	struct err err = {""};
	bool forged;
	struct fs *fs;
	unsigned i;

	fs_hold(fake->fs, true);
	for (i = 0; i < FS_SLOTS; i++)
		fake->slot[i].waits = true;
	FUZZ_REQUIRE(fs_idle(fake->fs));
	virtio_mmio_save(&fake->guest.mmio, &pack);
	FUZZ_REQUIRE(!pack.failed && fs_create(&fs, fake->loop, QUEUES) == 0);
	fs_destroy(fake->fs);
	fake->fs = fs;
	fake_fs_free_slots(fake);
	fake_guest_attach(&fake->guest, fs_device(fs));
	forged = fuzz_rarely(script, 4);
	if (forged)
		pack.data[pack.length - 1 - fuzz_number(script, 1) % pack.length] ^=
			(uint8_t)fuzz_number(script, 1);
	unpack = (struct unpack){.data = pack.data, .length = pack.length};
	if (virtio_mmio_restore(&fake->guest.mmio, &unpack, &err) < 0) {
		/* A machine ends then; here a new driver comes. */
		fake_guest_attach(&fake->guest, fs_device(fs));
		again();
	}
	pack_free(&pack);
	fs_set_server(fake->fs, gone ? NULL : &fake_fs_ops, fake);
	if (!hold)
		fs_hold(fake->fs, false);
	if (forged)
		again();
}

/* Lets everything end, and takes what came back. */
static void settle(void)
{
	uint32_t head, written;
	unsigned i, turns;

	hold = false;
	fs_hold(fake->fs, false);
	for (turns = 0; turns < 64; turns++) {
		for (i = 0; i <= QUEUES; i++)
			fake_fs_ring(fake, i);
		fake_fs_finish_all(fake);
		fs_room(fake->fs);
	}
	FUZZ_REQUIRE(fake_fs_busy(fake) == 0 && fs_idle(fake->fs));
	for (i = 0; i <= QUEUES; i++)
		while (fake_queue_take_used(&fake->guest.queue[i], &head, &written))
			FUZZ_REQUIRE(written <= FS_REPLY_MAX);
	for (i = 0; i <= QUEUES; i++)
		FUZZ_REQUIRE(fake->guest.queue[i].used_index == fake->guest.queue[i].avail_index);
}

/* The device works: the script's end, whatever was before. */
static void expect_works(void)
{
	struct fake_request *it;
	unsigned i;

	again();
	fake->reply = NULL;
	fake->stall = false;
	fake->slots = fake->lane_slots = FS_SLOTS;
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	for (i = 0; i <= QUEUES; i++) {
		it = fake_fs_request(fake, i, 100, 200);
		fake_fs_ring(fake, i);
		FUZZ_REQUIRE(fake_fs_used(fake, i, it, 76) && fake_fs_echoed(fake, it));
	}
}

static void step(void)
{
	switch (fuzz_below(script, 16)) {
	case 0:
		again();
		break;
	case 1:
		break_ring();
		break;
	case 2:
		connect_another();
		break;
	case 3:
		hold = !hold;
		fs_hold(fake->fs, hold);
		break;
	case 4:
		save_and_restore();
		break;
	case 5:
		fake->stall = !fake->stall;
		break;
	case 6:
		fake->early = fuzz_below(script, 4);
		break;
	case 7:
		settle();
		break;
	case 8:
	case 9:
		finish_some();
		break;
	default:
		request();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t some[] = {0, FAKE_F_EVENT_IDX, FAKE_F_INDIRECT_DESC,
					FAKE_F_EVENT_IDX | FAKE_F_INDIRECT_DESC};
	struct fuzz_script it = {.at = data, .left = size};
	unsigned steps;

	log_set_level(LOG_LEVEL_ERROR);
	script = &it;
	features = some[fuzz_below(script, ARRAY_SIZE(some))];
	hold = gone = false;
	fake = fake_fs_begin_with(QUEUES, features, MIB(1));
	fake->slots = 1 + fuzz_below(script, 60);
	fake->lane_slots = 1 + fuzz_below(script, 16);
	fake->reply = some_reply;
	for (steps = 0; steps < STEPS && !fuzz_ended(script); steps++)
		step();
	settle();
	expect_works();
	FUZZ_REQUIRE(fake->wrong == 0);
	fake_fs_end(fake);
	return 0;
}
