/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that older versions unpacked to a tree of files, HEX/rootfs, are converted when they are
 * first used. Such a tree has no devices, set-id bits and attributes, and an owner only for files
 * and directories: in the attribute OWNER_ATTRIBUTE of the host's file.
 */
#include "vmm/image/cache_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/image/erofs.h"
#include "vmm/image/extract.h"

#define CHUNK (64u << 10)
/* "UID:GID" of the image; there is none for root. */
#define OWNER_ATTRIBUTE "user.cordon.owner"

/* A file with several names, and the first of them that was met. */
struct linked {
	ino_t inode;
	char path[];
};

struct conversion {
	struct erofs *fs;
	void *linked; /* a tree of tsearch(3) */
	uint64_t entries;
	char path[PATH_MAX]; /* at hand, below the root */
	uint8_t chunk[CHUNK];
};

static int add_names(struct conversion *conversion, int fd, unsigned depth, struct err *err);

/* --- one file --------------------------------------------------------------------------------- */

/* The user who unpacked it stands for root. fd: -1 for a link. */
static void note_owner(struct erofs_stat *to, int fd)
{
	char text[24];
	ssize_t length = fd < 0 ? -1 : fgetxattr(fd, OWNER_ATTRIBUTE, text, sizeof(text) - 1);
	unsigned long uid, gid;
	char *end;

	if (length < 0)
		return;
	text[length] = '\0';
	uid = strtoul(text, &end, 10);
	if (*end != ':')
		return;
	gid = strtoul(end + 1, &end, 10);
	if (*end)
		return;
	to->uid = (uint32_t)uid;
	to->gid = (uint32_t)gid;
}

static int add(struct conversion *conversion, const struct stat *status, int fd, const char *target,
	       struct err *err)
{
	struct erofs_stat to = {
		.mode = status->st_mode & (S_IFMT | 01777),
		.mtime = status->st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)status->st_mtim.tv_nsec,
	};

	note_owner(&to, fd);
	conversion->entries++;
	return erofs_add(conversion->fs, conversion->path, &to, target, err);
}

static int compare(const void *a, const void *b)
{
	const struct linked *left = a, *right = b;

	return left->inode < right->inode ? -1 : left->inode > right->inode;
}

/* 1: the file is there by another name, and now by this one too; 0: it is new. -errno with a
 * message. */
static int link_known(struct conversion *conversion, const struct stat *status, struct err *err)
{
	size_t size = strlen(conversion->path) + 1;
	struct linked *linked;
	void **found;

	if (status->st_nlink < 2)
		return 0;
	linked = malloc(sizeof(*linked) + size);
	if (!linked)
		return err_set(err, ENOMEM, "out of memory");
	linked->inode = status->st_ino;
	memcpy(linked->path, conversion->path, size);
	found = tsearch(linked, &conversion->linked, compare);
	if (!found || *found != linked)
		free(linked);
	if (!found)
		return err_set(err, ENOMEM, "out of memory");
	if (*found == linked)
		return 0;
	conversion->entries++;
	return erofs_link(conversion->fs, conversion->path, (*(struct linked **)found)->path, err) <
			       0
		       ? -EIO
		       : 1;
}

static int add_file(struct conversion *conversion, int fd, const struct stat *status,
		    struct err *err)
{
	int ret = link_known(conversion, status, err);
	ssize_t n;

	if (ret != 0)
		return ret < 0 ? ret : 0;
	ret = add(conversion, status, fd, NULL, err);
	while (ret == 0 && (n = read(fd, conversion->chunk, CHUNK)) != 0)
		ret = n < 0 ? err_sys(err, "%s", conversion->path)
			    : erofs_write(conversion->fs, conversion->chunk, (size_t)n, err);
	return ret;
}

static int add_symlink(struct conversion *conversion, int parent, const char *name,
		       const struct stat *status, struct err *err)
{
	char target[PATH_MAX];
	ssize_t length;
	int ret = link_known(conversion, status, err);

	if (ret != 0)
		return ret < 0 ? ret : 0;
	length = readlinkat(parent, name, target, sizeof(target) - 1);
	if (length < 0)
		return err_sys(err, "%s", conversion->path);
	target[length] = '\0';
	return add(conversion, status, -1, target, err);
}

/* --- the tree --------------------------------------------------------------------------------- */

static int add_name(struct conversion *conversion, int parent, const char *name, unsigned depth,
		    struct err *err)
{
	struct stat status;
	int fd, ret;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s", conversion->path);
	if (S_ISLNK(status.st_mode))
		return add_symlink(conversion, parent, name, &status, err);
	if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", conversion->path);
	if (S_ISDIR(status.st_mode)) {
		ret = add(conversion, &status, fd, NULL, err);
		return ret == 0 ? add_names(conversion, fd, depth + 1, err) : (fd_close(&fd), ret);
	}
	ret = add_file(conversion, fd, &status, err);
	fd_close(&fd);
	return ret;
}

