/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/cache_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/directory.h"
#include "vmm/base/log.h"
#include "vmm/base/progress.h"
#include "vmm/base/signals.h"
#include "vmm/image/extract.h"
#include "vmm/image/tags.h"
#include "vmm/image/unpack.h"

#define LOCK ".lock"

/* --- the directory ---------------------------------------------------------------------------- */

int cache_open(struct err *err)
{
	char path[PATH_MAX];
	int fd, ret = directory_in_cache("images", path, err);

	if (ret < 0)
		return ret;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

DIR *cache_read(int cache_fd)
{
	int fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list)
		fd_close(&fd);
	return list;
}

/* Held only briefly, while directories are renamed, locked or unlocked. */
int cache_lock(int cache_fd, struct err *err)
{
	int fd = openat(cache_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		err_sys(err, "the lock of the image cache");
		fd_close(&fd);
		return -EIO;
	}
	return fd;
}

static bool is_temporary(const char *name)
{
	return strncmp(name, CACHE_PREFIX_NEW, strlen(CACHE_PREFIX_NEW)) == 0 ||
	       strncmp(name, CACHE_PREFIX_OLD, strlen(CACHE_PREFIX_OLD)) == 0;
}

void cache_sweep(int cache_fd)
{
	DIR *list = cache_read(cache_fd);
	struct dirent *item;
	int one;

	while (list && (item = readdir(list))) {
		if (!is_temporary(item->d_name))
			continue;
		one = openat(cache_fd, item->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (one >= 0 && flock(one, LOCK_EX | LOCK_NB) == 0)
			extract_remove(cache_fd, item->d_name, NULL);
		fd_close(&one);
	}
	if (list)
		closedir(list);
}

void cache_temporary_name(char name[CACHE_NAME_SIZE], const char *prefix)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint64_t)getpid();
	snprintf(name, CACHE_NAME_SIZE, "%s%016llx", prefix, (unsigned long long)number);
}

