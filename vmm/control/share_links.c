/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/share_links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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

int share_links_check_share(const struct policy_share *share, const char *path, const char *what,
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
		ret = share_links_check_share(policy_share(policy, i), path, what, err);
	return ret;
}
