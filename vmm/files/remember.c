/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/remember.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "vmm/files/remember_table.h"

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
	return remembered->uid <= FILES_ID_MAX && remembered->gid <= FILES_ID_MAX &&
	       is_mode(remembered->mode);
}

static bool can_carry(const struct stat *stat)
{
	return S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode);
}

/* The path leads to O_PATH descriptors as well, but takes several times as long. */
static ssize_t read_attribute(int fd, bool o_path, char *text, size_t size)
{
	char path[FD_PATH_SIZE];
	ssize_t n = o_path ? -1 : fgetxattr(fd, FILES_STAT_ATTRIBUTE, text, size);

	if (!o_path && (n >= 0 || errno != EBADF))
		return n;
	fd_path(path, fd);
	return getxattr(path, FILES_STAT_ATTRIBUTE, text, size);
}

/* What the attribute has; false: that can't be told. */
static bool get_carried(int fd, bool o_path, struct remembered *out)
{
	char text[64];
	const char *at = text;
	ssize_t n = read_attribute(fd, o_path, text, sizeof(text) - 1);

	if (n < 0)
		return errno == ENODATA || errno == EOPNOTSUPP || errno == ERANGE;
	text[n] = '\0';
	out->any = take(&at, 10, ':', FILES_ID_MAX, &out->uid) &&
		   take(&at, 10, ':', FILES_ID_MAX, &out->gid) &&
		   take(&at, 8, ':', S_IFMT | SET_ID, &out->mode) &&
		   take(&at, 10, '\0', UINT32_MAX, &out->rdev) && at == text + n + 1 &&
		   is_mode(out->mode);
	if (!out->any)
		*out = (struct remembered){.any = false};
	return true;
}

/* --- kept in the node ------------------------------------------------------------------------- */

/* Those of which it is known that each change of an attribute sets the ctime (f2fs did not). */
static bool keeps_ctime(int fd)
{
	struct statfs statfs;

	if (fstatfs(fd, &statfs) < 0)
		return false;
	switch ((uint32_t)statfs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}

static bool recall(const struct node *node, const struct stat *stat, struct remembered *out)
{
	if (!node->carried.known || node->carried.ino != stat->st_ino ||
	    node->carried.dev != stat->st_dev || node->carried.ctime != stat->st_ctim.tv_sec ||
	    node->carried.ctime_ns != (uint32_t)stat->st_ctim.tv_nsec)
		return false;
	*out = (struct remembered){
		.any = node->carried.any,
		.uid = node->carried.uid,
		.gid = node->carried.gid,
		.mode = node->carried.mode,
		.rdev = node->carried.rdev,
	};
	return true;
}

static void keep(struct node *node, const struct stat *stat, const struct remembered *remembered)
{
	node->carried.known = true;
	node->carried.any = remembered->any;
	node->carried.uid = remembered->uid;
	node->carried.gid = remembered->gid;
	node->carried.mode = (uint16_t)remembered->mode;
	node->carried.rdev = remembered->rdev;
	node->carried.dev = stat->st_dev;
	node->carried.ino = stat->st_ino;
	node->carried.ctime = stat->st_ctim.tv_sec;
	node->carried.ctime_ns = (uint32_t)stat->st_ctim.tv_nsec;
}

/* --- all of it -------------------------------------------------------------------------------- */

static void get(const struct tree *tree, struct node *node, int fd, bool o_path,
		const struct stat *stat, struct remembered *out)
{
	bool settled;

	*out = (struct remembered){.any = false};
	if (!tree->share->remember || fd < 0)
		return;
	/* What is in the table is newer: the file did not take it. */
	remember_table_get(tree->table, fd, stat, out);
	if (out->any || !can_carry(stat) || (node && recall(node, stat, out)))
		return;
	/* Looked at before: a change after the attribute was read must not have this ctime. */
	settled = node && stat_has_settled(stat);
	if (get_carried(fd, o_path, out) && settled && keeps_ctime(fd))
		keep(node, stat, out);
}

void remembered_get(const struct tree *tree, struct node *node, int fd, const struct stat *stat,
		    struct remembered *out)
{
	get(tree, node, fd, false, stat, out);
}

void remembered_get_by_path(const struct tree *tree, struct node *node, int fd,
			    const struct stat *stat, struct remembered *out)
{
	get(tree, node, fd, true, stat, out);
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

int remembered_kill(const struct tree *tree, struct node *node, int fd)
{
	struct remembered remembered;
	struct stat stat;

	if (!tree->share->remember)
		return 0;
	if (fstat(fd, &stat) < 0)
		return -errno;
	remembered_get(tree, node, fd, &stat, &remembered);
	if (!(remembered.mode & SET_ID))
		return 0;
	remembered.mode &= ~SET_ID;
	return remembered_set(tree, fd, &stat, &remembered);
}
