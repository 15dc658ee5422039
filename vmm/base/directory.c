/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

static int make_directory(const char *path, struct err *err)
{
	struct stat status;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s", path);
	if (stat(path, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISDIR(status.st_mode))
		return err_set(err, ENOTDIR, "%s: not a directory", path);
	return 0;
}

/* What another user could write here would run as a machine's saved state. */
static int check_owner(const char *path, struct err *err)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
		return err_set(err, EPERM,
			       "%s: must be a directory that you own and no other user can write "
			       "(chmod 700)",
			       path);
	return 0;
}

/* Writes the path of the user's cache. Returns its length or -errno with a message. */
static int find_cache(char path[PATH_MAX], struct err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int used;

	if (cache && cache[0] == '/')
		used = snprintf(path, PATH_MAX, "%s", cache);
	else if (home && home[0] == '/')
		used = snprintf(path, PATH_MAX, "%s/.cache", home);
	else
		return err_set(err, ENOENT, "no cache directory: set HOME or XDG_CACHE_HOME");
	if (used > PATH_MAX - 256)
		return err_set(err, ENAMETOOLONG, "the path of the cache directory is too long");
	return used;
}

int directory_cache_path(char path[PATH_MAX], struct err *err)
{
	int used = find_cache(path, err);

	if (used < 0)
		return used;
	strcpy(path + used, "/cordon");
	return 0;
}

int directory_in_cache(const char *name, char path[PATH_MAX], struct err *err)
{
	const char *const below[] = {"cordon", name};
	size_t i;
	int ret = find_cache(path, err);

	if (ret < 0)
		return ret;
	ret = make_directory(path, err);
	for (i = 0; ret == 0 && i < ARRAY_SIZE(below); i++) {
		strcat(strcat(path, "/"), below[i]);
		ret = make_directory(path, err);
		if (ret == 0)
			ret = check_owner(path, err);
	}
	return ret;
}

int directory_state_path(char path[PATH_MAX], struct err *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int used;

	if (state && state[0] == '/')
		used = snprintf(path, PATH_MAX, "%s/cordon", state);
	else if (home && home[0] == '/')
		used = snprintf(path, PATH_MAX, "%s/.local/state/cordon", home);
	else if (geteuid() == 0)
		used = snprintf(path, PATH_MAX, "/var/lib/cordon");
	else
		used = snprintf(path, PATH_MAX, "/var/tmp/cordon-%u", (unsigned)geteuid());
	if (used > PATH_MAX - 256)
		return err_set(err, ENAMETOOLONG, "the path of the state directory is too long");
	return 0;
}

int directory_in_state(char path[PATH_MAX], struct err *err)
{
	char *slash;
	int ret = directory_state_path(path, err);

	if (ret < 0)
		return ret;
	/* Usually it exists. Otherwise only the missing parents are created. */
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return check_owner(path, err);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ret = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (ret < 0 && access(path, F_OK) < 0 && ret != -EACCES && ret != -EROFS)
			return err_code(err, -ret, "%s", path);
	}
	ret = make_directory(path, err);
	return ret == 0 ? check_owner(path, err) : ret;
}
