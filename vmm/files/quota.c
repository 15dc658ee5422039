/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "vmm/base/bytes.h"
#include "vmm/files/operations.h"

/* Names of attributes that are looked at when a file is removed: more are not given back. */
#define NAMES_MAX 256u

/* A file that is open, or is being changed: one for all its names, in all shares. */
struct quota_file {
	struct quota_file *next; /* in its bucket */
	dev_t dev;
	ino_t ino;
	unsigned users; /* threads that change it or wait for that, and open files */
	unsigned opens;
	bool held; /* a thread changes it */
	bool kept; /* without a name, but open: the last close gives its bytes back */
};

void files_quota_begin(struct files_quota *quota, uint64_t bytes_max, uint64_t files_max)
{
	memset(quota, 0, sizeof(*quota));
	quota->bytes_max = bytes_max;
	quota->files_max = files_max;
	pthread_mutex_init(&quota->mutex, NULL);
	pthread_cond_init(&quota->released, NULL);
}

void files_quota_end(struct files_quota *quota)
{
	pthread_mutex_destroy(&quota->mutex);
	pthread_cond_destroy(&quota->released);
}

/* --- counters --------------------------------------------------------------------------------- */

static int take(atomic_ullong *counter, unsigned long long max, uint64_t n)
{
	unsigned long long now = atomic_load(counter);

	do {
		if (n > 0 && (now >= max || n > max - now))
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(counter, &now, now + n));
	return 0;
}

static void give_back(atomic_ullong *counter, uint64_t n)
{
	unsigned long long now = atomic_load(counter);

	while (!atomic_compare_exchange_weak(counter, &now, now > n ? now - n : 0))
		;
}

static struct files_quota *quota_of(const struct files_share *share)
{
	return share->read_only ? NULL : share->quota;
}

int quota_name(const struct files_share *share)
{
	struct files_quota *quota = quota_of(share);

	return quota ? take(&quota->files, quota->files_max, 1) : 0;
}

void quota_unname(const struct files_share *share)
{
	if (quota_of(share))
		give_back(&share->quota->files, 1);
}

static uint64_t left(uint64_t used, uint64_t max)
{
	if (max == FILES_QUOTA_NONE)
		return UINT64_MAX;
	return max > used ? max - used : 0;
}

void quota_left(const struct files_share *share, uint64_t *bytes, uint64_t *files)
{
	const struct files_quota *quota = quota_of(share);

	*bytes = quota ? left(quota->bytes, quota->bytes_max) : UINT64_MAX;
	*files = quota ? left(quota->files, quota->files_max) : UINT64_MAX;
}

static uint64_t rounded(uint64_t size)
{
	return align_up(size, FILES_QUOTA_BLOCK);
}

/* --- files ------------------------------------------------------------------------------------ */

static struct quota_file **bucket(struct files_quota *quota, const struct stat *stat)
{
	uint64_t hash = (stat->st_ino ^ (uint64_t)stat->st_dev << 32) * 0x9e3779b97f4a7c15ull;

	return &quota->buckets[(hash >> 32) % FILES_QUOTA_BUCKETS];
}

/* With the mutex: the file's entry, with one more user. NULL: out of memory. */
static struct quota_file *get(struct files_quota *quota, const struct stat *stat)
{
	struct quota_file **at = bucket(quota, stat), *file = *at;

	while (file && (file->dev != stat->st_dev || file->ino != stat->st_ino))
		file = file->next;
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			return NULL;
		file->dev = stat->st_dev;
		file->ino = stat->st_ino;
		file->next = *at;
		*at = file;
	}
	file->users++;
	return file;
}

static void put(struct files_quota *quota, struct quota_file *file)
{
	const struct stat stat = {.st_dev = file->dev, .st_ino = file->ino};
	struct quota_file **at = bucket(quota, &stat);

	if (--file->users > 0)
		return;
	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	free(file);
}

static void hold(struct files_quota *quota, struct quota_file *file)
{
	while (file->held)
		pthread_cond_wait(&quota->released, &quota->mutex);
	file->held = true;
}

static void release(struct files_quota *quota, struct quota_file *file)
{
	file->held = false;
	pthread_cond_broadcast(&quota->released);
}

int quota_begin(const struct files_share *share, int fd, struct quota_use *use)
{
	return quota_begin_open(share, NULL, fd, use);
}

int quota_begin_open(const struct files_share *share, struct quota_file *open, int fd,
		     struct quota_use *use)
{
	struct files_quota *quota = quota_of(share);
	struct stat stat;

	*use = (struct quota_use){.quota = NULL};
	if (!quota)
		return 0;
	if (!open && fstat(fd, &stat) < 0)
		return -errno;
	pthread_mutex_lock(&quota->mutex);
	use->file = open ? open : get(quota, &stat);
	if (open)
		open->users++;
	if (use->file)
		hold(quota, use->file);
	pthread_mutex_unlock(&quota->mutex);
	if (!use->file)
		return -ENOMEM;
	use->quota = quota;
	/* As it is after the wait. */
	if (fstat(fd, &stat) < 0)
		return -errno;
	use->size = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
	use->links = stat.st_nlink;
	return 0;
}

int quota_add(struct quota_use *use, uint64_t bytes)
{
	int ret = use->quota ? take(&use->quota->bytes, use->quota->bytes_max, bytes) : 0;

	if (ret == 0)
		use->reserved += bytes;
	return ret;
}

int quota_grow(struct quota_use *use, uint64_t size)
{
	return size > use->size ? quota_add(use, rounded(size) - rounded(use->size)) : 0;
}

