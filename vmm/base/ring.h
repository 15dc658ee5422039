/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded byte FIFO. Its memory is allocated at the first write and given back when it empties
 * through ring_release_if_empty(), so that a thousand idle streams cost nothing. Not thread safe.
 */
#ifndef CORDON_BASE_RING_H
#define CORDON_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
	uint8_t *data; /* NULL until the first write */
	size_t size;   /* capacity in bytes, a power of two */
	size_t head;   /* next byte to read, modulo size */
	size_t used;
};

/* size is rounded up to a power of two; nothing is allocated yet. */
void ring_init(struct ring *ring, size_t size);
void ring_destroy(struct ring *ring);

static inline size_t ring_used(const struct ring *ring)
{
	return ring->used;
}

static inline size_t ring_space(const struct ring *ring)
{
	return ring->size - ring->used;
}

/* Stores up to length bytes; returns how many fitted (0 also when memory is out). */
size_t ring_write(struct ring *ring, const void *from, size_t length);

/* Takes up to length bytes out; returns how many there were. */
size_t ring_read(struct ring *ring, void *to, size_t length);

/* The stored bytes as one or two pieces, oldest first; returns the number of pieces (0 to 2). */
unsigned ring_readable(const struct ring *ring, struct iovec iov[2]);

/* The free space as one or two pieces; allocates if needed. Returns 0 if full or out of memory. */
unsigned ring_writable(struct ring *ring, struct iovec iov[2]);

/* After filling what ring_writable() gave (at most ring_space()), or draining ring_readable(). */
void ring_produced(struct ring *ring, size_t length);
void ring_consumed(struct ring *ring, size_t length);

void ring_clear(struct ring *ring);
void ring_release_if_empty(struct ring *ring);

/*
 * The stored bytes written down: their number (4 bytes), then themselves; and read back, from
 * hostile bytes, into an empty ring: 0, -EINVAL (cut short, or more than its capacity) or -ENOMEM.
 */
struct pack;
struct unpack;
void ring_save(const struct ring *ring, struct pack *to);
int ring_restore(struct ring *ring, struct unpack *from);

#endif
