/* SPDX-License-Identifier: Apache-2.0 */
/* Packets from the guest: their effect on a stream, and packets without a stream. */
#include <errno.h>

#include "devices/vsock/internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/iov.h"
#include "vmm/base/log.h"

/* --- packets --------------------------------------------------------------------------------- */

/* Stores all but the first skip bytes. Returns false if out of memory. */
static bool store(struct vsock_stream *stream, const struct iovec *iov, unsigned count, size_t skip)
{
	size_t part;
	unsigned i;

	for (i = 0; i < count; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - skip;
		if (ring_write(&stream->from_guest, (uint8_t *)iov[i].iov_base + skip, part) !=
		    part)
			return false;
		skip = 0;
	}
	return true;
}

void vsock_pass_gathered(struct vsock *vsock)
{
	struct vsock_stream *stream = vsock->gathering;

	vsock->gathering = NULL;
	if (stream && !stream->freed)
		vsock_stream_flush(stream);
}

/* Whether a packet's bytes are to wait for the next packets; passes on those that must not. */
static bool gathers(struct vsock_stream *stream, uint32_t length)
{
	struct vsock *vsock = stream->vsock;
	bool waits = vsock->more_packets && length <= VSOCK_GATHER_BYTES &&
		     stream->end == &vsock_unix_end_ops;

	if (vsock->gathering && (vsock->gathering != stream || length > VSOCK_GATHER_BYTES))
		vsock_pass_gathered(vsock);
	if (waits)
		vsock->gathering = stream;
	return waits;
}

/* Passes data straight from guest memory to the host's end if none waits; stores the rest. */
static void take_data(struct vsock_stream *stream, uint32_t length,
		      const struct virtio_chain *chain)
{
	struct iovec iov[VIRTIO_CHAIN_SEGMENTS];
	unsigned count;
	ssize_t taken = 0;
	bool gather;

	if ((stream->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) ||
	    length > vsock_window_room(&stream->window)) {
		stream->vsock->stats.bad_packets++;
		log_guest("vsock: data on port %u without credit", stream->ports.guest);
		vsock_stream_reset(stream);
		return;
	}
	stream->window.received += length;
	stream->vsock->stats.bytes_from_guest += length;
	gather = gathers(stream, length);
	if (stream->host_deaf) {
		stream->window.forwarded += length;
		return;
	}
	count = iov_range(chain->readable, chain->readable_count, VSOCK_HEADER_BYTES, length, iov);
	if (ring_used(&stream->from_guest) == 0 && count > 0 && !gather)
		taken = stream->end->take(stream, iov, count);
	if (taken < 0 && taken != -EAGAIN) {
		stream->window.forwarded += length;
		vsock_stream_host_deaf(stream);
		return;
	}
	taken = taken < 0 ? 0 : taken;
	stream->window.forwarded += (uint32_t)taken;
	if ((size_t)taken < length) {
		if (!store(stream, iov, count, (size_t)taken)) {
			vsock_stream_reset(stream);
			return;
		}
		stream->end->stored(stream);
	}
	if (taken > 0 && (size_t)taken < length)
		vsock_stream_flush(stream); /* until the end returns EAGAIN */
	else
		vsock_stream_progress(stream);
}

static void take_shutdown(struct vsock_stream *stream, uint32_t flags)
{
	uint32_t before = stream->guest_shut;

	stream->guest_shut |= flags & VSOCK_SHUT_BOTH;
	if (stream->guest_shut == VSOCK_SHUT_BOTH) {
		/* The guest has closed, and keeps the connection until our RST. */
		vsock_stream_reset(stream);
		return;
	}
	if ((stream->guest_shut & ~before & VIRTIO_VSOCK_SHUTDOWN_RCV) && stream->attached)
		stream->end->unwanted(stream);
	vsock_stream_progress(stream);
}

static void take_credit(struct vsock_stream *stream, const struct vsock_header *header)
{
	vsock_credit_told(&stream->credit, header->buf_alloc, header->fwd_cnt);
	if (vsock_credit_free(&stream->credit) == 0)
		return;
	if (stream->state == VSOCK_OPEN)
		vsock_deadline_stop(&stream->deadline);
	stream->asked_credit = false;
	stream->owed &= ~VSOCK_OWE_CREDIT_REQUEST;
	vsock_stream_ready(stream);
}

static void establish(struct vsock_stream *stream)
{
	stream->state = VSOCK_OPEN;
	stream->owed &= ~VSOCK_OWE_REQUEST;
	vsock_deadline_stop(&stream->deadline);
	stream->end->established(stream);
	vsock_stream_ready(stream);
}

