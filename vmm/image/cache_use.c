/* SPDX-License-Identifier: Apache-2.0 */
/* Images in the cache: find, use, remove, list. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/image/cache_internal.h"
#include "vmm/image/erofs_format.h"
#include "vmm/image/extract.h"
#include "vmm/image/tags.h"

/* --- finding ---------------------------------------------------------------------------------- */

/* The number of images whose digests begin with text; *id: the last of them. */
static unsigned count_matches(int cache_fd, const char *text, struct digest *id)
{
	DIR *list = cache_read(cache_fd);
	struct dirent *item;
	unsigned count = 0;
	struct digest one;

	while (list && (item = readdir(list)))
		if (digest_parse_hex(&one, item->d_name, strlen(item->d_name)) &&
		    strncmp(item->d_name, text, strlen(text)) == 0) {
			*id = one;
			count++;
		}
	if (list)
		closedir(list);
	return count;
}

static int find_digest(int cache_fd, const char *name, struct digest *id, struct err *err)
{
	unsigned count = 0;

	if (strncmp(name, "sha256:", 7) == 0)
		name += 7;
	if (strlen(name) >= IMAGE_DIGEST_SHORT && strspn(name, "0123456789abcdef") == strlen(name))
		count = count_matches(cache_fd, name, id);
	if (count > 1)
		return err_set(err, EINVAL, "%.70s: %u images begin so: give more of the digest",
			       name, count);
	if (count == 0)
		return err_set(
			err, ENOENT,
			"%.140s: no such image: see 'cordon image ls', or build it with 'cordon "
			"image build'",
			name);
	return 0;
}

static int find(int cache_fd, const char *name, struct digest *id, struct err *err)
{
	char found[IMAGE_TAG_MAX + 1];
	int ret = image_tag_find(cache_fd, name, found, id, err);

	return ret == -ENOENT ? find_digest(cache_fd, name, id, err) : ret;
}

int image_find(const char *name, struct digest *id, struct err *err)
{
	int cache_fd = cache_open(err), ret;

	if (cache_fd < 0)
		return cache_fd;
	ret = find(cache_fd, name, id, err);
	fd_close(&cache_fd);
	return ret;
}

/* --- using ------------------------------------------------------------------------------------ */

json_t *cache_read_metadata(int cache_fd)
{
	int fd = openat(cache_fd, CACHE_METADATA, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	json_t *metadata = fd < 0 ? NULL : json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);

	fd_close(&fd);
	return metadata;
}

/* Whether the file is the one that the metadata describes, as far as can be seen without reading
 * it. */
static bool fits(const struct image *image, const json_t *metadata)
{
	json_int_t bytes = json_integer_value(json_object_get(metadata, "bytes"));
	struct stat status;

	return fstat(image->fd, &status) == 0 && S_ISREG(status.st_mode) && bytes > 0 &&
	       status.st_size == bytes;
}

/* The erofs's UUID. */
static bool take_contents(struct image *image)
{
	uint8_t uuid[16];

	if (pread(image->fd, uuid, sizeof(uuid),
		  EROFS_SUPER_OFFSET + offsetof(struct erofs_super_block, uuid)) != sizeof(uuid))
		return false;
	image->contents[0] = load_le64(uuid);
	image->contents[1] = load_le64(uuid + 8);
	return true;
}

