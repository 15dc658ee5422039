/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/image/tar.h"

#define LINKS_MAX 4 /* links to follow in an archive */

/* --- an archive's table of contents ----------------------------------------------------------- */

/* Reads the archive at its own offset; skipping just advances it. */
struct scan {
	int fd;
	uint64_t at, size;
};

static ssize_t scan_read(void *arg, void *to, size_t length, struct err *err)
{
	struct scan *scan = arg;
	ssize_t n = fd_pread_full(scan->fd, to, length, (off_t)scan->at);

	if (n < 0)
		return err_code(err, (int)-n, "reading the archive");
	scan->at += (uint64_t)n;
	return n;
}

static int scan_skip(void *arg, uint64_t bytes, struct err *err)
{
	struct scan *scan = arg;

	if (!range_within(scan->at, bytes, scan->size))
		return err_set(err, EPROTO, "the archive is truncated");
	scan->at += bytes;
	return 0;
}

/* Copies a name without leading "./". A longer name than fits is none that an image uses. */
static bool copy_name(char to[IMAGE_NAME_MAX + 1], const char *from)
{
	size_t length;

	while (from[0] == '.' && from[1] == '/')
		from += 2;
	length = strlen(from);
	if (length == 0 || length > IMAGE_NAME_MAX)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* `docker save` stores a layer that occurs twice as a link "../ID/layer.tar". */
static bool copy_target(char to[IMAGE_NAME_MAX + 1], const char *name, const char *link,
			bool symlink)
{
	char joined[IMAGE_NAME_MAX + PATH_MAX];
	const char *slash = strrchr(name, '/');
	size_t directory = slash ? (size_t)(slash - name) : 0;

	if (!symlink)
		return copy_name(to, link);
	if (strlen(link) > IMAGE_NAME_MAX || link[0] == '/')
		return false;
	while (strncmp(link, "../", 3) == 0) {
		if (directory == 0)
			return false;
		link += 3;
		while (directory > 0 && name[--directory] != '/')
			;
	}
	snprintf(joined, sizeof(joined), "%.*s%s%s", (int)directory, name, directory ? "/" : "",
		 link);
	return copy_name(to, joined);
}

static int add_file(struct image_source *source, const struct tar_entry *entry, uint64_t at,
		    struct err *err)
{
	struct image_source_file *file;

	if (source->count == IMAGE_SOURCE_FILES_MAX)
		return err_set(err, E2BIG, "%s: more than %d files: not an image", source->path,
			       IMAGE_SOURCE_FILES_MAX);
	file = &source->files[source->count];
	*file = (struct image_source_file){.at = at, .size = entry->size};
	if (!copy_name(file->name, entry->name))
		return 0;
	if ((entry->type == TAR_LINK || entry->type == TAR_SYMLINK) &&
	    !copy_target(file->link, file->name, entry->link, entry->type == TAR_SYMLINK))
		return 0;
	source->count++;
	return 0;
}

static int scan_archive(struct image_source *source, uint64_t size, struct err *err)
{
	struct scan scan = {.fd = source->fd, .size = size};
	const struct tar_input input = {.read = scan_read, .skip = scan_skip, .arg = &scan};
	struct tar_entry *entry = malloc(sizeof(*entry));
	struct tar_reader reader;
	struct err why = {.text = ""};
	int ret;

	source->files = calloc(IMAGE_SOURCE_FILES_MAX, sizeof(*source->files));
	if (!source->files || !entry) {
		free(entry);
		return err_set(err, ENOMEM, "out of memory");
	}
	tar_reader_init_input(&reader, &input);
	reader.end_optional = true;
	while ((ret = tar_next(&reader, entry, &why)) == 1) {
		if (entry->sparse)
			ret = err_set(&why, ENOTSUP, "it has sparse files");
		else if (entry->type == TAR_FILE && !range_within(scan.at, entry->size, size))
			ret = err_set(&why, EPROTO, "the archive is truncated");
		else if (entry->type != TAR_DIRECTORY && entry->type != TAR_OTHER)
			ret = add_file(source, entry, scan.at, &why);
		if (ret < 0)
			break;
	}
	free(entry);
	return ret < 0 ? err_set(err, -ret, "%s: %s", source->path, why.text) : 0;
}

static int refuse_compressed(const struct image_source *source, struct err *err)
{
	static const struct {
		const char *magic, *name, *program;
		size_t length;
	} kinds[] = {
		{"\x1f\x8b", "gzip", "gunzip", 2},
		{"\x28\xb5\x2f\xfd", "zstd", "unzstd", 4},
		{"\xfd"
		 "7zXZ",
		 "xz", "unxz", 5},
		{"BZh", "bzip2", "bunzip2", 3},
	};
	char start[8] = "";
	size_t i;

	if (fd_pread_full(source->fd, start, sizeof(start), 0) < 0)
		return err_sys(err, "%s", source->path);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memcmp(start, kinds[i].magic, kinds[i].length) == 0)
			return err_set(err, ENOTSUP,
				       "%s: the whole archive is compressed by %s: unpack it first "
				       "(%s)",
				       source->path, kinds[i].name, kinds[i].program);
	return 0;
}

