/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "devices/blk/internal.h"
#include "vmm/base/bucket.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"

/* Chains that the driver sees at once: each of its looks takes a cache line from this thread. */
#define PUBLISH 8

#define AT(field) offsetof(struct virtio_blk_config, field)

/* --- requests --------------------------------------------------------------------------------- */

static void free_request(struct blk *blk, struct blk_request *request)
{
	request->next = blk->free;
	blk->free = request;
}

static void count(struct blk *blk, const struct blk_request *request)
{
	struct blk_stats *stats = &blk->stats;

	if (request->result != VIRTIO_BLK_S_OK) {
		stats->failed++;
	} else if (request->type == VIRTIO_BLK_T_IN) {
		stats->reads++;
		stats->bytes_read += request->length;
	} else if (request->type == VIRTIO_BLK_T_OUT) {
		stats->writes++;
		stats->bytes_written += request->length;
	} else if (request->type == VIRTIO_BLK_T_FLUSH) {
		stats->flushes++;
	} else {
		stats->others++;
	}
}

/* Logs the host's error, of which the guest sees only an I/O error; once, until it changes. */
static void report_error(struct blk *blk, int error)
{
	if (error == 0 || error == blk->reported)
		return;
	blk->reported = error;
	log_warning("%s: the guest's disk request fails on the host: %s", blk->device.name,
		    strerror(-error));
}

static void complete(struct blk *blk, struct blk_request *request)
{
	struct virtqueue *queue = &blk->device.queue[request->queue];
	uint64_t written = request->chain.writable_length + 1;

	count(blk, request);
	report_error(blk, request->error);
	/* A chain without room for a status is returned with nothing written. */
	if (request->status)
		*request->status = (uint8_t)request->result;
	virtqueue_add_used(queue, request->chain.head, request->status ? (uint32_t)written : 0);
	if (queue->next_used % PUBLISH == 0)
		virtqueue_publish(queue);
	blk->pushed |= 1u << request->queue;
	free_request(blk, request);
}

/* One interrupt for all chains that a turn has returned. */
static void tell(struct blk *blk)
{
	unsigned queue;

	for (queue = 0; blk->pushed; queue++) {
		if (!(blk->pushed & 1u << queue))
			continue;
		blk->pushed &= ~(1u << queue);
		virtqueue_publish(&blk->device.queue[queue]);
		virtio_device_interrupt(&blk->device, queue);
	}
}

static void request_done(struct pool_job *job)
{
	struct blk_request *request = (struct blk_request *)job;
	struct blk *blk = request->blk;

	blk->in_flight--;
	request->under_way = false;
	blk->missed -= request->missed;
	if (blk->in_flight == 0)
		blk->stale = false;
	disk_destroy(request->disk);
	/* The chain of a cancelled request belongs to a ring that no longer exists. */
	if (atomic_load(&job->cancelled))
		free_request(blk, request);
	else
		complete(blk, request);
	loop_defer(blk->loop, &blk->again);
}

/* --- taking from the rings -------------------------------------------------------------------- */

/* Begins the request whose chain has been read. */
static void begin(struct blk *blk, struct blk_request *request, unsigned queue)
{
	blk->free = request->next;
	request->queue = queue;
	request->disk = blk->disk;
	request->read_only = blk->read_only;
	bucket_take(&blk->operations, 1);
	if (!blk_request_check(request, blk->device.negotiated, blk->id)) {
		complete(blk, request);
		return;
	}
	bucket_take(&blk->bytes, blk_request_cost(request));
	/* While the host's disk is busy for one read, the event thread does not start others. */
	if (blk->missed == 0 && blk_request_try(request)) {
		blk->turn_bytes += request->length;
		complete(blk, request);
		return;
	}
	disk_hold(request->disk);
	blk->in_flight++;
	request->under_way = true;
	blk->missed += request->missed;
	pool_submit(blk->pool, &request->job);
}

/* Takes one chain of a queue: false if there is none. */
static bool take(struct blk *blk, unsigned queue)
{
	if (virtio_device_pop(&blk->device, queue, &blk->free->chain) <= 0)
		return false;
	begin(blk, blk->free, queue);
	return true;
}

