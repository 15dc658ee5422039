/* SPDX-License-Identifier: Apache-2.0 */
/* The socket device's driver: streams that the guest opens, with credit (virtio 1.2, 5.10). */
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#include "bench/metal/guest.h"

#define HOST_CID    2
#define CONNECTIONS 16
#define WINDOW	    (1u << 20) /* what the guest says that it can store; it uses it at once */
#define RECEIVE	    64	       /* buffers */
#define SEND	    32	       /* packets in the queue, of two descriptors each */
#define HEADER	    sizeof(struct virtio_vsock_hdr)
#define LEAD	    (64 - HEADER) /* so that payloads are aligned */

struct receive_buffer {
	uint8_t bytes[64 + VSOCK_PACKET];
};

static struct queue queue[3]; /* receive, send, events */
static struct receive_buffer receive[RECEIVE] __attribute__((aligned(64)));
static struct virtio_vsock_hdr headers[SEND];
static uint16_t free_slots[SEND];
static unsigned free_count;
static struct connection *connections[CONNECTIONS];
static unsigned connection_count;
static uint64_t guest_cid;

/* --- sending ---------------------------------------------------------------------------------- */

static void reap_sent(void)
{
	uint32_t length;
	uint16_t head;

	while (queue_take(&queue[1], &head, &length))
		free_slots[free_count++] = head / 2;
}

static void send_packet(struct connection *connection, uint16_t op, uint32_t flags,
			const void *bytes, uint32_t length)
{
	struct vring_desc *descriptor;
	uint16_t slot;

	for (reap_sent(); free_count == 0; reap_sent())
		;
	slot = free_slots[--free_count];
	headers[slot] = (struct virtio_vsock_hdr){
		.src_cid = guest_cid,
		.dst_cid = HOST_CID,
		.src_port = connection->local,
		.dst_port = connection->remote,
		.len = length,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = WINDOW,
		.fwd_cnt = connection->received,
	};
	connection->told = connection->received;
	descriptor = &queue[1].descriptors[2 * slot];
	descriptor[0] = (struct vring_desc){.addr = (uintptr_t)&headers[slot],
					    .len = HEADER,
					    .flags = length ? VRING_DESC_F_NEXT : 0,
					    .next = (uint16_t)(2 * slot + 1)};
	descriptor[1] = (struct vring_desc){.addr = (uintptr_t)bytes, .len = length};
	queue_offer(&queue[1], (uint16_t)(2 * slot));
	queue_kick(&queue[1]);
}

static uint32_t credit(const struct connection *connection)
{
	return connection->peer_alloc - (connection->sent - connection->peer_forwarded);
}

bool vsock_send(struct connection *connection, const void *bytes, uint32_t length)
{
	uint32_t part;

	while (length > 0) {
		while (!connection->closed && credit(connection) == 0)
			vsock_poll();
		if (connection->closed)
			return false;
		part = credit(connection) < length ? credit(connection) : length;
		part = part < VSOCK_PACKET ? part : VSOCK_PACKET;
		connection->sent += part;
		send_packet(connection, VIRTIO_VSOCK_OP_RW, 0, bytes, part);
		bytes = (const uint8_t *)bytes + part;
		length -= part;
	}
	return true;
}

void vsock_drain(void)
{
	while (free_count < SEND)
		reap_sent();
}

/* --- receiving -------------------------------------------------------------------------------- */

static struct connection *find(const struct virtio_vsock_hdr *header)
{
	unsigned i;

	for (i = 0; i < connection_count; i++)
		if (connections[i]->local == header->dst_port &&
		    connections[i]->remote == header->src_port)
			return connections[i];
	return NULL;
}

static void take_data(struct connection *connection, const uint8_t *bytes, uint32_t length)
{
	connection->received += length;
	connection->data(connection, bytes, length);
	if (connection->received - connection->told >= WINDOW / 2)
		send_packet(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
}

static void take_packet(const struct virtio_vsock_hdr *header, const uint8_t *bytes)
{
	struct connection *connection = find(header);

	if (!connection)
		return;
	connection->peer_alloc = header->buf_alloc;
	connection->peer_forwarded = header->fwd_cnt;
	switch (header->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		connection->open = true;
		break;
	case VIRTIO_VSOCK_OP_RW:
		take_data(connection, bytes, header->len);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		send_packet(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		if (!connection->closed)
			send_packet(connection, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
		connection->closed = true;
		break;
	case VIRTIO_VSOCK_OP_RST:
		connection->closed = true;
		break;
	default:
		break;
	}
}

bool vsock_poll(void)
{
	bool any = false;
	uint32_t length;
	uint16_t head;

	while (queue_take(&queue[0], &head, &length)) {
		uint8_t *bytes = receive[head].bytes;

		take_packet((struct virtio_vsock_hdr *)(bytes + LEAD), bytes + 64);
		queue_offer(&queue[0], head);
		any = true;
	}
	if (any)
		queue_kick(&queue[0]);
	else
		__asm__ volatile("pause");
	return any;
}

/* --- connections ------------------------------------------------------------------------------ */

void vsock_start(void)
{
	struct device device;
	uint16_t i;

	if (!device_find(&device, VIRTIO_ID_VSOCK, 0))
		guest_end();
	guest_cid = device_config64(&device, 0);
	device_start(&device, 0, queue, 3);
	for (i = 0; i < SEND; i++)
		free_slots[free_count++] = i;
	for (i = 0; i < RECEIVE; i++) {
		queue[0].descriptors[i] =
			(struct vring_desc){.addr = (uintptr_t)receive[i].bytes + LEAD,
					    .len = HEADER + VSOCK_PACKET,
					    .flags = VRING_DESC_F_WRITE};
		queue_offer(&queue[0], i);
	}
	queue_kick(&queue[0]);
}

bool vsock_connect(struct connection *connection, uint32_t local, uint32_t remote)
{
	if (connection_count == CONNECTIONS)
		return false;
	connection->local = local;
	connection->remote = remote;
	connections[connection_count++] = connection;
	send_packet(connection, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	while (!connection->open && !connection->closed)
		vsock_poll();
	return connection->open;
}

void vsock_close(struct connection *connection)
{
	unsigned i;

	if (!connection->closed)
		send_packet(connection, VIRTIO_VSOCK_OP_SHUTDOWN, 3, NULL, 0);
	while (!connection->closed)
		vsock_poll();
	vsock_drain();
	for (i = 0; i < connection_count; i++)
		if (connections[i] == connection)
			connections[i] = connections[--connection_count];
}
