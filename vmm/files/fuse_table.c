/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of what the guest has numbers for. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "vmm/files/fuse_internal.h"

#define GENERATIONS 0xffffffu

void fuse_table_begin(struct fuse_table *table, unsigned root)
{
	*table = (struct fuse_table){.root = root};
	/* A root that takes the place of a removed one understands none of its numbers. */
	if (getrandom(&table->first, sizeof(table->first), 0) != sizeof(table->first))
		table->first = 1;
}

void fuse_table_end(struct fuse_table *table)
{
	free(table->slot);
	table->slot = NULL;
	table->capacity = table->used = table->free = 0;
}

static bool grow(struct fuse_table *table)
{
	uint32_t capacity = table->capacity ? 2 * table->capacity : 64;
	struct fuse_slot *slot = realloc(table->slot, capacity * sizeof(*slot));

	if (!slot)
		return false;
	table->slot = slot;
	table->capacity = capacity;
	return true;
}

int64_t fuse_table_add(struct fuse_table *table, void *item)
{
	uint32_t at = table->free - 1;

	if (table->free) {
		table->free = table->slot[at].next;
	} else {
		if (table->used == table->capacity && !grow(table))
			return -ENOMEM;
		at = table->used++;
		table->slot[at].generation = table->first;
	}
	table->slot[at].item = item;
	return at;
}

uint64_t fuse_table_number(const struct fuse_table *table, uint32_t slot)
{
	uint64_t generation = table->slot[slot].generation & GENERATIONS;

	return (uint64_t)(table->root + 1) << 56 | generation << 32 | slot;
}

void *fuse_table_find(const struct fuse_table *table, uint64_t number)
{
	uint32_t slot = FUSE_NUMBER_SLOT(number);

	return slot < table->used && fuse_table_number(table, slot) == number
		       ? table->slot[slot].item
		       : NULL;
}

int fuse_table_put(struct fuse_table *table, uint32_t slot, uint32_t generation, void *item,
		   uint32_t max)
{
	if (slot >= max)
		return -EINVAL;
	while (slot >= table->capacity)
		if (!grow(table))
			return -ENOMEM;
	while (table->used <= slot)
		table->slot[table->used++] = (struct fuse_slot){.generation = table->first};
	if (table->slot[slot].item && table->slot[slot].item != item)
		return -EINVAL;
	table->slot[slot].item = item;
	table->slot[slot].generation = generation;
	return 0;
}

void fuse_table_mend(struct fuse_table *table)
{
	uint32_t i;

	table->free = 0;
	for (i = table->used; i > 0; i--) {
		if (!table->slot[i - 1].item) {
			table->slot[i - 1].next = table->free;
			table->free = i;
		}
	}
}

void fuse_table_remove(struct fuse_table *table, uint32_t slot)
{
	table->slot[slot].item = NULL;
	table->slot[slot].generation++;
	table->slot[slot].next = table->free;
	table->free = slot + 1;
}