/* With the image's directory open. */
static int open_parts(struct image *image, const struct digest *id, struct err *err)
{
	json_t *metadata = cache_read_metadata(image->lock_fd);
	int ret = 0;

	image->fd = openat(image->lock_fd, CACHE_ROOTFS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	image->settings = json_incref(json_object_get(metadata, "settings"));
	if (image->fd < 0 || !image->settings || !fits(image, metadata) || !take_contents(image))
		ret = err_set(
			err, EIO,
			"sha256:%.12s: the image is damaged: remove it (cordon image rm %.12s) "
			"and build it again",
			id->hex, id->hex);
	json_decref(metadata);
	return ret;
}

/* With the cache's lock: either a removal sees the image in use, or it is gone. */
static int open_locked(struct image *image, int cache_fd, const struct digest *id, struct err *err)
{
	int lock = cache_lock(cache_fd, err), ret;

	if (lock < 0)
		return lock;
	image->lock_fd = openat(cache_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (image->lock_fd < 0 || flock(image->lock_fd, LOCK_SH | LOCK_NB) < 0)
		ret = err_set(err, ENOENT, "sha256:%.12s: no such image, or it is being removed",
			      id->hex);
	else
		ret = open_parts(image, id, err);
	fd_close(&lock);
	return ret;
}

int image_open(struct image *image, const struct digest *id, struct err *err)
{
	int cache_fd = cache_open(err), ret = 0;

	*image = (struct image){.fd = -1, .lock_fd = -1};
	if (cache_fd < 0)
		return cache_fd;
	if (cache_is_old(cache_fd, id->hex))
		ret = cache_convert(cache_fd, id, err);
	if (ret == 0)
		ret = open_locked(image, cache_fd, id, err);
	fd_close(&cache_fd);
	if (ret < 0)
		image_close(image);
	return ret;
}

void image_close(struct image *image)
{
	json_decref(image->settings);
	image->settings = NULL;
	fd_close(&image->fd);
	fd_close(&image->lock_fd);
}

/* --- removing --------------------------------------------------------------------------------- */

struct names {
	int cache_fd;
	const struct digest *id;
	unsigned count;
	bool remove;
};

static void count_name(void *arg, const char *tag, const struct digest *id)
{
	struct names *names = arg;

	if (!digest_equal(id, names->id))
		return;
	names->count++;
	if (names->remove)
		image_tag_remove(names->cache_fd, tag, NULL);
}

/* Renames the image first, so that other processes find it complete or not at all. */
static int remove_image(int cache_fd, const struct digest *id, struct err *err)
{
	char name[CACHE_NAME_SIZE];
	int fd = -1, ret = 0, lock = cache_lock(cache_fd, err);

	if (lock < 0)
		return lock;
	cache_sweep(cache_fd);
	fd = openat(cache_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		ret = err_set(err, ENOENT, "sha256:%.12s: no such image", id->hex);
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ret = err_set(err, EBUSY, "sha256:%.12s: a sandbox uses this image", id->hex);
	} else {
		cache_temporary_name(name, CACHE_PREFIX_OLD);
		if (renameat(cache_fd, id->hex, cache_fd, name) < 0)
			ret = err_sys(err, "sha256:%.12s", id->hex);
	}
	fd_close(&lock);
	if (ret == 0)
		ret = extract_remove(cache_fd, name, err);
	fd_close(&fd);
	return ret;
}

static int remove_by_name(int cache_fd, const char *name, struct err *err)
{
	struct names names = {.cache_fd = cache_fd};
	char found[IMAGE_TAG_MAX + 1];
	struct digest id;
	int ret = image_tag_find(cache_fd, name, found, &id, err);
	bool by_digest = ret == -ENOENT;

	if (by_digest)
		ret = find_digest(cache_fd, name, &id, err);
	if (ret == -EIO && !by_digest) /* a damaged name can only be removed */
		return image_tag_remove(cache_fd, name, err);
	if (ret < 0)
		return ret;
	names.id = &id;
	image_tag_each(cache_fd, count_name, &names);
	if (!by_digest && names.count > 1)
		return image_tag_remove(cache_fd, found, err);
	ret = remove_image(cache_fd, &id, err);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	names.remove = true;
	image_tag_each(cache_fd, count_name, &names);
	return by_digest ? ret : 0;
}

int image_remove(const char *name, struct err *err)
{
	int cache_fd = cache_open(err), ret;

	if (cache_fd < 0)
		return cache_fd;
	ret = remove_by_name(cache_fd, name, err);
	fd_close(&cache_fd);
	return ret;
}

/* --- the list --------------------------------------------------------------------------------- */

static void add_name(void *list, const char *tag, const struct digest *id)
{
	json_t *names = json_object_get(json_object_get(list, id->hex), "names");

	json_array_append_new(names, json_string(tag));
}

static void add_image(json_t *images, int cache_fd, const char *hex)
{
	int fd = openat(cache_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	json_t *metadata = fd < 0 ? NULL : cache_read_metadata(fd);

	fd_close(&fd);
	json_object_set_new(
		images, hex,
		json_pack("{s:s,s:[],s:I,s:I,s:I}", "id", hex, "names", "bytes",
			  json_integer_value(json_object_get(metadata, "bytes")), "entries",
			  json_integer_value(json_object_get(metadata, "entries")), "created",
			  json_integer_value(json_object_get(metadata, "created"))));
	json_decref(metadata);
}

json_t *image_list(struct err *err)
{
	int cache_fd = cache_open(err);
	json_t *images = json_object(), *array = json_array();
	struct dirent *item;
	struct digest id;
	void *at;
	DIR *list;

	if (cache_fd < 0 || !images || !array) {
		fd_close(&cache_fd);
		json_decref(images);
		json_decref(array);
		return NULL;
	}
	list = cache_read(cache_fd);
	while (list && (item = readdir(list)))
		if (digest_parse_hex(&id, item->d_name, strlen(item->d_name)))
			add_image(images, cache_fd, id.hex);
	if (list)
		closedir(list);
	image_tag_each(cache_fd, add_name, images);
	fd_close(&cache_fd);
	for (at = json_object_iter(images); at; at = json_object_iter_next(images, at))
		json_array_append(array, json_object_iter_value(at));
	json_decref(images);
	return array;
}
