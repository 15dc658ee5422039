/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/remember.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "vmm/files/remember_table.h"

#define ID_MAX 65535u
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

bool remembered_valid(const struct remembered *remembered)
{
	return remembered->uid <= ID_MAX && remembered->gid <= ID_MAX && is_mode(remembered->mode);
}

static bool can_carry(const struct stat *stat)
{
	return S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode);
}

/* What the attribute has. */
static void get_carried(int fd, struct remembered *out)
{
	char path[FD_PATH_SIZE], text[64];
	const char *at = text;
	ssize_t n;

	fd_path(path, fd);
	n = getxattr(path, FILES_STAT_ATTRIBUTE, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	out->any = take(&at, 10, ':', ID_MAX, &out->uid) && take(&at, 10, ':', ID_MAX, &out->gid) &&
		   take(&at, 8, ':', S_IFMT | SET_ID, &out->mode) &&
		   take(&at, 10, '\0', UINT32_MAX, &out->rdev) && at == text + n + 1 &&
		   is_mode(out->mode);
	if (!out->any)
		*out = (struct remembered){.any = false};
}

void remembered_get(const struct tree *tree, int fd, const struct stat *stat,
		    struct remembered *out)
{
	*out = (struct remembered){.any = false};
	if (!tree->share->remember || fd < 0)
		return;
	/* What is in the table is newer: the file did not take it. */
	remember_table_get(tree->table, fd, stat, out);
	if (!out->any && can_carry(stat))
		get_carried(fd, out);
}

int remembered_set(const struct tree *tree, int fd, const struct stat *stat,
		   const struct remembered *remembered)
{
	char path[FD_PATH_SIZE], text[64];
	int n = snprintf(text, sizeof(text), "%u:%u:%o:%u", remembered->uid, remembered->gid,
			 remembered->mode, remembered->rdev);

	fd_path(path, fd);
	if (!can_carry(stat) || setxattr(path, FILES_STAT_ATTRIBUTE, text, (size_t)n, 0) < 0)
		return remember_table_set(tree->table, fd, stat, remembered);
	remember_table_drop(tree->table, stat);
	return 0;
}

int remembered_kill(const struct tree *tree, int fd)
{
	struct remembered remembered;
	struct stat stat;

	if (!tree->share->remember)
		return 0;
	if (fstat(fd, &stat) < 0)
		return -errno;
	remembered_get(tree, fd, &stat, &remembered);
	if (!(remembered.mode & SET_ID))
		return 0;
	remembered.mode &= ~SET_ID;
	return remembered_set(tree, fd, &stat, &remembered);
}
