/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/layer.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/fd.h"

#define GZIP_WINDOW (15 + 16) /* the greatest window, and gzip's header and trailer checked */

/* The next stored bytes into the buffer; 0 at the blob's end. */
static ssize_t refill(struct layer *layer, struct err *err)
{
	size_t part = min_u64(layer->blob.size - layer->read, sizeof(layer->in));
	ssize_t n = fd_pread_full(layer->blob.fd, layer->in, part,
				  (off_t)(layer->blob.at + layer->read));

	if (n < 0)
		return err_code(err, (int)-n, "reading a layer");
	if ((size_t)n < part)
		return err_set(err, EIO, "a layer became shorter while it was read");
	layer->read += part;
	sha256_update(&layer->stored_context, part, layer->in);
	return n;
}

/* By the first bytes; the digests of the manifest hold for what they are taken as. */
static int detect(struct layer *layer, struct err *err)
{
	static const struct {
		const char *magic, *name;
		size_t length;
	} refused[] = {
		{"\x28\xb5\x2f\xfd", "zstd", 4},
		{"\xfd"
		 "7zXZ",
		 "xz", 5},
		{"BZh", "bzip2", 3},
	};
	uint8_t start[8] = "";
	ssize_t n;
	size_t i;

	n = fd_pread_full(layer->blob.fd, start, min_u64(sizeof(start), layer->blob.size),
			  (off_t)layer->blob.at);
	if (n < 0)
		return err_code(err, (int)-n, "reading a layer");
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		if (memcmp(start, refused[i].magic, refused[i].length) == 0)
			return err_set(err, ENOTSUP,
				       "a layer is compressed by %s, which this version can't "
				       "read: save the image with gzip layers",
				       refused[i].name);
	layer->gzip = start[0] == 0x1f && start[1] == 0x8b;
	return 0;
}

int layer_open(struct layer *layer, const struct image_blob *blob, uint64_t max, struct err *err)
{
	int ret;

	memset(&layer->zlib, 0, sizeof(layer->zlib));
	layer->blob = *blob;
	layer->read = layer->produced = 0;
	layer->gzip = layer->ended = false;
	layer->max = max;
	sha256_init(&layer->stored_context);
	sha256_init(&layer->unpacked_context);
	ret = detect(layer, err);
	if (ret == 0 && layer->gzip && inflateInit2(&layer->zlib, GZIP_WINDOW) != Z_OK) {
		layer->gzip = false;
		ret = err_set(err, ENOMEM, "out of memory");
	}
	return ret;
}

static ssize_t read_plain(struct layer *layer, void *to, size_t length, struct err *err)
{
	ssize_t n;
	size_t part;

	if (layer->zlib.avail_in == 0) {
		n = refill(layer, err);
		if (n <= 0)
			return n;
		layer->zlib.next_in = layer->in;
		layer->zlib.avail_in = (uInt)n;
	}
	part = min_u64(length, layer->zlib.avail_in);
	memcpy(to, layer->zlib.next_in, part);
	layer->zlib.next_in += part;
	layer->zlib.avail_in -= (uInt)part;
	return (ssize_t)part;
}

/* At the end of a gzip member: another may follow. 1 if it does. */
static int next_member(struct layer *layer, struct err *err)
{
	ssize_t n;

	if (layer->zlib.avail_in == 0) {
		n = refill(layer, err);
		if (n <= 0)
			return (int)n;
		layer->zlib.next_in = layer->in;
		layer->zlib.avail_in = (uInt)n;
	}
	return inflateReset(&layer->zlib) == Z_OK ? 1 : -EIO;
}

static ssize_t read_gzip(struct layer *layer, void *to, size_t length, struct err *err)
{
	ssize_t n;
	int ret;

	layer->zlib.next_out = to;
	layer->zlib.avail_out = (uInt)min_u64(length, 1u << 30);
	length = layer->zlib.avail_out;
	while (layer->zlib.avail_out == length) {
		if (layer->zlib.avail_in == 0) {
			n = refill(layer, err);
			if (n < 0)
				return n;
			layer->zlib.next_in = layer->in;
			layer->zlib.avail_in = (uInt)n;
		}
		ret = inflate(&layer->zlib, Z_NO_FLUSH);
		if (ret == Z_STREAM_END) {
			ret = next_member(layer, err);
			if (ret < 0)
				return ret;
			layer->ended = ret == 0;
			if (layer->ended)
				break;
		} else if (ret == Z_BUF_ERROR && layer->read == layer->blob.size) {
			return err_set(err, EPROTO, "a layer's gzip stream is cut short");
		} else if (ret != Z_OK && ret != Z_BUF_ERROR) {
			return err_set(err, EPROTO, "a layer's gzip stream is damaged");
		}
	}
	return (ssize_t)(length - layer->zlib.avail_out);
}

ssize_t layer_read(void *arg, void *to, size_t length, struct err *err)
{
	struct layer *layer = arg;
	ssize_t n;

	if (layer->ended || length == 0)
		return 0;
	n = layer->gzip ? read_gzip(layer, to, length, err) : read_plain(layer, to, length, err);
	if (n < 0)
		return n;
	layer->produced += (uint64_t)n;
	if (layer->produced > layer->max)
		return err_set(err, EFBIG, "the image unpacks to more than is allowed");
	if (layer->gzip && layer->produced > LAYER_SLACK &&
	    (layer->produced - LAYER_SLACK) / LAYER_RATIO > layer->read)
		return err_set(err, EFBIG,
			       "a layer unpacks to more than %d times its size: it is refused",
			       LAYER_RATIO);
	sha256_update(&layer->unpacked_context, (size_t)n, to);
	return n;
}

int layer_finish(struct layer *layer, const struct digest *stored, const struct digest *unpacked,
		 struct err *err)
{
	struct digest found;
	uint8_t rest[16 << 10];
	ssize_t n;

	while ((n = layer_read(layer, rest, sizeof(rest), err)) > 0)
		;
	if (n < 0)
		return (int)n;
	digest_finish(&found, &layer->stored_context);
	if (stored && stored->hex[0] && !digest_equal(&found, stored))
		return err_set(err, EBADMSG,
			       "a layer is not what its digest says (sha256:%.12s...)",
			       stored->hex);
	digest_finish(&found, &layer->unpacked_context);
	if (!digest_equal(&found, unpacked))
		return err_set(err, EBADMSG,
			       "a layer does not unpack to what its digest says (sha256:%.12s...)",
			       unpacked->hex);
	return 0;
}

void layer_close(struct layer *layer)
{
	if (layer->gzip)
		inflateEnd(&layer->zlib);
	layer->gzip = false;
}
