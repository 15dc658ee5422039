/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/remember.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define SET_ID ((uint32_t)(S_ISUID | S_ISGID))

/* A number, and the character that must follow it. */
static bool take(const char **at, int base, char end, uint32_t most, uint32_t *to)
{
	unsigned long value;
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	value = strtoul(*at, &stop, base);
	if (errno || *stop != end || value > most)
		return false;
	*to = (uint32_t)value;
	*at = stop + 1;
	return true;
}

static bool is_mode(uint32_t mode)
{
	uint32_t type = mode & S_IFMT;

	return !(mode & ~(S_IFMT | SET_ID)) && (type == 0 || type == S_IFIFO || type == S_IFSOCK ||
						type == S_IFCHR || type == S_IFBLK);
}

void remembered_get(const struct files_share *share, int fd, struct remembered *out)
{
	char path[FD_PATH_SIZE], text[64];
	const char *at = text;
	ssize_t n;

	*out = (struct remembered){.any = false};
	if (!share->remember || fd < 0)
		return;
	fd_path(path, fd);
	n = getxattr(path, FILES_STAT_ATTRIBUTE, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	out->any = take(&at, 10, ':', 65535, &out->uid) && take(&at, 10, ':', 65535, &out->gid) &&
		   take(&at, 8, ':', S_IFMT | SET_ID, &out->mode) &&
		   take(&at, 10, '\0', UINT32_MAX, &out->rdev) && at == text + n + 1 &&
		   is_mode(out->mode);
	if (!out->any)
		*out = (struct remembered){.any = false};
}

int remembered_set(int fd, const struct remembered *remembered)
{
	char path[FD_PATH_SIZE], text[64];
	int n = snprintf(text, sizeof(text), "%u:%u:%o:%u", remembered->uid, remembered->gid,
			 remembered->mode, remembered->rdev);

	fd_path(path, fd);
	return setxattr(path, FILES_STAT_ATTRIBUTE, text, (size_t)n, 0) < 0 ? -EPERM : 0;
}

int remembered_kill(const struct files_share *share, int fd)
{
	struct remembered remembered;

	remembered_get(share, fd, &remembered);
	if (!(remembered.mode & SET_ID))
		return 0;
	remembered.mode &= ~SET_ID;
	return remembered_set(fd, &remembered);
}
