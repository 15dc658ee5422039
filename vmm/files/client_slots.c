/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a file server: requests and replies. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/client_internal.h"

/* --- sets of slots ---------------------------------------------------------------------------- */

static void add(uint64_t set[FILES_WORDS], unsigned slot)
{
	set[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void drop(uint64_t set[FILES_WORDS], unsigned slot)
{
	set[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static bool has(const uint64_t set[FILES_WORDS], unsigned slot)
{
	return set[slot / 64] >> slot % 64 & 1;
}

/* The lowest: pages of slots that are not needed stay untouched. -1: the set is empty. */
static int lowest(const uint64_t set[FILES_WORDS])
{
	unsigned i;

	for (i = 0; i < FILES_WORDS; i++)
		if (set[i])
			return (int)(i * 64) + __builtin_ctzll(set[i]);
	return -1;
}

/* --- lanes, with the mutex -------------------------------------------------------------------- */

/* Takes the slots of requests that wait off a lane's account. */
static void count_waiting(struct files_client *client, unsigned lane)
{
	unsigned slot;

	for (slot = 0; slot < FILES_SLOTS; slot++)
		if (has(client->left, slot) && client->slot[slot].lane == lane &&
		    !client->slot[slot].waits && files_client_waits(client, slot))
			client->slot[slot].waits = files_lane_wait(&client->lanes, lane);
}

static bool may_take(struct files_client *client, unsigned lane)
{
	if (!files_lane_may_take(&client->lanes, lane))
		count_waiting(client, lane);
	return files_lane_may_take(&client->lanes, lane);
}

/* Whether there is a slot for a lane that wants one. */
static bool has_room(struct files_client *client)
{
	unsigned lane;

	for (lane = 0; client->wants && lane < FILES_LANES; lane++)
		if (client->want[lane] && may_take(client, lane))
			return true;
	return false;
}

/* --- the sender's side: any thread ------------------------------------------------------------ */

/*
 * A LOOKUP of a root in node 1 is about that root, too, or one whose host hangs would hold up the
 * others. SYNCFS, INIT and DESTROY wait for all roots.
 */
/* The root of a number has the place and the lane of that number. */
static bool is_served(struct files_client *client, unsigned number)
{
	return number <= FILES_SHARES_MAX &&
	       atomic_load(&client->added[number / 64]) >> number % 64 & 1;
}

unsigned files_client_lane(void *arg, const void *bytes, size_t length)
{
	struct files_client *client = arg;
	unsigned root = fuse_message_root(bytes, length), number = 0;
	const uint8_t *name = (const uint8_t *)bytes + sizeof(struct fuse_in_header);
	struct fuse_in_header head;
	size_t i;

	if (length < sizeof(head))
		return 0;
	memcpy(&head, bytes, sizeof(head));
	switch (head.opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;
	case FUSE_SYNCFS:
	case FUSE_INIT:
	case FUSE_DESTROY:
		return FILES_LANE_ALL;
	default:
		break;
	}
	if (root > 0)
		return is_served(client, root - 1) ? root : 0;
	if (head.opcode != FUSE_LOOKUP || head.nodeid != FUSE_ROOT_ID)
		return 0;
	for (i = 0; i < length - sizeof(head) && i < 3 && name[i] >= '0' && name[i] <= '9'; i++)
		number = number * 10 + name[i] - '0';
	return i > 0 && is_served(client, number) ? number + 1 : 0;
}

int files_client_take(void *arg, unsigned lane, void **buffer)
{
	struct files_client *client = arg;
	int slot = -EAGAIN;

	pthread_mutex_lock(&client->mutex);
	if (may_take(client, lane))
		slot = lowest(client->free);
	if (slot >= 0) {
		drop(client->free, (unsigned)slot);
		files_lane_take(&client->lanes, lane);
		client->slot[slot].lane = lane;
		client->slot[slot].waits = false;
	} else {
		client->want[lane] = client->wants = true;
	}
	pthread_mutex_unlock(&client->mutex);
	if (slot >= 0)
		*buffer = client->ring->request[slot];
	return slot >= 0 ? slot : -EAGAIN;
}

void files_client_release(void *arg, unsigned slot)
{
	struct files_client *client = arg;
	bool tell;

	pthread_mutex_lock(&client->mutex);
	add(client->free, slot);
	files_lane_give(&client->lanes, client->slot[slot].lane, client->slot[slot].waits);
	tell = has_room(client);
	pthread_mutex_unlock(&client->mutex);
	if (tell)
		fd_notify(client->kick.fd);
}

void files_client_send(void *arg, unsigned slot, size_t length, size_t room)
{
	struct files_client *client = arg;
	struct files_slot *shared = &client->ring->slot[slot];

	client->slot[slot].room = min_u64(room, FILES_REPLY_MAX);
	if (atomic_load(&client->ended))
		return;
	atomic_store_explicit(&shared->length, (uint32_t)min_u64(length, FILES_REQUEST_MAX),
			      memory_order_relaxed);
	atomic_store_explicit(&shared->room, (uint32_t)client->slot[slot].room,
			      memory_order_relaxed);
	atomic_store_explicit(&shared->after, atomic_load(&client->after), memory_order_relaxed);
	atomic_store_explicit(&shared->processor, files_ring_processor(), memory_order_relaxed);
	atomic_store(&shared->state, FILES_POSTED);
	files_ring_post(client->ring, client->slot[slot].lane, slot);
}

static bool is_done(uint32_t state)
{
	return (state & FILES_STATE) == FILES_DONE;
}

/* Whether the server's thread may be running now. */
static bool may_spin(struct files_client *client, unsigned slot)
{
	const struct files_bell *bell = &client->ring->bell[client->slot[slot].lane];

	return atomic_load_explicit(&bell->processor, memory_order_relaxed) !=
	       files_ring_processor();
}

/* Whether it is done by until_ns. A server that plays with the state gains nothing but that time.
 */
static bool spin(const struct files_slot *shared, uint64_t until_ns)
{
	unsigned i;

	do {
		for (i = 0; i < 32; i++) {
			if (is_done(atomic_load_explicit(&shared->state, memory_order_acquire)))
				return true;
			files_ring_pause();
		}
	} while (loop_now_ns() < until_ns);
	return false;
}

static bool sleep_until(struct files_slot *shared, uint64_t until_ns)
{
	uint32_t state;

	while (loop_now_ns() < until_ns) {
		state = atomic_fetch_or(&shared->state, FILES_WAITING) | FILES_WAITING;
		if (is_done(state))
			return true;
		/* A lock takes longer than anything that is worth the wait. */
		if (state & FILES_LOCKED)
			return false;
		files_ring_sleep(&shared->state, state, until_ns);
	}
	return is_done(atomic_load(&shared->state));
}

/* Takes the length of the reply, once. With `violated` the loop kills the server. */
static void take_reply(struct files_client *client, unsigned slot)
{
	uint32_t length =
		atomic_load_explicit(&client->ring->slot[slot].reply, memory_order_relaxed);

	client->slot[slot].reply = client->ring->reply[slot];
	client->slot[slot].length = 0;
	if (length <= client->slot[slot].room)
		client->slot[slot].length = length;
	else if (!atomic_exchange(&client->violated, true))
		fd_notify(client->kick.fd);
}

/*
 * Leaves the slot to the loop, unless it is done. The server signals when the request begins to
 * wait, unless it has done so before, and when it is done.
 */
static bool leave(struct files_client *client, unsigned slot)
{
	bool done = false, ended, room = false;
	uint32_t state;

	pthread_mutex_lock(&client->mutex);
	ended = atomic_load(&client->ended);
	if (!ended) {
		state = atomic_fetch_or(&client->ring->slot[slot].state, FILES_SIGNAL);
		done = is_done(state);
		if (!done) {
			add(client->left, slot);
			client->armed += state & FILES_LOCKED ? 1 : 2;
			room = has_room(client);
		}
	}
	pthread_mutex_unlock(&client->mutex);
	if (room)
		fd_notify(client->kick.fd);
	if (ended)
		client->slot[slot].length = 0;
	else if (done)
		take_reply(client, slot);
	return done || ended;
}

bool files_client_wait(void *arg, unsigned slot, uint64_t wait_ns, const void **reply,
		       size_t *length)
{
	struct files_client *client = arg;
	struct files_slot *shared = &client->ring->slot[slot];
	uint64_t now = wait_ns ? loop_now_ns() : 0;
	bool done = false;

	client->slot[slot].reply = client->ring->reply[slot];
	if (wait_ns && !atomic_load(&client->ended))
		done = (may_spin(client, slot) &&
			spin(shared, now + min_u64(wait_ns, FILES_SPIN_CLIENT_NS))) ||
		       sleep_until(shared, now + wait_ns);
	if (done)
		take_reply(client, slot);
	else if (!leave(client, slot))
		return false;
	files_client_reply(client, slot, reply, length);
	return true;
}

void files_client_reply(void *arg, unsigned slot, const void **reply, size_t *length)
{
	const struct files_client *client = arg;

	*reply = client->slot[slot].reply;
	*length = client->slot[slot].length;
}

bool files_client_waits(void *arg, unsigned slot)
{
	const struct files_client *client = arg;
	uint32_t state = atomic_load(&client->ring->slot[slot].state);

	return (state & FILES_LOCKED) && !is_done(state) && !atomic_load(&client->ended);
}

/* --- the loop's side -------------------------------------------------------------------------- */

static void tell_done(struct files_client *client, uint64_t slots[FILES_WORDS])
{
	int slot;

	while ((slot = lowest(slots)) >= 0) {
		drop(slots, (unsigned)slot);
		client->ops->done(client->arg, (unsigned)slot);
	}
}

static void tell_room(struct files_client *client)
{
	bool room;

	pthread_mutex_lock(&client->mutex);
	room = has_room(client);
	if (room) {
		memset(client->want, 0, sizeof(client->want));
		client->wants = false;
	}
	pthread_mutex_unlock(&client->mutex);
	if (room)
		client->ops->room(client->arg);
}

void files_client_finish(struct files_client *client)
{
	uint64_t done[FILES_WORDS] = {0};
	unsigned slot;

	pthread_mutex_lock(&client->mutex);
	for (slot = 0; slot < FILES_SLOTS; slot++)
		if (has(client->left, slot) &&
		    is_done(atomic_load(&client->ring->slot[slot].state))) {
			take_reply(client, slot);
			add(done, slot);
			drop(client->left, slot);
		}
	pthread_mutex_unlock(&client->mutex);
	tell_done(client, done);
}

void files_client_fail_all(struct files_client *client)
{
	uint64_t left[FILES_WORDS];
	unsigned slot;

	pthread_mutex_lock(&client->mutex);
	atomic_store(&client->ended, true);
	memcpy(left, client->left, sizeof(left));
	memset(client->left, 0, sizeof(client->left));
	for (slot = 0; slot < FILES_SLOTS; slot++)
		if (has(left, slot))
			client->slot[slot].length = 0;
	pthread_mutex_unlock(&client->mutex);
	tell_done(client, left);
}

/* An honest server signals at most twice for each slot that was left to the loop. */
void files_client_signalled(void *arg, uint32_t events)
{
	struct files_client *client = arg;
	uint64_t count;
	bool lies;

	(void)events;
	if (read(client->signal.fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&client->mutex);
	lies = count > client->armed - client->signals;
	pthread_mutex_unlock(&client->mutex);
	if (lies) {
		loop_remove(client->loop, &client->signal);
		files_client_end(client, FILES_VIOLATION);
		return;
	}
	client->signals += count;
	files_client_finish(client);
	tell_room(client);
}

void files_client_kicked(void *arg, uint32_t events)
{
	struct files_client *client = arg;
	uint64_t count;

	(void)events;
	if (read(client->kick.fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (atomic_load(&client->violated))
		files_client_end(client, FILES_VIOLATION);
	tell_room(client);
}
