/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/fs/fs.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/fs/internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

static struct fs *fs_of(struct virtio_device *device)
{
	return (struct fs *)device;
}

/* --- the loop's part -------------------------------------------------------------------------- */

void fs_kick(struct fs *fs)
{
	fd_notify(fs->kick.fd);
}

static void serve_again(struct fs *fs, unsigned number)
{
	struct fs_queue *queue = &fs->queue[number];
	bool again;

	pthread_mutex_lock(&queue->lock);
	again = queue->again;
	pthread_mutex_unlock(&queue->lock);
	if (again)
		fs_serve(fs, number, 0);
}

static void report_broken(struct fs *fs, unsigned number)
{
	struct fs_queue *queue = &fs->queue[number];
	bool broke;

	pthread_mutex_lock(&queue->lock);
	broke = queue->broke;
	queue->broke = false;
	pthread_mutex_unlock(&queue->lock);
	if (!broke)
		return;
	log_guest("%s: malformed queue %u: the device needs a reset", fs->device.name, number);
	fs->device.transport_ops->needs_reset(fs->device.transport);
}

static void kicked(void *arg, uint32_t events)
{
	struct fs *fs = arg;
	uint64_t count;
	unsigned i;

	(void)events;
	if (read(fs->kick.fd, &count, sizeof(count)) != sizeof(count))
		return;
	for (i = 0; i < fs->queues; i++) {
		report_broken(fs, i);
		serve_again(fs, i);
	}
}

void fs_room(struct fs *fs)
{
	struct fs_queue *queue;
	unsigned i;

	for (i = 0; i < fs->queues; i++) {
		queue = &fs->queue[i];
		pthread_mutex_lock(&queue->lock);
		queue->room = queue->again = queue->again || queue->pending_count > 0;
		pthread_mutex_unlock(&queue->lock);
		serve_again(fs, i);
	}
}

void fs_done(struct fs *fs, unsigned slot)
{
	struct fs_request *request;
	struct fs_queue *queue;
	const void *reply = NULL;
	size_t length = 0;
	unsigned owner;

	if (slot >= FS_SLOTS)
		return;
	request = &fs->request[slot];
	owner = atomic_load(&request->owner);
	if (owner == 0)
		return;
	queue = &fs->queue[owner - 1];
	pthread_mutex_lock(&queue->lock);
	if (atomic_load(&request->owner) != owner) {
		/* not this request's end */
	} else if (request->state == FS_SENT) {
		request->state = FS_EARLY;
	} else if (request->state == FS_LEFT) {
		fs->ops->reply(fs->arg, slot, &reply, &length);
		fs_return(fs, slot, reply, length);
		fs->ops->release(fs->arg, slot);
		if (queue->live)
			fs_publish(fs, owner - 1);
	}
	pthread_mutex_unlock(&queue->lock);
}

/* --- snapshots -------------------------------------------------------------------------------- */

/* Packs the heads of a queue whose requests are at the server, or wait to be sent to it. */
static void save_queue(const struct fs *fs, unsigned number, struct pack *pack)
{
	const struct fs_queue *queue = &fs->queue[number];
	uint16_t heads[FS_QUEUE_SIZE + FS_SLOTS];
	unsigned count = 0, i;

	for (i = 0; i < queue->pending_count; i++)
		heads[count++] = queue->pending[i].head;
	for (i = 0; i < FS_SLOTS; i++)
		if (fs_is_of(fs, i, number) && !fs->request[i].forgotten)
			heads[count++] = fs->request[i].chain->head;
	pack_u16(pack, (uint16_t)count);
	for (i = 0; i < count; i++)
		pack_u16(pack, heads[i]);
}

/* The device is held and the vCPUs are paused: nothing else runs. */
static void fs_save(const struct virtio_device *device, struct pack *pack)
{
	const struct fs *fs = (const struct fs *)device;
	unsigned i;

	for (i = 0; i < fs->queues; i++)
		save_queue(fs, i, pack);
}

/* A head that is named twice, as a guest may have offered it, counts once. */
static int restore_queue(struct fs_queue *queue, struct unpack *unpack)
{
	bool known[FS_QUEUE_SIZE] = {false};
	unsigned count = unpack_u16(unpack), i;
	uint16_t head;

	if (count > FS_QUEUE_SIZE + FS_SLOTS || (count > 0 && !queue->live))
		return -EINVAL;
	for (i = 0; i < count; i++) {
		head = unpack_u16(unpack);
		if (unpack->failed || head >= queue->ring->size)
			return -EINVAL;
		if (!known[head])
			queue->pending[queue->pending_count++] =
				(struct fs_pending){.head = head, .lane = FS_LANE_UNKNOWN};
		known[head] = true;
	}
	queue->room = true;
	return unpack->failed ? -EINVAL : 0;
}

static int fs_restore(struct virtio_device *device, struct unpack *unpack)
{
	struct fs *fs = fs_of(device);
	unsigned i;
	int ret = 0;

	fs_hold(fs, true);
	for (i = 0; ret == 0 && i < fs->queues; i++) {
		pthread_mutex_lock(&fs->queue[i].lock);
		ret = restore_queue(&fs->queue[i], unpack);
		pthread_mutex_unlock(&fs->queue[i].lock);
	}
	return ret;
}

