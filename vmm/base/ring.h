/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded byte FIFO. The first write allocates its memory and ring_release_if_empty() frees it,
 * so that a thousand idle streams cost nothing. Not thread safe.
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

/* Rounds size (bytes) up to a power of two; allocates nothing yet. */
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

/* Stores up to length bytes; returns how many fitted (0 also if out of memory). */
size_t ring_write(struct ring *ring, const void *from, size_t length);

/* Removes up to length bytes, oldest first; returns how many. */
size_t ring_read(struct ring *ring, void *to, size_t length);

/* The stored bytes as segments, oldest first; returns the number of segments (0 to 2). */
unsigned ring_readable(const struct ring *ring, struct iovec iov[2]);

/* The free space as segments; allocates if needed. Returns 0 to 2; 0: full or out of memory. */
unsigned ring_writable(struct ring *ring, struct iovec iov[2]);

/* Adds length bytes written into the segments of ring_writable(), or removes length bytes read. */
void ring_produced(struct ring *ring, size_t length);
void ring_consumed(struct ring *ring, size_t length);

void ring_clear(struct ring *ring);
void ring_release_if_empty(struct ring *ring);

/*
 * For snapshots. ring_save() writes the number of stored bytes (4 bytes), then the bytes.
 * ring_restore() reads them, from hostile bytes, into an empty ring: 0, -EINVAL (truncated, or more
 * than its capacity) or -ENOMEM.
 */
struct pack;
struct unpack;
void ring_save(const struct ring *ring, struct pack *to);
int ring_restore(struct ring *ring, struct unpack *from);

#endif
