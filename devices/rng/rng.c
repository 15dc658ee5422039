/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rng/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "vmm/base/bucket.h"
#include "vmm/base/bytes.h"

#define RNG_QUEUE_SIZE 64

/* The bytes available after a pause, and how long to wait when they are used up. */
#define BURST_BYTES (256u << 10)
#define REFILL_NS   10000000u

struct rng {
	struct virtio_device device;
	struct loop *loop;
	struct loop_timer refill;
	struct loop_task again;
	struct bucket allowance; /* bytes available now */
	struct virtio_chain chain;
};

/* Fills the chain with at most limit random bytes. Returns how many. */
static uint32_t fill(const struct virtio_chain *chain, uint64_t limit)
{
	uint64_t done = 0, want, length;
	ssize_t got;
	unsigned i;

	for (i = 0; i < chain->writable_count && done < limit; i++) {
		length = min_u64(chain->writable[i].iov_len, limit - done);
		for (want = length; want > 0; want -= (uint64_t)got) {
			got = getrandom((uint8_t *)chain->writable[i].iov_base + (length - want),
					want, 0);
			if (got < 0 && errno == EINTR)
				got = 0;
			if (got < 0)
				return (uint32_t)(done + length - want);
		}
		done += length;
	}
	return (uint32_t)done;
}

/* Serves waiting chains, up to a turn; then a task or a timer continues. */
static void serve(struct rng *rng)
{
	struct virtio_device *device = &rng->device;
	uint64_t allowance = bucket_available(&rng->allowance, loop_now_ns());
	uint32_t written, turn = RNG_TURN_BYTES;
	unsigned chains;

	for (chains = 0; chains < RNG_TURN_CHAINS && turn > 0; chains++) {
		if (allowance == 0) {
			if (virtqueue_has_chain(&device->queue[0]))
				loop_timer_start(rng->loop, &rng->refill, REFILL_NS);
			return;
		}
		if (virtio_device_pop(device, 0, &rng->chain) <= 0)
			return;
		written = fill(&rng->chain, min_u64(turn, allowance));
		bucket_take(&rng->allowance, written);
		allowance -= written;
		turn -= written;
		virtio_device_push(device, 0, &rng->chain, written);
	}
	loop_defer(rng->loop, &rng->again);
}

static void serve_later(void *arg)
{
	serve(arg);
}

static int rng_activate(struct virtio_device *device)
{
	(void)device;
	return 0;
}

static void rng_stop(struct virtio_device *device)
{
	struct rng *rng = (struct rng *)device;

	loop_timer_stop(rng->loop, &rng->refill);
	loop_cancel(rng->loop, &rng->again);
}

static void rng_notify(struct virtio_device *device, unsigned queue)
{
	struct rng *rng = (struct rng *)device;

	(void)queue;
	/* A doorbell does not shorten the wait, nor does it give a second turn. */
	if (!rng->refill.armed && !rng->again.queued)
		serve(rng);
}

static void rng_config_read(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length)
{
	/* No configuration space (5.4.4): config_size is 0, so the transport never calls this. */
	(void)device;
	(void)offset;
	memset(to, 0, length);
}

static const struct virtio_device_ops rng_ops = {
	.activate = rng_activate,
	.reset = rng_stop,
	.notify = rng_notify,
	.config_read = rng_config_read,
};

int rng_create(struct rng **out, struct loop *loop)
{
	struct rng *rng = calloc(1, sizeof(*rng));

	*out = rng;
	if (!rng)
		return -ENOMEM;
	rng->loop = loop;
	rng->refill = (struct loop_timer){.expired = serve_later, .arg = rng};
	rng->again = (struct loop_task){.run = serve_later, .arg = rng};
	bucket_init_burst(&rng->allowance, RNG_BYTES_PER_SECOND, BURST_BYTES, loop_now_ns());
	rng->device.ops = &rng_ops;
	rng->device.name = "rng0";
	rng->device.id = VIRTIO_ID_RNG;
	rng->device.queue_count = 1;
	rng->device.queue_size_max[0] = RNG_QUEUE_SIZE;
	return 0;
}

struct virtio_device *rng_device(struct rng *rng)
{
	return &rng->device;
}

void rng_destroy(struct rng *rng)
{
	if (!rng)
		return;
	rng_stop(&rng->device);
	free(rng);
}
