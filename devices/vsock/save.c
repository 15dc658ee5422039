/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that continue in another process. A stream whose host end is in this process and which is
 * open in both directions is saved with its bytes in flight. Of all other streams only the ports
 * are saved, so that the restore can reset them.
 */
#include <errno.h>

#include "devices/vsock/internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/pack.h"

/* --- saving ----------------------------------------------------------------------------------- */

static bool is_whole(const struct vsock_stream *stream)
{
	return stream->state == VSOCK_OPEN && stream->end == &vsock_inproc_end_ops &&
	       stream->attached && stream->guest_shut == 0 && !stream->host_eof &&
	       !stream->host_deaf && !stream->inproc.write_shut;
}

bool vsock_stream_save(struct vsock_stream *stream, struct pack *to)
{
	if (!is_whole(stream))
		return false;
	pack_u32(to, stream->ports.guest);
	pack_u8(to, (stream->owed & VSOCK_OWE_RESPONSE) != 0);
	pack_u32(to, stream->credit.sent);
	pack_u32(to, stream->credit.peer_alloc);
	pack_u32(to, stream->credit.peer_forwarded);
	pack_u32(to, stream->window.received);
	pack_u32(to, stream->window.alloc);
	ring_save(&stream->from_guest, to);
	ring_save(&stream->inproc.to_guest, to);
	stream->saved = true;
	return true;
}

static void save_ports(uint32_t host, uint32_t guest, uint32_t *count, struct pack *to)
{
	pack_u32(to, host);
	pack_u32(to, guest);
	++*count;
}

void vsock_save_others(struct vsock *vsock, struct pack *to)
{
	size_t at = to->length;
	const struct vsock_stray *stray;
	struct vsock_stream *stream;
	uint32_t count = 0;
	struct list *link;
	unsigned i;

	pack_u32(to, 0);
	for (i = 0; i < vsock->stray_count; i++) {
		stray = &vsock->stray[(vsock->stray_head + i) % VSOCK_STRAYS];
		if (stray->cid != VSOCK_HOST_CID || stray->type != VIRTIO_VSOCK_TYPE_STREAM)
			continue;
		save_ports(stray->host_port, stray->guest_port, &count, to);
	}
	for (link = vsock->streams.next; link != &vsock->streams; link = link->next) {
		stream = list_entry(link, struct vsock_stream, link);
		if (!stream->saved && stream->state != VSOCK_GONE)
			save_ports(stream->ports.host, stream->ports.guest, &count, to);
		stream->saved = false;
	}
	if (!to->failed)
		store_le32(to->data + at, count);
}

/* --- restoring -------------------------------------------------------------------------------- */

/* Enlarges a ring that is smaller than size. 0, -EINVAL or -ENOBUFS. */
static int widen(struct vsock_stream *stream, struct ring *ring, uint32_t size)
{
	size_t wide = ring->size;

	if (size > VSOCK_STREAM_BUFFER)
		return -EINVAL;
	while (wide < size)
		wide *= 2;
	if (!vsock_stream_take_pool(stream, (uint32_t)(wide - ring->size)))
		return -ENOBUFS;
	ring_init(ring, wide);
	return 0;
}

static int restore(struct vsock_stream *stream, struct unpack *from)
{
	struct unpack ahead;
	uint32_t alloc;
	int ret;

	stream->owed = VSOCK_OWE_CREDIT | (unpack_u8(from) ? VSOCK_OWE_RESPONSE : 0);
	stream->credit.sent = unpack_u32(from);
	stream->credit.peer_alloc = unpack_u32(from);
	stream->credit.peer_forwarded = unpack_u32(from);
	stream->window.received = unpack_u32(from);
	alloc = unpack_u32(from);
	/* The guest may already be sending into the window that was announced to it. */
	ret = widen(stream, &stream->from_guest, alloc);
	stream->window.alloc = (uint32_t)stream->from_guest.size;
	if (ret == 0)
		ret = ring_restore(&stream->from_guest, from);
	if (ret < 0)
		return ret;
	stream->window.forwarded =
		stream->window.received - (uint32_t)ring_used(&stream->from_guest);
	vsock_window_was_told(&stream->window);
	ahead = *from;
	ret = widen(stream, &stream->inproc.to_guest, unpack_u32(&ahead));
	return ret == 0 ? ring_restore(&stream->inproc.to_guest, from) : ret;
}

int vsock_stream_restore(struct vsock *vsock, uint32_t port, struct unpack *from,
			 const struct vsock_stream_ops *ops, void *arg, struct vsock_stream **out)
{
	uint32_t guest_port = unpack_u32(from);
	struct vsock_stream *stream;
	int ret;

	*out = NULL;
	if (from->failed || vsock_table_find(&vsock->table, port, guest_port))
		return -EINVAL;
	stream = vsock_inproc_new(vsock, port, guest_port, VSOCK_OPEN);
	if (!stream)
		return -ENOBUFS;
	ret = restore(stream, from);
	if (ret < 0) {
		vsock_stream_detached(stream);
		vsock_stream_end(stream);
		return ret;
	}
	vsock_stream_set_ops(stream, ops, arg);
	vsock_inproc_look(stream);
	vsock_stream_ready(stream);
	*out = stream;
	return 0;
}

int vsock_restore_reset(struct vsock *vsock, uint32_t port, uint32_t guest_port)
{
	struct vsock_stream *stream;

	if (vsock_table_find(&vsock->table, port, guest_port))
		return 0;
	stream = vsock_inproc_new(vsock, port, guest_port, VSOCK_ANSWERING);
	if (!stream)
		return -ENOBUFS;
	vsock_stream_detached(stream);
	vsock_stream_reset(stream);
	return 0;
}

int vsock_restore_others(struct vsock *vsock, struct unpack *from)
{
	uint32_t count = unpack_count(from, VSOCK_STREAMS_MAX + VSOCK_STRAYS), port, i;
	int ret = 0;

	for (i = 0; ret == 0 && i < count; i++) {
		port = unpack_u32(from);
		ret = vsock_restore_reset(vsock, port, unpack_u32(from));
		if (from->failed)
			ret = -EINVAL;
	}
	return from->failed ? -EINVAL : ret;
}
