/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define SMALLEST 4096u /* bytes of an allocation */

/* The last quarter of the budget is for queues that have no memory at all. */
static size_t most_for(const struct relay_memory *memory, size_t size)
{
	return size > SMALLEST ? memory->max - memory->max / 4 : memory->max;
}

/* Moves the contents into more memory, for at least need bytes. False: out of memory. */
static bool grow(struct relay_buffer *buffer, struct relay_memory *memory, size_t need)
{
	size_t size = SMALLEST, most;
	uint8_t *data;

	while (size < need || size <= buffer->size)
		size <<= 1;
	most = most_for(memory, size);
	if (memory->used > most || size - buffer->size > most - memory->used)
		return false;
	data = malloc(size);
	if (!data)
		return false;
	if (buffer->used)
		memcpy(data, buffer->data + buffer->head, buffer->used);
	free(buffer->data);
	memory->used += size - buffer->size;
	buffer->data = data;
	buffer->size = size;
	buffer->head = 0;
	return true;
}

uint8_t *relay_buffer_reserve(struct relay_buffer *buffer, struct relay_memory *memory,
			      size_t limit, size_t want, size_t *room)
{
	size_t free_bytes = limit > buffer->used ? limit - buffer->used : 0;
	size_t need = min_u64(want, free_bytes), tail = buffer->size - buffer->head - buffer->used;

	if (need > tail && buffer->head >= buffer->used && buffer->size - buffer->used >= need) {
		memmove(buffer->data, buffer->data + buffer->head, buffer->used);
		buffer->head = 0;
		tail = buffer->size - buffer->used;
	} else if (need > tail && (grow(buffer, memory, buffer->used + need) ||
				   (buffer->size == 0 && grow(buffer, memory, 1)))) {
		tail = buffer->size - buffer->used;
	}
	*room = min_u64(need, tail);
	return *room ? buffer->data + buffer->head + buffer->used : NULL;
}

void relay_buffer_commit(struct relay_buffer *buffer, struct relay_memory *memory, size_t length)
{
	buffer->used += min_u64(length, buffer->size - buffer->head - buffer->used);
	if (buffer->used == 0)
		relay_buffer_clear(buffer, memory);
}

void relay_buffer_consume(struct relay_buffer *buffer, struct relay_memory *memory, size_t length)
{
	length = min_u64(length, buffer->used);
	buffer->head += length;
	buffer->used -= length;
	if (buffer->used == 0)
		relay_buffer_clear(buffer, memory);
}

void relay_buffer_clear(struct relay_buffer *buffer, struct relay_memory *memory)
{
	free(buffer->data);
	memory->used -= buffer->size;
	*buffer = (struct relay_buffer){.data = NULL};
}
