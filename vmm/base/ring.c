/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/pack.h"

void ring_init(struct ring *ring, size_t size)
{
	size_t rounded = 1;

	while (rounded < size)
		rounded <<= 1;
	*ring = (struct ring){.size = rounded};
}

void ring_destroy(struct ring *ring)
{
	free(ring->data);
	ring->data = NULL;
	ring->head = 0;
	ring->used = 0;
}

unsigned ring_readable(const struct ring *ring, struct iovec iov[2])
{
	size_t first = min_u64(ring->used, ring->size - ring->head);

	if (ring->used == 0)
		return 0;
	iov[0] = (struct iovec){.iov_base = ring->data + ring->head, .iov_len = first};
	if (first == ring->used)
		return 1;
	iov[1] = (struct iovec){.iov_base = ring->data, .iov_len = ring->used - first};
	return 2;
}

unsigned ring_writable(struct ring *ring, struct iovec iov[2])
{
	size_t tail, space = ring_space(ring), first;

	if (space == 0)
		return 0;
	if (!ring->data) {
		ring->data = malloc(ring->size);
		if (!ring->data)
			return 0;
	}
	tail = (ring->head + ring->used) & (ring->size - 1);
	first = min_u64(space, ring->size - tail);
	iov[0] = (struct iovec){.iov_base = ring->data + tail, .iov_len = first};
	if (first == space)
		return 1;
	iov[1] = (struct iovec){.iov_base = ring->data, .iov_len = space - first};
	return 2;
}

void ring_produced(struct ring *ring, size_t length)
{
	ring->used += min_u64(length, ring_space(ring));
}

void ring_consumed(struct ring *ring, size_t length)
{
	length = min_u64(length, ring->used);
	ring->head = (ring->head + length) & (ring->size - 1);
	ring->used -= length;
	if (ring->used == 0)
		ring->head = 0;
}

size_t ring_write(struct ring *ring, const void *from, size_t length)
{
	struct iovec iov[2];
	unsigned segments = ring_writable(ring, iov), i;
	size_t done = 0, part;

	for (i = 0; i < segments && done < length; i++) {
		part = min_u64(iov[i].iov_len, length - done);
		memcpy(iov[i].iov_base, (const uint8_t *)from + done, part);
		done += part;
	}
	ring_produced(ring, done);
	return done;
}

size_t ring_read(struct ring *ring, void *to, size_t length)
{
	struct iovec iov[2];
	unsigned segments = ring_readable(ring, iov), i;
	size_t done = 0, part;

	for (i = 0; i < segments && done < length; i++) {
		part = min_u64(iov[i].iov_len, length - done);
		memcpy((uint8_t *)to + done, iov[i].iov_base, part);
		done += part;
	}
	ring_consumed(ring, done);
	return done;
}

void ring_clear(struct ring *ring)
{
	ring->head = 0;
	ring->used = 0;
}

void ring_release_if_empty(struct ring *ring)
{
	if (ring->used == 0)
		ring_destroy(ring);
}

void ring_save(const struct ring *ring, struct pack *to)
{
	struct iovec iov[2];
	unsigned segments = ring_readable(ring, iov), i;

	pack_u32(to, (uint32_t)ring_used(ring));
	for (i = 0; i < segments; i++)
		pack_bytes(to, iov[i].iov_base, iov[i].iov_len);
}

int ring_restore(struct ring *ring, struct unpack *from)
{
	size_t length = unpack_u32(from);

	if (from->failed || length > from->length - from->at || length > ring_space(ring))
		return -EINVAL;
	if (ring_write(ring, from->data + from->at, length) != length)
		return -ENOMEM;
	from->at += length;
	return 0;
}
