/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/bytes.h"

#define SLOT_BYTES (FS_SLOTS * sizeof(struct fake_slot))
/* The device takes 16 requests of a queue at a time: a whole queue, and what was restored. */
#define TURNS ((FS_QUEUE_SIZE + FS_SLOTS) / 16 + 1)

/* --- the server ------------------------------------------------------------------------------- */

static void echo(struct fake_slot *slot)
{
	size_t length = FAKE_FS_OUT + slot->length - FAKE_FS_IN;

	if (slot->room == 0) {
		slot->reply_length = 0;
		return;
	}
	if (length > slot->room)
		length = slot->room;
	memset(slot->out, 0, FAKE_FS_OUT);
	store_le32(slot->out, (uint32_t)length);
	memcpy(slot->out + 8, slot->in + 8, 8);
	memcpy(slot->out + FAKE_FS_OUT, slot->in + FAKE_FS_IN, length - FAKE_FS_OUT);
	slot->reply_length = length;
}

/* The lock is held. */
static void make_reply(struct fake_fs *fake, struct fake_slot *slot)
{
	echo(slot);
	if (fake->reply)
		fake->reply(fake, slot);
	slot->state = FAKE_SLOT_DONE;
}

/* As in a number of a node. */
static unsigned lane(void *arg, const void *head, size_t length)
{
	struct fake_fs *fake = arg;

	pthread_mutex_lock(&fake->lock);
	fake->wrong += length < FAKE_FS_IN || length > FS_LANE_BYTES;
	pthread_mutex_unlock(&fake->lock);
	return ((const uint8_t *)head)[FAKE_FS_LANE];
}

static int take(void *arg, unsigned lane, void **buffer)
{
	struct fake_fs *fake = arg;
	unsigned i, used = 0;
	int found = -EAGAIN;

	pthread_mutex_lock(&fake->lock);
	fake->wrong += lane >= FS_LANES;
	for (i = FS_SLOTS; i-- > 0;)
		if (fake->slot[i].state != FAKE_SLOT_FREE)
			used += fake->slot[i].lane == lane;
		else if (i < fake->slots)
			found = (int)i;
	if (used >= fake->lane_slots)
		found = -EAGAIN;
	if (found >= 0) {
		fake->slot[found].lane = lane;
		fake->slot[found].state = FAKE_SLOT_TAKEN;
		fake->slot[found].waited = fake->slot[found].waits = false;
		*buffer = fake->slot[found].in;
		fake->taken++;
	} else {
		fake->full = true;
	}
	pthread_mutex_unlock(&fake->lock);
	return found;
}

static void send(void *arg, unsigned slot, size_t length, size_t room)
{
	struct fake_fs *fake = arg;
	struct fake_slot *it = &fake->slot[slot];

	pthread_mutex_lock(&fake->lock);
	fake->wrong += it->state != FAKE_SLOT_TAKEN || length < FAKE_FS_IN ||
		       length > FS_REQUEST_MAX || room > FS_REPLY_MAX ||
		       (room > 0 && room < FAKE_FS_OUT) || load_le32(it->in) != length;
	it->state = FAKE_SLOT_SENT;
	it->length = length;
	it->room = room;
	fake->sent++;
	if (!fake->stall)
		make_reply(fake, it);
	pthread_mutex_unlock(&fake->lock);
}

static bool wait_for(void *arg, unsigned slot, uint64_t wait_ns, const void **reply, size_t *length)
{
	struct fake_fs *fake = arg;
	struct fake_slot *it = &fake->slot[slot];
	bool done, early = false;

	pthread_mutex_lock(&fake->lock);
	fake->wrong += it->waited || (it->state != FAKE_SLOT_SENT && it->state != FAKE_SLOT_DONE);
	fake->waited_ns += wait_ns;
	if (wait_ns > fake->most_waited_ns)
		fake->most_waited_ns = wait_ns;
	it->waited = true;
	done = it->state == FAKE_SLOT_DONE;
	if (!done && fake->early > 0) {
		fake->early--;
		early = true;
	}
	*reply = it->out;
	*length = it->reply_length;
	pthread_mutex_unlock(&fake->lock);
	/* Without the lock, since the hook may call the device. */
	if (early) {
		make_reply(fake, it);
		fs_done(fake->fs, slot);
	}
	return done;
}

