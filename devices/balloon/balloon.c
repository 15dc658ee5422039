/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/balloon/balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"

#define QUEUE_SIZE 128

/* Page numbers that are copied from a chain at a time. */
#define BATCH 64u

/* What a chain costs in numbers, even if it names nothing. */
#define CHAIN_COST 32u

#define CONFIG_TARGET 0u /* num_pages, 32 bits; read-only for the driver */
#define CONFIG_ACTUAL 4u /* actual, 32 bits, which the driver writes */
#define CONFIG_SIZE   8u

_Static_assert((1u << VIRTIO_BALLOON_PFN_SHIFT) == GUEST_PAGE_BYTES, "a page is a page");

/* What is left of a turn. */
struct turn {
	uint32_t numbers, calls;
	uint64_t bytes;
};

struct balloon {
	struct virtio_device device;
	struct loop *loop;
	struct guest_memory *memory;
	struct loop_task work;
	struct virtio_chain chain;
	/* In the next chain of each queue, the bytes that have been handled in earlier turns. */
	uint64_t at[BALLOON_QUEUES];
	uint64_t pages; /* of guest memory */
	uint32_t target, actual;
	uint64_t held;	/* bits that are set */
	uint8_t *in_it; /* a bit a page: the driver does without it */
	bool reported_bad;
};

/* Pages beside each other, to be given back by one call. */
struct run {
	uint8_t *host;
	uint64_t length;
};

/* --- pages ------------------------------------------------------------------------------------ */

static size_t bitmap_bytes(const struct balloon *balloon)
{
	return (size_t)((balloon->pages + 7) / 8);
}

static void release(struct balloon *balloon, void *host, uint64_t length, bool keep_files,
		    struct turn *turn)
{
	int ret = guest_memory_release(balloon->memory, host, length, keep_files);

	turn->calls -= turn->calls > 0;
	turn->bytes -= min_u64(turn->bytes, length);
	if (ret < 0)
		log_guest("%s: giving memory back: %s", balloon->device.name, strerror(-ret));
}

static void end_run(struct balloon *balloon, struct run *run, struct turn *turn)
{
	if (run->length > 0)
		release(balloon, run->host, run->length, false, turn);
	run->length = 0;
}

/* Drivers name pages in ascending order or in descending order. */
static void add_to_run(struct balloon *balloon, struct run *run, uint8_t *host, struct turn *turn)
{
	if (run->length > 0 && host == run->host + run->length) {
		run->length += GUEST_PAGE_BYTES;
		return;
	}
	if (run->length > 0 && host + GUEST_PAGE_BYTES == run->host) {
		run->host = host;
		run->length += GUEST_PAGE_BYTES;
		return;
	}
	end_run(balloon, run, turn);
	*run = (struct run){.host = host, .length = GUEST_PAGE_BYTES};
}

/* One page that the driver has named. */
static void take(struct balloon *balloon, uint32_t number, bool inflate, struct run *run,
		 struct turn *turn)
{
	uint64_t gpa = (uint64_t)number << VIRTIO_BALLOON_PFN_SHIFT, index;
	void *host = guest_memory_at(balloon->memory, gpa, GUEST_PAGE_BYTES);
	uint8_t bit;
	bool is_in;

	if (!host || !guest_memory_page_number(balloon->memory, gpa, &index)) {
		if (!balloon->reported_bad)
			log_guest("%s: page %#x is not memory: ignored, as others will be",
				  balloon->device.name, number);
		balloon->reported_bad = true;
		return;
	}
	bit = (uint8_t)(1u << index % 8);
	is_in = balloon->in_it[index / 8] & bit;
	if (is_in == inflate)
		return;
	balloon->in_it[index / 8] ^= bit;
	if (!inflate) {
		balloon->held--;
		return;
	}
	balloon->held++;
	add_to_run(balloon, run, host, turn);
}

/* --- chains ----------------------------------------------------------------------------------- */

/* Handles page numbers from *at on. True: to the chain's end. */
static bool handle_numbers(struct balloon *balloon, bool inflate, uint64_t *at, struct turn *turn)
{
	uint8_t numbers[BATCH * sizeof(uint32_t)];
	struct run run = {.length = 0};
	size_t got = 0, i;

	while (turn->numbers >= BATCH && turn->calls > BATCH && turn->bytes > 0) {
		if (*at >= BALLOON_CHAIN_NUMBERS * sizeof(uint32_t))
			return true;
		got = virtio_chain_read(&balloon->chain, *at, numbers, sizeof(numbers));
		for (i = 0; i + sizeof(uint32_t) <= got; i += sizeof(uint32_t))
			take(balloon, load_le32(numbers + i), inflate, &run, turn);
		end_run(balloon, &run, turn);
		*at += got;
		turn->numbers -= BATCH;
		if (got < sizeof(numbers))
			return true;
	}
	return false;
}