static void stream_packet(struct vsock_stream *stream, const struct vsock_header *header,
			  const struct virtio_chain *chain)
{
	enum vsock_action action = vsock_action(stream->state, header->op);

	/* Every packet carries the guest's window. */
	if (action != VSOCK_IGNORE && action != VSOCK_RESET && action != VSOCK_END)
		take_credit(stream, header);
	switch (action) {
	case VSOCK_IGNORE:
	case VSOCK_TAKE_CREDIT:
		break;
	case VSOCK_RESET:
		stream->vsock->stats.bad_packets++;
		log_guest("vsock: operation %u on port %u is out of order", header->op,
			  stream->ports.guest);
		vsock_stream_reset(stream);
		break;
	case VSOCK_ESTABLISH:
		establish(stream);
		break;
	case VSOCK_TAKE_DATA:
		take_data(stream, header->length, chain);
		break;
	case VSOCK_TAKE_SHUTDOWN:
		take_shutdown(stream, header->flags);
		break;
	case VSOCK_TELL_CREDIT:
		stream->owed |= VSOCK_OWE_CREDIT;
		vsock_stream_ready(stream);
		break;
	case VSOCK_END:
		vsock_stream_end(stream);
		break;
	}
}

/* --- any packet ------------------------------------------------------------------------------- */

static const struct vsock_service *find_service(const struct vsock *vsock, uint32_t port)
{
	const struct vsock_service *service;

	for (service = vsock->services; service; service = service->next)
		if (service->port == port)
			return service;
	return NULL;
}

/* A guest program connects: to a service in this process, or to a Unix socket. */
static int open_stream(struct vsock *vsock, const struct vsock_header *header)
{
	const struct vsock_service *service = find_service(vsock, header->dst_port);
	struct vsock_stream *stream;
	int ret;

	if (service) {
		ret = vsock_inproc_accept(vsock, service, header->src_port, &stream);
		if (ret < 0)
			return ret;
	} else if (vsock->listener) {
		stream = vsock_stream_new(vsock, header->dst_port, header->src_port,
					  VSOCK_ANSWERING, &vsock_unix_end_ops, 0);
		if (!stream)
			return -ENOBUFS;
		ret = vsock_unix_connect(stream);
		if (ret < 0) {
			vsock_stream_end(stream);
			vsock->stats.refused++;
			return ret;
		}
	} else {
		vsock->stats.refused++;
		return -ECONNREFUSED;
	}
	vsock_credit_told(&stream->credit, header->buf_alloc, header->fwd_cnt);
	return 0;
}

static struct vsock_stream *find_stream(const struct vsock *vsock,
					const struct vsock_header *header)
{
	struct vsock_ports *ports;

	ports = vsock_table_find(&vsock->table, header->dst_port, header->src_port);
	return ports ? list_entry(ports, struct vsock_stream, ports) : NULL;
}

void vsock_take_packet(struct vsock *vsock, const struct virtio_chain *chain)
{
	uint8_t raw[VSOCK_HEADER_BYTES];
	struct vsock_header header;
	enum vsock_verdict verdict;
	struct vsock_stream *stream;

	vsock->stats.packets_from_guest++;
	if (virtio_chain_read(chain, 0, raw, sizeof(raw)) < sizeof(raw)) {
		vsock->stats.bad_packets++;
		log_guest("vsock: packet with a truncated header");
		return;
	}
	vsock_header_decode(&header, raw);
	verdict = vsock_header_check(&header, vsock->guest_cid,
				     chain->readable_length - VSOCK_HEADER_BYTES);
	if (verdict != VSOCK_PACKET_GOOD) {
		vsock->stats.bad_packets++;
		log_guest("vsock: bad packet: operation %u, type %u, length %u", header.op,
			  header.type, header.length);
	}
	if (verdict == VSOCK_PACKET_DROP)
		return;
	stream = verdict == VSOCK_PACKET_NO_SOCKET ? NULL : find_stream(vsock, &header);
	if (stream && verdict == VSOCK_PACKET_GOOD)
		stream_packet(stream, &header, chain);
	else if (stream)
		vsock_stream_reset(stream);
	else if (header.op == VIRTIO_VSOCK_OP_RST)
		return;
	else if (verdict != VSOCK_PACKET_GOOD || header.op != VIRTIO_VSOCK_OP_REQUEST ||
		 open_stream(vsock, &header) < 0)
		vsock_send_stray(vsock, &header);
}
