/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/image_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/image/extract.h"
#include "vmm/image/merge.h"

/* Links lead where they would for a process with the directory as its root. */
#define AS_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

/* The sink of a merge that makes files below a directory. */
struct unpacking {
	int directory_fd;
	uint64_t *left_out;
	/* the arguments of the call at hand */
	char *path, *target;
	const struct tar_entry *entry;
	struct tar_reader *reader;
};

/* --- parent directories ----------------------------------------------------------------------- */

/*
 * With links, names of few components could lead ever deeper, where files cannot be named in the
 * sandbox and are hard to remove. So the depth of the directory's real path counts.
 */
static int check_depth(const struct unpacking *unpack, int parent, struct err *err)
{
	char fd_path[32], top[PATH_MAX], path[PATH_MAX];
	unsigned depth = 1;
	ssize_t length, n;

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", unpack->directory_fd);
	length = readlink(fd_path, top, sizeof(top));
	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", parent);
	n = readlink(fd_path, path, sizeof(path));
	if ((n < 0 && errno != ENAMETOOLONG) || length < 0)
		return err_sys(err, "%s", unpack->path);
	for (; n > length; n--)
		depth += path[n - 1] == '/';
	/* The host's PATH_MAX may be reached first, depending on the path of the cache. */
	if (n < 0 || n == sizeof(path) || depth > IMAGE_DEPTH_MAX)
		return err_set(err, ENAMETOOLONG, "a layer has directories %d deep",
			       IMAGE_DEPTH_MAX);
	return 0;
}

/* Makes missing parents: layers need not have entries for them. */
static int make_parents(struct unpacking *unpack, struct err *err)
{
	char *slash = strchr(unpack->path, '/');
	const char *name;
	int ret = 0, parent, directory;

	for (; slash && ret == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		parent = extract_open_parent(unpack->directory_fd, unpack->path, AS_ROOT, &name);
		if (parent < 0)
			ret = err_code(err, -parent, "%s", unpack->path);
		else
			ret = check_depth(unpack, parent, err);
		if (ret < 0) {
			/* has a message */
		} else if (mkdirat(parent, name, 0755) == 0) {
			directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (directory < 0 || fchmod(directory, 0755) < 0)
				ret = err_sys(err, "%s", unpack->path);
			fd_close(&directory);
		} else if (errno != EEXIST) {
			ret = err_sys(err, "%s", unpack->path);
		}
		fd_close(&parent);
		*slash = '/';
	}
	return ret;
}

/* Opens the parent of the entry; make: makes it if it is missing. */
static int open_parent(struct unpacking *unpack, bool make, const char **name, struct err *err)
{
	int fd = extract_open_parent(unpack->directory_fd, unpack->path, AS_ROOT, name);

	if (fd == -ENOENT && make) {
		int ret = make_parents(unpack, err);

		if (ret < 0)
			return ret;
		fd = extract_open_parent(unpack->directory_fd, unpack->path, AS_ROOT, name);
	}
	return fd < 0 ? err_code(err, -fd, "%s", unpack->path) : fd;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* Writable for later layers and for removal, whatever its mode in the image. */
static mode_t directory_mode(const struct tar_entry *entry)
{
	return entry->mode | 0700 | (entry->set_bits & S_ISVTX);
}

static int set_directory_mode(struct unpacking *unpack, int parent, const char *name,
			      struct err *err)
{
	int ret = 0, fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, directory_mode(unpack->entry)) < 0)
		ret = err_sys(err, "%s", unpack->path);
	fd_close(&fd);
	return ret;
}

static int add_directory(struct unpacking *unpack, int parent, const char *name, struct err *err)
{
	struct stat status;
	int ret;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode)) {
		ret = extract_remove(parent, name, err);
		if (ret == 0)
			ret = check_depth(unpack, parent, err);
		if (ret < 0)
			return ret;
		if (mkdirat(parent, name, 0700) < 0)
			return err_sys(err, "%s", unpack->path);
	}
	return set_directory_mode(unpack, parent, name, err);
}