bool cache_is_old(int cache_fd, const char *hex)
{
	char path[DIGEST_HEX + sizeof("/" CACHE_ROOTFS)];
	struct stat status;

	snprintf(path, sizeof(path), "%s/" CACHE_OLD_TREE, hex);
	if (fstatat(cache_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/" CACHE_ROOTFS, hex);
	return fstatat(cache_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0;
}

int cache_make_temporary(int cache_fd, char name[CACHE_NAME_SIZE], struct err *err)
{
	int lock = cache_lock(cache_fd, err), fd;

	if (lock < 0)
		return lock;
	cache_sweep(cache_fd);
	cache_temporary_name(name, CACHE_PREFIX_NEW);
	fd = mkdirat(cache_fd, name, 0700) < 0
		     ? -1
		     : openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err_sys(err, "a new directory for the image");
		fd_close(&fd);
		fd = -EIO;
	}
	fd_close(&lock);
	return fd;
}

int cache_create_rootfs(int fd, struct err *err)
{
	int file = openat(fd, CACHE_ROOTFS, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

	return file < 0 ? err_sys(err, "a file for the image") : file;
}

/* --- building --------------------------------------------------------------------------------- */

int cache_write_metadata(int fd, json_t *settings, uint64_t entries, struct err *err)
{
	json_t *metadata = NULL;
	struct stat status;
	int ret = 0, file;

	if (fstatat(fd, CACHE_ROOTFS, &status, AT_SYMLINK_NOFOLLOW) == 0)
		metadata = json_pack("{s:I,s:I,s:I,s:O}", "created", (json_int_t)time(NULL),
				     "bytes", (json_int_t)status.st_size, "entries",
				     (json_int_t)entries, "settings", settings);
	file = openat(fd, CACHE_METADATA, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!metadata || file < 0 || json_dumpfd(metadata, file, JSON_INDENT(1)) < 0)
		ret = err_set(err, EIO, "cannot write the image's metadata");
	fd_close(&file);
	json_decref(metadata);
	/* The rename must not reach the disk before the files do. */
	if (ret == 0 && syncfs(fd) < 0)
		ret = err_sys(err, "writing the image");
	return ret;
}

/* Makes the whole image in a temporary directory. */
static int fill(int fd, const struct image_manifest *manifest, const struct image_source *source,
		struct err *err)
{
	struct image_counts counts;
	int ret, file = cache_create_rootfs(fd, err);

	if (file < 0)
		return file;
	ret = image_unpack_erofs(manifest, source, file, &image_limits_default, &counts, err);
	fd_close(&file);
	return ret < 0 ? ret : cache_write_metadata(fd, manifest->settings, counts.entries, err);
}

/* An image that older versions unpacked: one that a sandbox of theirs uses is left to a later
 * sweep. */
static int move_away(int cache_fd, const char *hex, struct err *err)
{
	int fd = openat(cache_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), ret = 0;
	char name[CACHE_NAME_SIZE];

	cache_temporary_name(name, CACHE_PREFIX_OLD);
	if (fd < 0 || renameat(cache_fd, hex, cache_fd, name) < 0)
		ret = err_sys(err, "sha256:%.12s", hex);
	else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		extract_remove(cache_fd, name, NULL);
	fd_close(&fd);
	return ret;
}

int cache_put_in_place(int cache_fd, int fd, const char *name, const char *hex, struct err *err)
{
	int lock = cache_lock(cache_fd, err), ret = 1;

	if (lock < 0)
		return lock;
	/* Unlock before it can be found: a locked image looks as if it were being removed. */
	flock(fd, LOCK_UN);
	if (cache_is_old(cache_fd, hex))
		ret = move_away(cache_fd, hex, err) < 0 ? -EIO : 1;
	if (ret > 0 && renameat(cache_fd, name, cache_fd, hex) < 0)
		ret = errno == EEXIST || errno == ENOTEMPTY ? 0
							    : err_sys(err, "the image's directory");
	if (ret <= 0)
		extract_remove(cache_fd, name, NULL);
	fd_close(&lock);
	return ret;
}

static int unpack_into_cache(int cache_fd, const struct image_manifest *manifest,
			     const struct image_source *source, struct err *err)
{
	char name[CACHE_NAME_SIZE];
	int fd = cache_make_temporary(cache_fd, name, err), ret;

	if (fd < 0)
		return fd;
	ret = fill(fd, manifest, source, err);
	if (ret == 0)
		ret = cache_put_in_place(cache_fd, fd, name, manifest->id.hex, err);
	else
		extract_remove(cache_fd, name, NULL);
	fd_close(&fd);
	return ret;
}

/*
 * Names that the archive gives itself. None takes a name away from another image, not that of
 * NAME:latest by being NAME either, nor a digest: the user's own --tag does that, not what a
 * downloaded file says.
 */
static int name_as_tagged(int cache_fd, const json_t *tags, const struct digest *id,
			  struct err *err)
{
	char found[IMAGE_TAG_MAX + 1];
	struct digest other;
	const char *tag;
	size_t i;
	int ret = 0;

	for (i = 0; i < json_array_size(tags) && ret == 0; i++) {
		tag = json_string_value(json_array_get(tags, i));
		if (image_check_tag(tag, NULL) < 0 || image_tag_hides_digest(tag)) {
			log_warning("the archive's name %.140s is no name for an image here: give "
				    "one with --tag",
				    tag);
			continue;
		}
		if (image_tag_find(cache_fd, tag, found, &other, NULL) == 0 &&
		    !digest_equal(&other, id)) {
			log_warning("%s stays the name of another image: --tag %s moves it here",
				    tag, tag);
			continue;
		}
		ret = image_tag_write(cache_fd, tag, id, err);
		if (ret == 0)
			log_progress("named %s", tag);
	}
	return ret;
}

static void say_what_is_missing(const struct image_source *source)
{
	log_warning("%s is a root file system without a description, as docker export writes: the "
		    "image has no variables, user, working directory or command: give --env, "
		    "--user, --workdir and a command",
		    source->path);
}

static int build(int cache_fd, const struct image_source *source, const char *ref, const char *tag,
		 struct digest *id, struct err *err)
{
	static struct image_manifest manifest;
	struct stat status;
	int ret = image_manifest_read(&manifest, source, ref, err), made = 0;

	if (ret == 0) {
		*id = manifest.id;
		if (cache_is_old(cache_fd, id->hex))
			log_warning("sha256:%.12s: an older version has unpacked this image: "
				    "unpacking it anew",
				    id->hex);
		if (fstatat(cache_fd, id->hex, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
		    cache_is_old(cache_fd, id->hex))
			ret = made = unpack_into_cache(cache_fd, &manifest, source, err);
	}
	if (ret >= 0 && source->flat && (made || tag))
		say_what_is_missing(source);
	if (ret >= 0 && tag)
		ret = tag[0] ? image_tag_write(cache_fd, tag, id, err)
			     : name_as_tagged(cache_fd, manifest.tags, id, err);
	image_manifest_clear(&manifest);
	return ret < 0 ? ret : made;
}

int image_build(const char *path, const char *ref, const char *tag, struct digest *id,
		struct err *err)
{
	struct image_source source = {.fd = -1};
	int cache_fd, ret = tag && tag[0] ? image_check_tag(tag, err) : 0;

	if (ret < 0)
		return ret;
	cache_fd = cache_open(err);
	if (cache_fd < 0)
		return cache_fd;
	signals_hold();
	ret = image_source_open(&source, path, err);
	if (ret == 0) {
		progress_begin("unpacking %s", source.path);
		ret = build(cache_fd, &source, ref, tag, id, err);
		progress_end();
	}
	image_source_close(&source);
	fd_close(&cache_fd);
	signals_release();
	return ret;
}
