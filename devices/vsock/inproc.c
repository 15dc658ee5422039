/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends in this process. The endpoint's callbacks are never called from inside its own calls:
 * they are recorded as news, and the work task makes them, once for many packets.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/vsock/internal.h"
#include "vmm/base/bytes.h"

#define BUFFER_MIN (VSOCK_STREAM_MIN / 2)

#define NEWS_READABLE 1u
#define NEWS_WRITABLE 2u
#define NEWS_CLOSED   4u

static void add_news(struct vsock_stream *stream, unsigned news)
{
	struct vsock *vsock = stream->vsock;
	struct vsock_inproc_end *end = &stream->inproc;

	if (!stream->attached || end->told_closed)
		return;
	if (end->news == 0)
		list_append(&vsock->news, &end->news_link);
	end->news |= news;
	loop_defer(vsock->loop, &vsock->work);
}

/* --- operations of the end -------------------------------------------------------------------- */

static ssize_t inproc_take(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
	/* The endpoint reads later: everything is stored. */
	(void)stream;
	(void)iov;
	(void)count;
	return -EAGAIN;
}

static ssize_t inproc_give(struct vsock_stream *stream, const struct iovec *iov, unsigned count)
{
	struct vsock_inproc_end *end = &stream->inproc;
	size_t given = 0, part;
	unsigned i;

	if (ring_used(&end->to_guest) == 0)
		return end->write_shut ? 0 : -EAGAIN;
	for (i = 0; i < count; i++) {
		part = ring_read(&end->to_guest, iov[i].iov_base, iov[i].iov_len);
		given += part;
		if (part < iov[i].iov_len)
			break;
	}
	ring_release_if_empty(&end->to_guest);
	/* At half: a busy endpoint must not be called again for every few bytes. */
	if (end->want_room && ring_used(&end->to_guest) <= end->to_guest.size / 2) {
		end->want_room = false;
		add_news(stream, NEWS_WRITABLE);
	}
	return (ssize_t)given;
}

static bool inproc_has_data(struct vsock_stream *stream)
{
	return ring_used(&stream->inproc.to_guest) > 0 || stream->inproc.write_shut;
}

static bool inproc_at_end(struct vsock_stream *stream)
{
	return ring_used(&stream->inproc.to_guest) == 0 && stream->inproc.write_shut;
}

static void inproc_established(struct vsock_stream *stream)
{
	add_news(stream, NEWS_WRITABLE);
}

static void inproc_readable(struct vsock_stream *stream)
{
	add_news(stream, NEWS_READABLE);
}

static void inproc_unwanted(struct vsock_stream *stream)
{
	ring_destroy(&stream->inproc.to_guest);
	stream->inproc.want_room = false;
}

static void inproc_gone(struct vsock_stream *stream)
{
	add_news(stream, NEWS_CLOSED);
}

static void inproc_release(struct vsock_stream *stream)
{
	ring_destroy(&stream->inproc.to_guest);
	list_remove(&stream->inproc.news_link);
}

const struct vsock_end_ops vsock_inproc_end_ops = {
	.take = inproc_take,
	.give = inproc_give,
	.has_data = inproc_has_data,
	.at_end = inproc_at_end,
	.established = inproc_established,
	.stored = inproc_readable,
	.finish = inproc_readable,
	.unwanted = inproc_unwanted,
	.gone = inproc_gone,
	.release = inproc_release,
};

/* --- callbacks -------------------------------------------------------------------------------- */

static void tell(struct vsock_stream *stream, unsigned news)
{
	struct vsock_inproc_end *end = &stream->inproc;

	/* Any of these may close the stream, or replace its callbacks. */
	if ((news & NEWS_READABLE) && end->ops && end->ops->readable)
		end->ops->readable(end->arg);
	if ((news & NEWS_WRITABLE) && end->ops && end->ops->writable)
		end->ops->writable(end->arg);
	if ((news & NEWS_CLOSED) && end->ops) {
		end->told_closed = true;
		if (end->ops->closed)
			end->ops->closed(end->arg);
	}
}

void vsock_inproc_tell(struct vsock *vsock)
{
	struct vsock_stream *stream;
	struct list now;
	unsigned news;

	/* News added meanwhile wait for the next run. */
	list_init(&now);
	list_move_all(&now, &vsock->news);
	while (!list_empty(&now)) {
		stream = list_entry(now.next, struct vsock_stream, inproc.news_link);
		list_remove(&stream->inproc.news_link);
		news = stream->inproc.news;
		stream->inproc.news = 0;
		tell(stream, news);
	}
}

/* --- the interface (vsock.h) ------------------------------------------------------------------ */

struct vsock_stream *vsock_inproc_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state)
{
	struct vsock_stream *stream;