/*
 * Gives back the reported segments from byte *at of the chain on. True: to its end. The driver
 * relies on each page being unchanged or zero (5.5.6.7), so a snapshot's file is left alone.
 */
static bool handle_report(struct balloon *balloon, uint64_t *at, struct turn *turn)
{
	const struct virtio_chain *chain = &balloon->chain;
	uint64_t before = 0, skip, length;
	unsigned i;

	for (i = 0; i < chain->writable_count; i++, before += skip) {
		skip = chain->writable[i].iov_len;
		if (before + skip <= *at)
			continue;
		if (*at >= balloon->pages * GUEST_PAGE_BYTES)
			return true;
		if (turn->calls <= BATCH || turn->bytes == 0)
			return false;
		skip = *at - before;
		length = min_u64(chain->writable[i].iov_len - skip, turn->bytes);
		release(balloon, (uint8_t *)chain->writable[i].iov_base + skip, length, true, turn);
		*at += length;
		if (skip + length < chain->writable[i].iov_len)
			return false;
		skip += length;
	}
	return true;
}

static bool handle(struct balloon *balloon, unsigned queue, struct turn *turn)
{
	uint64_t *at = &balloon->at[queue];

	if (queue == BALLOON_QUEUE_REPORT)
		return handle_report(balloon, at, turn);
	return handle_numbers(balloon, queue == BALLOON_QUEUE_INFLATE, at, turn);
}

static bool turn_over(struct turn *turn)
{
	if (turn->numbers < BATCH + CHAIN_COST || turn->calls <= BATCH || turn->bytes == 0)
		return true;
	turn->numbers -= CHAIN_COST;
	return false;
}

static bool serves(const struct balloon *balloon, unsigned queue)
{
	return virtqueue_active(&balloon->device.queue[queue]) &&
	       (queue != BALLOON_QUEUE_REPORT ||
		balloon->device.negotiated & UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING);
}

/* Serves a queue, up to what is left of the turn. False: there may be more. */
static bool serve_queue(struct balloon *balloon, unsigned queue, struct turn *turn)
{
	struct virtio_device *device = &balloon->device;

	while (!turn_over(turn)) {
		if (virtio_device_pop(device, queue, &balloon->chain) <= 0)
			return true;
		if (!handle(balloon, queue, turn)) {
			/* So that a snapshot has the chain; what was done of it changes nothing. */
			virtqueue_undo_pop(&device->queue[queue]);
			return false;
		}
		balloon->at[queue] = 0;
		virtio_device_push(device, queue, &balloon->chain, 0);
	}
	return false;
}

static void serve(void *arg)
{
	struct balloon *balloon = arg;
	struct turn turn = {
		.numbers = BALLOON_TURN_NUMBERS,
		.calls = BALLOON_TURN_CALLS,
		.bytes = BALLOON_TURN_BYTES,
	};
	unsigned queue;

	for (queue = 0; queue < BALLOON_QUEUES; queue++) {
		if (!serves(balloon, queue))
			continue;
		if (!serve_queue(balloon, queue, &turn)) {
			loop_defer(balloon->loop, &balloon->work);
			return;
		}
	}
}

/* --- the device ------------------------------------------------------------------------------- */

static int balloon_activate(struct virtio_device *device)
{
	(void)device;
	return 0;
}

/* A driver that starts anew has all of the memory. The target stays. */
static void balloon_reset(struct virtio_device *device)
{
	struct balloon *balloon = (struct balloon *)device;

	loop_cancel(balloon->loop, &balloon->work);
	memset(balloon->at, 0, sizeof(balloon->at));
	if (balloon->held > 0)
		memset(balloon->in_it, 0, bitmap_bytes(balloon));
	balloon->held = 0;
	balloon->actual = 0;
}

static void balloon_notify(struct virtio_device *device, unsigned queue)
{
	struct balloon *balloon = (struct balloon *)device;

	(void)queue;
	/*
	 * On a vCPU's thread: vCPUs that ring without end would else have the device lock nearly
	 * always, and the loop's thread, with the deadlines and `cordon stop`, would wait for it.
	 */
	loop_defer(balloon->loop, &balloon->work);
}

