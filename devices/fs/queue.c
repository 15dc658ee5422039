/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way from a queue to the server, and the replies on their way back. */
#include <errno.h>
#include <linux/fuse.h>

#include "devices/fs/internal.h"
#include "vmm/base/bytes.h"

#define IN_BYTES  sizeof(struct fuse_in_header)
#define OUT_BYTES sizeof(struct fuse_out_header)
#define COPY_SOON 16384u /* bytes that are copied in no time */

/* --- replies ---------------------------------------------------------------------------------- */

static void put_header(uint8_t to[OUT_BYTES], uint32_t length, int error, uint64_t unique)
{
	store_le32(to + offsetof(struct fuse_out_header, len), length);
	store_le32(to + offsetof(struct fuse_out_header, error), (uint32_t)error);
	store_le64(to + offsetof(struct fuse_out_header, unique), unique);
}

static size_t reply_room(const struct virtio_chain *chain)
{
	size_t room = min_u64(chain->writable_length, FS_REPLY_MAX);

	return room < OUT_BYTES ? 0 : room;
}

/* Returns the bytes written to the chain. */
static uint32_t put_error(const struct virtio_chain *chain, int error, uint64_t unique)
{
	uint8_t header[OUT_BYTES];

	if (reply_room(chain) == 0)
		return 0;
	put_header(header, OUT_BYTES, error, unique);
	return (uint32_t)virtio_chain_write(chain, 0, header, OUT_BYTES);
}

/* The server may change the reply while it is copied: the header is checked in a copy. */
static uint32_t put_reply(const struct virtio_chain *chain, uint64_t unique, const uint8_t *reply,
			  size_t length)
{
	size_t room = reply_room(chain);
	uint8_t header[OUT_BYTES];

	if (room == 0)
		return 0;
	if (length == 0)
		return put_error(chain, -ENOTCONN, unique);
	if (length < OUT_BYTES || length > room)
		return put_error(chain, -EIO, unique);
	guest_copy_in(header, reply, OUT_BYTES);
	if (load_le32(header + offsetof(struct fuse_out_header, len)) != length ||
	    load_le64(header + offsetof(struct fuse_out_header, unique)) != unique)
		return put_error(chain, -EIO, unique);
	virtio_chain_write(chain, 0, header, OUT_BYTES);
	virtio_chain_write(chain, OUT_BYTES, reply + OUT_BYTES, length - OUT_BYTES);
	return (uint32_t)length;
}

void fs_return(struct fs *fs, unsigned slot, const void *reply, size_t length)
{
	struct fs_request *request = &fs->request[slot];
	struct fs_queue *queue = &fs->queue[atomic_load(&request->owner) - 1];

	if (!request->forgotten)
		virtqueue_add_used(queue->ring, request->chain->head,
				   put_reply(request->chain, request->unique, reply, length));
	request->state = FS_FREE;
	atomic_store(&request->owner, 0);
}

void fs_publish(struct fs *fs, unsigned number)
{
	virtqueue_publish(fs->queue[number].ring);
	virtio_device_interrupt(&fs->device, number);
}

/* --- requests --------------------------------------------------------------------------------- */

/* A turn of a queue: its lock is held while the chains are copied. */
struct turn {
	unsigned left; /* chains */
	size_t bytes;  /* to copy, until now */
	unsigned count;
	unsigned sent[FS_TURN]; /* slots */
};

/* What becomes of a chain. */
enum fate {
	FATE_GONE,  /* it is at the server, or returned */
	FATE_WAITS, /* there is no slot for it */
	FATE_LATER, /* it is too much for this turn */
};

static void broke(struct fs *fs, struct fs_queue *queue)
{
	queue->broke = true;
	fs_kick(fs);
}

/* Returns a chain that does not go to the server. */
static enum fate refuse(struct fs_queue *queue, int error, uint64_t unique)
{
	queue->stats.refused++;
	virtqueue_add_used(queue->ring, queue->chain->head, put_error(queue->chain, error, unique));
	return FATE_GONE;
}

/* Sends the queue's chain, whose request is in the slot's buffer, and returns it if it wants no
 * reply.
 */
