/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded byte queue whose contents are contiguous in memory, so that a parser sees them in one
 * view and a segment of 64 KiB is sent from one place. The first write allocates; an empty queue
 * holds no memory. Every allocation counts against a budget that all queues share; its last quarter
 * is for the first 4 KiB of a queue, so that a few large ones do not stop all others.
 *
 * The memory is at most twice the limit: bytes move to its front only when at least as many have
 * been taken from there, so the cost of a byte is constant whatever the sizes of writes and reads.
 */
#ifndef CORDON_RELAY_BUFFER_H
#define CORDON_RELAY_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* The bytes that all queues may allocate, and have allocated. */
struct relay_memory {
	size_t max, used;
};

struct relay_buffer {
	uint8_t *data; /* NULL while empty */
	size_t size;   /* allocated */
	size_t head, used;
};

/*
 * Room for up to want bytes behind the contents, so that the queue has no more than limit bytes (a
 * power of two). *room: how many fit, perhaps fewer than want (0: full, or out of memory). The
 * pointer is valid until the next call for this queue.
 */
uint8_t *relay_buffer_reserve(struct relay_buffer *buffer, struct relay_memory *memory,
			      size_t limit, size_t want, size_t *room);

/* Appends length bytes that were written to the reserved room. Frees the memory if still empty. */
void relay_buffer_commit(struct relay_buffer *buffer, struct relay_memory *memory, size_t length);

/* Removes up to length bytes from the front. */
void relay_buffer_consume(struct relay_buffer *buffer, struct relay_memory *memory, size_t length);

/* Removes everything. Works on a zeroed struct. */
void relay_buffer_clear(struct relay_buffer *buffer, struct relay_memory *memory);

static inline const uint8_t *relay_buffer_bytes(const struct relay_buffer *buffer)
{
	return buffer->used ? buffer->data + buffer->head : NULL;
}

#endif
