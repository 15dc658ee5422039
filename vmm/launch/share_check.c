/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/share_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/launch/share_leads.h"
#include "vmm/policy/protected.h"
#include "vmm/policy/risks.h"

#define DEPTH_MAX 2 /* how far beneath a share repositories are looked for */

static bool has(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Compares inodes, not names: a directory may be mounted at a second place. */
static bool is_above(const char *path, const char *home)
{
	struct stat share, status;
	char place[PATH_MAX], *slash;

	if (!home || !realpath(home, place) || strcmp(place, "/") == 0 || stat(path, &share) < 0)
		return false;
	do {
		if (stat(place, &status) == 0 && status.st_dev == share.st_dev &&
		    status.st_ino == share.st_ino)
			return true;
		slash = strrchr(place, '/');
		*slash = '\0';
	} while (slash > place);
	return false;
}

/*
 * The user's home directory: $HOME, the one in passwd, and that of the user who called sudo or the
 * like.
 */
static bool reaches_home(const char *path, const char *home)
{
	static const char *const numbers[] = {"SUDO_UID", "PKEXEC_UID"};
	const struct passwd *user = getpwuid(getuid());
	const char *value;
	size_t i;

	if (is_above(path, home) || (user && is_above(path, user->pw_dir)))
		return true;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		value = getenv(numbers[i]);
		user = value ? getpwuid((uid_t)strtoul(value, NULL, 10)) : NULL;
		if (user && is_above(path, user->pw_dir))
			return true;
	}
	value = getenv("DOAS_USER");
	user = value ? getpwnam(value) : NULL;
	return user && is_above(path, user->pw_dir);
}

/* Whether git would take the directory for a .git directory or a bare repository. */
static bool is_git_directory(int directory, const char *path)
{
	const char *at = path;

	while ((at = strstr(at, "/.git"))) {
		at += 5;
		if (*at == '/' || *at == '\0')
			return true;
	}
	return has(directory, "HEAD") && has(directory, "objects") && has(directory, "refs");
}

/* Whether the directory is in a repository, so that one project or a part of it is shared. */
static bool is_in_repository(const char *path)
{
	char place[PATH_MAX + 8], *slash = place + strlen(path);

	memcpy(place, path, strlen(path) + 1);
	for (; slash > place; slash = memrchr(place, '/', (size_t)(slash - place))) {
		strcpy(slash, "/.git");
		if (access(place, F_OK) == 0)
			return true;
		*slash = '\0';
	}
	return false;
}

/*
 * Searches subdirectories for a repository, DEPTH_MAX levels deep, without following links. Closes
 * directory. *left: how many more entries to look at.
 */
static bool find_repository(int directory, unsigned depth, unsigned *left, char *found)
{
	DIR *stream = fdopendir(directory);
	size_t length = strlen(found);
	const struct dirent *entry;
	bool is_found = false;
	int child;

	if (!stream) {
		fd_close(&directory);
		return false;
	}
	while (!is_found && *left > 0 && (entry = readdir(stream))) {
		--*left;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		child = openat(dirfd(stream), entry->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (child < 0)
			continue;
		snprintf(found + length, PATH_MAX - length, "/%s", entry->d_name);
		if (has(child, ".git")) {
			is_found = true;
			fd_close(&child);
		} else if (depth < DEPTH_MAX) {
			is_found = find_repository(child, depth + 1, left, found);
		} else {
			fd_close(&child);
		}
	}
	closedir(stream);
	if (!is_found)
		found[length] = '\0';
	return is_found;
}

static int refuse(const struct policy_share *share, const char *what, struct err *err)
{
	return err_set(err, EPERM,
		       "share %.300s: %.400s: share one project's directory instead, or give "
		       "--allow-home",
		       share->host, what);
}

static int check_share(const struct policy *policy, const struct policy_share *share,
		       struct err *err)
{
	const struct protected_place *place;
	char path[PATH_MAX], found[PATH_MAX], what[PATH_MAX + 64];
	unsigned left = SHARE_CHECK_ENTRIES;
	int directory, ret = 0;

	/* A missing directory is reported when it is opened. */
	if (!realpath(share->host, path))
		return 0;
	if (strcmp(path, "/") == 0)
		return refuse(share, "it is the whole host", err);
	if (reaches_home(path, policy_source(policy)->home))
		return refuse(share,
			      "the home directory is within reach, with its keys and configuration",
			      err);
	if (share->read_only)
		return 0;
	place = protected_find(path, strlen(path));
	if (place && place->verdict == PROTECTED_HIDE) {
		snprintf(what, sizeof(what), "it is a protected place (%s)", place->reason);
		return refuse(share, what, err);
	}
	directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return 0;
	if (is_git_directory(directory, path))
		ret = refuse(share, "it is git's own directory, with configuration and hooks", err);
	snprintf(found, sizeof(found), "%s", path);
	if (ret < 0 || is_in_repository(path)) {
		fd_close(&directory);
		return ret;
	}
	if (!find_repository(directory, 1, &left, found))
		return 0;
	snprintf(what, sizeof(what), "it is above repositories (%.300s)", found);
	return refuse(share, what, err);
}

int share_check_reach(const struct policy *policy, struct err *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < policy_share_count(policy); i++)
		ret = check_share(policy, policy_share(policy, i), err);
	return ret;
}

int share_check_reach_of(const struct policy *policy, const char *guest, struct err *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < policy_share_count(policy); i++)
		if (strcmp(policy_share(policy, i)->guest, guest) == 0)
			ret = check_share(policy, policy_share(policy, i), err);
	return ret;
}

/* --- warnings --------------------------------------------------------------------------------- */

static bool is_present(void *arg, const struct policy_share *share, const char *place)
{
	char path[PATH_MAX];
	struct stat status;

	(void)arg;
	return snprintf(path, sizeof(path), "%s/%s", share->host, place) < (int)sizeof(path) &&
	       lstat(path, &status) == 0;
}

static void warn(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

void share_warn(const struct policy *policy)
{
	const struct policy_risk_ops ops = {.present = is_present, .report = warn};

	policy_risks(policy, &ops);
	share_leads(policy, &ops);
}
