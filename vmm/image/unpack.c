/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/image/extract.h"
#include "vmm/image/layer.h"

#define WHITEOUT ".wh."
#define OPAQUE	 ".wh..wh..opq"
#define AUFS	 ".wh..wh." /* metadata of aufs, except OPAQUE */

const struct image_limits image_limits_default = {.bytes = GIB(32), .entries = 1u << 20};

struct unpacking {
	int directory_fd;
	struct image_counts *counts;
	struct tar_reader reader;
	/*
	 * A whiteout hides files of the layers below, wherever in its layer it comes. So a first
	 * pass over the layer applies all whiteouts, and a second one makes the files.
	 */
	bool whiteouts;
	struct tar_entry entry;
	char path[PATH_MAX]; /* of the entry: no ".", no empty component */
	struct layer layer;
};

/* --- names ------------------------------------------------------------------------------------ */

static bool is_whiteout(const char *name)
{
	return strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0;
}

static int check_part(const char *part, size_t length, bool last, struct err *err)
{
	size_t prefix = strlen(WHITEOUT);

	if (length > NAME_MAX)
		return err_set(err, ENAMETOOLONG, "a layer has a name of more than %d bytes",
			       NAME_MAX);
	if (length == 2 && part[0] == '.' && part[1] == '.')
		return err_set(err, EPROTO, "a layer has a name with '..'");
	if (length < prefix || strncmp(part, WHITEOUT, prefix) != 0)
		return 0;
	if (!last)
		return err_set(err, EPROTO, "a layer has files below a whiteout");
	part += prefix;
	length -= prefix;
	if (length == 0 || (length == 1 && part[0] == '.') ||
	    (length == 2 && part[0] == '.' && part[1] == '.'))
		return err_set(err, EPROTO, "a layer has a whiteout of nothing");
	return 0;
}

/* Normalises a name to a path below the directory, "" for the directory itself. */
static int clean_path(const char *name, char path[PATH_MAX], struct err *err)
{
	const char *at = name, *part;
	size_t length, used = 0;
	unsigned depth = 0;
	int ret;

	if (name[0] == '/')
		return err_set(err, EPROTO, "a layer has an absolute name");
	while (*at) {
		part = at;
		length = strcspn(at, "/");
		at += length;
		at += strspn(at, "/");
		if (length == 0 || (length == 1 && part[0] == '.'))
			continue;
		ret = check_part(part, length, *at == '\0', err);
		if (ret < 0)
			return ret;
		if (++depth > IMAGE_DEPTH_MAX)
			return err_set(err, ENAMETOOLONG, "a layer has directories %d deep",
				       IMAGE_DEPTH_MAX);
		/* Never longer than the name itself, which fits. */
		used += (size_t)snprintf(path + used, PATH_MAX - used, "%s%.*s", used ? "/" : "",
					 (int)length, part);
	}
	path[used] = '\0';
	return 0;
}

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
		parent = extract_open_parent(unpack->directory_fd, unpack->path, EXTRACT_AS_ROOT,
					     &name);
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
	int fd = extract_open_parent(unpack->directory_fd, unpack->path, EXTRACT_AS_ROOT, name);

	if (fd == -ENOENT && make) {
		int ret = make_parents(unpack, err);

		if (ret < 0)
			return ret;
		fd = extract_open_parent(unpack->directory_fd, unpack->path, EXTRACT_AS_ROOT, name);
	}
	return fd < 0 ? err_code(err, -fd, "%s", unpack->path) : fd;
}

/* --- whiteouts -------------------------------------------------------------------------------- */

static int apply_whiteout(struct unpacking *unpack, struct err *err)
{
	const char *name;
	int parent = open_parent(unpack, false, &name, err), fd, ret;

	if (parent == -ENOENT || parent == -ENOTDIR)
		return 0; /* nothing to hide */
	if (parent < 0)
		return parent;
	if (strcmp(name, OPAQUE) == 0) {
		fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ret = fd < 0 ? err_sys(err, "%s", unpack->path) : extract_remove_contents(fd, err);
	} else if (strncmp(name, AUFS, strlen(AUFS)) == 0) {
		ret = 0;
	} else {
		ret = extract_remove(parent, name + strlen(WHITEOUT), err);
	}
	fd_close(&parent);
	return ret;
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

	if (fd < 0 || fchmod(fd, directory_mode(&unpack->entry)) < 0)
		ret = err_sys(err, "%s", unpack->path);
	else
		extract_note_owner(fd, &unpack->entry);
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

static int add_link(struct unpacking *unpack, int parent, const char *name, struct err *err)
{
	char target[PATH_MAX];
	int ret = clean_path(unpack->entry.link, target, err);

	if (ret < 0)
		return ret;
	if (!target[0] || is_whiteout(strrchr(target, '/') ? strrchr(target, '/') + 1 : target))
		return err_set(err, EPROTO, "a layer has a hard link to nothing");
	return extract_link(unpack->directory_fd, target, EXTRACT_AS_ROOT, parent, name, err);
}

/* Removes a directory in place of the entry; the functions of extract.c replace other files. */
static int clear_directory(int parent, const char *name, struct err *err)
{
	struct stat status;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode))
		return 0;
	return extract_remove(parent, name, err);
}