/* Adds what is in a directory, and closes it. */
static int add_names(struct conversion *conversion, int fd, unsigned depth, struct err *err)
{
	size_t used = strlen(conversion->path), space = sizeof(conversion->path) - used;
	DIR *list = fdopendir(fd);
	struct dirent *item;
	int ret = 0;

	if (!list) {
		ret = err_sys(err, "%s", conversion->path);
		fd_close(&fd);
		return ret;
	}
	if (depth > EROFS_DEPTH_MAX)
		ret = err_set(err, ENAMETOOLONG, "directories %d deep", EROFS_DEPTH_MAX);
	while (ret == 0 && (item = readdir(list))) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(conversion->path + used, space, "%s%s", used ? "/" : "",
				     item->d_name) >= space)
			ret = err_set(err, ENAMETOOLONG, "%.100s", conversion->path);
		else
			ret = add_name(conversion, dirfd(list), item->d_name, depth, err);
		conversion->path[used] = '\0';
	}
	closedir(list);
	return ret;
}

static int add_tree(struct conversion *conversion, int tree, struct err *err)
{
	struct stat status;
	int ret = fstat(tree, &status) < 0 ? err_sys(err, "the image's directory") : 0;

	if (ret == 0)
		ret = add(conversion, &status, tree, NULL, err);
	if (ret == 0)
		return add_names(conversion, tree, 0, err);
	fd_close(&tree);
	return ret;
}

/* Closes tree. */
static int make_erofs(int tree, int file, uint64_t *entries, struct err *err)
{
	struct conversion *conversion = calloc(1, sizeof(*conversion));
	uint8_t uuid[16];
	int ret;

	if (!conversion) {
		fd_close(&tree);
		return err_set(err, ENOMEM, "out of memory");
	}
	ret = erofs_create(&conversion->fs, file, NULL, err);
	if (ret == 0)
		ret = add_tree(conversion, tree, err);
	else
		fd_close(&tree);
	/* Names come in the order of the host's directories: the next conversion gives other bytes.
	 */
	if (ret == 0 && getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid))
		ret = err_sys(err, "random numbers");
	if (ret == 0)
		ret = erofs_finish(conversion->fs, uuid, err);
	*entries = conversion->entries;
	erofs_destroy(conversion->fs);
	tdestroy(conversion->linked, free);
	free(conversion);
	return ret;
}

/* --- the cache -------------------------------------------------------------------------------- */

static int convert(int cache_fd, int old, const struct digest *id, struct err *err)
{
	json_t *metadata = cache_read_metadata(old);
	int tree = openat(old, CACHE_OLD_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[CACHE_NAME_SIZE];
	uint64_t entries = 0;
	int fd = cache_make_temporary(cache_fd, name, err), file = -1, ret = fd < 0 ? fd : 0;

	if (ret == 0 && (tree < 0 || !metadata))
		ret = err_set(err, EIO, "its files are missing");
	if (ret == 0)
		ret = file = cache_create_rootfs(fd, err);
	if (ret >= 0)
		ret = make_erofs(tree, file, &entries, err);
	else
		fd_close(&tree);
	if (ret == 0)
		ret = cache_write_metadata(fd, json_object_get(metadata, "settings"), entries, err);
	flock(old, LOCK_UN);
	if (ret == 0)
		ret = cache_put_in_place(cache_fd, fd, name, id->hex, err);
	else if (fd >= 0)
		extract_remove(cache_fd, name, NULL);
	fd_close(&file);
	fd_close(&fd);
	json_decref(metadata);
	return ret < 0 ? ret : 0;
}

int cache_convert(int cache_fd, const struct digest *id, struct err *err)
{
	int old = openat(cache_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), ret;
	struct err why = {.text = ""};

	/* Locked as an image in use, so that it is not removed meanwhile. */
	if (old < 0 || flock(old, LOCK_SH | LOCK_NB) < 0) {
		fd_close(&old);
		return 0; /* gone, or about to go: its opening reports it */
	}
	log_warning(
		"sha256:%.12s: an older version has unpacked this image, without attributes, "
		"devices and set-id bits: it is converted once; remove it and build it again to "
		"have them",
		id->hex);
	ret = convert(cache_fd, old, id, &why);
	fd_close(&old);
	return ret < 0 ? err_set(err, -ret,
				 "sha256:%.12s: an image of an older version that can't be "
				 "converted: %s: remove it and build it again",
				 id->hex, why.text)
		       : 0;
}