static void send(struct fs *fs, unsigned number, unsigned slot, uint64_t unique)
{
	struct fs_request *request = &fs->request[slot];
	struct fs_queue *queue = &fs->queue[number];
	struct virtio_chain *chain = queue->chain;
	size_t room = reply_room(chain);

	queue->chain = request->chain;
	request->chain = chain;
	request->unique = unique;
	request->state = FS_SENT;
	request->forgotten = room == 0;
	atomic_store(&request->owner, number + 1);
	queue->stats.requests++;
	fs->ops->send(fs->arg, slot, (size_t)chain->readable_length, room);
	if (room == 0)
		virtqueue_add_used(queue->ring, chain->head, 0);
}

/* Sends or refuses the queue's chain, if it is its turn. *lane: its lane, if it waits. */
static enum fate handle(struct fs *fs, unsigned number, struct turn *turn, unsigned *lane)
{
	struct fs_queue *queue = &fs->queue[number];
	const struct virtio_chain *chain = queue->chain;
	uint8_t head[FS_LANE_BYTES], *buffer;
	size_t known = virtio_chain_read(chain, 0, head, sizeof(head));
	uint64_t unique, bytes = chain->readable_length + reply_room(chain);
	void *memory;
	int slot;

	if (known < IN_BYTES) {
		virtqueue_add_used(queue->ring, chain->head, 0);
		return FATE_GONE;
	}
	unique = load_le64(head + offsetof(struct fuse_in_header, unique));
	if (chain->readable_length > FS_REQUEST_MAX ||
	    load_le32(head + offsetof(struct fuse_in_header, len)) != chain->readable_length)
		return refuse(queue, -EINVAL, unique);
	if (!fs->ops)
		return refuse(queue, -ENOTCONN, unique);
	if (turn->bytes > 0 && turn->bytes + bytes > FS_TURN_BYTES)
		return FATE_LATER;
	*lane = fs->ops->lane(fs->arg, head, known) % FS_LANES;
	if (queue->pending_of[*lane] > 0)
		return FATE_WAITS;
	slot = fs->ops->take(fs->arg, *lane, &memory);
	if (slot < 0 || slot >= FS_SLOTS || atomic_load(&fs->request[slot].owner) != 0)
		return FATE_WAITS;
	buffer = memory;
	memcpy(buffer, head, known);
	virtio_chain_read(chain, known, buffer + known, (size_t)chain->readable_length - known);
	turn->bytes += bytes;
	send(fs, number, (unsigned)slot, unique);
	turn->sent[turn->count++] = (unsigned)slot;
	return FATE_GONE;
}

/* --- pending requests ------------------------------------------------------------------------- */

static void keep(struct fs_queue *queue, struct fs_pending pending)
{
	queue->pending[queue->pending_count++] = pending;
	if (pending.lane < FS_LANES)
		queue->pending_of[pending.lane]++;
}

/* Handles pending requests; those whose lanes have no slots stay, in their order. */
static void resume(struct fs *fs, unsigned number, struct turn *turn)
{
	struct fs_queue *queue = &fs->queue[number];
	unsigned count = queue->pending_count, lane, i;
	bool full[FS_LANES] = {false}, stop = false;
	struct fs_pending pending;
	enum fate fate;

	queue->room = false;
	queue->pending_count = 0;
	memset(queue->pending_of, 0, sizeof(queue->pending_of));
	for (i = 0; i < count; i++) {
		pending = queue->pending[i];
		lane = pending.lane;
		if (stop || turn->left == 0 || (lane < FS_LANES && full[lane])) {
			queue->room |= stop || turn->left == 0;
			keep(queue, pending);
			continue;
		}
		if (virtqueue_read_chain(queue->ring, pending.head, queue->chain) < 0) {
			broke(fs, queue);
			return;
		}
		turn->left--;
		fate = handle(fs, number, turn, &lane);
		if (fate == FATE_GONE)
			continue;
		if (fate == FATE_WAITS) {
			pending.lane = (uint8_t)lane;
			full[lane] = true;
		} else {
			stop = queue->room = true;
		}
		keep(queue, pending);
	}
}

/* --- turns ------------------------------------------------------------------------------------ */

/* One that does not is served when it is opened or activated; until then nothing is due. */
static bool takes_chains(const struct fs_queue *queue)
{
	return queue->live && !queue->closed && !queue->ring->broken;
}

/* Of chains that a hostile driver offers twice there may be more than the ring is long. */
static bool has_chain(struct fs_queue *queue)
{
	return takes_chains(queue) && queue->pending_count < FS_QUEUE_SIZE &&
	       virtqueue_has_chain(queue->ring);
}

