/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's process: a thread for each lane (lanes.h). The requests of one are handled in
 * the order of their slots, which the guest does not rely on: it sends what depends on a reply
 * after that.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/files/server_internal.h"

#define STACK_SIZE (512u << 10)
#define TICK_NS	   (FUSED_TICK_MS * UINT64_C(1000000))
#define SHOW_NS	   UINT64_C(1000000000)

/* --- one request ------------------------------------------------------------------------------ */

/* In a held server no request begins. */
static void begin_request(struct files_server *server)
{
	for (;;) {
		atomic_fetch_add(&server->busy, 1);
		if (atomic_load(&server->ring->held) != 1)
			return;
		atomic_fetch_sub(&server->busy, 1);
		files_ring_sleep(&server->ring->held, 1, UINT64_MAX);
	}
}

int files_queue_quiet(struct files_server *server, unsigned patience_ms)
{
	const struct timespec moment = {.tv_nsec = 200000};
	const uint64_t until = loop_now_ns() + patience_ms * UINT64_C(1000000);

	while (atomic_load(&server->busy) > 0) {
		if (loop_now_ns() >= until)
			return -EBUSY;
		nanosleep(&moment, NULL);
	}
	return 0;
}

/* The request was sent behind a message that may not be in effect yet: a root, a policy. */
static void wait_for_messages(struct files_server *server, uint32_t after)
{
	if ((int32_t)(after - atomic_load(&server->messages)) <= 0)
		return;
	pthread_mutex_lock(&server->mutex);
	while ((int32_t)(after - atomic_load(&server->messages)) > 0)
		pthread_cond_wait(&server->effect, &server->mutex);
	pthread_mutex_unlock(&server->mutex);
}

static void reply(struct files_server *server, unsigned slot, size_t length)
{
	struct files_slot *shared = &server->ring->slot[slot];
	uint32_t old;

	atomic_store_explicit(&shared->reply, (uint32_t)length, memory_order_relaxed);
	/* The slot may be used again as soon as it is done. */
	atomic_store(&server->taken[slot].queue, FILES_QUEUES);
	atomic_store(&server->taken[slot].claimed, false);
	old = atomic_exchange(&shared->state, FILES_DONE);
	if (old & FILES_WAITING)
		files_ring_wake(&shared->state);
	if (old & FILES_SIGNAL)
		fd_notify(server->signal_fd);
}

/* Too many wait: as if there were no memory for another lock; what can't be asked is denied. */
static void refuse(struct files_server *server, unsigned slot, const void *message, size_t room)
{
	bool asks = server->taken[slot].questions > 0;
	struct fuse_out_header out = {.len = sizeof(out), .error = asks ? -EACCES : -ENOLCK};
	struct fuse_in_header in;

	fuse_session_cancel(server->session, slot);
	files_asked_end(server, slot);
	memcpy(&in, message, sizeof(in));
	out.unique = in.unique;
	if (room >= sizeof(out))
		memcpy(server->ring->reply[slot], &out, sizeof(out));
	reply(server, slot, room >= sizeof(out) ? sizeof(out) : 0);
}

/* Keeps the message of a request that waits. */
static bool keep(struct files_server *server, unsigned slot, const void *message, size_t length)
{
	struct files_taken *taken = &server->taken[slot];

	if (atomic_fetch_add(&server->waiting, 1) < FILES_WAITING_MAX) {
		taken->message = malloc(length);
		if (taken->message) {
			memcpy(taken->message, message, length);
			taken->length = length;
			return true;
		}
	}
	atomic_fetch_sub(&server->waiting, 1);
	return false;
}

static void forget(struct files_server *server, unsigned slot)
{
	struct files_taken *taken = &server->taken[slot];

	if (!taken->message)
		return;
	free(taken->message);
	taken->message = NULL;
	atomic_fetch_sub(&server->waiting, 1);
}

/* The slot does not count as the lane's any more. */
static void say_waiting(struct files_server *server, struct files_slot *shared)
{
	uint32_t old = atomic_fetch_or(&shared->state, FILES_LOCKED);

	/* A thread that is asleep there has better things to do. */
	files_ring_wake(&shared->state);
	if ((old & FILES_SIGNAL) && !(old & FILES_LOCKED))
		fd_notify(server->signal_fd);
}

static void handle(struct files_queue *queue, unsigned slot, const uint8_t *message, size_t length)
{
	struct files_server *server = queue->server;
	struct files_slot *shared = &server->ring->slot[slot];
	size_t room =
		min_u64(atomic_load_explicit(&shared->room, memory_order_relaxed), FILES_REPLY_MAX);
	uint32_t processor;
	ssize_t n;

	begin_request(server);
	processor = files_ring_processor();
	atomic_store_explicit(&server->ring->bell[queue->index].processor, processor,
			      memory_order_relaxed);
	queue->near = processor == atomic_load_explicit(&shared->processor, memory_order_relaxed);
	files_asks_for(slot);
	n = fuse_session_handle(server->session, slot, message, length, server->ring->reply[slot],
				room);
	if (n >= 0) {
		forget(server, slot);
		files_asked_end(server, slot);
		reply(server, slot, (size_t)n);
	} else if (server->taken[slot].message || keep(server, slot, message, length)) {
		queue->ticks = true;
		say_waiting(server, shared);
		if (files_may_go_on(server, slot))
			fuse_session_wake(server->session, slot);
	} else {
		refuse(server, slot, message, room);
	}
	files_queue_retry(server);
	atomic_fetch_sub(&server->busy, 1);
}

static bool is_posted(const struct files_slot *shared, size_t *length)
{
	*length = atomic_load_explicit(&shared->length, memory_order_relaxed);
	return (atomic_load(&shared->state) & FILES_STATE) == FILES_POSTED &&
	       *length <= FILES_REQUEST_MAX;
}