	stream = vsock_stream_new(vsock, host_port, guest_port, state, &vsock_inproc_end_ops,
				  BUFFER_MIN);
	if (!stream)
		return NULL;
	ring_init(&stream->inproc.to_guest, BUFFER_MIN);
	list_init(&stream->inproc.news_link);
	return stream;
}

void vsock_inproc_look(struct vsock_stream *stream)
{
	add_news(stream, NEWS_READABLE | NEWS_WRITABLE);
}

int vsock_listen(struct vsock *vsock, uint32_t port,
		 int (*accept)(void *arg, struct vsock_stream *stream), void *arg)
{
	struct vsock_service *service;

	for (service = vsock->services; service; service = service->next)
		if (service->port == port)
			return -EADDRINUSE;
	service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	*service = (struct vsock_service){
		.next = vsock->services, .port = port, .accept = accept, .arg = arg};
	vsock->services = service;
	return 0;
}

int vsock_inproc_accept(struct vsock *vsock, const struct vsock_service *service,
			uint32_t guest_port, struct vsock_stream **out)
{
	struct vsock_stream *stream;
	int ret;

	*out = NULL;
	stream = vsock_inproc_new(vsock, service->port, guest_port, VSOCK_ANSWERING);
	if (!stream)
		return -ENOBUFS;
	ret = service->accept(service->arg, stream);
	if (ret < 0) {
		stream->inproc.ops = NULL;
		vsock_stream_detached(stream);
		vsock_stream_end(stream);
		return ret;
	}
	*out = stream;
	vsock_stream_answer(stream, true);
	return 0;
}

int vsock_connect(struct vsock *vsock, uint32_t port, const struct vsock_stream_ops *ops, void *arg,
		  struct vsock_stream **out)
{
	struct vsock_stream *stream;

	*out = NULL;
	stream = vsock_inproc_new(vsock, vsock_table_free_port(&vsock->table, port), port,
				  VSOCK_REQUESTED);
	if (!stream)
		return -ENOBUFS;
	vsock_stream_set_ops(stream, ops, arg);
	stream->owed = VSOCK_OWE_REQUEST;
	vsock_deadline_start(&vsock->connecting, &stream->deadline);
	vsock_stream_ready(stream);
	*out = stream;
	return 0;
}

void vsock_stream_set_ops(struct vsock_stream *stream, const struct vsock_stream_ops *ops,
			  void *arg)
{
	stream->inproc.ops = ops;
	stream->inproc.arg = arg;
}

uint32_t vsock_stream_peer_port(const struct vsock_stream *stream)
{
	return stream->ports.guest;
}

long vsock_stream_read(struct vsock_stream *stream, void *to, size_t length)
{
	size_t got = ring_read(&stream->from_guest, to, length);

	if (got > 0) {
		stream->window.forwarded += (uint32_t)got;
		vsock_stream_progress(stream);
		return (long)got;
	}
	return (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) && length > 0 ? 0 : -EAGAIN;
}

/* Doubles the buffer if the pool has enough left. */
static bool grow_to_guest(struct vsock_stream *stream)
{
	struct ring *ring = &stream->inproc.to_guest;
	size_t size = ring->size;

	if (size >= VSOCK_STREAM_BUFFER || !vsock_stream_take_pool(stream, (uint32_t)size))
		return false;
	/* If out of memory, the stream keeps its share of the pool until it ends. */
	return vsock_ring_resize(ring, 2 * size);
}

long vsock_stream_write(struct vsock_stream *stream, const void *from, size_t length)
{
	struct vsock_inproc_end *end = &stream->inproc;
	size_t done = 0;

	if (end->write_shut || (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		return -EPIPE;
	if (stream->state == VSOCK_REQUESTED)
		return -EAGAIN;
	do {
		done += ring_write(&end->to_guest, (const uint8_t *)from + done, length - done);
	} while (done < length && grow_to_guest(stream));
	if (done < length)
		end->want_room = true;
	vsock_stream_ready(stream);
	return done > 0 || length == 0 ? (long)done : -EAGAIN;
}

void vsock_stream_shutdown_write(struct vsock_stream *stream)
{
	stream->inproc.write_shut = true;
	vsock_stream_ready(stream);
}

void vsock_stream_close(struct vsock_stream *stream)
{
	struct vsock_inproc_end *end = &stream->inproc;

	end->ops = NULL;
	end->news = 0;
	end->write_shut = true;
	list_remove(&end->news_link);
	vsock_stream_detached(stream);
	if (stream->freed)
		return;
	vsock_stream_host_deaf(stream);
	if (stream->state == VSOCK_OPEN)
		vsock_stream_begin_closing(stream);
	else if (stream->state != VSOCK_CLOSING)
		vsock_stream_reset(stream);
}