/* --- the device ------------------------------------------------------------------------------- */

static int fs_activate(struct virtio_device *device)
{
	struct fs *fs = fs_of(device);
	unsigned i;

	for (i = 0; i < fs->queues; i++) {
		pthread_mutex_lock(&fs->queue[i].lock);
		fs->queue[i].live = virtqueue_active(fs->queue[i].ring);
		pthread_mutex_unlock(&fs->queue[i].lock);
	}
	return 0;
}

static void fs_reset(struct virtio_device *device)
{
	struct fs *fs = fs_of(device);
	struct fs_queue *queue;
	unsigned i, slot;

	for (i = 0; i < fs->queues; i++) {
		queue = &fs->queue[i];
		pthread_mutex_lock(&queue->lock);
		queue->live = false;
		queue->again = false;
		queue->broke = false;
		queue->room = false;
		queue->pending_count = 0;
		memset(queue->pending_of, 0, sizeof(queue->pending_of));
		for (slot = 0; slot < FS_SLOTS; slot++)
			if (fs_is_of(fs, slot, i))
				fs->request[slot].forgotten = true;
		pthread_mutex_unlock(&queue->lock);
	}
}

/* Under the device lock: does not wait. */
static void fs_notify(struct virtio_device *device, unsigned queue)
{
	fs_serve(fs_of(device), queue, 0);
}

static void fs_doorbell(struct virtio_device *device, unsigned queue)
{
	fs_serve(fs_of(device), queue, FS_WAIT_NS);
}

static void fs_config_read(struct virtio_device *device, uint32_t offset, void *to, uint32_t length)
{
	struct virtio_fs_config config = {
		.tag = FS_TAG,
		.num_request_queues = htole32(fs_of(device)->queues - 1),
	};

	memcpy(to, (const uint8_t *)&config + offset, length);
}

static const struct virtio_device_ops device_ops = {
	.activate = fs_activate,
	.reset = fs_reset,
	.notify = fs_notify,
	.doorbell = fs_doorbell,
	.config_read = fs_config_read,
	.save = fs_save,
	.restore = fs_restore,
};

int fs_create(struct fs **out, struct loop *loop, unsigned queues)
{
	struct fs *fs;
	unsigned i;
	int ret;

	*out = NULL;
	if (queues < 1 || queues > FS_QUEUES_MAX)
		return -EINVAL;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->loop = loop;
	fs->queues = queues + 1;
	for (i = 0; i < fs->queues; i++) {
		pthread_mutex_init(&fs->queue[i].lock, NULL);
		pthread_cond_init(&fs->queue[i].no_caller, NULL);
		fs->queue[i].ring = &fs->device.queue[i];
		fs->queue[i].chain = &fs->chain[FS_SLOTS + i];
		fs->device.queue_size_max[i] = i == 0 ? FS_URGENT_SIZE : FS_QUEUE_SIZE;
	}
	for (i = 0; i < FS_SLOTS; i++)
		fs->request[i].chain = &fs->chain[i];
	fs->device.ops = &device_ops;
	fs->device.name = "fs0";
	fs->device.id = VIRTIO_ID_FS;
	fs->device.features = UINT64_C(1) << FS_F_SYNC | UINT64_C(1) << FS_F_RETAIN |
			      UINT64_C(1) << FS_F_INTERRUPT | UINT64_C(1) << FS_F_USER_XATTR |
			      UINT64_C(1) << FS_F_NOFLUSH | UINT64_C(1) << FS_F_RELATIME;
	fs->device.queue_count = fs->queues;
	fs->device.config_size = sizeof(struct virtio_fs_config);
	fs->kick = (struct loop_source){.ready = kicked, .arg = fs};
	fs->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = fs->kick.fd < 0 ? -errno : loop_add(loop, &fs->kick, EPOLLIN);
	if (ret < 0) {
		fs_destroy(fs);
		return ret;
	}
	*out = fs;
	return 0;
}

struct virtio_device *fs_device(struct fs *fs)
{
	return &fs->device;
}

void fs_destroy(struct fs *fs)
{
	unsigned i;

	if (!fs)
		return;
	loop_remove(fs->loop, &fs->kick);
	fd_close(&fs->kick.fd);
	for (i = 0; i < fs->queues; i++) {
		pthread_cond_destroy(&fs->queue[i].no_caller);
		pthread_mutex_destroy(&fs->queue[i].lock);
	}
	free(fs);
}

void fs_stats(struct fs *fs, struct fs_stats *stats)
{
	unsigned i;

	*stats = (struct fs_stats){0};
	for (i = 0; i < fs->queues; i++) {
		struct fs_queue *queue = &fs->queue[i];

		pthread_mutex_lock(&queue->lock);
		stats->requests += queue->stats.requests;
		stats->prompt += queue->stats.prompt;
		stats->refused += queue->stats.refused;
		stats->doorbells += queue->stats.doorbells;
		pthread_mutex_unlock(&queue->lock);
	}
}