/* Takes a chain that was under way when the device was saved. */
static void take_restored(struct blk *blk)
{
	unsigned queue = blk->restored[--blk->restored_count].queue;

	if (virtio_device_read_chain(&blk->device, queue, blk->restored[blk->restored_count].head,
				     &blk->free->chain) == 0)
		begin(blk, blk->free, queue);
}

/* Whether the limits allow another request now; if not, starts the timer. */
static bool may_take(struct blk *blk)
{
	uint64_t now, wait;

	if (blk->bytes.rate == 0 && blk->operations.rate == 0)
		return true;
	now = loop_now_ns();
	wait = max_u64(bucket_wait_ns(&blk->bytes, now), bucket_wait_ns(&blk->operations, now));
	if (wait > 0)
		loop_timer_start(blk->loop, &blk->refill, wait);
	return wait == 0;
}

/* Takes one request of each queue in turn, until none waits or the turn is over. */
static void take_turn(struct blk *blk)
{
	unsigned chains = 0, empty = 0, queues = blk->device.queue_count;

	blk->turn_bytes = 0;
	while (blk->free && empty < queues) {
		if (chains++ == BLK_TURN_CHAINS || blk->turn_bytes >= BLK_TURN_BYTES) {
			loop_defer(blk->loop, &blk->again);
			return;
		}
		if (!may_take(blk))
			return;
		if (blk->restored_count > 0) {
			take_restored(blk);
			continue;
		}
		if (take(blk, blk->next_queue))
			empty = 0;
		else
			empty++;
		blk->next_queue = (blk->next_queue + 1) % queues;
	}
}

static void serve(struct blk *blk)
{
	if (!blk->held && !blk->stale && !blk->refill.armed)
		take_turn(blk);
	tell(blk);
}

static void serve_later(void *arg)
{
	struct blk *blk = arg;

	if (blk->device.active)
		serve(blk);
}

/* --- the device ------------------------------------------------------------------------------- */

static int create_requests(struct blk *blk)
{
	unsigned i;

	blk->requests = calloc(BLK_IN_FLIGHT, sizeof(*blk->requests));
	if (!blk->requests)
		return -ENOMEM;
	for (i = 0; i < BLK_IN_FLIGHT; i++) {
		blk->requests[i].blk = blk;
		pool_job_init(&blk->requests[i].job, blk, blk_request_work, request_done);
		free_request(blk, &blk->requests[i]);
	}
	return 0;
}

static int blk_activate(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;

	blk->next_queue = 0;
	return blk->requests ? 0 : create_requests(blk);
}

static void blk_reset(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;

	pool_cancel(blk->pool, blk);
	blk->stale = blk->in_flight > 0;
	blk->pushed = 0;
	blk->restored_count = 0;
	loop_timer_stop(blk->loop, &blk->refill);
	loop_cancel(blk->loop, &blk->again);
}

static void blk_notify(struct virtio_device *device, unsigned queue)
{
	struct blk *blk = (struct blk *)device;

	(void)queue;
	/* A doorbell does not shorten the wait, nor does it give a second turn. */
	if (!blk->again.queued)
		serve(blk);
}

static void blk_config_read(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length)
{
	struct blk *blk = (struct blk *)device;

	memcpy(to, blk->config + offset, length);
}

static const struct virtio_device_ops blk_ops = {
	.activate = blk_activate,
	.reset = blk_reset,
	.notify = blk_notify,
	.config_read = blk_config_read,
	.save = blk_save,
	.restore = blk_restore,
};

static void fill_config(struct blk *blk)
{
	uint8_t *config = blk->config;

	store_le32(config + AT(size_max), BLK_SEGMENT_BYTES);
	store_le32(config + AT(seg_max), BLK_SEGMENTS_MAX);
	store_le32(config + AT(blk_size), DISK_SECTOR);
	/* 512-byte sectors are accepted, but the layer uses blocks of 4 KiB. */
	config[AT(physical_block_exp)] = 3;
	store_le32(config + AT(opt_io_size), 256);
	store_le16(config + AT(num_queues), (uint16_t)blk->device.queue_count);
	store_le32(config + AT(max_discard_sectors), BLK_DISCARD_SECTORS);
	store_le32(config + AT(max_discard_seg), BLK_RANGES_MAX);
	store_le32(config + AT(discard_sector_alignment), DISK_BLOCK / DISK_SECTOR);
	store_le32(config + AT(max_write_zeroes_sectors), BLK_ZEROES_SECTORS);
	store_le32(config + AT(max_write_zeroes_seg), BLK_RANGES_MAX);
	config[AT(write_zeroes_may_unmap)] = 1;
}

