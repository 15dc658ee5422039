/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once: for what is built in many small pieces and then kept. */
#ifndef CORDON_BASE_ARENA_H
#define CORDON_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* Zeroed is empty. */
struct arena {
	struct arena_chunk *chunk;
};

/* size bytes, zeroed, aligned for anything; NULL without memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc(), for count items; NULL also where count * size is too much. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A copy of length bytes, with a NUL behind; NULL without memory. */
char *arena_copy(struct arena *arena, const void *bytes, size_t length);

void arena_free(struct arena *arena);

#endif
