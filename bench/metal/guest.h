/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without Linux that measures the devices: it drives their virtqueues from ring 3, with
 * polling instead of interrupts. To the monitor it is an agent that runs one command, whose
 * arguments are the measurements (main.c).
 */
#ifndef CORDON_BENCH_METAL_GUEST_H
#define CORDON_BENCH_METAL_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- bytes and text (text.c) ------------------------------------------------------------------ */

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);

struct text {
	char bytes[512];
	size_t length;
};

void text_add(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number);

/* Parses "WORD,..." at *at: whether the next field is this word; if so, moves past it. */
bool field_is(const char **at, const char *word);
/* Parses a decimal field at *at, and moves past it. */
uint64_t field_number(const char **at);

static inline uint64_t cycles_now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/* Ends the guest: resets the machine. */
void guest_end(void) __attribute__((noreturn));

/* --- virtqueues (queue.c) --------------------------------------------------------------------- */

#define QUEUE_SIZE_MAX 128

struct queue {
	struct vring_desc *descriptors;
	volatile uint16_t *available; /* flags, index, entries, used event */
	volatile uint16_t *used;      /* flags, index, entries of 8 bytes, available event */
	volatile uint32_t *doorbell;
	uint16_t number, size;
	uint16_t offered, rung, seen; /* chains offered; of these rung for; and used chains seen */
	uint64_t doorbells;
};

/* The registers of a device. Found by its id, the nth of them (from 0); NULL if there is none. */
struct device {
	volatile uint8_t *base;
};
bool device_find(struct device *device, uint32_t id, unsigned nth);
void device_start(struct device *device, uint64_t features, struct queue *queue, unsigned queues);
uint8_t device_config8(const struct device *device, unsigned offset);
uint64_t device_config64(const struct device *device, unsigned offset);

void queue_offer(struct queue *queue, uint16_t head);
/* Rings the doorbell for what was offered, if the device wants that. */
void queue_kick(struct queue *queue);
/* Takes a used chain: false if there is none. */
bool queue_take(struct queue *queue, uint16_t *head, uint32_t *length);

/* --- sockets (vsock.c) ------------------------------------------------------------------------ */

#define VSOCK_PACKET (64u << 10) /* payload of the longest packet */

struct connection {
	uint32_t local, remote; /* ports */
	bool open, closed;
	uint32_t sent, peer_forwarded, peer_alloc;
	uint32_t received, told; /* bytes received, and as last announced */
	void (*data)(struct connection *connection, const uint8_t *bytes, uint32_t length);
	uint64_t wanted; /* for the callback: bytes still to come */
};

void vsock_start(void);
/* Handles the packets that have come; false if there was none. */
bool vsock_poll(void);
/* Connects to a port of the host, and waits for its reply. */
bool vsock_connect(struct connection *connection, uint32_t local, uint32_t remote);
/*
 * Sends bytes, which must stay as they are until a later call of vsock_drain(). Waits for credit
 * and room; false if the connection has been closed.
 */
bool vsock_send(struct connection *connection, const void *bytes, uint32_t length);
/* Waits until the device has taken all that was sent. */
void vsock_drain(void);
void vsock_close(struct connection *connection);

/* --- measurements: each takes the fields after its name, and adds its figures to the result --- */

bool measure_blk(const char *fields, struct text *result);
bool measure_send(const char *fields, struct text *result);
bool measure_receive(const char *fields, struct text *result);
bool measure_echo(const char *fields, struct text *result);
bool measure_net(const char *fields, struct text *result);

#endif
