/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/planted.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/base/text.h"
#include "vmm/control/planted_index.h"

struct walk {
	const struct planted_ops *ops;
	const struct timespec *since;
	dev_t device;
	unsigned left, found;
	uint64_t deadline;
	char path[PATH_MAX];
};

static bool is_since(const struct walk *walk, const struct timespec *time)
{
	return !walk->since || time->tv_sec > walk->since->tv_sec ||
	       (time->tv_sec == walk->since->tv_sec && time->tv_nsec >= walk->since->tv_nsec);
}

static void report(struct walk *walk, const char *what)
{
	char path[2 * PATH_MAX], text[2 * PATH_MAX + 256];

	if (++walk->found > PLANTED_NAMED_MAX)
		return;
	/* The guest chose the path. */
	text_safe(path, sizeof(path), walk->path, strlen(walk->path), 0);
	snprintf(text, sizeof(text), "%s: %s", path, what);
	walk->ops->report(walk->ops->arg, text);
}

static bool look(int directory, const char *name, struct stat *status)
{
	return fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Reports a directory that git takes for a bare repository, whatever kind of file HEAD is. */
static void check_bare(struct walk *walk, int directory, const struct stat *self)
{
	static const char *const names[] = {"HEAD", "config", "commondir", "hooks", "objects"};
	struct stat status;
	bool is_new = is_since(walk, &self->st_ctim);
	size_t i;

	if (!look(directory, "HEAD", &status) ||
	    (!look(directory, "commondir", &status) &&
	     (!look(directory, "objects", &status) || !look(directory, "refs", &status))))
		return;
	for (i = 0; i < ARRAY_SIZE(names) && !is_new; i++)
		is_new = look(directory, names[i], &status) && is_since(walk, &status.st_ctim);
	if (is_new)
		report(walk,
		       "git takes this for a bare repository, with its configuration and hooks: "
		       "inspect it before you use git in it, or set safe.bareRepository to "
		       "explicit");
}

/* Reports an index that names files in .git, is damaged, or is too large to check. */
static void check_index(struct walk *walk, int parent)
{
	int fd = openat(parent, ".git/index", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool bad = false;
	struct stat status;
	void *bytes;
	ssize_t n;

	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    is_since(walk, &status.st_ctim)) {
		bad = status.st_size > PLANTED_INDEX_MAX;
		bytes = bad ? NULL : malloc((size_t)status.st_size + 1);
		n = bytes ? fd_read_full(fd, bytes, (size_t)status.st_size) : 0;
		bad = bad || (n > 0 && planted_index_is_bad(bytes, (size_t)n));
		free(bytes);
	}
	fd_close(&fd);
	if (bad)
		report(walk, "its index names files in .git, which git would write, or is damaged: "
			     "remove .git/index and recreate it with git reset");
}

/* Reports a .git directory that is new, and symbolic links in it that git would write through. */
static void check_own(struct walk *walk, int parent)
{
	static const char *const names[] = {
		"",
		"/HEAD",
		"/index",
		"/COMMIT_EDITMSG",
		"/MERGE_MSG",
		"/SQUASH_MSG",
		"/ORIG_HEAD",
		"/FETCH_HEAD",
		"/logs",
		"/logs/HEAD",
		"/packed-refs",
		"/refs",
		"/refs/heads",
		"/objects",
	};
	struct statx status;
	struct timespec born;
	struct stat link;
	char name[64];
	size_t i;

	check_index(walk, parent);
	if (!walk->since)
		return;
	if (statx(parent, ".git", AT_SYMLINK_NOFOLLOW, STATX_BTIME, &status) == 0 &&
	    (status.stx_mask & STATX_BTIME)) {
		born = (struct timespec){status.stx_btime.tv_sec, status.stx_btime.tv_nsec};
		if (is_since(walk, &born))
			report(walk, "its .git has appeared: inspect it before you use git there");
	}
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), ".git%s", names[i]);
		if (look(parent, name, &link) && S_ISLNK(link.st_mode) &&
		    is_since(walk, &link.st_ctim)) {
			report(walk, "a symbolic link has appeared in its .git: git would write "
				     "through it");
			return;
		}
	}
}

static void walk_directory(struct walk *walk, int directory, unsigned depth);

static void enter(struct walk *walk, int parent, const char *name, unsigned depth)
{
	size_t length = strlen(walk->path);
	int child =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (child < 0)
		return;
	if (snprintf(walk->path + length, sizeof(walk->path) - length, "/%s", name) <
	    (int)(sizeof(walk->path) - length))
		walk_directory(walk, child, depth + 1);
	else
		fd_close(&child);
	walk->path[length] = '\0';
}

/* Closes directory. */
static void walk_directory(struct walk *walk, int directory, unsigned depth)
{
	const struct dirent *entry;
	struct stat self;
	DIR *stream;

	if (fstat(directory, &self) < 0 || self.st_dev != walk->device ||
	    !(stream = fdopendir(directory))) {
		fd_close(&directory);
		return;
	}
	check_bare(walk, directory, &self);
	while (walk->left > 0 && loop_now_ns() < walk->deadline && (entry = readdir(stream))) {
		walk->left--;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (strcmp(entry->d_name, ".git") == 0)
			check_own(walk, directory);
		else if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
			 depth < PLANTED_DEPTH_MAX)
			enter(walk, directory, entry->d_name, depth);
	}
	closedir(stream);
}

/* Closes directory. */
static unsigned find(int directory, const char *label, const struct timespec *since,
		     const struct planted_ops *ops)
{
	struct walk walk = {
		.ops = ops,
		.since = since,
		.left = PLANTED_ENTRIES_MAX,
		.deadline = loop_now_ns() + PLANTED_MS_MAX * 1000000ull,
	};
	struct stat status;
	char text[64];

	if (fstat(directory, &status) < 0 ||
	    snprintf(walk.path, sizeof(walk.path), "%s", label) >= (int)sizeof(walk.path)) {
		fd_close(&directory);
		return 0;
	}
	walk.device = status.st_dev;
	walk_directory(&walk, directory, 0);
	/* Not at the end of a session: every large project would get this. */
	if (!since && (walk.left == 0 || loop_now_ns() >= walk.deadline))
		ops->report(ops->arg, "too large: only a part was searched for repositories");
	if (walk.found > PLANTED_NAMED_MAX) {
		snprintf(text, sizeof(text), "and %u more such places",
			 walk.found - PLANTED_NAMED_MAX);
		ops->report(ops->arg, text);
	}
	return walk.found;
}

unsigned planted_find(const char *top, const struct timespec *since, const struct planted_ops *ops)
{
	int directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return directory < 0 ? 0 : find(directory, top, since, ops);
}

unsigned planted_find_in(int top, const char *label, const struct timespec *since,
			 const struct planted_ops *ops)
{
	int directory = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return directory < 0 ? 0 : find(directory, label, since, ops);
}

struct timespec planted_now(void)
{
	struct timespec now = {.tv_sec = 0};

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}
