/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/forged_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "vmm/base/fd.h"
#include "vmm/image/extract.h"

#define REQUIRE(condition)                                                        \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "forged image: %s failed\n", #condition); \
			abort();                                                  \
		}                                                                 \
	} while (0)

void forged_create(struct forged_image *image)
{
	memset(image, 0, sizeof(*image));
	/* In memory if possible: a fuzzer makes tens of thousands of these. */
	strcpy(image->base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/cordon-image-XXXXXX"
							  : "/tmp/cordon-image-XXXXXX");
	REQUIRE(mkdtemp(image->base));
	image->src_fd = open(image->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(mkdirat(image->src_fd, "src", 0755) == 0);
	REQUIRE(mkdirat(image->src_fd, "out", 0755) == 0);
	image->out_fd = openat(image->src_fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_close(&image->src_fd);
	image->src_fd = openat(image->out_fd, "../src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(image->src_fd >= 0 && image->out_fd >= 0);
}

void forged_destroy(struct forged_image *image)
{
	fd_close(&image->src_fd);
	fd_close(&image->out_fd);
	image_manifest_clear(&image->manifest);
	REQUIRE(extract_remove(AT_FDCWD, image->base, NULL) == 0);
}

/* The checksum covers the header, with spaces in place of the checksum itself. */
static void seal(uint8_t *header)
{
	unsigned sum = 0, i;

	memset(header + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

static void add_entry(int fd, const struct forged_entry *from)
{
	struct tar_entry *entry = calloc(1, sizeof(*entry));
	bool has_contents = from->type == '0' || from->type == 'S';
	uint8_t header[TAR_BLOCK];
	const char *name = from->name;
	unsigned mode = 0, uid = 0;
	char *end;
	off_t at;

	REQUIRE(entry);
	entry->type = (enum tar_type)from->type;
	entry->mode = from->type == '5' ? 0755 : 0644;
	entry->mtime = 1000000000;
	if (name[0] == '@') {
		mode = (unsigned)strtoul(name + 1, &end, 8);
		if (*end == ':')
			uid = (unsigned)strtoul(end + 1, &end, 10);
		name = end + 1;
	}
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	if (has_contents)
		entry->size = strlen(from->text);
	else
		snprintf(entry->link, sizeof(entry->link), "%s", from->text);
	REQUIRE(tar_write_entry(fd, entry) == 0);
	if (mode) { /* the tar writer does not write special bits */
		at = lseek(fd, 0, SEEK_CUR) - TAR_BLOCK;
		REQUIRE(pread(fd, header, sizeof(header), at) == TAR_BLOCK);
		snprintf((char *)header + 100, 8, "%07o", mode & 07777);
		snprintf((char *)header + 108, 8, "%07o", uid & 07777777);
		seal(header);
		REQUIRE(pwrite(fd, header, sizeof(header), at) == TAR_BLOCK);
	}
	if (has_contents) {
		REQUIRE(fd_write_full(fd, from->text, entry->size) == 0);
		REQUIRE(tar_write_padding(fd, entry->size) == 0);
	}
	free(entry);
}

void forged_layer(struct forged_layer *layer, const struct forged_entry *entries)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	for (; entries->type; entries++)
		add_entry(fd, entries);
	REQUIRE(tar_write_end(fd) == 0);
	layer->length = (size_t)fd_pread_full(fd, layer->bytes, sizeof(layer->bytes), 0);
	REQUIRE(layer->length < sizeof(layer->bytes));
	close(fd);
}

static size_t deflate_layer(const struct forged_layer *layer, uint8_t *out)
{
	z_stream zlib = {
		.next_in = (uint8_t *)layer->bytes,
		.avail_in = (uInt)layer->length,
		.next_out = out,
		.avail_out = FORGED_LAYER_MAX,
	};

	REQUIRE(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	REQUIRE(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&zlib);
	return FORGED_LAYER_MAX - zlib.avail_out;
}

void forged_compress(struct forged_layer *layer, enum compression kind)
{
	uint8_t *out = malloc(FORGED_LAYER_MAX);

	REQUIRE(out);
	if (kind == COMPRESSION_ZSTD)
		layer->length =
			ZSTD_compress(out, FORGED_LAYER_MAX, layer->bytes, layer->length, 3);
	else
		layer->length = deflate_layer(layer, out);
	REQUIRE(layer->length <= FORGED_LAYER_MAX);
	memcpy(layer->bytes, out, layer->length);
	free(out);
}

void forged_write(struct forged_image *image, const char *name, const void *bytes, size_t length)
{
	int fd = openat(image->src_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0 && fd_write_full(fd, bytes, length) == 0);
	close(fd);
}

void forged_add(struct forged_image *image, struct forged_layer *layer, enum compression kind)
{
	struct image_layer *added = &image->manifest.layers[image->manifest.layer_count];

	snprintf(added->file, sizeof(added->file), "layer%u", image->manifest.layer_count++);
	digest_of(&added->unpacked, layer->bytes, layer->length);
	if (kind != COMPRESSION_NONE)
		forged_compress(layer, kind);
	digest_of(&added->stored, layer->bytes, layer->length);
	added->size = layer->length;
	forged_write(image, added->file, layer->bytes, layer->length);
}

static json_t *describe(const struct digest *digest, uint64_t size)
{
	char text[DIGEST_HEX + 8];

	snprintf(text, sizeof(text), "sha256:%s", digest->hex);
	return json_pack("{s:s,s:I}", "digest", text, "size", (json_int_t)size);
}

/* Stores a description as a blob and returns its descriptor. */
static json_t *store(struct forged_image *image, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT), name[IMAGE_NAME_MAX + 1];
	size_t length = strlen(text);
	struct digest digest;

	digest_of(&digest, text, length);
	snprintf(name, sizeof(name), "blobs/sha256/%s", digest.hex);
	forged_write(image, name, text, length);
	free(text);
	json_decref(json);
	return describe(&digest, length);
}

void forged_oci(struct forged_image *image, const char *config)
{
	json_t *json = json_loads(config, 0, NULL), *layers = json_array(), *ids = json_array();
	json_t *index;
	char name[IMAGE_NAME_MAX + 1], *text;
	unsigned i;

	REQUIRE(json);
	REQUIRE(mkdirat(image->src_fd, "blobs", 0755) == 0 || errno == EEXIST);
	REQUIRE(mkdirat(image->src_fd, "blobs/sha256", 0755) == 0 || errno == EEXIST);
	for (i = 0; i < image->manifest.layer_count; i++) {
		struct image_layer *layer = &image->manifest.layers[i];

		snprintf(name, sizeof(name), "blobs/sha256/%s", layer->stored.hex);
		REQUIRE(linkat(image->src_fd, layer->file, image->src_fd, name, 0) == 0 ||
			errno == EEXIST);
		json_array_append_new(layers, describe(&layer->stored, layer->size));
		snprintf(name, sizeof(name), "sha256:%s", layer->unpacked.hex);
		json_array_append_new(ids, json_string(name));
	}
	if (!json_object_get(json, "rootfs"))
		json_object_set_new(json, "rootfs", json_pack("{s:o}", "diff_ids", ids));
	else
		json_decref(ids);
	index = json_pack("{s:[o]}", "manifests",
			  store(image, json_pack("{s:o,s:o}", "config", store(image, json),
						 "layers", layers)));
	text = json_dumps(index, 0);
	forged_write(image, "index.json", text, strlen(text));
	free(text);
	json_decref(index);
}

bool forged_has(const struct forged_image *image, const char *name, const char *text)
{
	char found[256] = "";
	struct stat status;
	int fd;

	if (!text)
		return fstatat(image->out_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0;
	fd = openat(image->out_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	fd_read_full(fd, found, sizeof(found) - 1);
	close(fd);
	return strcmp(found, text) == 0;
}