static void reply(void *arg, unsigned slot, const void **reply, size_t *length)
{
	struct fake_fs *fake = arg;

	pthread_mutex_lock(&fake->lock);
	fake->wrong += fake->slot[slot].state != FAKE_SLOT_DONE;
	*reply = fake->slot[slot].out;
	*length = fake->slot[slot].reply_length;
	pthread_mutex_unlock(&fake->lock);
}

static void release(void *arg, unsigned slot)
{
	struct fake_fs *fake = arg;
	struct fake_slot *it = &fake->slot[slot];

	pthread_mutex_lock(&fake->lock);
	fake->wrong += it->state != FAKE_SLOT_TAKEN && it->state != FAKE_SLOT_DONE;
	it->state = FAKE_SLOT_FREE;
	pthread_mutex_unlock(&fake->lock);
}

static bool waits(void *arg, unsigned slot)
{
	struct fake_fs *fake = arg;
	bool yes;

	pthread_mutex_lock(&fake->lock);
	yes = fake->slot[slot].waits;
	pthread_mutex_unlock(&fake->lock);
	return yes;
}

const struct fs_server_ops fake_fs_ops = {
	.lane = lane,
	.take = take,
	.send = send,
	.wait = wait_for,
	.reply = reply,
	.release = release,
	.waits = waits,
};

static void report_room(struct fake_fs *fake)
{
	bool full;

	pthread_mutex_lock(&fake->lock);
	full = fake->full;
	fake->full = false;
	pthread_mutex_unlock(&fake->lock);
	if (full)
		fs_room(fake->fs);
}

void fake_fs_finish(struct fake_fs *fake, unsigned slot)
{
	pthread_mutex_lock(&fake->lock);
	make_reply(fake, &fake->slot[slot]);
	pthread_mutex_unlock(&fake->lock);
	fs_done(fake->fs, slot);
	report_room(fake);
}

void fake_fs_finish_all(struct fake_fs *fake)
{
	unsigned i;

	for (i = 0; i < FS_SLOTS; i++)
		if (fake->slot[i].state == FAKE_SLOT_SENT)
			fake_fs_finish(fake, i);
}

void fake_fs_free_slots(struct fake_fs *fake)
{
	unsigned i;

	for (i = 0; i < FS_SLOTS; i++)
		fake->slot[i].state = FAKE_SLOT_FREE;
}

unsigned fake_fs_busy(struct fake_fs *fake)
{
	unsigned i, busy = 0;

	pthread_mutex_lock(&fake->lock);
	for (i = 0; i < FS_SLOTS; i++)
		busy += fake->slot[i].state != FAKE_SLOT_FREE;
	pthread_mutex_unlock(&fake->lock);
	return busy;
}

int fake_fs_slot(struct fake_fs *fake, const struct fake_request *request)
{
	unsigned i;

	for (i = 0; i < FS_SLOTS; i++)
		if (fake->slot[i].state == FAKE_SLOT_SENT &&
		    load_le64(fake->slot[i].in + 8) == request->unique)
			return (int)i;
	return -1;
}

/* --- the guest -------------------------------------------------------------------------------- */

struct fake_fs *fake_fs_begin(unsigned queues, uint64_t features)
{
	return fake_fs_begin_with(queues, features, FAKE_FS_RAM);
}

struct fake_fs *fake_fs_begin_with(unsigned queues, uint64_t features, uint64_t ram)
{
	struct fake_fs *fake = calloc(1, sizeof(*fake));

	/* Mapped, since most of it is never touched. */
	if (fake)
		fake->slot = mmap(NULL, SLOT_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!fake || fake->slot == MAP_FAILED)
		abort();
	pthread_mutex_init(&fake->lock, NULL);
	fake->slots = fake->lane_slots = FS_SLOTS;
	fake_guest_init(&fake->guest, ram);
	if (loop_create(&fake->loop) < 0 || fs_create(&fake->fs, fake->loop, queues) < 0)
		abort();
	fs_set_server(fake->fs, &fake_fs_ops, fake);
	fake_guest_attach(&fake->guest, fs_device(fake->fs));
	if (!fake_guest_bring_up(&fake->guest, features))
		abort();
	return fake;
}

void fake_fs_end(struct fake_fs *fake)
{
	fs_destroy(fake->fs);
	loop_destroy(fake->loop);
	fake_guest_destroy(&fake->guest);
	pthread_mutex_destroy(&fake->lock);
	munmap(fake->slot, SLOT_BYTES);
	free(fake);
}