static int add_at(struct unpacking *unpack, int parent, const char *name, struct err *err)
{
	const struct tar_entry *entry = &unpack->entry;
	int ret;

	if (entry->type == TAR_DIRECTORY)
		return add_directory(unpack, parent, name, err);
	ret = clear_directory(parent, name, err);
	if (ret < 0)
		return ret;
	switch (entry->type) {
	case TAR_FILE:
		return extract_file(&unpack->reader, parent, name, entry->mode | 0400, true, entry,
				    err);
	case TAR_SYMLINK:
		return extract_symlink(parent, name, entry, err);
	case TAR_LINK:
		return add_link(unpack, parent, name, err);
	default:
		return 0;
	}
}

static int check_kind(struct unpacking *unpack, struct err *err)
{
	const struct tar_entry *entry = &unpack->entry;

	if (entry->sparse)
		return err_set(err, ENOTSUP, "%.200s: sparse files are not supported", entry->name);
	if (entry->type == TAR_OTHER && !strchr("346", entry->flag))
		return err_set(err, EPROTO, "%.200s: an entry of unknown type (%d)", entry->name,
			       entry->flag);
	return 0;
}

static int take_entry(struct unpacking *unpack, struct err *err)
{
	const char *name;
	int parent, ret = check_kind(unpack, err);

	if (!unpack->whiteouts && (unpack->entry.uid || unpack->entry.gid))
		unpack->counts->owned++;
	if (ret == 0)
		ret = clean_path(unpack->entry.name, unpack->path, err);
	if (ret < 0)
		return ret;
	name = strrchr(unpack->path, '/');
	name = name ? name + 1 : unpack->path;
	if (is_whiteout(name) || unpack->whiteouts)
		return is_whiteout(name) && unpack->whiteouts ? apply_whiteout(unpack, err) : 0;
	if (unpack->entry.type == TAR_OTHER) {
		unpack->counts->left_out++;
		return 0;
	}
	if (!unpack->path[0]) {
		if (unpack->entry.type != TAR_DIRECTORY)
			return err_set(err, EPROTO, "a layer has a file in place of the root");
		return set_directory_mode(unpack, unpack->directory_fd, ".", err);
	}
	parent = open_parent(unpack, true, &name, err);
	if (parent < 0)
		return parent;
	ret = add_at(unpack, parent, name, err);
	fd_close(&parent);
	return ret;
}

/* --- layers ----------------------------------------------------------------------------------- */

static int pass(struct unpacking *unpack, const struct image_layer *layer,
		const struct image_blob *blob, const struct image_limits *limits, struct err *err)
{
	const struct tar_input input = {.read = layer_read, .arg = &unpack->layer};
	uint64_t entries = unpack->counts->entries;
	int ret = layer_open(&unpack->layer, blob, limits->bytes - unpack->counts->bytes, err);

	if (ret < 0)
		return ret;
	tar_reader_init_input(&unpack->reader, &input);
	while ((ret = tar_next(&unpack->reader, &unpack->entry, err)) == 1) {
		ret = ++entries > limits->entries
			      ? err_set(err, EFBIG, "the image has more than %llu entries",
					(unsigned long long)limits->entries)
			      : take_entry(unpack, err);
		if (ret < 0)
			break;
	}
	if (ret == 0)
		ret = layer_finish(&unpack->layer, &layer->stored, &layer->unpacked, err);
	if (ret == 0 && !unpack->whiteouts) {
		unpack->counts->entries = entries;
		unpack->counts->bytes += unpack->layer.produced;
	}
	layer_close(&unpack->layer);
	return ret;
}

static int add_layer(struct unpacking *unpack, const struct image_source *source,
		     const struct image_layer *layer, bool first, const struct image_limits *limits,
		     struct err *err)
{
	struct image_blob blob;
	int ret = image_source_find(source, layer->file, &blob, err);

	if (ret < 0)
		return ret;
	if (layer->size && layer->size != blob.size)
		ret = err_set(err, EPROTO, "%s: has %llu bytes, but %llu in the manifest",
			      layer->file, (unsigned long long)blob.size,
			      (unsigned long long)layer->size);
	unpack->whiteouts = true;
	if (ret == 0 && !first)
		ret = pass(unpack, layer, &blob, limits, err);
	unpack->whiteouts = false;
	if (ret == 0)
		ret = pass(unpack, layer, &blob, limits, err);
	image_blob_close(&blob);
	return ret;
}

int image_unpack(const struct image_manifest *manifest, const struct image_source *source,
		 int directory_fd, const struct image_limits *limits, struct image_counts *counts,
		 struct err *err)
{
	struct unpacking *unpack = calloc(1, sizeof(*unpack));
	struct err why = {.text = ""};
	unsigned i;
	int ret = 0;

	*counts = (struct image_counts){0};
	if (!unpack)
		return err_set(err, ENOMEM, "out of memory");
	unpack->directory_fd = directory_fd;
	unpack->counts = counts;
	counts->owners_kept = extract_keeps_owners(directory_fd);
	for (i = 0; i < manifest->layer_count && ret == 0; i++)
		ret = add_layer(unpack, source, &manifest->layers[i], i == 0, limits, &why);
	if (ret < 0)
		ret = err_set(err, -ret, "%s: layer %u of %u: %s", source->path, i,
			      manifest->layer_count, why.text);
	free(unpack);
	return ret;
}
