/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a file server: requests and replies. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/client_internal.h"

#define BIT(slot) (UINT64_C(1) << (slot))

/* With the mutex: whether a request that is not urgent gets a slot. */
static bool has_room(const struct files_client *client)
{
	return (unsigned)__builtin_popcountll(client->free) > FILES_SLOTS_URGENT;
}

/* --- the sender's side: any thread ------------------------------------------------------------ */

int files_client_take(void *arg, bool urgent, void **buffer)
{
	struct files_client *client = arg;
	int slot = -EAGAIN;

	pthread_mutex_lock(&client->mutex);
	if (client->free && (urgent || has_room(client))) {
		/* The lowest: pages of slots that are not needed stay untouched. */
		slot = __builtin_ctzll(client->free);
		client->free &= ~BIT(slot);
	} else {
		client->want_room = true;
	}
	pthread_mutex_unlock(&client->mutex);
	if (slot >= 0)
		*buffer = client->ring->request[slot];
	return slot;
}

void files_client_release(void *arg, unsigned slot)
{
	struct files_client *client = arg;
	bool tell;

	pthread_mutex_lock(&client->mutex);
	client->free |= BIT(slot);
	tell = client->want_room && has_room(client);
	pthread_mutex_unlock(&client->mutex);
	if (tell)
		fd_notify(client->kick.fd);
}

/*
 * The queue of the root that a request is about. A LOOKUP of a root in node 1 is about that root,
 * too, or one whose host hangs would hold up the other's. This is no decision: a queue of another
 * root does as well, so it matters little that the server may change the bytes.
 */
static unsigned find_queue(struct files_client *client, unsigned slot, size_t length)
{
	const uint8_t *request = client->ring->request[slot];
	unsigned root = fuse_message_root(request, length), number = 0;
	struct fuse_in_header head;
	size_t i;

	if (root > 0 || length < sizeof(head))
		return root <= atomic_load(&client->queues) ? root : 0;
	memcpy(&head, request, sizeof(head));
	if (head.opcode != FUSE_LOOKUP || head.nodeid != FUSE_ROOT_ID)
		return 0;
	for (i = sizeof(head); i < length && i < sizeof(head) + 3; i++) {
		if (request[i] < '0' || request[i] > '9')
			break;
		number = number * 10 + request[i] - '0';
	}
	return number <= FILES_SHARES_MAX ? atomic_load(&client->queue_of[number]) : 0;
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
	client->slot[slot].queue = find_queue(client, slot, length);
	files_ring_post(client->ring, client->slot[slot].queue, slot);
}

static bool is_done(uint32_t state)
{
	return (state & FILES_STATE) == FILES_DONE;
}

/* Whether the server's thread may be running now. */
static bool may_spin(struct files_client *client, unsigned slot)
{
	const struct files_bell *bell = &client->ring->bell[client->slot[slot].queue];

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

/* Leaves the slot to the loop, unless it is done. */
static bool leave(struct files_client *client, unsigned slot)
{
	bool done = false, ended;

	pthread_mutex_lock(&client->mutex);
	ended = atomic_load(&client->ended);
	if (!ended) {
		client->left |= BIT(slot);
		client->armed++;
		done = is_done(atomic_fetch_or(&client->ring->slot[slot].state, FILES_SIGNAL));
	}
	if (done) {
		client->left &= ~BIT(slot);
		client->armed--;
	}
	pthread_mutex_unlock(&client->mutex);
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

static void tell_done(struct files_client *client, uint64_t slots)
{
	unsigned slot;

	for (; slots; slots &= slots - 1) {
		slot = (unsigned)__builtin_ctzll(slots);
		client->ops->done(client->arg, slot);
	}
}

void files_client_finish(struct files_client *client)
{
	uint64_t done = 0, left;
	unsigned slot;

	pthread_mutex_lock(&client->mutex);
	for (left = client->left; left; left &= left - 1) {
		slot = (unsigned)__builtin_ctzll(left);
		if (is_done(atomic_load(&client->ring->slot[slot].state))) {
			take_reply(client, slot);
			done |= BIT(slot);
		}
	}
	client->left &= ~done;
	pthread_mutex_unlock(&client->mutex);
	tell_done(client, done);
}

void files_client_fail_all(struct files_client *client)
{
	uint64_t left, slots;

	pthread_mutex_lock(&client->mutex);
	atomic_store(&client->ended, true);
	left = client->left;
	client->left = 0;
	for (slots = left; slots; slots &= slots - 1)
		client->slot[__builtin_ctzll(slots)].length = 0;
	pthread_mutex_unlock(&client->mutex);
	tell_done(client, left);
}

/* An honest server signals at most once for each slot that was left to the loop. */
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
}

void files_client_kicked(void *arg, uint32_t events)
{
	struct files_client *client = arg;
	uint64_t count;
	bool room;

	(void)events;
	if (read(client->kick.fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (atomic_load(&client->violated))
		files_client_end(client, FILES_VIOLATION);
	pthread_mutex_lock(&client->mutex);
	room = client->want_room && has_room(client);
	if (room)
		client->want_room = false;
	pthread_mutex_unlock(&client->mutex);
	if (room)
		client->ops->room(client->arg);
}