static void balloon_config_read(struct virtio_device *device, uint32_t offset, void *to,
				uint32_t length)
{
	const struct balloon *balloon = (const struct balloon *)device;
	uint8_t config[CONFIG_SIZE];

	store_le32(config + CONFIG_TARGET, balloon->target);
	store_le32(config + CONFIG_ACTUAL, balloon->actual);
	memcpy(to, config + offset, length);
}

static void balloon_config_write(struct virtio_device *device, uint32_t offset, const void *from,
				 uint32_t length)
{
	struct balloon *balloon = (struct balloon *)device;

	/* Nothing depends on it: the driver only reads it back. */
	if (offset == CONFIG_ACTUAL && length == sizeof(uint32_t))
		balloon->actual = load_le32(from);
}

static void balloon_save(const struct virtio_device *device, struct pack *pack)
{
	const struct balloon *balloon = (const struct balloon *)device;
	size_t length = balloon->held > 0 ? bitmap_bytes(balloon) : 0;

	pack_u32(pack, balloon->target);
	pack_u32(pack, balloon->actual);
	pack_u64(pack, length);
	pack_bytes(pack, balloon->in_it, length);
}

static int balloon_restore(struct virtio_device *device, struct unpack *unpack)
{
	struct balloon *balloon = (struct balloon *)device;
	uint32_t target = unpack_u32(unpack), actual = unpack_u32(unpack);
	uint64_t length = unpack_u64(unpack);
	unsigned beyond = balloon->pages % 8;
	const uint8_t *bits;
	size_t i;

	if (unpack->failed || target > balloon->pages ||
	    (length != 0 && length != bitmap_bytes(balloon)))
		return -EINVAL;
	bits = unpack_skip(unpack, (size_t)length);
	if (!bits || (length > 0 && beyond > 0 && bits[length - 1] >> beyond != 0))
		return -EINVAL;
	for (i = 0; i < length; i++) {
		balloon->in_it[i] = bits[i];
		balloon->held += (unsigned)__builtin_popcount(bits[i]);
	}
	balloon->target = target;
	balloon->actual = actual;
	guest_memory_use_single(balloon->memory, target > 0);
	return 0;
}

static const struct virtio_device_ops balloon_ops = {
	.activate = balloon_activate,
	.reset = balloon_reset,
	.notify = balloon_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.save = balloon_save,
	.restore = balloon_restore,
};

int balloon_create(struct balloon **out, struct loop *loop, struct guest_memory *memory,
		   bool reports)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	unsigned queue;

	*out = balloon;
	if (!balloon)
		return -ENOMEM;
	balloon->loop = loop;
	balloon->memory = memory;
	balloon->pages = guest_memory_pages(memory);
	balloon->in_it = calloc(1, bitmap_bytes(balloon) + 1);
	if (!balloon->in_it)
		return -ENOMEM;
	balloon->work = (struct loop_task){.run = serve, .arg = balloon};
	balloon->device.ops = &balloon_ops;
	balloon->device.name = "balloon0";
	balloon->device.id = VIRTIO_ID_BALLOON;
	balloon->device.features = UINT64_C(1) << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (reports)
		balloon->device.features |= UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING;
	balloon->device.queue_count = BALLOON_QUEUES;
	for (queue = 0; queue < BALLOON_QUEUES; queue++)
		balloon->device.queue_size_max[queue] = QUEUE_SIZE;
	balloon->device.config_size = CONFIG_SIZE;
	return 0;
}

struct virtio_device *balloon_device(struct balloon *balloon)
{
	return &balloon->device;
}

void balloon_destroy(struct balloon *balloon)
{
	if (!balloon)
		return;
	loop_cancel(balloon->loop, &balloon->work);
	free(balloon->in_it);
	free(balloon);
}

bool balloon_has_driver(const struct balloon *balloon)
{
	return balloon->device.active;
}

void balloon_set_target(struct balloon *balloon, uint64_t bytes)
{
	uint64_t pages = min_u64(bytes / GUEST_PAGE_BYTES, min_u64(balloon->pages, UINT32_MAX));

	if (pages == balloon->target)
		return;
	balloon->target = (uint32_t)pages;
	guest_memory_use_single(balloon->memory, pages > 0);
	if (balloon->device.active)
		balloon->device.transport_ops->interrupt_config(balloon->device.transport);
}

uint64_t balloon_target(const struct balloon *balloon)
{
	return (uint64_t)balloon->target * GUEST_PAGE_BYTES;
}

uint64_t balloon_held(const struct balloon *balloon)
{
	return balloon->held * GUEST_PAGE_BYTES;
}
