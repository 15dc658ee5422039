/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/remember_table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS	 4096u
#define NOT_ROOT UINT8_MAX

/* What a file is known by. */
struct identity {
	dev_t dev;
	ino_t ino;
	int64_t born; /* or 0 */
	uint32_t born_ns;
};

struct entry {
	struct entry *next;
	struct identity file;
	struct remembered remembered;
};

struct remember_table {
	pthread_mutex_t mutex;
	_Atomic uint32_t used; /* changes with the mutex */
	struct entry *buckets[BUCKETS];
};

struct remember_table *remember_table_create(void)
{
	struct remember_table *table = calloc(1, sizeof(*table));

	if (table)
		pthread_mutex_init(&table->mutex, NULL);
	return table;
}

void remember_table_destroy(struct remember_table *table)
{
	struct entry *entry;
	unsigned i;

	if (!table)
		return;
	for (i = 0; i < BUCKETS; i++) {
		while ((entry = table->buckets[i])) {
			table->buckets[i] = entry->next;
			free(entry);
		}
	}
	pthread_mutex_destroy(&table->mutex);
	free(table);
}

/* Where the entry of a file is, or would be. */
static struct entry **find(struct remember_table *table, dev_t dev, ino_t ino)
{
	uint64_t hash = (ino ^ (uint64_t)dev << 32) * 0x9e3779b97f4a7c15ull;
	struct entry **at = &table->buckets[(hash >> 32) % BUCKETS];

	while (*at && ((*at)->file.dev != dev || (*at)->file.ino != ino))
		at = &(*at)->next;
	return at;
}

static void drop(struct remember_table *table, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	free(entry);
	table->used--;
}

static void identify(int fd, const struct stat *stat, struct identity *out)
{
	struct statx extended;

	*out = (struct identity){.dev = stat->st_dev, .ino = stat->st_ino};
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BTIME, &extended) == 0 &&
	    (extended.stx_mask & STATX_BTIME)) {
		out->born = extended.stx_btime.tv_sec;
		out->born_ns = extended.stx_btime.tv_nsec;
	}
}

static bool same_birth(const struct identity *a, const struct identity *b)
{
	return a->born == b->born && a->born_ns == b->born_ns;
}

void remember_table_get(struct remember_table *table, int fd, const struct stat *stat,
			struct remembered *out)
{
	struct identity file;
	struct entry **at;
	bool maybe;

	if (!table || fd < 0 || remember_table_used(table) == 0)
		return;
	pthread_mutex_lock(&table->mutex);
	maybe = *find(table, stat->st_dev, stat->st_ino);
	pthread_mutex_unlock(&table->mutex);
	if (!maybe)
		return;
	identify(fd, stat, &file);
	pthread_mutex_lock(&table->mutex);
	at = find(table, file.dev, file.ino);
	if (*at && same_birth(&(*at)->file, &file))
		*out = (*at)->remembered;
	else if (*at)
		drop(table, at);
	pthread_mutex_unlock(&table->mutex);
}

/* With the mutex. */
static int put(struct remember_table *table, const struct identity *file,
	       const struct remembered *remembered)
{
	struct entry **at = find(table, file->dev, file->ino);

	if (!*at) {
		if (table->used >= FUSED_TABLE_MAX)
			return -ENOSPC;
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return -ENOMEM;
		table->used++;
	}
	(*at)->file = *file;
	(*at)->remembered = *remembered;
	(*at)->remembered.any = true;
	return 0;
}

int remember_table_set(struct remember_table *table, int fd, const struct stat *stat,
		       const struct remembered *remembered)
{
	struct identity file;
	int ret;

	if (!table)
		return -EPERM;
	identify(fd, stat, &file);
	pthread_mutex_lock(&table->mutex);
	ret = put(table, &file, remembered);
	pthread_mutex_unlock(&table->mutex);
	return ret;
}

void remember_table_drop(struct remember_table *table, const struct stat *stat)
{
	struct entry **at;

	if (!table)
		return;
	pthread_mutex_lock(&table->mutex);
	at = find(table, stat->st_dev, stat->st_ino);
	if (*at)
		drop(table, at);
	pthread_mutex_unlock(&table->mutex);
}

uint32_t remember_table_used(struct remember_table *table)
{
	return table ? atomic_load_explicit(&table->used, memory_order_relaxed) : 0;
}

/* --- a saved table ---------------------------------------------------------------------------- */

static uint8_t root_of(const dev_t *devices, unsigned count, dev_t dev)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (devices[i] && devices[i] == dev)
			return (uint8_t)i;
	return NOT_ROOT;
}

void remember_table_save(struct remember_table *table, const dev_t *devices, unsigned count,
			 struct pack *to)
{
	const struct entry *entry;
	uint8_t root;
	unsigned i;

	pthread_mutex_lock(&table->mutex);
	pack_u32(to, table->used);
	for (i = 0; i < BUCKETS; i++) {
		for (entry = table->buckets[i]; entry; entry = entry->next) {
			root = root_of(devices, count, entry->file.dev);
			pack_u8(to, root);
			pack_u64(to, root == NOT_ROOT ? entry->file.dev : 0);
			pack_u64(to, entry->file.ino);
			pack_u64(to, (uint64_t)entry->file.born);
			pack_u32(to, entry->file.born_ns);
			pack_u32(to, entry->remembered.uid);
			pack_u32(to, entry->remembered.gid);
			pack_u32(to, entry->remembered.mode);
			pack_u32(to, entry->remembered.rdev);
		}
	}
	pthread_mutex_unlock(&table->mutex);
}

int remember_table_restore(struct remember_table *table, const dev_t *devices, unsigned count,
			   struct unpack *from)
{
	uint32_t n = unpack_count(from, FUSED_TABLE_MAX), i;
	struct remembered remembered;
	struct identity file;
	int ret = from->failed ? -EINVAL : 0;
	uint8_t root;

	pthread_mutex_lock(&table->mutex);
	for (i = 0; ret == 0 && i < n; i++) {
		root = unpack_u8(from);
		file.dev = unpack_u64(from);
		file.ino = unpack_u64(from);
		file.born = (int64_t)unpack_u64(from);
		file.born_ns = unpack_u32(from);
		remembered.uid = unpack_u32(from);
		remembered.gid = unpack_u32(from);
		remembered.mode = unpack_u32(from);
		remembered.rdev = unpack_u32(from);
		if (from->failed || (root != NOT_ROOT && root >= count) ||
		    !remembered_valid(&remembered))
			ret = -EINVAL;
		if (root != NOT_ROOT && ret == 0)
			file.dev = devices[root];
		if (ret == 0 && file.dev)
			ret = put(table, &file, &remembered);
	}
	pthread_mutex_unlock(&table->mutex);
	return ret;
}
