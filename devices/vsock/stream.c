/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle of a stream, and its memory. */
#include <errno.h>
#include <stdlib.h>

#include "devices/vsock/internal.h"
#include "vmm/base/budget.h"
#include "vmm/base/bytes.h"

/* --- memory ---------------------------------------------------------------------------------- */

bool vsock_stream_take_pool(struct vsock_stream *stream, uint32_t bytes)
{
	struct vsock *vsock = stream->vsock;

	if (bytes > VSOCK_POOL - vsock->pool_used)
		return false;
	vsock->pool_used += bytes;
	stream->from_pool += bytes;
	return true;
}

static void return_pool(struct vsock_stream *stream, uint32_t bytes)
{
	stream->vsock->pool_used -= bytes;
	stream->from_pool -= bytes;
}

bool vsock_ring_resize(struct ring *ring, size_t size)
{
	struct ring larger;
	struct iovec iov[2];
	unsigned count, i;

	ring_init(&larger, size);
	count = ring_readable(ring, iov);
	for (i = 0; i < count; i++) {
		if (ring_write(&larger, iov[i].iov_base, iov[i].iov_len) != iov[i].iov_len) {
			ring_destroy(&larger);
			return false;
		}
	}
	ring_destroy(ring);
	*ring = larger;
	return true;
}

struct vsock_stream *vsock_stream_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state, const struct vsock_end_ops *end,
				      uint32_t buffer)
{
	struct vsock_stream *stream = NULL;

	if (vsock->stats.streams < budget(BUDGET_STREAMS))
		stream = calloc(1, sizeof(*stream));
	if (!stream) {
		vsock->stats.refused++;
		return NULL;
	}
	stream->vsock = vsock;
	stream->state = state;
	stream->end = end;
	stream->attached = true;
	stream->batch = 1;
	stream->ports.host = host_port;
	stream->ports.guest = guest_port;
	vsock_table_add(&vsock->table, &stream->ports);
	list_append(&vsock->streams, &stream->link);
	list_init(&stream->ready);
	vsock_deadline_init(&stream->deadline);
	stream->window.alloc = VSOCK_STREAM_MIN - buffer;
	if (vsock->pool_used < VSOCK_POOL / 2 &&
	    vsock_stream_take_pool(stream, VSOCK_WINDOW_START - stream->window.alloc))
		stream->window.alloc = VSOCK_WINDOW_START;
	ring_init(&stream->from_guest, stream->window.alloc);
	vsock->stats.streams++;
	vsock->stats.streams_peak = max_u64(vsock->stats.streams_peak, vsock->stats.streams);
	return stream;
}

/* The memory itself is freed at the end of the work task. */
static void free_if_done(struct vsock_stream *stream)
{
	struct vsock *vsock = stream->vsock;

	if (stream->freed || stream->attached || stream->state != VSOCK_GONE)
		return;
	stream->freed = true;
	vsock_deadline_stop(&stream->deadline);
	list_remove(&stream->ready);
	list_remove(&stream->link);
	ring_destroy(&stream->from_guest);
	stream->end->release(stream);
	return_pool(stream, stream->from_pool);
	vsock->stats.streams--;
	list_append(&vsock->freed, &stream->link);
	loop_defer(vsock->loop, &vsock->work);
}

/*
 * Doubles the window, if the pool has enough left, once the guest has used half of it. A window
 * never shrinks, as the guest may already be sending into it.
 */
static void grow_window(struct vsock_stream *stream)
{
	uint32_t alloc = stream->window.alloc;

	if (alloc >= VSOCK_STREAM_BUFFER || !vsock_stream_take_pool(stream, alloc))
		return;
	if (vsock_ring_resize(&stream->from_guest, 2 * (size_t)alloc))
		stream->window.alloc = 2 * alloc;
	else
		return_pool(stream, alloc);
}

/* --- ends ------------------------------------------------------------------------------------ */

/* No packet from the guest will come for this stream. */
static void guest_gone(struct vsock_stream *stream, enum vsock_state state)
{
	stream->state = state;
	stream->guest_shut = VSOCK_SHUT_BOTH;
	vsock_deadline_stop(&stream->deadline);
	if (stream->attached)
		stream->end->unwanted(stream);
}

void vsock_stream_end(struct vsock_stream *stream)
{
	if (stream->state == VSOCK_GONE)
		return;
	vsock_table_remove(&stream->vsock->table, &stream->ports);
	list_remove(&stream->ready);
	stream->owed = 0;
	guest_gone(stream, VSOCK_GONE);
	vsock_stream_progress(stream);
}

