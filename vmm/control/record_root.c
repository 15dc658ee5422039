/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of all records: its lock, removal of records, bounds. */
#include "vmm/control/record_root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/directory.h"
#include "vmm/base/log.h"

const struct record_bounds record_bounds = {.named = 128, .runs = 32, .bytes = 512ull << 20};

/* The lock is held only briefly; a holder that was stopped must not block others for ever. */
#define LOCK_US	   1000
#define LOCK_TRIES 5000

/* A monitor that was killed holds its record until its last thread has ended. */
#define DYING_US 1000
#define DYINGS	 2000

/* --- one record ------------------------------------------------------------------------------- */

static int open_directory(int root_fd, const char *id)
{
	return openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Calls each() with every file of a directory; with none if no descriptor is free. */
static void each_file(int fd, void (*each)(int fd, const char *name, void *arg), void *arg)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *item;

	if (!directory) {
		fd_close(&copy);
		return;
	}
	while ((item = readdir(directory)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			each(fd, item->d_name, arg);
	closedir(directory);
}

static void add_size(int fd, const char *name, void *arg)
{
	struct stat status;

	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
		*(uint64_t *)arg += (uint64_t)status.st_size;
}

uint64_t root_size(int root_fd, const char *id)
{
	int fd = open_directory(root_fd, id);
	uint64_t bytes = 0;

	if (fd >= 0)
		each_file(fd, add_size, &bytes);
	fd_close(&fd);
	return bytes;
}

static void remove_file(int fd, const char *name, void *arg)
{
	(void)arg;
	unlinkat(fd, name, 0);
}

/* Removes a record's directory, which contains only files. 0, also if there is none, or -errno. */
static int remove_directory(int root_fd, const char *name)
{
	int fd = open_directory(root_fd, name);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0)
		each_file(fd, remove_file, NULL);
	fd_close(&fd);
	return unlinkat(root_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

bool root_lives(const struct record_root *root, const char *id)
{
	int fd = open_directory(root->fd, id);
	bool lives = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	fd_close(&fd);
	return lives;
}

bool root_is_held(const struct record_root *root, const char *id)
{
	struct record_info info;
	int tries;

	for (tries = 0; tries < DYINGS; tries++) {
		if (!root_lives(root, id))
			return false;
		if (record_read(id, &info, NULL) == 0 && info.end == RECORD_NONE && info.pid > 0 &&
		    kill(info.pid, 0) == 0 && !registry_is_dying(info.pid))
			return true;
		usleep(DYING_US);
	}
	return true;
}

int root_remove(const struct record_root *root, const char *id)
{
	int ret;

	/* Renamed first: no reader finds an incomplete record. */
	if (renameat(root->fd, id, root->fd, RECORD_REMOVING) < 0)
		return -errno;
	ret = remove_directory(root->fd, RECORD_REMOVING);
	/* It contains foreign files: restore the name, or no other record could be removed. */
	if (ret < 0 && renameat(root->fd, RECORD_REMOVING, root->fd, id) < 0)
		log_debug("%s/%s: %s", root->path, RECORD_REMOVING, strerror(errno));
	return ret;
}

/* --- all of them ------------------------------------------------------------------------------ */

int root_lock(struct record_root *root, struct err *err)
{
	int tries = 0, ret = directory_in_state(root->path, err);

	if (ret < 0)
		return ret;
	root->fd = open(root->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root->fd < 0)
		return err_sys(err, "%s", root->path);
	while (flock(root->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && ++tries < LOCK_TRIES) {
			usleep(LOCK_US);
			continue;
		}
		ret = err_sys(err, "%s: cannot lock it", root->path);
		fd_close(&root->fd);
		return ret;
	}
	/* Only the holder of the lock makes and removes: these are leftovers. */
	remove_directory(root->fd, RECORD_REMOVING);
	ret = remove_directory(root->fd, RECORD_MAKING);
	if (ret < 0) {
		err_code(err, -ret, "%s: cannot remove leftovers", root->path);
		root_unlock(root);
	}
	return ret;
}

void root_unlock(struct record_root *root)
{
	fd_close(&root->fd);
}

void root_each(int root_fd, bool (*each)(void *arg, const char *id), void *arg)
{
	int copy = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *item;

	if (!directory) {
		fd_close(&copy);
		return;
	}
	while ((item = readdir(directory)))
		if (record_check_id(item->d_name, NULL) == 0 && !each(arg, item->d_name))
			break;
	closedir(directory);
}

/* --- bounds ----------------------------------------------------------------------------------- */

struct candidate {
	char id[RECORD_ID_MAX + 1];
	struct timespec changed; /* when its last file was made: at its end, if it has one */
	uint64_t bytes;
	bool run;
};

struct candidates {
	const struct record_root *root;
	struct candidate *list;
	size_t count, capacity;
};

static bool add_candidate(void *arg, const char *id)
{
	struct candidates *all = arg;
	struct candidate *more;
	struct stat status;

	/* Foreign files in the directory are left alone. */
	if (fstatat(all->root->fd, id, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(status.st_mode))
		return true;
	if (all->count == all->capacity) {
		all->capacity = all->capacity ? 2 * all->capacity : 64;
		more = realloc(all->list, all->capacity * sizeof(*more));
		if (!more)
			return false;
		all->list = more;
	}
	more = &all->list[all->count++];
	*more = (struct candidate){
		.changed = status.st_mtim,
		.run = strncmp(id, REGISTRY_RUN_PREFIX, strlen(REGISTRY_RUN_PREFIX)) == 0,
	};
	snprintf(more->id, sizeof(more->id), "%.*s", RECORD_ID_MAX, id);
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct candidate *)a)->changed;
	const struct timespec *y = &((const struct candidate *)b)->changed;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

/* Whether the numbers are within the bounds, running sandboxes included. */
static bool within_numbers(const struct candidates *all, const struct record_bounds *bounds)
{
	size_t runs = 0, i;

	for (i = 0; i < all->count; i++)
		runs += all->list[i].run;
	return runs <= bounds->runs + RECORD_RUNS_SLACK && all->count - runs <= bounds->named;
}

int root_prune(const struct record_root *root, const struct record_bounds *bounds)
{
	struct candidates all = {.root = root};
	struct candidate *one;
	unsigned named = 0, runs = 0;
	uint64_t bytes = 0;
	bool sizes = bounds->bytes != UINT64_MAX;
	int removed = 0;
	size_t i;

	root_each(root->fd, add_candidate, &all);
	if (!sizes && within_numbers(&all, bounds))
		all.count = 0;
	if (all.count > 0)
		qsort(all.list, all.count, sizeof(*all.list), newest_first);
	for (i = 0; i < all.count; i++) {
		one = &all.list[i];
		if (root_lives(root, one->id))
			continue;
		if (sizes)
			bytes += root_size(root->fd, one->id);
		*(one->run ? &runs : &named) += 1;
		if ((one->run ? runs > bounds->runs : named > bounds->named) ||
		    (sizes && bytes > bounds->bytes))
			removed += root_remove(root, one->id) == 0;
	}
	free(all.list);
	return removed;
}

int record_prune(const struct record_bounds *bounds, struct err *err)
{
	struct record_root root;
	int ret = root_lock(&root, err);

	if (ret < 0)
		return ret;
	ret = root_prune(&root, bounds);
	root_unlock(&root);
	return ret;
}

int record_remove(const char *id, struct err *err)
{
	struct record_root root;
	struct record_info info;
	int ret = record_read(id, &info, err);

	if (ret == 0)
		ret = root_lock(&root, err);
	if (ret < 0)
		return ret;
	if (root_is_held(&root, id))
		ret = err_set(err, EBUSY, "%s is running (process %d): stop or kill it first", id,
			      (int)info.pid);
	else
		ret = root_remove(&root, id);
	if (ret == -ENOENT)
		err_set(err, ESRCH, "no sandbox is called %s: see 'cordon ps -a'", id);
	else if (ret < 0 && ret != -EBUSY)
		err_code(err, -ret, "%s/%s", root.path, id);
	root_unlock(&root);
	return ret;
}
