/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way from a queue to the server, and the replies on their way back. */
#include <errno.h>
#include <linux/fuse.h>

#include "devices/fs/internal.h"
#include "vmm/base/bytes.h"

#define IN_BYTES  sizeof(struct fuse_in_header)
#define OUT_BYTES sizeof(struct fuse_out_header)

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
		virtqueue_add_used(queue->ring, request->chain.head,
				   put_reply(&request->chain, request->unique, reply, length));
	request->state = FS_FREE;
	atomic_store(&request->owner, 0);
}

void fs_publish(struct fs *fs, unsigned number)
{
	virtqueue_publish(fs->queue[number].ring);
	virtio_device_interrupt(&fs->device, number);
}

/* --- requests --------------------------------------------------------------------------------- */

/* Returns a chain that does not go to the server. */
static void refuse(struct fs_queue *queue, const struct virtio_chain *chain, int error,
		   uint64_t unique)
{
	queue->stats.refused++;
	virtqueue_add_used(queue->ring, chain->head, put_error(chain, error, unique));
}

/* The next chain, a restored one first: as virtqueue_pop(). */
static int next_chain(struct fs *fs, struct fs_queue *queue, struct virtio_chain *chain)
{
	int ret;

	if (queue->restored_from < queue->restored_to)
		ret = virtqueue_read_chain(queue->ring, queue->restored[queue->restored_from++],
					   chain) == 0
			      ? 1
			      : -EINVAL;
	else
		ret = virtqueue_pop(queue->ring, chain);
	if (ret < 0) {
		queue->broke = true;
		fs_kick(fs);
	}
	return ret;
}

static bool has_chain(struct fs_queue *queue)
{
	if (!queue->live || queue->closed || queue->ring->broken)
		return false;
	return queue->restored_from < queue->restored_to || virtqueue_has_chain(queue->ring);
}

/*
 * Reads a chain's header and checks the length. 0 or -EINVAL: *unique is valid; -ENODATA: there is
 * no whole header.
 */
static int read_header(const struct virtio_chain *chain, uint8_t header[IN_BYTES], uint64_t *unique)
{
	if (virtio_chain_read(chain, 0, header, IN_BYTES) < IN_BYTES)
		return -ENODATA;
	*unique = load_le64(header + offsetof(struct fuse_in_header, unique));
	if (chain->readable_length > FS_REQUEST_MAX ||
	    load_le32(header + offsetof(struct fuse_in_header, len)) != chain->readable_length)
		return -EINVAL;
	return 0;
}

/* Takes a chain while there is no server. False: there was none, or the ring is malformed. */
static bool refuse_one(struct fs *fs, struct fs_queue *queue)
{
	uint8_t header[IN_BYTES];
	uint64_t unique = 0;
	int ret;

	if (next_chain(fs, queue, &queue->chain) <= 0)
		return false;
	ret = read_header(&queue->chain, header, &unique);
	if (ret == -ENODATA)
		virtqueue_add_used(queue->ring, queue->chain.head, 0);
	else
		refuse(queue, &queue->chain, ret < 0 ? ret : -ENOTCONN, unique);
	return true;
}

/* Sends a chain that was copied to the slot's buffer, and returns it if it wants no reply. */
static void send(struct fs *fs, unsigned number, unsigned slot)
{
	struct fs_request *request = &fs->request[slot];
	struct fs_queue *queue = &fs->queue[number];
	size_t room = reply_room(&request->chain);

	request->state = FS_SENT;
	request->forgotten = room == 0;
	atomic_store(&request->owner, number + 1);
	queue->stats.requests++;
	fs->ops->send(fs->arg, slot, (size_t)request->chain.readable_length, room);
	if (room == 0)
		virtqueue_add_used(queue->ring, request->chain.head, 0);
}

/*
 * Takes a chain, and sends it to the server in a slot. 1: *sent tells the slot; 0: it was refused;
 * -EAGAIN: there is no chain or no slot.
 */
static int send_one(struct fs *fs, unsigned number, unsigned *sent)
{
	struct fs_queue *queue = &fs->queue[number];
	struct virtio_chain *chain;
	uint8_t header[IN_BYTES];
	uint64_t unique = 0;
	void *buffer;
	int slot, ret;

	slot = fs->ops->take(fs->arg, number == 0, &buffer);
	if (slot < 0 || slot >= FS_SLOTS || atomic_load(&fs->request[slot].owner) != 0) {
		queue->again = true;
		return -EAGAIN;
	}
	chain = &fs->request[slot].chain;
	if (next_chain(fs, queue, chain) <= 0) {
		fs->ops->release(fs->arg, (unsigned)slot);
		return -EAGAIN;
	}
	ret = read_header(chain, header, &unique);
	if (ret < 0) {
		if (ret == -ENODATA)
			virtqueue_add_used(queue->ring, chain->head, 0);
		else
			refuse(queue, chain, ret, unique);
		fs->ops->release(fs->arg, (unsigned)slot);
		return 0;
	}
	memcpy(buffer, header, IN_BYTES);
	virtio_chain_read(chain, IN_BYTES, (uint8_t *)buffer + IN_BYTES,
			  (size_t)chain->readable_length - IN_BYTES);
	fs->request[slot].unique = unique;
	send(fs, number, (unsigned)slot);
	*sent = (unsigned)slot;
	return 1;
}

/* Handles chains of the locked queue, at most a turn. Returns the number sent, and their slots. */
static unsigned take_turn(struct fs *fs, unsigned number, unsigned sent[FS_TURN])
{
	struct fs_queue *queue = &fs->queue[number];
	unsigned turn, count = 0;
	int ret;

	queue->again = false;
	for (turn = 0; has_chain(queue); turn++) {
		if (turn == FS_TURN) {
			queue->again = true;
			fs_kick(fs);
			break;
		}
		if (fs->ops)
			ret = send_one(fs, number, &sent[count]);
		else
			ret = refuse_one(fs, queue) ? 0 : -EAGAIN;
		if (ret < 0)
			break;
		count += (unsigned)ret;
	}
	return count;
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
		bool wanted = reply_room(&fs->request[sent[i]].chain) > 0;

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

void fs_serve(struct fs *fs, unsigned number, uint64_t wait_ns)
{
	struct fs_queue *queue = &fs->queue[number];
	struct outcome outcome[FS_TURN];
	unsigned sent[FS_TURN], count, i;

	pthread_mutex_lock(&queue->lock);
	queue->stats.doorbells += wait_ns > 0;
	count = take_turn(fs, number, sent);
	if (count > 0) {
		queue->callers++;
		pthread_mutex_unlock(&queue->lock);
		await(fs, sent, count, wait_ns, outcome);
		pthread_mutex_lock(&queue->lock);
		for (i = 0; i < count; i++)
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
