/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/hostile.h"

#define RX_BYTES     4096u
#define HEADER_SLOT  64u
#define HEADERS_MOST ((HOSTILE_COMMANDS - HOSTILE_HEADERS) / HEADER_SLOT)

/* --- the monitor's ends ----------------------------------------------------------------------- */

struct end {
	struct vsock_stream *stream;
	enum { SINK, SOURCE, DEAF } kind;
};

static void end_readable(void *arg)
{
	struct end *end = arg;
	static uint8_t bytes[4096];

	if (end->kind != SINK)
		return;
	while (vsock_stream_read(end->stream, bytes, sizeof(bytes)) > 0)
		;
}

static void end_writable(void *arg)
{
	struct end *end = arg;
	static const uint8_t bytes[4096];

	if (end->kind != SOURCE)
		return;
	while (vsock_stream_write(end->stream, bytes, sizeof(bytes)) > 0)
		;
}

static void end_closed(void *arg)
{
	struct end *end = arg;

	vsock_stream_close(end->stream);
	free(end);
}

static const struct vsock_stream_ops end_ops = {
	.readable = end_readable,
	.writable = end_writable,
	.closed = end_closed,
};

static int accept_end(struct hostile *h, struct vsock_stream *stream, int kind)
{
	struct end *end = calloc(1, sizeof(*end));

	if (!end)
		return -ENOMEM;
	end->stream = stream;
	end->kind = kind;
	h->accepted++;
	vsock_stream_set_ops(stream, &end_ops, end);
	end_writable(end);
	return 0;
}

static int accept_sink(void *arg, struct vsock_stream *stream)
{
	return accept_end(arg, stream, SINK);
}

static int accept_source(void *arg, struct vsock_stream *stream)
{
	return accept_end(arg, stream, SOURCE);
}

static int accept_deaf(void *arg, struct vsock_stream *stream)
{
	return accept_end(arg, stream, DEAF);
}

void packets_listen(struct hostile *h)
{
	if (vsock_listen(h->devices.vsock, PORT_SINK, accept_sink, h) < 0 ||
	    vsock_listen(h->devices.vsock, PORT_SOURCE, accept_source, h) < 0 ||
	    vsock_listen(h->devices.vsock, PORT_DEAF, accept_deaf, h) < 0)
		hostile_fail(h, "cannot listen");
}

/* --- the guest's ------------------------------------------------------------------------------ */

void packets_begin(struct hostile *h)
{
	struct guest_ring *rx;
	uint16_t i;

	driver_bring_up(h, SLOT_VSOCK);
	rx = driver_ring(h, SLOT_VSOCK, 0);
	for (i = 0; i < RING_SIZE; i++) {
		driver_descriptor(h, rx, i, HOSTILE_BUFFERS + i * RX_BYTES, RX_BYTES, DESC_WRITE,
				  0);
		driver_offer(h, rx, i);
	}
	driver_kick(h, rx);
}

struct vsock_header packet(uint16_t op, uint32_t from_port, uint32_t to_port)
{
	return (struct vsock_header){
		.src_cid = VSOCK_GUEST_CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = from_port,
		.dst_port = to_port,
		.type = VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = 64u << 10,
	};
}

/*
 * The available ring already names every buffer in turn: only its index must follow the used index.
 */
static void give_buffers_back(struct hostile *h)
{
	const struct guest_ring *rx = driver_ring(h, SLOT_VSOCK, 0);

	script_copy_add(h, rx->base + RING_USED + 2, RING_SIZE, rx->base + RING_AVAILABLE + 2);
	driver_kick(h, rx);
}

void packet_put(struct hostile *h, const struct vsock_header *header, uint64_t at)
{
	uint8_t bytes[VSOCK_HEADER_BYTES];

	vsock_header_encode(header, bytes);
	guest_memory_write(&h->memory, at, bytes, sizeof(bytes));
}

void packet_send_cut(struct hostile *h, const struct vsock_header *header, uint32_t payload,
		     uint32_t cut)
{
	struct guest_ring *tx = driver_ring(h, SLOT_VSOCK, 1);
	uint64_t at = HOSTILE_HEADERS + (h->headers++ % HEADERS_MOST) * HEADER_SLOT;

	packet_put(h, header, at);
	driver_descriptor(h, tx, 0, at, cut, payload ? DESC_NEXT : 0, 1);
	if (payload)
		driver_descriptor(h, tx, 1, PACKET_PAYLOAD, payload, 0, 0);
	driver_offer(h, tx, 0);
	driver_kick(h, tx);
	driver_expect_used(h, tx, 1, "a packet is taken");
	give_buffers_back(h);
}

void packet_send(struct hostile *h, const struct vsock_header *header, uint32_t payload)
{
	packet_send_cut(h, header, payload, VSOCK_HEADER_BYTES);
}

void packet_expect(struct hostile *h, uint16_t op, const char *what)
{
	struct guest_ring *rx = driver_ring(h, SLOT_VSOCK, 0);
	uint64_t buffer = HOSTILE_BUFFERS + (rx->used % RING_SIZE) * RX_BYTES;

	driver_expect_used(h, rx, 1, what);
	script_expect(h, script_read(h, 2, buffer + 30), op, what);
	give_buffers_back(h);
}

void packets_expect_alive(struct hostile *h)
{
	struct vsock_header header = packet(VSOCK_OP_REQUEST, 77, PORT_SINK);

	packets_begin(h);
	packet_send(h, &header, 0);
	packet_expect(h, VSOCK_OP_RESPONSE, "a connection is accepted");
	header = packet(VSOCK_OP_REQUEST, 78, PORT_UNUSED);
	packet_send(h, &header, 0);
	packet_expect(h, VSOCK_OP_RST, "a connection to an unused port is refused");
	driver_expect_status(h, SLOT_VSOCK, ST_LIVE, "the socket device is alive");
}
