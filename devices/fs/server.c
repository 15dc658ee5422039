/* SPDX-License-Identifier: Apache-2.0 */
/* The server that the device has: connected, replaced, and held up for a snapshot. */
#include <string.h>

#include "devices/fs/internal.h"

/* --- servers ---------------------------------------------------------------------------------- */

/* Closes a queue, waits for its callers, and takes its requests from the server. */
static void detach(struct fs *fs, unsigned number)
{
	struct fs_queue *queue = &fs->queue[number];
	unsigned slot;

	pthread_mutex_lock(&queue->lock);
	queue->closed |= FS_CLOSED_SERVER;
	while (queue->callers > 0)
		pthread_cond_wait(&queue->no_caller, &queue->lock);
	for (slot = 0; slot < FS_SLOTS; slot++)
		if (fs_is_of(fs, slot, number))
			fs_return(fs, slot, NULL, 0);
	if (queue->live)
		fs_publish(fs, number);
	pthread_mutex_unlock(&queue->lock);
}

static void open_queue(struct fs *fs, unsigned number, unsigned reason)
{
	struct fs_queue *queue = &fs->queue[number];

	pthread_mutex_lock(&queue->lock);
	queue->closed &= ~reason;
	queue->room = true;
	pthread_mutex_unlock(&queue->lock);
	fs_serve(fs, number, 0);
}

void fs_set_server(struct fs *fs, const struct fs_server_ops *ops, void *arg)
{
	unsigned i;

	for (i = 0; i < fs->queues; i++)
		detach(fs, i);
	fs->ops = ops;
	fs->arg = arg;
	for (i = 0; i < fs->queues; i++)
		open_queue(fs, i, FS_CLOSED_SERVER);
}

/* --- successors of it --------------------------------------------------------------------------
 */

static void close_queue(struct fs *fs, unsigned number, unsigned reason)
{
	pthread_mutex_lock(&fs->queue[number].lock);
	fs->queue[number].closed |= reason;
	pthread_mutex_unlock(&fs->queue[number].lock);
}

/* Takes back what waits at the server, to send it again: the new one may have other lanes. */
static void take_back(struct fs *fs, unsigned number)
{
	struct fs_queue *queue = &fs->queue[number];
	struct fs_request *request;
	unsigned slot, i;

	pthread_mutex_lock(&queue->lock);
	memset(queue->pending_of, 0, sizeof(queue->pending_of));
	for (i = 0; i < queue->pending_count; i++)
		queue->pending[i].lane = FS_LANE_UNKNOWN;
	for (slot = 0; slot < FS_SLOTS; slot++) {
		request = &fs->request[slot];
		if (!fs_is_of(fs, slot, number))
			continue;
		if (queue->live && !request->forgotten && queue->pending_count < FS_QUEUE_SIZE) {
			queue->pending[queue->pending_count++] = (struct fs_pending){
				.head = request->chain->head, .lane = FS_LANE_UNKNOWN};
			request->forgotten = true;
		}
		fs_return(fs, slot, NULL, 0);
	}
	pthread_mutex_unlock(&queue->lock);
}

void fs_succession_begin(struct fs *fs)
{
	unsigned i;

	for (i = 0; i < fs->queues; i++)
		close_queue(fs, i, FS_CLOSED_SERVER);
}

void fs_succession_end(struct fs *fs, const struct fs_server_ops *ops, void *arg)
{
	unsigned i;

	for (i = 0; i < fs->queues && (ops != fs->ops || arg != fs->arg); i++)
		take_back(fs, i);
	fs->ops = ops;
	fs->arg = arg;
	for (i = 0; i < fs->queues; i++)
		open_queue(fs, i, FS_CLOSED_SERVER);
}

/* --- for snapshots ---------------------------------------------------------------------------- */

void fs_hold(struct fs *fs, bool held)
{
	unsigned i;

	for (i = 0; i < fs->queues; i++) {
		if (held)
			close_queue(fs, i, FS_CLOSED_HELD);
		else
			open_queue(fs, i, FS_CLOSED_HELD);
	}
}

static bool queue_idle(struct fs *fs, unsigned number)
{
	struct fs_queue *queue = &fs->queue[number];
	bool idle;
	unsigned slot;

	pthread_mutex_lock(&queue->lock);
	idle = queue->callers == 0;
	for (slot = 0; slot < FS_SLOTS && idle; slot++)
		idle = !fs_is_of(fs, slot, number) ||
		       (fs->ops && fs->ops->waits && fs->ops->waits(fs->arg, slot));
	pthread_mutex_unlock(&queue->lock);
	return idle;
}

bool fs_idle(struct fs *fs)
{
	unsigned i;

	for (i = 0; i < fs->queues; i++)
		if (!queue_idle(fs, i))
			return false;
	return true;
}
