/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of relay_world share. */
#ifndef CORDON_TEST_RELAY_WORLD_INTERNAL_H
#define CORDON_TEST_RELAY_WORLD_INTERNAL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/relay_world.h"

static inline void must(bool true_one, const char *what)
{
	if (true_one)
		return;
	fprintf(stderr, "relay world: %s: %s\n", what, strerror(errno));
	abort();
}

/* Appends bytes to memory that grows. */
static inline void keep(uint8_t **to, size_t *length, size_t *size, const uint8_t *from,
			size_t count)
{
	if (*length + count > *size) {
		*size = (*length + count) * 2;
		must((*to = realloc(*to, *size)) != NULL, "memory");
	}
	memcpy(*to + *length, from, count);
	*length += count;
}

/* Closes all servers and their clients. */
void relay_world_close_servers(struct relay_world *world);

#endif
