/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places that no writable share may contain: audit logs, records, directories of running sandboxes,
 * and the cache, whose templates and images other sandboxes start from.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/directory.h"
#include "vmm/launch/policy_file.h"
#include "vmm/control/registry.h"

static bool is_same(const char *path, const struct stat *place)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_ino == place->st_ino &&
	       status.st_dev == place->st_dev;
}

/*
 * Whether an absolute path, or a directory above it, is the place. Compares inodes, not names, so
 * that a bind mount does not hide the place. Components that do not exist are skipped.
 */
static bool leads_through(const char *path, const struct stat *place)
{
	char above[PATH_MAX], *slash;

	snprintf(above, sizeof(above), "%s", path);
	while (above[0]) {
		if (is_same(above, place))
			return true;
		slash = strrchr(above, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return is_same("/", place);
}

/* The real path of the longest part of a path that exists. */
static bool resolve(const char *path, char real[PATH_MAX])
{
	char above[PATH_MAX], *slash;

	snprintf(above, sizeof(above), "%s", path);
	while (!realpath(above, real)) {
		slash = strrchr(above, '/');
		if (!slash || slash == above)
			return realpath("/", real) != NULL;
		*slash = '\0';
	}
	return true;
}

/*
 * By the path as given and by its real path: the guest could redirect a link that lies in a share.
 */
static bool is_within(const char *path, const struct stat *place)
{
	char real[PATH_MAX];

	return leads_through(path, place) || (resolve(path, real) && leads_through(real, place));
}

struct place {
	const char *what, *path, *advice;
	bool whole; /* the directory with all in it is ours */
};

static int check_share(const struct place *place, const char *host, struct err *err)
{
	struct stat share, own;
	char real[PATH_MAX];

	if (stat(host, &share) < 0)
		return 0; /* a missing directory is reported when it is opened */
	if (is_within(place->path, &share))
		return err_set(
			err, EINVAL,
			"%s %.200s is within the share %.200s, where the guest could change it: "
			"%s",
			place->what, place->path, host, place->advice);
	if (place->whole && stat(place->path, &own) == 0 && realpath(host, real) &&
	    leads_through(real, &own))
		return err_set(
			err, EINVAL,
			"the share %.200s is within %.200s (%s), where the guest could change "
			"it: share another directory",
			host, place->path, place->what);
	return 0;
}

static int check_place(const struct policy *policy, const struct place *place, struct err *err)
{
	const struct policy_share *share;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < policy_share_count(policy); i++) {
		share = policy_share(policy, i);
		if (!share->read_only)
			ret = check_share(place, share->host, err);
	}
	return ret;
}

int policy_check_outside(const struct policy *policy, const char *path, const char *what,
			 struct err *err)
{
	char absolute[PATH_MAX], cwd[PATH_MAX] = "";
	const struct place place = {what, absolute, "put it elsewhere", false};

	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_sys(err, "the working directory");
	if (snprintf(absolute, sizeof(absolute), "%s%s%s", cwd, cwd[0] ? "/" : "", path) >=
	    (int)sizeof(absolute))
		return err_set(err, ENAMETOOLONG, "%.200s: the path is too long", path);
	return check_place(policy, &place, err);
}

int policy_check_places(const struct policy *policy, const char *audit, struct err *err)
{
	char state[PATH_MAX], control[PATH_MAX], cache[PATH_MAX];
	const struct place place[] = {
		{"the directory of records", state,
		 "set XDG_STATE_HOME to a directory outside of it", true},
		{"the directory of running sandboxes", control,
		 "set XDG_RUNTIME_DIR to a directory outside of it", true},
		{"the cache of templates and images", cache,
		 "set XDG_CACHE_HOME to a directory outside of it", true},
	};
	/* Without a cache, there are no templates and images. */
	size_t count = directory_cache_path(cache, NULL) == 0 ? 3 : 2, i;
	int ret = directory_state_path(state, err);

	registry_root(control);
	for (i = 0; i < count && ret == 0; i++)
		ret = check_place(policy, &place[i], err);
	if (ret < 0 || !audit)
		return ret;
	return policy_check_outside(policy, audit, "the audit log", err);
}
