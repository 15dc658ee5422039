/* SPDX-License-Identifier: Apache-2.0 */
/* Arena allocator: many small allocations, all freed at once. */
#ifndef CORDON_BASE_ARENA_H
#define CORDON_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* A zeroed struct is an empty arena. */
struct arena {
	struct arena_chunk *chunk;
};

/* Allocates size zeroed bytes, aligned for any type. NULL if out of memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc(), for count items of size bytes. NULL also if count * size overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Copies length bytes and appends a NUL. NULL if out of memory. */
char *arena_copy(struct arena *arena, const void *bytes, size_t length);

/* Frees all allocations; the arena is empty again. */
void arena_free(struct arena *arena);

#endif