int blk_create(struct blk **out, struct loop *loop, struct pool *pool,
	       const struct blk_config *config)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	unsigned i;

	*out = blk;
	if (!blk)
		return -ENOMEM;
	blk->loop = loop;
	blk->pool = pool;
	blk->refill = (struct loop_timer){.expired = serve_later, .arg = blk};
	blk->again = (struct loop_task){.run = serve_later, .arg = blk};
	memcpy(blk->id, config->name, strnlen(config->name, VIRTIO_BLK_ID_BYTES));
	blk->device.ops = &blk_ops;
	blk->device.name = config->name;
	blk->device.id = VIRTIO_ID_BLOCK;
	blk->device.features = BLK_FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
			       BLK_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
			       BLK_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			       BLK_FEATURE(VIRTIO_BLK_F_TOPOLOGY) | BLK_FEATURE(VIRTIO_BLK_F_FLUSH);
	blk->read_only_always = config->read_only;
	if (config->read_only)
		blk->device.features |= BLK_FEATURE(VIRTIO_BLK_F_RO);
	else
		blk->device.features |=
			BLK_FEATURE(VIRTIO_BLK_F_DISCARD) | BLK_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	if (config->queues > 1)
		blk->device.features |= BLK_FEATURE(VIRTIO_BLK_F_MQ);
	blk->device.queue_count = config->queues;
	for (i = 0; i < config->queues; i++)
		blk->device.queue_size_max[i] = BLK_QUEUE_SIZE;
	blk->device.config_size = BLK_CONFIG_BYTES;
	fill_config(blk);
	return 0;
}

struct virtio_device *blk_device(struct blk *blk)
{
	return &blk->device;
}

void blk_destroy(struct blk *blk)
{
	bool ended;

	if (!blk)
		return;
	blk_reset(&blk->device);
	ended = pool_wait(blk->pool, blk);
	/* Completed requests may have deferred another turn: cancel it. */
	loop_cancel(blk->loop, &blk->again);
	/* A thread stuck in the host's disk still uses its request, and so the device. */
	if (!ended)
		return;
	disk_destroy(blk->disk);
	free(blk->requests);
	free(blk);
}

void blk_set_disk(struct blk *blk, struct disk *disk)
{
	disk_destroy(blk->disk);
	blk->disk = disk;
	blk->read_only = blk->read_only_always || (disk && disk_is_read_only(disk));
	blk->reported = 0;
	store_le64(blk->config + AT(capacity), disk ? disk_bytes(disk) / DISK_SECTOR : 0);
	if (blk->device.transport)
		blk->device.transport_ops->interrupt_config(blk->device.transport);
}

struct disk *blk_disk(struct blk *blk)
{
	return blk->disk;
}

void blk_hold(struct blk *blk, bool held)
{
	blk->held = held;
	if (!held)
		loop_defer(blk->loop, &blk->again);
}

bool blk_idle(const struct blk *blk)
{
	return blk->in_flight == 0 && blk->pushed == 0;
}

void blk_set_limits(struct blk *blk, uint64_t bytes, uint64_t operations)
{
	uint64_t now = loop_now_ns();

	bucket_init(&blk->bytes, bytes, now);
	bucket_init(&blk->operations, operations, now);
	loop_timer_stop(blk->loop, &blk->refill);
	loop_defer(blk->loop, &blk->again);
}

void blk_limits(const struct blk *blk, uint64_t *bytes, uint64_t *operations)
{
	*bytes = blk->bytes.rate;
	*operations = blk->operations.rate;
}

void blk_stats(const struct blk *blk, struct blk_stats *stats)
{
	*stats = blk->stats;
}