/* Takes the next chain of the ring. False: this turn is over. */
static bool take_next(struct fs *fs, unsigned number, struct turn *turn)
{
	struct fs_queue *queue = &fs->queue[number];
	unsigned lane = 0;
	int ret = virtqueue_pop(queue->ring, queue->chain);

	if (ret < 0)
		broke(fs, queue);
	if (ret <= 0)
		return false;
	switch (handle(fs, number, turn, &lane)) {
	case FATE_GONE:
		return true;
	case FATE_WAITS:
		keep(queue, (struct fs_pending){queue->chain->head, (uint8_t)lane});
		return true;
	default:
		virtqueue_undo_pop(queue->ring);
		queue->again = true;
		return false;
	}
}

/* Handles chains of the locked queue, at most a turn. */
static void take_turn(struct fs *fs, unsigned number, struct turn *turn)
{
	struct fs_queue *queue = &fs->queue[number];

	*turn = (struct turn){.left = FS_TURN};
	queue->again = false;
	if (takes_chains(queue) && queue->room)
		resume(fs, number, turn);
	/* Those that wait come first. */
	while (!queue->room && turn->left > 0 && has_chain(queue) && take_next(fs, number, turn))
		turn->left--;
	if ((queue->room && takes_chains(queue)) || (turn->left == 0 && has_chain(queue)))
		queue->again = true;
	if (queue->again)
		fs_kick(fs);
}

/* --- both --------------------------------------------------------------------------------------
 */

struct outcome {
	unsigned slot;
	bool done;
	const void *reply;
	size_t length;
};

/* Waits for the last request that wants a reply, and then only looks at the others. */
static void await(struct fs *fs, const unsigned sent[], unsigned count, uint64_t wait_ns,
		  struct outcome outcome[])
{
	unsigned i;

	for (i = count; i-- > 0;) {
		struct outcome *out = &outcome[i];
		bool wanted = reply_room(fs->request[sent[i]].chain) > 0;

		out->slot = sent[i];
		out->done = fs->ops->wait(fs->arg, sent[i], wanted ? wait_ns : 0, &out->reply,
					  &out->length);
		if (wanted)
			wait_ns = 0;
	}
}

/* Finishes a request that was waited for, or leaves it to fs_done(). The queue is locked. */
static void settle(struct fs *fs, struct fs_queue *queue, struct outcome *outcome)
{
	struct fs_request *request = &fs->request[outcome->slot];

	if (!outcome->done && request->state == FS_EARLY)
		fs->ops->reply(fs->arg, outcome->slot, &outcome->reply, &outcome->length);
	else if (!outcome->done) {
		request->state = FS_LEFT;
		return;
	}
	queue->stats.prompt++;
	fs_return(fs, outcome->slot, outcome->reply, outcome->length);
	fs->ops->release(fs->arg, outcome->slot);
}

/* What is left of the wait after much was copied. */
static uint64_t wait_left(uint64_t wait_ns, const struct turn *turn, uint64_t began_ns)
{
	uint64_t took = turn->bytes > COPY_SOON ? loop_now_ns() - began_ns : 0;

	return wait_ns - min_u64(wait_ns, took);
}

void fs_serve(struct fs *fs, unsigned number, uint64_t wait_ns)
{
	struct fs_queue *queue = &fs->queue[number];
	struct outcome outcome[FS_TURN];
	uint64_t began_ns = wait_ns ? loop_now_ns() : 0;
	struct turn turn;
	unsigned i;

	pthread_mutex_lock(&queue->lock);
	queue->stats.doorbells += wait_ns > 0;
	take_turn(fs, number, &turn);
	if (turn.count > 0) {
		queue->callers++;
		pthread_mutex_unlock(&queue->lock);
		await(fs, turn.sent, turn.count, wait_left(wait_ns, &turn, began_ns), outcome);
		pthread_mutex_lock(&queue->lock);
		for (i = 0; i < turn.count; i++)
			settle(fs, queue, &outcome[i]);
		queue->callers--;
		if (queue->callers == 0)
			pthread_cond_broadcast(&queue->no_caller);
	}
	/* Also what was refused, or returned when it was sent. */
	if (queue->live)
		fs_publish(fs, number);
	pthread_mutex_unlock(&queue->lock);
}
