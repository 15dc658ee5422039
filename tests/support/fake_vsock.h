/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's socket driver in plain memory, over fake_guest: it adds receive buffers, sends packets
 * that the test makes, and returns those that come. It has no notion of connections.
 */
#ifndef CORDON_TEST_FAKE_VSOCK_H
#define CORDON_TEST_FAKE_VSOCK_H

#include "devices/vsock/internal.h"
#include "tests/support/fake_guest.h"
#include "tests/support/vsock_numbers.h"

#define FAKE_VSOCK_BUFFER  4096u /* bytes of a receive buffer, as in Linux */
#define FAKE_VSOCK_WINDOW  (256u << 10)
#define FAKE_VSOCK_PAYLOAD (64u << 10) /* the largest payload of a packet from the guest */

struct fake_vsock {
	struct fake_guest guest;
	struct loop *loop;
	struct vsock *vsock;
	struct fake_queue *rx, *tx, *event;
	char directory[64], path[80];
	uint64_t rx_buffer[VSOCK_RX_QUEUE_SIZE]; /* by descriptor */
	uint64_t tx_buffer, event_buffer;
	unsigned given, taken;	     /* receive buffers */
	uint32_t buf_alloc, fwd_cnt; /* announced in packets, unless the test sets others */
};

struct fake_packet {
	struct vsock_header header;
	const uint8_t *payload; /* valid until more buffers are given */
	uint32_t written;	/* according to the used ring */
};

/* unix_socket: with a listener at fake->path, in its own directory. Gives no buffers yet. */
void fake_vsock_begin(struct fake_vsock *fake, bool unix_socket);
void fake_vsock_end(struct fake_vsock *fake);

/* Runs the loop until it has nothing left to do. */
void fake_vsock_run(struct fake_vsock *fake);

/* Runs the loop until *flag is true, for at most about ten seconds. */
void fake_vsock_run_until(struct fake_vsock *fake, const bool *flag);
/* Runs the loop for about that long. */
void fake_vsock_run_for(struct fake_vsock *fake, uint64_t ns);

/* Adds receive buffers; the guest never gives more at a time than the queue has entries. */
void fake_vsock_give(struct fake_vsock *fake, unsigned count);

/* Takes the next packet that the device sent. */
bool fake_vsock_take(struct fake_vsock *fake, struct fake_packet *packet);

/* Runs the loop until there is a packet, for at most about ten seconds. */
bool fake_vsock_wait(struct fake_vsock *fake, struct fake_packet *packet);

/* A header from guest_port to host_port with the usual fields. */
struct vsock_header fake_vsock_header(const struct fake_vsock *fake, enum vsock_op op,
				      uint32_t host_port, uint32_t guest_port);

/* Puts a packet into the transmit queue and lets the device take it. */
void fake_vsock_send_raw(struct fake_vsock *fake, const struct vsock_header *header,
			 const void *payload, uint32_t length);
/* The same without running the loop. Returns false if the queue is full. */
bool fake_vsock_queue_raw(struct fake_vsock *fake, const struct vsock_header *header,
			  const void *payload, uint32_t length);
void fake_vsock_send(struct fake_vsock *fake, enum vsock_op op, uint32_t host_port,
		     uint32_t guest_port);
void fake_vsock_send_data(struct fake_vsock *fake, uint32_t host_port, uint32_t guest_port,
			  const void *payload, uint32_t length);
void fake_vsock_send_shutdown(struct fake_vsock *fake, uint32_t host_port, uint32_t guest_port,
			      uint32_t flags);

struct vsock_stats fake_vsock_stats(const struct fake_vsock *fake);

#endif
