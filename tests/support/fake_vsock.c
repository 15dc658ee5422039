/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_vsock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

#define TX_SLOT	  (VSOCK_HEADER_BYTES + FAKE_VSOCK_PAYLOAD)
#define TX_SLOTS  16u
#define RUN_TURNS 10

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake vsock: %s\n", what);
	abort();
}

void fake_vsock_begin(struct fake_vsock *fake, bool unix_socket)
{
	struct err err = {""};
	unsigned i;

	memset(fake, 0, sizeof(*fake));
	if (unix_socket) {
		strcpy(fake->directory, "/tmp/vsock-test-XXXXXX");
		need(mkdtemp(fake->directory) != NULL, "no directory");
		snprintf(fake->path, sizeof(fake->path), "%s/v", fake->directory);
	}
	need(loop_create(&fake->loop) == 0, "no loop");
	if (vsock_create(&fake->vsock, fake->loop, VSOCK_GUEST_CID, unix_socket ? fake->path : NULL,
			 &err) < 0)
		need(false, err.text);
	fake_guest_init(&fake->guest, MIB(2));
	fake_guest_attach(&fake->guest, vsock_device(fake->vsock));
	need(fake_guest_bring_up(&fake->guest, FAKE_F_EVENT_IDX), "not alive");
	fake->rx = &fake->guest.queue[VSOCK_QUEUE_RX];
	fake->tx = &fake->guest.queue[VSOCK_QUEUE_TX];
	fake->event = &fake->guest.queue[VSOCK_QUEUE_EVENT];
	for (i = 0; i < VSOCK_RX_QUEUE_SIZE; i++)
		fake->rx_buffer[i] = fake_guest_alloc(&fake->guest, FAKE_VSOCK_BUFFER, 16);
	fake->tx_buffer = fake_guest_alloc(&fake->guest, TX_SLOTS * TX_SLOT, 16);
	fake->event_buffer = fake_guest_alloc(&fake->guest, 64, 16);
	fake->buf_alloc = FAKE_VSOCK_WINDOW;
	fake_vsock_run(fake);
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

void fake_vsock_end(struct fake_vsock *fake)
{
	vsock_destroy(fake->vsock);
	loop_destroy(fake->loop);
	fake_guest_destroy(&fake->guest);
	if (fake->directory[0] != '\0')
		remove_directory(fake->directory);
}

struct turns {
	struct loop_task task;
	struct loop *loop;
	unsigned left;
};

static void next_turn(void *arg)
{
	struct turns *turns = arg;

	if (turns->left-- == 0)
		loop_stop(turns->loop);
	else
		loop_defer(turns->loop, &turns->task);
}

void fake_vsock_run(struct fake_vsock *fake)
{
	struct turns turns = {.task = {.run = next_turn}, .loop = fake->loop, .left = RUN_TURNS};

	turns.task.arg = &turns;
	loop_defer(fake->loop, &turns.task);
	need(loop_run(fake->loop) == 0, "the loop failed");
}

static void stop(void *arg)
{
	loop_stop(arg);
}

void fake_vsock_run_for(struct fake_vsock *fake, uint64_t ns)
{
	struct loop_timer timer = {.expired = stop, .arg = fake->loop};

	loop_timer_start(fake->loop, &timer, ns);
	need(loop_run(fake->loop) == 0, "the loop failed");
}

void fake_vsock_run_until(struct fake_vsock *fake, const bool *flag)
{
	unsigned i;

	for (i = 0; i < 5000 && !*flag; i++)
		fake_vsock_run_for(fake, 2000000);
}

void fake_vsock_give(struct fake_vsock *fake, unsigned count)
{
	for (; count > 0; count--) {
		need(fake->given - fake->taken < fake->rx->size, "the receive queue is full");
		fake_queue_add_one(fake->rx, fake->rx_buffer[fake->rx->next_desc],
				   FAKE_VSOCK_BUFFER, true);
		fake->given++;
	}
	fake_queue_kick(fake->rx);
	fake_vsock_run(fake);
}

bool fake_vsock_take(struct fake_vsock *fake, struct fake_packet *packet)
{
	const uint8_t *raw;
	uint32_t head;

	if (!fake_queue_take_used(fake->rx, &head, &packet->written))
		return false;
	fake->taken++;
	raw = fake_guest_at(&fake->guest, fake->rx_buffer[head]);
	vsock_header_decode(&packet->header, raw);
	packet->payload = raw + VSOCK_HEADER_BYTES;
	return true;
}

bool fake_vsock_wait(struct fake_vsock *fake, struct fake_packet *packet)
{
	unsigned i;

	for (i = 0; i < 5000; i++) {
		if (fake_vsock_take(fake, packet))
			return true;
		fake_vsock_run_for(fake, 2000000);
	}
	return false;
}

struct vsock_header fake_vsock_header(const struct fake_vsock *fake, enum vsock_op op,
				      uint32_t host_port, uint32_t guest_port)
{
	return (struct vsock_header){
		.src_cid = VSOCK_GUEST_CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = fake->buf_alloc,
		.fwd_cnt = fake->fwd_cnt,
	};
}

bool fake_vsock_queue_raw(struct fake_vsock *fake, const struct vsock_header *header,
			  const void *payload, uint32_t length)
{
	uint32_t head, written;
	uint64_t address;

	while (fake_queue_take_used(fake->tx, &head, &written))
		need(written == 0, "the device wrote into a transmit buffer");
	if ((uint16_t)(fake->tx->avail_index - fake->tx->used_index) >= TX_SLOTS)
		return false;
	need(length <= TX_SLOT - VSOCK_HEADER_BYTES, "too long a payload");
	address = fake->tx_buffer + TX_SLOT * (fake->tx->avail_index % TX_SLOTS);
	vsock_header_encode(header, fake_guest_at(&fake->guest, address));
	if (length > 0)
		memcpy((uint8_t *)fake_guest_at(&fake->guest, address) + VSOCK_HEADER_BYTES,
		       payload, length);
	fake_queue_add_one(fake->tx, address, VSOCK_HEADER_BYTES + length, false);
	return true;
}

void fake_vsock_send_raw(struct fake_vsock *fake, const struct vsock_header *header,
			 const void *payload, uint32_t length)
{
	need(fake_vsock_queue_raw(fake, header, payload, length), "the transmit queue is full");
	fake_queue_kick(fake->tx);
	fake_vsock_run(fake);
}

void fake_vsock_send(struct fake_vsock *fake, enum vsock_op op, uint32_t host_port,
		     uint32_t guest_port)
{
	struct vsock_header header = fake_vsock_header(fake, op, host_port, guest_port);

	fake_vsock_send_raw(fake, &header, NULL, 0);
}

void fake_vsock_send_data(struct fake_vsock *fake, uint32_t host_port, uint32_t guest_port,
			  const void *payload, uint32_t length)
{
	struct vsock_header header = fake_vsock_header(fake, VSOCK_OP_RW, host_port, guest_port);

	header.length = length;
	fake_vsock_send_raw(fake, &header, payload, length);
}

void fake_vsock_send_shutdown(struct fake_vsock *fake, uint32_t host_port, uint32_t guest_port,
			      uint32_t flags)
{
	struct vsock_header header =
		fake_vsock_header(fake, VSOCK_OP_SHUTDOWN, host_port, guest_port);

	header.flags = flags;
	fake_vsock_send_raw(fake, &header, NULL, 0);
}

struct vsock_stats fake_vsock_stats(const struct fake_vsock *fake)
{
	struct vsock_stats stats;

	vsock_stats(fake->vsock, &stats);
	return stats;
}