static void finish(struct quota_use *use)
{
	pthread_mutex_lock(&use->quota->mutex);
	release(use->quota, use->file);
	put(use->quota, use->file);
	pthread_mutex_unlock(&use->quota->mutex);
	use->quota = NULL;
}

void quota_end_bytes(struct quota_use *use, int64_t bytes)
{
	uint64_t added = bytes > 0 ? (uint64_t)bytes : 0, taken = bytes < 0 ? -(uint64_t)bytes : 0;

	if (!use->quota)
		return;
	/* Never more than was reserved: others may have let the file grow meanwhile. */
	give_back(&use->quota->bytes, use->reserved - min_u64(added, use->reserved) + taken);
	finish(use);
}

void quota_end(struct quota_use *use, uint64_t size)
{
	quota_end_bytes(use, (int64_t)(rounded(size) - rounded(use->size)));
}

/* --- removal ---------------------------------------------------------------------------------- */

/* The bytes of the guest's attributes. */
static uint64_t attributes(int fd)
{
	char path[FD_PATH_SIZE], *names;
	uint64_t bytes = 0;
	ssize_t length, n;
	unsigned i = 0;
	size_t at;

	fd_path(path, fd);
	length = listxattr(path, NULL, 0);
	if (length <= 0 || length > (ssize_t)FUSED_XATTR_MAX)
		return 0;
	names = malloc((size_t)length + 1);
	length = names ? listxattr(path, names, (size_t)length) : 0;
	if (length > 0)
		names[length] = '\0';
	for (at = 0; length > 0 && at < (size_t)length && i < NAMES_MAX; i++) {
		n = xattr_is_guests(names + at) ? getxattr(path, names + at, NULL, 0) : -1;
		if (n >= 0)
			bytes += (uint64_t)n + strlen(names + at);
		at += strlen(names + at) + 1;
	}
	free(names);
	return bytes;
}

/* What a file has that is gone. */
static uint64_t bytes_of(int fd, const struct stat *stat)
{
	uint64_t bytes = S_ISREG(stat->st_mode) ? rounded((uint64_t)stat->st_size) : 0;

	return bytes + (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode) ? attributes(fd) : 0);
}

static bool is_gone(const struct stat *stat)
{
	return stat->st_nlink == 0;
}

void quota_removed(struct quota_use *use, int fd, bool perhaps)
{
	bool known, keeps = true;
	struct stat stat;

	if (!use->quota)
		return;
	known = fstat(fd, &stat) == 0;
	if (!perhaps || (known && stat.st_nlink < use->links))
		give_back(&use->quota->files, 1);
	if (known && is_gone(&stat) && use->links > 0) {
		pthread_mutex_lock(&use->quota->mutex);
		keeps = use->file->opens > 0;
		use->file->kept |= keeps;
		pthread_mutex_unlock(&use->quota->mutex);
	}
	if (!keeps)
		give_back(&use->quota->bytes, bytes_of(fd, &stat));
	finish(use);
}

/* --- open files ------------------------------------------------------------------------------- */

/*
 * A file without a name, opened the first time: made so (it has no bytes yet), or its name was
 * removed between its look-up and its open, and its bytes were given back.
 */
static void adopt(struct files_quota *quota, struct quota_file *file, int fd)
{
	struct stat stat;
	bool counted;

	/* A removal under way ends first. */
	pthread_mutex_lock(&quota->mutex);
	hold(quota, file);
	counted = file->kept;
	file->kept = true;
	pthread_mutex_unlock(&quota->mutex);
	if (!counted && fstat(fd, &stat) == 0)
		atomic_fetch_add(&quota->bytes, bytes_of(fd, &stat));
	pthread_mutex_lock(&quota->mutex);
	release(quota, file);
	pthread_mutex_unlock(&quota->mutex);
}

/* From now on a removal leaves its bytes to the last close. kept: it was removed, and has them. */
static int begin_open(const struct files_share *share, const struct stat *stat, bool kept,
		      struct quota_file **out)
{
	/* Also in a share that is read-only: the file may be in another one. */
	struct files_quota *quota = share->quota;

	*out = NULL;
	if (!quota || !S_ISREG(stat->st_mode))
		return 0;
	pthread_mutex_lock(&quota->mutex);
	*out = get(quota, stat);
	if (*out) {
		(*out)->opens++;
		(*out)->kept |= kept;
	}
	pthread_mutex_unlock(&quota->mutex);
	return *out ? 0 : -ENOMEM;
}

int quota_opened(const struct files_share *share, int fd, const struct stat *stat,
		 struct quota_file **out)
{
	int ret = begin_open(share, stat, false, out);
	struct stat now;

	if (ret == 0 && *out && fstat(fd, &now) == 0 && is_gone(&now))
		adopt(share->quota, *out, fd);
	return ret;
}

int quota_passed(const struct files_share *share, int fd, const struct stat *stat,
		 struct quota_file **out)
{
	(void)fd;
	return begin_open(share, stat, is_gone(stat), out);
}

void quota_closed(const struct files_share *share, struct quota_file *file, int fd)
{
	struct files_quota *quota = share->quota;
	struct stat stat;
	bool last;

	if (!file)
		return;
	pthread_mutex_lock(&quota->mutex);
	last = --file->opens == 0 && file->kept;
	pthread_mutex_unlock(&quota->mutex);
	if (last && fstat(fd, &stat) == 0 && is_gone(&stat))
		give_back(&quota->bytes, bytes_of(fd, &stat));
	pthread_mutex_lock(&quota->mutex);
	put(quota, file);
	pthread_mutex_unlock(&quota->mutex);
}