/* Removes a directory in place of the entry; the functions of extract.c replace other files. */
static int clear_directory(int parent, const char *name, struct err *err)
{
	struct stat status;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode))
		return 0;
	return extract_remove(parent, name, err);
}

/* With its mode, whatever the umask. */
static int add_file(struct unpacking *unpack, int parent, const char *name, struct err *err)
{
	const struct tar_entry *entry = unpack->entry;
	int ret = extract_file(unpack->reader, parent, name, 0600, entry, err);

	if (ret == 0 && fchmodat(parent, name, entry->mode | 0400, 0) < 0)
		ret = err_sys(err, "%s", unpack->path);
	return ret;
}

static int add_at(struct unpacking *unpack, int parent, const char *name, struct err *err)
{
	const struct tar_entry *entry = unpack->entry;
	int ret;

	if (entry->type == TAR_DIRECTORY)
		return add_directory(unpack, parent, name, err);
	ret = clear_directory(parent, name, err);
	if (ret < 0)
		return ret;
	switch (entry->type) {
	case TAR_FILE:
		return add_file(unpack, parent, name, err);
	case TAR_SYMLINK:
		return extract_symlink(parent, name, entry, err);
	case TAR_LINK:
		return extract_link(unpack->directory_fd, unpack->target, AS_ROOT, parent, name,
				    err);
	default:
		return 0;
	}
}

static int add(void *arg, char *path, const struct tar_entry *entry, char *target,
	       struct tar_reader *reader, struct err *err)
{
	struct unpacking *unpack = arg;
	const char *name;
	int parent, ret;

	if (entry->type == TAR_OTHER) {
		++*unpack->left_out;
		return 0;
	}
	unpack->path = path;
	unpack->target = target;
	unpack->entry = entry;
	unpack->reader = reader;
	if (!path[0])
		return set_directory_mode(unpack, unpack->directory_fd, ".", err);
	parent = open_parent(unpack, true, &name, err);
	if (parent < 0)
		return parent;
	ret = add_at(unpack, parent, name, err);
	fd_close(&parent);
	return ret;
}

/* --- whiteouts -------------------------------------------------------------------------------- */

static int remove_contents(int parent, const char *path, struct err *err)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *item;

	if (!list) {
		ret = err_sys(err, "%s", path);
		fd_close(&fd);
		return ret;
	}
	while (ret == 0 && (item = readdir(list)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			ret = extract_remove(parent, item->d_name, err);
	closedir(list);
	return ret;
}

static int hide(void *arg, char *path, bool contents, struct err *err)
{
	struct unpacking *unpack = arg;
	size_t length = strlen(path);
	const char *name;
	int parent, ret;

	unpack->path = path;
	if (contents) /* the directory is the parent of its "." */
		snprintf(path + length, PATH_MAX - length, "%s.", length ? "/" : "");
	parent = open_parent(unpack, false, &name, err);
	if (parent == -ENOENT || parent == -ENOTDIR)
		ret = 0; /* nothing to hide */
	else if (parent < 0)
		ret = parent;
	else if (contents)
		ret = remove_contents(parent, path, err);
	else
		ret = extract_remove(parent, name, err);
	path[length] = '\0';
	fd_close(&parent);
	return ret;
}

int image_tree(const struct image_manifest *manifest, const struct image_source *source,
	       int directory_fd, const struct image_limits *limits, struct image_counts *counts,
	       uint64_t *left_out, struct err *err)
{
	struct unpacking unpack = {.directory_fd = directory_fd, .left_out = left_out};
	const struct merge_sink sink = {.hide = hide, .add = add, .arg = &unpack};

	*counts = (struct image_counts){.bytes = 0};
	*left_out = 0;
	return merge_layers(manifest, source, &sink, limits, counts, err);
}
