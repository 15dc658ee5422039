/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/share_links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/base/fd.h"

static bool is_beneath(const char *path, const char *top)
{
	size_t length = strlen(top);

	if (strcmp(top, "/") == 0)
		return true;
	return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Whether the rest of a path, resolved from a directory, leads through a link. */
static bool leads_through_link(const char *directory, const char *rest)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	int top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	bool link;

	rest += strspn(rest, "/");
	if (top < 0 || !*rest) {
		fd_close(&top);
		return false;
	}
	fd = (int)syscall(SYS_openat2, top, rest, &how, sizeof(how));
	link = fd < 0 && errno == ELOOP;
	fd_close(&fd);
	fd_close(&top);
	return link;
}

/* Whether the path enters the share, and its rest leads through a link. */
static bool enters_and_follows_link(const char *path, const char *share)
{
	char part[PATH_MAX], real[PATH_MAX];
	size_t length;

	for (length = 1; length <= strlen(path) && length < sizeof(part); length++) {
		if (path[length] && path[length] != '/')
			continue;
		memcpy(part, path, length);
		part[length] = '\0';
		if (realpath(part, real) && is_beneath(real, share))
			return leads_through_link(real, path + length);
	}
	return false;
}

static int check_share(const struct policy_share *share, const char *path, const char *what,
		       struct err *err)
{
	char top[PATH_MAX];

	if (share->read_only || !realpath(share->host, top) || !enters_and_follows_link(path, top))
		return 0;
	return err_set(err, ELOOP,
		       "%s %s leads through a symbolic link within the share %s, which a guest may "
		       "have made: name the directory it leads to",
		       what, path, share->host);
}

int share_links_check(const struct policy *policy, const char *path, const char *what,
		      struct err *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < policy_share_count(policy); i++)
		ret = check_share(policy_share(policy, i), path, what, err);
	return ret;
}

/* --- a walk ----------------------------------------------------------------------------------- */

#define LINKS_MAX 40 /* as the kernel's */