/*
 * A request of the monitor's, or one that can go on. What a broken monitor posts twice, or does not
 * mean to post, is ignored.
 */
static void serve(struct files_queue *queue, unsigned slot)
{
	struct files_server *server = queue->server;
	struct files_slot *shared = &server->ring->slot[slot];
	struct files_taken *taken = &server->taken[slot];
	size_t length;

	for (;;) {
		if (atomic_exchange(&taken->claimed, true)) {
			if (atomic_load(&taken->queue) == queue->index && taken->message &&
			    atomic_exchange(&taken->retry, false))
				handle(queue, slot, taken->message, taken->length);
			return;
		}
		if (is_posted(shared, &length))
			break;
		/*
		 * A retry that its request did not wait for. Meanwhile another queue's thread may
		 * have found the slot's next request, claimed, and passed it by.
		 */
		atomic_store(&taken->claimed, false);
		if (!is_posted(shared, &length))
			return;
	}
	atomic_store(&taken->queue, queue->index);
	atomic_store(&taken->retry, false);
	wait_for_messages(server, atomic_load_explicit(&shared->after, memory_order_relaxed));
	if (!queue->confined && atomic_load(&server->confine))
		queue->confined = jail_landlock_restrict(&server->landlock) <= 0;
	memcpy(queue->message, server->ring->request[slot], length);
	handle(queue, slot, queue->message, length);
}

/* The thread that has it handles it: another root's must not wait for this one's. */
void files_queue_retry(struct files_server *server)
{
	unsigned queue;
	uint64_t tag;

	while (fuse_session_retry(server->session, &tag)) {
		atomic_store(&server->taken[tag].retry, true);
		queue = atomic_load(&server->taken[tag].queue);
		/* One that was refused meanwhile has none. */
		if (queue < FILES_QUEUES)
			files_ring_post(server->ring, queue, (unsigned)tag);
	}
}

/* --- the thread ------------------------------------------------------------------------------- */

static void show_stats(struct files_queue *queue, uint64_t now)
{
	struct files_ring *ring = queue->server->ring;
	struct fuse_session_stats stats;

	queue->shown_ns = now;
	fuse_session_stats(queue->server->session, &stats);
	atomic_store_explicit(&ring->requests, stats.requests, memory_order_relaxed);
	atomic_store_explicit(&ring->refused, stats.refused, memory_order_relaxed);
	atomic_store_explicit(&ring->nodes, stats.nodes, memory_order_relaxed);
	atomic_store_explicit(&ring->open, stats.open, memory_order_relaxed);
	atomic_store_explicit(&ring->locks, stats.locks, memory_order_relaxed);
	atomic_store_explicit(&ring->waiting, stats.waiting, memory_order_relaxed);
}

/* Looks after requests that wait for the host. */
static void tick(struct files_queue *queue, uint64_t now)
{
	if (!queue->ticks || now - queue->ticked_ns < TICK_NS)
		return;
	queue->ticked_ns = now;
	queue->ticks = fuse_session_tick(queue->server->session);
	files_queue_retry(queue->server);
}

static bool has_posted(const struct files_bell *bell)
{
	unsigned i;

	for (i = 0; i < FILES_WORDS; i++)
		if (atomic_load(&bell->posted[i]) != 0)
			return true;
	return false;
}

/* Returns when there are requests, or for no reason. now: since when there are none. */
static void wait_for_requests(struct files_queue *queue, uint64_t now)
{
	struct files_bell *bell = &queue->server->ring->bell[queue->index];
	const bool spins = queue->server->spins && !queue->near;
	const uint64_t until = now + FILES_SPIN_SERVER_NS;
	unsigned i;

	do {
		for (i = 0; i < 32; i++) {
			if (has_posted(bell))
				return;
			files_ring_pause();
		}
	} while (spins && loop_now_ns() < until);
	show_stats(queue, now);
	atomic_store(&bell->asleep, 1);
	if (!has_posted(bell))
		files_ring_sleep(&bell->asleep, 1, queue->ticks ? now + TICK_NS : UINT64_MAX);
	atomic_store(&bell->asleep, 0);
}

static void *serve_queue(void *arg)
{
	struct files_queue *queue = arg;
	struct files_bell *bell = &queue->server->ring->bell[queue->index];
	uint64_t posted, now;
	unsigned i;

	prctl(PR_SET_NAME, "files"); /* tells its processor time from the others' */
	files_reports_by(queue->index);
	/* Without the rights that it has to drop it must not serve. */
	if (fuse_session_enter() < 0)
		_exit(1);
	for (;;) {
		for (i = 0; i < FILES_WORDS; i++) {
			/* Most of the time there is nothing: no write to the line then. */
			posted = atomic_load(&bell->posted[i])
					 ? atomic_exchange(&bell->posted[i], 0)
					 : 0;
			for (; posted; posted &= posted - 1)
				serve(queue, i * 64 + (unsigned)__builtin_ctzll(posted));
		}
		now = loop_now_ns();
		tick(queue, now);
		if (now - queue->shown_ns >= SHOW_NS)
			show_stats(queue, now);
		wait_for_requests(queue, now);
	}
	return NULL;
}

int files_queue_start(struct files_server *server, unsigned index)
{
	struct files_queue *queue = &server->queue[index];
	pthread_attr_t attributes;
	int ret;

	queue->server = server;
	queue->index = index;
	/* Confined like the thread that starts it. */
	queue->confined = atomic_load(&server->confine);
	queue->message = malloc(FILES_REQUEST_MAX);
	if (!queue->message)
		return -ENOMEM;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&queue->thread, &attributes, serve_queue, queue);
	pthread_attr_destroy(&attributes);
	return -ret;
}
