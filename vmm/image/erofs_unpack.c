/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of a merge that writes an erofs image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/image/erofs.h"
#include "vmm/image/merge.h"

/* Components looked up for each entry that is allowed, on average, and some for small limits. */
#define STEPS_PER_ENTRY 64
#define STEPS_MORE	(1u << 20)

#define BUFFER (128u << 10)

struct unpacking {
	struct erofs *fs;
	uint8_t *buffer;
};

/* Says which entry failed. */
static int name_entry(int ret, const char *path, const struct err *why, struct err *err)
{
	return ret < 0 ? err_set(err, -ret, "%.200s: %s", path, why->text) : ret;
}

static mode_t file_type(const struct tar_entry *entry)
{
	switch (entry->type) {
	case TAR_FILE:
		return S_IFREG;
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_DIRECTORY:
		return S_IFDIR;
	default:
		return entry->flag == '3' ? S_IFCHR : entry->flag == '4' ? S_IFBLK : S_IFIFO;
	}
}

static int copy_contents(struct unpacking *unpack, struct tar_reader *reader, struct err *err)
{
	ssize_t n;
	int ret = 0;

	while (ret == 0 && (n = tar_read(reader, unpack->buffer, BUFFER, err)) != 0)
		ret = n < 0 ? (int)n : erofs_write(unpack->fs, unpack->buffer, (size_t)n, err);
	return ret;
}

static int add(void *arg, char *path, const struct tar_entry *entry, char *target,
	       struct tar_reader *reader, struct err *err)
{
	mode_t mode = file_type(entry) | entry->mode | entry->set_bits;
	const struct erofs_stat stat = {
		/* Of a link Linux has no mode but this, whatever an archive says. */
		.mode = entry->type == TAR_SYMLINK ? S_IFLNK | 0777 : mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.major = entry->major,
		.minor = entry->minor,
		.mtime = entry->mtime,
		.mtime_nsec = entry->mtime_nsec,
		.attributes = reader->attributes->list,
		.attribute_count = reader->attributes->count,
	};
	struct unpacking *unpack = arg;
	struct err why = {.text = ""};
	int ret;

	if (entry->type == TAR_LINK)
		ret = erofs_link(unpack->fs, path, target, &why);
	else
		ret = erofs_add(unpack->fs, path, &stat, entry->link, &why);
	if (ret < 0)
		return name_entry(ret, path, &why, err);
	return entry->type == TAR_FILE ? copy_contents(unpack, reader, err) : 0;
}

static int hide(void *arg, char *path, bool contents, struct err *err)
{
	struct unpacking *unpack = arg;
	struct err why = {.text = ""};

	return name_entry(contents ? erofs_remove_contents(unpack->fs, path, &why)
				   : erofs_remove(unpack->fs, path, &why),
			  path, &why, err);
}

/*
 * Makes a directory that a runtime owes the image, if no layer has it. Where a layer has something
 * else in its way, the command will miss it and say so.
 */
static int owe_directory(struct unpacking *unpack, const json_t *path, struct err *err)
{
	const struct erofs_stat stat = {.mode = S_IFDIR | 0755};
	const char *text = json_string_value(path);
	int ret = 0;

	if (text && text[0] == '/')
		ret = erofs_make_directory(unpack->fs, text, &stat, err);
	return ret == -ENOTDIR || ret == -ENOENT || ret == -ELOOP || ret == -ENAMETOOLONG ? 0 : ret;
}

/* OCI image specification, config.md: WorkingDir and Volumes. */
static int owe_directories(struct unpacking *unpack, const json_t *settings, struct err *err)
{
	const json_t *volumes = json_object_get(settings, "volumes");
	int ret = owe_directory(unpack, json_object_get(settings, "workdir"), err);
	size_t i;

	for (i = 0; i < json_array_size(volumes) && ret == 0; i++)
		ret = owe_directory(unpack, json_array_get(volumes, i), err);
	return ret;
}

/* A UUID of the custom kind (RFC 9562, version 8). */
static void make_uuid(uint8_t uuid[16], const struct digest *id)
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, strlen(id->hex), (const uint8_t *)id->hex);
	sha256_digest(&context, 16, uuid);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

int image_unpack_erofs(const struct image_manifest *manifest, const struct image_source *source,
		       int fd, const struct image_limits *limits, struct image_counts *counts,
		       struct err *err)
{
	struct unpacking unpack = {.buffer = malloc(BUFFER)};
	const struct merge_sink sink = {
		.hide = hide,
		.add = add,
		.arg = &unpack,
		.attributes = true,
	};
	struct erofs_limits bounds = erofs_limits_default;
	uint8_t uuid[16];
	int ret;

	*counts = (struct image_counts){.bytes = 0};
	bounds.steps = limits->entries * STEPS_PER_ENTRY + STEPS_MORE;
	if (!unpack.buffer)
		return err_set(err, ENOMEM, "out of memory");
	ret = erofs_create(&unpack.fs, fd, &bounds, err);
	if (ret == 0)
		ret = merge_layers(manifest, source, &sink, limits, counts, err);
	if (ret == 0)
		ret = owe_directories(&unpack, manifest->settings, err);
	make_uuid(uuid, &manifest->id);
	if (ret == 0)
		ret = erofs_finish(unpack.fs, uuid, err);
	erofs_destroy(unpack.fs);
	free(unpack.buffer);
	return ret;
}