void vsock_stream_reset(struct vsock_stream *stream)
{
	if (stream->state == VSOCK_GONE || stream->state == VSOCK_RESETTING)
		return;
	/* The guest has not received the REQUEST, so it needs no RST. */
	if (stream->owed & VSOCK_OWE_REQUEST) {
		vsock_stream_end(stream);
		return;
	}
	stream->owed = VSOCK_OWE_RST;
	guest_gone(stream, VSOCK_RESETTING);
	vsock_stream_ready(stream);
	vsock_stream_progress(stream);
}

void vsock_stream_begin_closing(struct vsock_stream *stream)
{
	stream->state = VSOCK_CLOSING;
	stream->host_deaf = true;
	vsock_deadline_start(&stream->vsock->lingering, &stream->deadline);
	vsock_stream_ready(stream);
}

void vsock_stream_detached(struct vsock_stream *stream)
{
	stream->attached = false;
	free_if_done(stream);
}

/* Neither direction can carry another byte. */
static bool both_directions_ended(const struct vsock_stream *stream)
{
	bool to_guest = stream->host_eof || (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
	bool from_guest = stream->host_deaf || ((stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
						ring_used(&stream->from_guest) == 0);

	return to_guest && from_guest;
}

/* Owes the guest a credit update if it is due, unless the guest has stopped sending. */
static void update_window(struct vsock_stream *stream)
{
	if (stream->host_deaf || (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND))
		return;
	if (!vsock_window_half_used(&stream->window) || (stream->owed & VSOCK_OWE_CREDIT))
		return;
	grow_window(stream);
	stream->owed |= VSOCK_OWE_CREDIT;
	vsock_stream_ready(stream);
}

void vsock_stream_progress(struct vsock_stream *stream)
{
	bool drained = ring_used(&stream->from_guest) == 0;
	bool guest_gone_for_good = stream->state == VSOCK_GONE || stream->state == VSOCK_RESETTING;

	if (drained)
		ring_release_if_empty(&stream->from_guest);
	if (stream->attached && drained && !stream->finished &&
	    (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
		stream->finished = true;
		stream->end->finish(stream);
	}
	if (stream->state == VSOCK_OPEN) {
		update_window(stream);
		if (both_directions_ended(stream))
			vsock_stream_begin_closing(stream);
	}
	if (stream->attached && drained && (guest_gone_for_good || stream->state == VSOCK_CLOSING))
		stream->end->gone(stream);
	free_if_done(stream);
}

void vsock_stream_host_deaf(struct vsock_stream *stream)
{
	uint32_t lost = (uint32_t)ring_used(&stream->from_guest);

	stream->host_deaf = true;
	ring_clear(&stream->from_guest);
	stream->window.forwarded += lost;
	if (stream->state == VSOCK_OPEN)
		vsock_stream_ready(stream); /* a SHUTDOWN is due */
	vsock_stream_progress(stream);
}

void vsock_stream_flush(struct vsock_stream *stream)
{
	struct iovec iov[2];
	unsigned count;
	ssize_t taken;

	while (stream->attached && (count = ring_readable(&stream->from_guest, iov)) > 0) {
		taken = stream->end->take(stream, iov, count);
		if (taken == -EAGAIN)
			break;
		if (taken < 0) {
			vsock_stream_host_deaf(stream);
			return;
		}
		ring_consumed(&stream->from_guest, (size_t)taken);
		stream->window.forwarded += (uint32_t)taken;
	}
	vsock_stream_progress(stream);
}

void vsock_stream_answer(struct vsock_stream *stream, bool good)
{
	if (stream->state != VSOCK_ANSWERING)
		return;
	if (!good) {
		vsock_stream_reset(stream);
		return;
	}
	stream->state = VSOCK_OPEN;
	stream->owed |= VSOCK_OWE_RESPONSE;
	vsock_stream_ready(stream);
}

/* --- time-outs ------------------------------------------------------------------------------- */

void vsock_stream_connect_expired(struct vsock_deadline *deadline)
{
	vsock_stream_reset(list_entry(deadline, struct vsock_stream, deadline));
}

void vsock_stream_linger_expired(struct vsock_deadline *deadline)
{
	vsock_stream_reset(list_entry(deadline, struct vsock_stream, deadline));
}

/* A guest announces new room on its own; a single CREDIT_REQUEST is for one that does not. */
void vsock_stream_blocked_expired(struct vsock_deadline *deadline)
{
	struct vsock_stream *stream = list_entry(deadline, struct vsock_stream, deadline);

	if (stream->state != VSOCK_OPEN || vsock_credit_free(&stream->credit) > 0)
		return;
	stream->asked_credit = true;
	stream->owed |= VSOCK_OWE_CREDIT_REQUEST;
	vsock_stream_ready(stream);
}