/* Adds the segments of a range. Returns their number. */
static unsigned cut(struct fake_segment *to, uint64_t address, uint32_t length, uint32_t segment,
		    bool writable)
{
	unsigned count = 0;
	uint32_t now;

	for (; length > 0; length -= now, address += now) {
		now = segment && segment < length ? segment : length;
		to[count++] = (struct fake_segment){address, now, writable};
	}
	return count;
}

struct fake_request *fake_fs_request_of(struct fake_fs *fake, unsigned queue, uint32_t length,
					uint32_t claim, uint32_t room, uint32_t segment)
{
	struct fake_request *request = &fake->request[fake->requests++ % 1024];
	struct fake_segment part[VIRTIO_CHAIN_SEGMENTS * 2];
	uint8_t header[FAKE_FS_IN] = {0}, *bytes;
	unsigned count;
	uint32_t i;

	*request = (struct fake_request){.unique = ++fake->unique, .length = length, .room = room};
	request->in = fake_guest_alloc(&fake->guest, length, 16);
	request->out = room ? fake_guest_alloc(&fake->guest, room, 16) : 0;
	bytes = fake_guest_at(&fake->guest, request->in);
	for (i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + request->unique);
	store_le32(header, claim);
	store_le64(header + 8, request->unique);
	memcpy(bytes, header, length < FAKE_FS_IN ? length : FAKE_FS_IN);
	count = cut(part, request->in, length, segment, false);
	count += cut(part + count, request->out, room, segment, true);
	if (fake->guest.device->negotiated & FAKE_F_INDIRECT_DESC)
		request->head = fake_queue_add_indirect(&fake->guest.queue[queue], part, count);
	else
		request->head = fake_queue_add(&fake->guest.queue[queue], part, count);
	return request;
}

struct fake_request *fake_fs_request(struct fake_fs *fake, unsigned queue, uint32_t length,
				     uint32_t room)
{
	return fake_fs_request_of(fake, queue, length, length, room, 0);
}

void fake_fs_ring(struct fake_fs *fake, unsigned queue)
{
	fake_queue_kick(&fake->guest.queue[queue]);
}

void fake_fs_set_lane(struct fake_fs *fake, const struct fake_request *request, unsigned lane)
{
	uint8_t *bytes = fake_guest_at(&fake->guest, request->in);

	bytes[FAKE_FS_LANE] = (uint8_t)lane;
}

struct fake_request *fake_fs_request_at(struct fake_fs *fake, unsigned queue, unsigned lane)
{
	struct fake_request *request = fake_fs_request(fake, queue, 48, 64);

	fake_fs_set_lane(fake, request, lane);
	return request;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

void fake_fs_turn(struct fake_fs *fake)
{
	struct loop_timer end = {.expired = stop_loop, .arg = fake->loop};
	unsigned i;

	/* Each run handles what is due at its start, however long that takes. */
	for (i = 0; i < TURNS; i++) {
		loop_timer_start(fake->loop, &end, 0);
		loop_run(fake->loop);
	}
}

bool fake_fs_used(struct fake_fs *fake, unsigned queue, const struct fake_request *request,
		  uint32_t written)
{
	uint32_t head, bytes;

	return fake_queue_take_used(&fake->guest.queue[queue], &head, &bytes) &&
	       head == request->head && bytes == written;
}

bool fake_fs_none_used(struct fake_fs *fake, unsigned queue)
{
	struct fake_queue *it = &fake->guest.queue[queue];

	return fake_queue_used_index(it) == it->used_index;
}

int fake_fs_error(struct fake_fs *fake, const struct fake_request *request)
{
	const uint8_t *header = fake_guest_at(&fake->guest, request->out);

	if (load_le64(header + 8) != request->unique || load_le32(header) < FAKE_FS_OUT)
		return 1;
	return (int32_t)load_le32(header + 4);
}

bool fake_fs_echoed(struct fake_fs *fake, const struct fake_request *request)
{
	const uint8_t *in = fake_guest_at(&fake->guest, request->in),
		      *out = fake_guest_at(&fake->guest, request->out);
	uint32_t length = load_le32(out);

	return fake_fs_error(fake, request) == 0 && length <= request->room &&
	       memcmp(in + FAKE_FS_IN, out + FAKE_FS_OUT, length - FAKE_FS_OUT) == 0;
}