/* --- directories and archives ----------------------------------------------------------------- */

int image_source_open(struct image_source *source, const char *path, struct err *err)
{
	struct stat status;
	int ret = 0;

	*source = (struct image_source){.fd = -1};
	if ((size_t)snprintf(source->path, sizeof(source->path), "%s", path) >=
	    sizeof(source->path))
		return err_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (source->fd < 0 || fstat(source->fd, &status) < 0)
		return err_sys(err, "%s", path);
	if (S_ISREG(status.st_mode)) {
		ret = refuse_compressed(source, err);
		if (ret == 0)
			ret = scan_archive(source, (uint64_t)status.st_size, err);
	} else if (!S_ISDIR(status.st_mode)) {
		ret = err_set(err, EINVAL, "%s: neither a directory nor a regular file", path);
	}
	return ret;
}

void image_source_close(struct image_source *source)
{
	if (!source->path[0])
		return;
	fd_close(&source->fd);
	free(source->files);
	source->files = NULL;
	source->count = 0;
}

static int find_in_archive(const struct image_source *source, const char *name,
			   struct image_blob *blob, struct err *err)
{
	const struct image_source_file *file = NULL;
	const char *wanted = name;
	unsigned links, i;

	for (links = 0; links <= LINKS_MAX; links++) {
		file = NULL;
		/* The last entry of a name counts, as for tar itself. */
		for (i = source->count; i > 0 && !file; i--)
			if (strcmp(source->files[i - 1].name, wanted) == 0)
				file = &source->files[i - 1];
		if (!file)
			return err_set(err, ENOENT, "%s: has no file %s", source->path, wanted);
		if (!file->link[0])
			break;
		wanted = file->link;
	}
	if (file->link[0])
		return err_set(err, ELOOP, "%s: %s: too many links", source->path, name);
	blob->fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 3);
	blob->at = file->at;
	blob->size = file->size;
	return blob->fd < 0 ? err_sys(err, "%s", source->path) : 0;
}

static int find_in_directory(const struct image_source *source, const char *name,
			     struct image_blob *blob, struct err *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	struct stat status;

	blob->fd = (int)syscall(SYS_openat2, source->fd, name, &how, sizeof(how));
	if (blob->fd < 0 || fstat(blob->fd, &status) < 0)
		return err_sys(err, "%s/%s", source->path, name);
	if (!S_ISREG(status.st_mode))
		return err_set(err, EINVAL, "%s/%s: not a regular file", source->path, name);
	blob->at = 0;
	blob->size = (uint64_t)status.st_size;
	return 0;
}

int image_source_find(const struct image_source *source, const char *name, struct image_blob *blob,
		      struct err *err)
{
	int ret;

	*blob = (struct image_blob){.fd = -1};
	ret = source->files ? find_in_archive(source, name, blob, err)
			    : find_in_directory(source, name, blob, err);
	if (ret < 0)
		fd_close(&blob->fd);
	return ret;
}

void image_blob_close(struct image_blob *blob)
{
	fd_close(&blob->fd);
}

long image_source_read(const struct image_source *source, const char *name, uint64_t max,
		       char **text, struct err *err)
{
	struct image_blob blob;
	ssize_t n;
	int ret = image_source_find(source, name, &blob, err);

	*text = NULL;
	if (ret < 0)
		return ret;
	if (blob.size > max) {
		ret = err_set(err, EFBIG, "%s: %s has more than %llu bytes", source->path, name,
			      (unsigned long long)max);
		goto out;
	}
	*text = malloc(blob.size + 1);
	if (!*text) {
		ret = err_set(err, ENOMEM, "out of memory");
		goto out;
	}
	n = fd_pread_full(blob.fd, *text, blob.size, (off_t)blob.at);
	if (n < 0 || (uint64_t)n < blob.size) {
		ret = err_set(err, EIO, "%s: %s: read error", source->path, name);
		free(*text);
		*text = NULL;
		goto out;
	}
	(*text)[n] = '\0';
out:
	image_blob_close(&blob);
	return ret < 0 ? ret : (long)blob.size;
}
