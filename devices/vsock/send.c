/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets to the guest: streams that owe a packet or have bytes take turns at the receive queue's
 * buffers. A turn is at most VSOCK_TURN_BYTES, read from the host's end straight into guest memory.
 */
#include <errno.h>

#include "devices/vsock/internal.h"
#include "vmm/base/bytes.h"

/* --- what a stream wants --------------------------------------------------------------------- */

/* All flags that apply, if a SHUTDOWN is due; else 0. */
static uint32_t shutdown_due(const struct vsock_stream *stream)
{
	uint32_t due = 0;

	if (stream->state != VSOCK_OPEN && stream->state != VSOCK_CLOSING)
		return 0;
	if (stream->host_deaf)
		due |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	if (stream->host_eof)
		due |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (stream->state == VSOCK_CLOSING && (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		due |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	return (due & ~stream->told_shut) ? due : 0;
}

static bool has_data(struct vsock_stream *stream)
{
	if (stream->state != VSOCK_OPEN && stream->state != VSOCK_CLOSING)
		return false;
	if (stream->host_eof || (stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		return false;
	return stream->end->has_data(stream);
}

/* An end of file needs no credit. */
static bool can_send(struct vsock_stream *stream)
{
	return has_data(stream) &&
	       (vsock_credit_free(&stream->credit) > 0 || stream->end->at_end(stream));
}

void vsock_stream_ready(struct vsock_stream *stream)
{
	struct vsock *vsock = stream->vsock;

	if (stream->state == VSOCK_GONE || !list_empty(&stream->ready))
		return;
	if (stream->owed || shutdown_due(stream) || can_send(stream)) {
		list_append(&vsock->ready, &stream->ready);
		if (vsock->device.active)
			loop_defer(vsock->loop, &vsock->work);
		return;
	}
	if (stream->state == VSOCK_OPEN && !stream->asked_credit &&
	    !vsock_deadline_armed(&stream->deadline) && has_data(stream))
		vsock_deadline_start(&vsock->blocked, &stream->deadline);
}

/* --- buffers --------------------------------------------------------------------------------- */

/*
 * Takes a buffer with room for a header and `more` bytes after it. A buffer that is too small goes
 * back to the guest unused, but only as the first of a batch: later ones can only be put back.
 */
static bool get_buffer(struct vsock *vsock, struct virtio_chain *chain, unsigned more, bool first)
{
	struct virtqueue *queue = &vsock->device.queue[VSOCK_QUEUE_RX];
	unsigned tries;

	for (tries = 0; tries < VSOCK_RX_QUEUE_SIZE; tries++) {
		if (virtio_device_pop(&vsock->device, VSOCK_QUEUE_RX, chain) <= 0)
			return false;
		if (chain->writable_length >= VSOCK_HEADER_BYTES + (uint64_t)more)
			return true;
		if (!first) {
			virtqueue_undo_pop(queue);
			return false;
		}
		vsock->stats.bad_packets++;
		virtqueue_push(queue, chain->head, 0);
	}
	return false;
}

/* Fills in the header and gives the buffer to the guest. */
static void put_packet(struct vsock *vsock, const struct virtio_chain *chain,
		       const struct vsock_header *header)
{
	uint8_t raw[VSOCK_HEADER_BYTES];

	vsock_header_encode(header, raw);
	virtio_chain_write(chain, 0, raw, sizeof(raw));
	virtqueue_push(&vsock->device.queue[VSOCK_QUEUE_RX], chain->head,
		       VSOCK_HEADER_BYTES + header->length);
	vsock->stats.packets_to_guest++;
	vsock->stats.bytes_to_guest += header->length;
}

static void put_stream_packet(struct vsock_stream *stream, const struct virtio_chain *chain,
			      uint16_t op, uint32_t flags, uint32_t length)
{
	struct vsock_header header = {
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = stream->vsock->guest_cid,
		.src_port = stream->ports.host,
		.dst_port = stream->ports.guest,
		.length = length,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.flags = flags,
		.buf_alloc = stream->window.alloc,
		.fwd_cnt = stream->window.forwarded,
	};

	put_packet(stream->vsock, chain, &header);
	vsock_window_was_told(&stream->window);
	stream->owed &= ~VSOCK_OWE_CREDIT;
}

static bool send_control(struct vsock_stream *stream, uint16_t op, uint32_t flags)
{
	struct virtio_chain *chain = &stream->vsock->slot[0];

	if (!get_buffer(stream->vsock, chain, 0, true))
		return false;
	put_stream_packet(stream, chain, op, flags, 0);
	return true;
}

/* --- data ------------------------------------------------------------------------------------ */

/* Adds a buffer's payload bytes, at most limit, to vsock->iov. Returns how many. */
static size_t add_payload(struct vsock *vsock, const struct virtio_chain *chain, size_t limit,
			  unsigned *iovs)
{
	size_t skip = VSOCK_HEADER_BYTES, total = 0, part;
	unsigned i;

	for (i = 0; i < chain->writable_count && total < limit; i++) {
		part = chain->writable[i].iov_len;
		if (skip >= part) {
			skip -= part;
			continue;
		}
		part = min_u64(part - skip, limit - total);
		vsock->iov[*iovs].iov_base = (uint8_t *)chain->writable[i].iov_base + skip;
		vsock->iov[*iovs].iov_len = part;
		(*iovs)++;
		total += part;
		skip = 0;
	}
	return total;
}

/*
 * Takes up to batch buffers for at most limit bytes. offered[] is how many bytes each can take.
 * Returns the number of buffers.
 */
static unsigned gather(struct vsock *vsock, size_t limit, unsigned batch, size_t *offered,
		       unsigned *iovs)
{
	unsigned count = 0;

	*iovs = 0;
	while (count < batch && limit > 0 && *iovs + VIRTIO_CHAIN_SEGMENTS <= VSOCK_TURN_IOVS) {
		if (!get_buffer(vsock, &vsock->slot[count], 1, count == 0))
			break;
		offered[count] = add_payload(vsock, &vsock->slot[count], limit, iovs);
		limit -= offered[count];
		count++;
	}
	return count;
}

/* Gives the guest the buffers that hold the got bytes, and puts the others back into the queue. */
static void deliver(struct vsock_stream *stream, size_t got, const size_t *offered, unsigned count)
{
	struct vsock *vsock = stream->vsock;
	unsigned i;
	size_t part;

	stream->credit.sent += (uint32_t)got;
	for (i = 0; i < count && got > 0; i++) {
		part = min_u64(got, offered[i]);
		put_stream_packet(stream, &vsock->slot[i], VIRTIO_VSOCK_OP_RW, 0, (uint32_t)part);
		got -= part;
	}
	/* These were taken last, so they can be put back in reverse order. */
	for (; i < count; i++)
		virtqueue_undo_pop(&vsock->device.queue[VSOCK_QUEUE_RX]);
}

/*
 * Calls the end once, for at most limit bytes. Returns the bytes sent, 0 if there are none for now,
 * or -ENOBUFS. The more bytes an end gives, the more buffers the next call offers.
 */
static ssize_t send_some(struct vsock_stream *stream, size_t limit)
{
	size_t offered[VSOCK_TURN_SLOTS], total = 0;
	struct vsock *vsock = stream->vsock;
	unsigned count, iovs, i;
	ssize_t got;

	count = gather(vsock, limit, stream->batch, offered, &iovs);
	if (count == 0)
		return -ENOBUFS;
	for (i = 0; i < count; i++)
		total += offered[i];
	got = stream->end->give(stream, vsock->iov, iovs);
	deliver(stream, got > 0 ? (size_t)got : 0, offered, count);
	if (got > 0) {
		stream->batch = (size_t)got == total
					? (unsigned)min_u64(2 * stream->batch, VSOCK_TURN_SLOTS)
					: (unsigned)max_u64(stream->batch / 2, 1);
		if (stream->state == VSOCK_CLOSING)
			vsock_deadline_start(&vsock->lingering, &stream->deadline);
		return got;
	}
	if (got == -EAGAIN)
		return 0;
	stream->host_eof = true;
	if (got < 0) /* the host's end is gone: it no longer reads either */
		vsock_stream_host_deaf(stream);
	return 0;
}

/* Sends up to a turn of bytes; false if buffers ran out. */
static bool send_data(struct vsock_stream *stream)
{
	unsigned calls;
	size_t left;
	ssize_t sent;

	if (!has_data(stream))
		return true;
	left = min_u64(vsock_credit_free(&stream->credit), VSOCK_TURN_BYTES);
	if (left == 0 && stream->end->at_end(stream))
		stream->host_eof = true;
	/* A guest that adds tiny buffers as fast as we fill them must not prolong a turn. */
	for (calls = 0; calls < VSOCK_TURN_CALLS && left > 0 && has_data(stream); calls++) {
		sent = send_some(stream, left);
		if (sent <= 0)
			return sent == 0;
		left -= (size_t)sent;
	}
	return true;
}

/* --- turns ----------------------------------------------------------------------------------- */

/* Sends what is owed and up to a turn of data; false if buffers ran out. May free the stream. */
static bool take_turn(struct vsock_stream *stream)
{
	static const struct {
		unsigned owed;
		uint16_t op;
	} after_data[] = {
		{VSOCK_OWE_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
		{VSOCK_OWE_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
	};
	uint32_t due;
	size_t i;

	if (stream->owed & VSOCK_OWE_RST) {
		if (!send_control(stream, VIRTIO_VSOCK_OP_RST, 0))
			return false;
		vsock_stream_end(stream);
		return true;
	}
	if (stream->owed & VSOCK_OWE_REQUEST) {
		if (!send_control(stream, VIRTIO_VSOCK_OP_REQUEST, 0))
			return false;
		stream->owed &= ~VSOCK_OWE_REQUEST;
	}
	if (stream->owed & VSOCK_OWE_RESPONSE) {
		if (!send_control(stream, VIRTIO_VSOCK_OP_RESPONSE, 0))
			return false;
		stream->owed &= ~VSOCK_OWE_RESPONSE;
	}
	if (!send_data(stream))
		return false;
	/* Whether both directions have now ended decides what SHUTDOWN says. */
	vsock_stream_progress(stream);
	due = shutdown_due(stream);
	if (due) {
		if (!send_control(stream, VIRTIO_VSOCK_OP_SHUTDOWN, due))
			return false;
		stream->told_shut = due;
	}
	for (i = 0; i < ARRAY_SIZE(after_data); i++) {
		if (!(stream->owed & after_data[i].owed))
			continue;
		if (!send_control(stream, after_data[i].op, 0))
			return false;
		stream->owed &= ~after_data[i].owed;
	}
	return true;
}

void vsock_send_stray(struct vsock *vsock, const struct vsock_header *about)
{
	unsigned at = (vsock->stray_head + vsock->stray_count) % VSOCK_STRAYS;

	vsock->stray[at] = (struct vsock_stray){
		.cid = about->dst_cid,
		.host_port = about->dst_port,
		.guest_port = about->src_port,
		.type = about->type,
	};
	vsock->stray_count++;
}

static bool send_strays(struct vsock *vsock)
{
	struct virtio_chain *chain = &vsock->slot[0];
	const struct vsock_stray *stray;
	struct vsock_header header;

	while (vsock->stray_count > 0) {
		if (!get_buffer(vsock, chain, 0, true))
			return false;
		stray = &vsock->stray[vsock->stray_head];
		header = (struct vsock_header){
			.src_cid = stray->cid,
			.dst_cid = vsock->guest_cid,
			.src_port = stray->host_port,
			.dst_port = stray->guest_port,
			.type = stray->type,
			.op = VIRTIO_VSOCK_OP_RST,
		};
		put_packet(vsock, chain, &header);
		vsock->stray_head = (vsock->stray_head + 1) % VSOCK_STRAYS;
		vsock->stray_count--;
	}
	return true;
}

bool vsock_send_turns(struct vsock *vsock)
{
	uint64_t packets_before;
	struct vsock_stream *stream;
	bool buffers = true;
	unsigned turns;

	if (!vsock->device.active)
		return false;
	buffers = send_strays(vsock);
	for (turns = 0; buffers && turns < VSOCK_WORK_TURNS && !list_empty(&vsock->ready);
	     turns++) {
		stream = list_entry(vsock->ready.next, struct vsock_stream, ready);
		packets_before = vsock->stats.packets_to_guest;
		buffers = take_turn(stream);
		/* A stream that got no buffer stays first in the queue. */
		if (!buffers && vsock->stats.packets_to_guest == packets_before)
			break;
		list_remove(&stream->ready);
		if (!stream->freed)
			vsock_stream_ready(stream);
	}
	vsock_interrupt_receive(vsock);
	return buffers && !list_empty(&vsock->ready);
}
