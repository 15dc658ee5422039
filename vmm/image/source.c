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
#include "vmm/image/decompress.h"
#include "vmm/image/source_internal.h"
#include "vmm/image/stage.h"

#define LINKS_MAX 4 /* links to follow in an archive */

/* --- directories and archives ----------------------------------------------------------------- */

/* A file that is there, or a copy of what comes through a pipe or is compressed. */
static int open_archive(struct image_source *source, struct err *err)
{
	uint8_t start[COMPRESSION_MAGIC] = "";
	struct err why = {.text = ""};
	struct stat status;
	int ret, copy;

	if (fstat(source->fd, &status) < 0)
		return err_sys(err, "%s", source->path);
	if (!S_ISREG(status.st_mode) || lseek(source->fd, 0, SEEK_CUR) != 0 ||
	    (fd_pread_full(source->fd, start, sizeof(start), 0) > 0 &&
	     (compression_of(start) != COMPRESSION_NONE || compression_unknown(start)))) {
		copy = image_stage(source->fd, source->path, err);
		if (copy < 0)
			return copy;
		fd_close(&source->fd);
		source->fd = copy;
		if (fstat(source->fd, &status) < 0)
			return err_sys(err, "%s", source->path);
	}
	if (status.st_size == 0)
		return err_set(err, EPROTO, "%s: is empty", source->path);
	ret = image_source_scan(source, (uint64_t)status.st_size, &why);
	return ret < 0 ? err_set(err, -ret, "%s: %s", source->path, why.text) : 0;
}

static int open_stdin(struct image_source *source, struct err *err)
{
	snprintf(source->path, sizeof(source->path), "standard input");
	if (isatty(STDIN_FILENO))
		return err_set(
			err, EINVAL,
			"will not read an archive from a terminal: give stdin a file, or the "
			"output of docker save");
	source->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return source->fd < 0 ? err_sys(err, "standard input") : open_archive(source, err);
}

int image_source_open(struct image_source *source, const char *path, struct err *err)
{
	struct stat status;

	*source = (struct image_source){.fd = -1};
	if (strcmp(path, "-") == 0)
		return open_stdin(source, err);
	if ((size_t)snprintf(source->path, sizeof(source->path), "%s", path) >=
	    sizeof(source->path))
		return err_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (source->fd < 0 || fstat(source->fd, &status) < 0)
		return err_sys(err, "%s", path);
	if (S_ISDIR(status.st_mode))
		return 0;
	if (!S_ISREG(status.st_mode))
		return err_set(err, EINVAL,
			       "%s: neither a directory nor a regular file: - reads standard input",
			       path);
	return open_archive(source, err);
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

static int take_range(const struct image_source *source, uint64_t at, uint64_t size,
		      struct image_blob *blob, struct err *err)
{
	blob->fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 3);
	blob->at = at;
	blob->size = size;
	return blob->fd < 0 ? err_sys(err, "%s", source->path) : 0;
}

static int find_in_archive(const struct image_source *source, const char *name,
			   struct image_blob *blob, struct err *err)
{
	const struct image_source_file *file = NULL;
	const char *wanted = name;
	unsigned links, i;

	if (source->flat && strcmp(name, IMAGE_SOURCE_WHOLE) == 0)
		return take_range(source, 0, source->size, blob, err);
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
	return take_range(source, file->at, file->size, blob, err);
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