int share_tops_add(struct share_tops *tops, const char *path)
{
	char **more;
	unsigned i;

	for (i = 0; i < tops->count; i++)
		if (strcmp(tops->path[i], path) == 0)
			return 0;
	more = realloc(tops->path, (tops->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	tops->path = more;
	more[tops->count] = strdup(path);
	if (!more[tops->count])
		return -ENOMEM;
	tops->count++;
	return 0;
}

int share_tops_of(struct share_tops *tops, const struct policy *policy)
{
	const struct policy_share *share;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < policy_share_count(policy); i++) {
		share = policy_share(policy, i);
		if (!share->read_only)
			ret = share_tops_add(tops, share->host);
	}
	return ret;
}

void share_tops_free(struct share_tops *tops)
{
	while (tops->count > 0)
		free(tops->path[--tops->count]);
	free(tops->path);
	tops->path = NULL;
}

/* The writable share that a directory lies in, or, unless inside, is; NULL: none. */
static const char *top_of(const struct share_tops *tops, int directory, bool inside)
{
	char path[PATH_MAX], top[PATH_MAX];
	int ret = fd_real_path(directory, path);
	unsigned i;

	/* What can't be told is taken for one. */
	for (i = 0; i < tops->count; i++)
		if (ret < 0 || (realpath(tops->path[i], top) && is_beneath(path, top) &&
				!(inside && strcmp(path, top) == 0)))
			return tops->path[i];
	return NULL;
}

/*
 * Links of procfs lead to an open file or a directory of another process, for which their text is
 * only a name: no guest makes them, and only the kernel can follow them.
 */
static bool is_magic(int link)
{
	struct statfs status;

	return fstatfs(link, &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

/* Puts a link's target in front of what is left of the path. 0 or -errno. */
static int expand(int link, char rest[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	size_t length = strlen(rest);

	if (n < 0)
		return -errno;
	if ((size_t)n + 1 + length >= PATH_MAX)
		return -ENAMETOOLONG;
	memmove(rest + n + 1, rest, length + 1);
	memcpy(rest, target, (size_t)n);
	rest[n] = '/';
	return 0;
}

struct walk {
	const struct share_tops *tops;
	const char *path, *what; /* as given */
	char rest[PATH_MAX];
	int at;
	unsigned links;
};

static int follows_link(const struct walk *walk, const char *share, struct err *err)
{
	return err_set(err, ELOOP,
		       "the %s %.1000s leads through a symbolic link within the share %.1000s, "
		       "which a guest may have made: name the directory it leads to",
		       walk->what, walk->path, share);
}

/* Goes one name further. 0 or -errno with a message. */
static int step(struct walk *walk, struct err *err)
{
	size_t length = strcspn(walk->rest, "/");
	char name[PATH_MAX];
	const char *share;
	struct stat stat;
	int next, ret = 0;

	memcpy(name, walk->rest, length);
	name[length] = '\0';
	memmove(walk->rest, walk->rest + length, strlen(walk->rest + length) + 1);
	share = strcmp(name, "..") == 0 ? top_of(walk->tops, walk->at, true) : NULL;
	if (share)
		return err_set(err, ELOOP,
			       "the %s %.1000s leads through '..' within the share %.1000s, "
			       "where a guest may move directories: give the path without it",
			       walk->what, walk->path, share);
	next = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (next >= 0 && is_magic(next)) {
		fd_close(&next);
		next = openat(walk->at, name, O_PATH | O_CLOEXEC);
	}
	if (next < 0 || fstat(next, &stat) < 0) {
		ret = err_sys(err, "%s %.1000s", walk->what, walk->path);
		fd_close(&next);
		return ret;
	}
	if (!S_ISLNK(stat.st_mode)) {
		fd_close(&walk->at);
		walk->at = next;
		return 0;
	}
	share = top_of(walk->tops, walk->at, false);
	if (share)
		ret = follows_link(walk, share, err);
	else if (++walk->links > LINKS_MAX || (ret = expand(next, walk->rest)) < 0)
		ret = err_code(err, ret < 0 ? -ret : ELOOP, "%s %.1000s", walk->what, walk->path);
	fd_close(&next);
	return ret;
}

/* An absolute path, or target of a link, starts at the top. */
static int start(struct walk *walk, struct err *err)
{
	if (walk->rest[0] != '/' && walk->at >= 0)
		return 0;
	fd_close(&walk->at);
	walk->at = open(walk->rest[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->at < 0 ? err_sys(err, "%s %.1000s", walk->what, walk->path) : 0;
}

/* Goes to the end of the path. 0 or -errno with a message. */
static int go(struct walk *walk, struct err *err)
{
	struct stat stat;
	bool absolute = true;
	int ret = 0;

	while (ret == 0 && (absolute || walk->rest[0])) {
		unsigned links = walk->links;

		if (absolute)
			ret = start(walk, err);
		memmove(walk->rest, walk->rest + strspn(walk->rest, "/"),
			strlen(walk->rest + strspn(walk->rest, "/")) + 1);
		if (ret == 0 && walk->rest[0])
			ret = step(walk, err);
		/* Only a link's target may begin anew. */
		absolute = walk->links > links && walk->rest[0] == '/';
	}
	if (ret == 0 && (fstat(walk->at, &stat) < 0 || !S_ISDIR(stat.st_mode)))
		ret = err_set(err, ENOTDIR, "%s %.1000s: not a directory", walk->what, walk->path);
	return ret;
}

static int too_long(const struct walk *walk, struct err *err)
{
	return err_set(err, ENAMETOOLONG, "%s %.200s...: the path is too long", walk->what,
		       walk->path);
}

int share_links_open(const struct share_tops *tops, const char *path, const char *what,
		     struct err *err)
{
	struct walk walk = {.tops = tops, .path = path, .what = what, .at = -1};
	int ret;

	if (!path[0])
		return err_code(err, ENOENT, "%s ''", what);
	if (snprintf(walk.rest, sizeof(walk.rest), "%s", path) >= (int)sizeof(walk.rest))
		return too_long(&walk, err);
	ret = go(&walk, err);
	if (ret < 0)
		fd_close(&walk.at);
	return ret < 0 ? ret : walk.at;
}

int share_links_open_parent(const struct share_tops *tops, const char *path, const char *what,
			    const char **name, struct err *err)
{
	struct walk walk = {.tops = tops, .path = path, .what = what, .at = -1};
	const char *slash = strrchr(path, '/'), *share;
	struct stat status;
	int ret;

	*name = slash ? slash + 1 : path;
	if (!path[0])
		return err_code(err, ENOENT, "%s ''", what);
	if (strlen(path) >= sizeof(walk.rest))
		return too_long(&walk, err);
	snprintf(walk.rest, sizeof(walk.rest), "%.*s", (int)(*name - path), path);
	ret = go(&walk, err);
	share = ret == 0 ? top_of(tops, walk.at, false) : NULL;
	if (share && (*name)[0] && fstatat(walk.at, *name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(status.st_mode))
		ret = follows_link(&walk, share, err);
	if (ret < 0)
		fd_close(&walk.at);
	return ret < 0 ? ret : walk.at;
}
