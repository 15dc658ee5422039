/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of a disk: requests of one size, so many at a time, for so many cycles. */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "bench/metal/guest.h"

#define DEPTH_MAX   32
#define REQUEST_MAX (1u << 20)
#define SEGMENT	    (64u << 10)
#define SEGMENTS    (REQUEST_MAX / SEGMENT)
#define DISKS	    2
#define SECTOR	    512

/* A request: header, data, status, in an indirect table. */
struct request {
	struct vring_desc table[SEGMENTS + 2];
	struct virtio_blk_outhdr header;
	uint8_t status;
};

enum operation { READ, WRITE, WRITE_FLUSH };

struct run {
	struct queue *queue;
	enum operation operation;
	bool random;
	uint32_t size, depth;
	uint64_t span, next; /* bytes of the disk to use; the next offset */
	uint64_t seed;
	uint64_t done, failed;
};

/* The buffers of a run lie side by side: spread out, they would share few sets of the cache. */
static uint8_t data[DEPTH_MAX * REQUEST_MAX] __attribute__((aligned(4096)));
static struct request requests[DEPTH_MAX] __attribute__((aligned(64)));
static struct queue queues[DISKS];
static bool started[DISKS];

static void fill_table(struct run *run, uint16_t slot, bool has_data)
{
	uint16_t flags = run->operation == READ ? VRING_DESC_F_WRITE : 0, count = 0;
	struct request *request = &requests[slot];
	uint32_t at, part;

	request->table[count++] = (struct vring_desc){.addr = (uintptr_t)&request->header,
						      .len = sizeof(request->header)};
	for (at = 0; has_data && at < run->size; at += part) {
		part = run->size - at < SEGMENT ? run->size - at : SEGMENT;
		request->table[count++] =
			(struct vring_desc){.addr = (uintptr_t)&data[slot * run->size + at],
					    .len = part,
					    .flags = flags};
	}
	request->table[count++] = (struct vring_desc){
		.addr = (uintptr_t)&request->status, .len = 1, .flags = VRING_DESC_F_WRITE};
	for (at = 0; at + 1 < count; at++) {
		request->table[at].flags |= VRING_DESC_F_NEXT;
		request->table[at].next = (uint16_t)(at + 1);
	}
	run->queue->descriptors[slot] =
		(struct vring_desc){.addr = (uintptr_t)request->table,
				    .len = count * (uint32_t)sizeof(request->table[0]),
				    .flags = VRING_DESC_F_INDIRECT};
}

static uint64_t next_offset(struct run *run)
{
	uint64_t blocks = run->span / run->size, offset = run->next;

	if (!run->random) {
		run->next = (offset + run->size) % (blocks * run->size);
		return offset;
	}
	run->seed ^= run->seed << 13;
	run->seed ^= run->seed >> 7;
	run->seed ^= run->seed << 17;
	return run->seed % blocks * run->size;
}

static void offer(struct run *run, uint16_t slot)
{
	struct request *request = &requests[slot];

	request->header.type = run->operation == READ ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->header.sector = next_offset(run) / SECTOR;
	request->status = 0xff;
	queue_offer(run->queue, slot);
}

/* Offers a flush, and waits for it; nothing else is in flight. */
static void flush(struct run *run)
{
	struct request *request = &requests[0];
	uint32_t length;
	uint16_t slot;

	fill_table(run, 0, false);
	request->header.type = VIRTIO_BLK_T_FLUSH;
	request->header.sector = 0;
	request->status = 0xff;
	queue_offer(run->queue, 0);
	queue_kick(run->queue);
	while (!queue_take(run->queue, &slot, &length))
		__asm__ volatile("pause");
	run->failed += request->status != VIRTIO_BLK_S_OK;
	fill_table(run, 0, true);
}

/* Keeps depth requests in flight until the time is over, and then waits for the last of them. */
static uint64_t run_for(struct run *run, uint64_t cycles)
{
	uint64_t start = cycles_now(), end = start + cycles;
	unsigned in_flight = 0;
	uint32_t length;
	uint16_t slot;

	for (; in_flight < run->depth; in_flight++) {
		fill_table(run, (uint16_t)in_flight, true);
		offer(run, (uint16_t)in_flight);
	}
	queue_kick(run->queue);
	while (in_flight > 0) {
		if (!queue_take(run->queue, &slot, &length)) {
			queue_kick(run->queue);
			__asm__ volatile("pause");
			continue;
		}
		run->done++;
		run->failed += requests[slot].status != VIRTIO_BLK_S_OK;
		if (run->operation == WRITE_FLUSH)
			flush(run);
		if (cycles_now() < end)
			offer(run, slot);
		else
			in_flight--;
	}
	return cycles_now() - start;
}

static bool parse(struct run *run, const char **fields)
{
	if (field_is(fields, "read"))
		run->operation = READ;
	else if (field_is(fields, "write"))
		run->operation = WRITE;
	else if (field_is(fields, "flush"))
		run->operation = WRITE_FLUSH;
	else
		return false;
	run->random = field_is(fields, "random");
	if (!run->random && !field_is(fields, "sequential"))
		return false;
	run->size = (uint32_t)field_number(fields);
	run->depth = (uint32_t)field_number(fields);
	run->span = field_number(fields);
	if (run->operation == WRITE_FLUSH && run->depth != 1)
		return false;
	return run->size > 0 && run->size <= REQUEST_MAX && run->size % SECTOR == 0 &&
	       run->depth > 0 && run->depth <= DEPTH_MAX && run->span >= run->size;
}

/*
 * DISK,OPERATION,PATTERN,SIZE,DEPTH,SPAN,CYCLES. Operations: read, write, flush (a write and a
 * flush); patterns: random, sequential. The result: requests, cycles, doorbells.
 */
bool measure_blk(const char *fields, struct text *result)
{
	struct run run = {.seed = 0x9e3779b97f4a7c15u};
	unsigned disk = (unsigned)field_number(&fields);
	uint64_t cycles, doorbells;
	struct device device;

	if (disk >= DISKS || !parse(&run, &fields) ||
	    !device_find(&device, VIRTIO_ID_BLOCK, disk) ||
	    device_config64(&device, 0) * SECTOR < run.span)
		return false;
	if (!started[disk])
		device_start(&device, 1ull << VIRTIO_BLK_F_FLUSH, &queues[disk], 1);
	started[disk] = true;
	run.queue = &queues[disk];
	cycles = field_number(&fields);
	/* The first pass touches all of the memory. */
	run_for(&run, cycles / 16);
	run.done = 0;
	doorbells = run.queue->doorbells;
	cycles = run_for(&run, cycles);
	text_add_number(result, run.done);
	text_add(result, " ");
	text_add_number(result, cycles);
	text_add(result, " ");
	text_add_number(result, run.queue->doorbells - doorbells);
	return run.failed == 0;
}
