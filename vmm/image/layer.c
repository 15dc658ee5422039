/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/layer.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <zstd_errors.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/library.h"

#define GZIP_WINDOW (15 + 16) /* the largest window, with gzip's header and trailer */

/* Fills the buffer with the next stored bytes if it is empty. 0 at the end of the blob, else 1. */
static int refill(struct layer *layer, struct err *err)
{
	size_t part = min_u64(layer->blob.size - layer->read, sizeof(layer->in));
	ssize_t n;

	if (layer->left > 0)
		return 1;
	n = fd_pread_full(layer->blob.fd, layer->in, part, (off_t)(layer->blob.at + layer->read));
	if (n < 0)
		return err_code(err, (int)-n, "reading a layer");
	if ((size_t)n < part)
		return err_set(err, EIO, "a layer shrank while it was read");
	layer->read += part;
	sha256_update(&layer->stored_context, part, layer->in);
	layer->next = layer->in;
	layer->left = part;
	return part > 0;
}

static void use(struct layer *layer, size_t bytes)
{
	layer->next += bytes;
	layer->left -= bytes;
}

/* --- detecting the compression ---------------------------------------------------------------- */

/* A zstd frame or a skippable frame, which some tools write before the first one. */
static bool is_zstd(const uint8_t *start)
{
	uint32_t magic = load_le32(start);

	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* By the first bytes, not the media type: the digests are checked in any case. */
static int detect(struct layer *layer, struct err *err)
{
	static const struct {
		const char *magic, *name;
		size_t length;
	} refused[] = {
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
				       "a layer is compressed by %s, which images do not use: save "
				       "the image with gzip or zstd layers",
				       refused[i].name);
	if (start[0] == 0x1f && start[1] == 0x8b)
		layer->kind = LAYER_GZIP;
	else if (is_zstd(start))
		layer->kind = LAYER_ZSTD;
	return 0;
}

/* libzstd, which is loaded with the first layer that needs it. */
static struct {
	__typeof__(&ZSTD_createDCtx) create;
	__typeof__(&ZSTD_freeDCtx) free;
	__typeof__(&ZSTD_DCtx_setParameter) set;
	__typeof__(&ZSTD_decompressStream) decompress;
	__typeof__(&ZSTD_isError) is_error;
	__typeof__(&ZSTD_getErrorCode) error_code;
	struct err why;
	int ret;
} zstd;

static void load_zstd(void)
{
	const struct library_symbol symbol[] = {
		{"ZSTD_createDCtx", (void **)&zstd.create},
		{"ZSTD_freeDCtx", (void **)&zstd.free},
		{"ZSTD_DCtx_setParameter", (void **)&zstd.set},
		{"ZSTD_decompressStream", (void **)&zstd.decompress},
		{"ZSTD_isError", (void **)&zstd.is_error},
		{"ZSTD_getErrorCode", (void **)&zstd.error_code},
	};

	zstd.ret = library_load("libzstd.so.1", "libzstd1", symbol, ARRAY_SIZE(symbol), &zstd.why);
}

static int open_zstd(struct layer *layer, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_zstd);
	if (zstd.ret < 0) {
		*err = zstd.why;
		return zstd.ret;
	}
	layer->zstd = zstd.create();
	if (layer->zstd &&
	    !zstd.is_error(zstd.set(layer->zstd, ZSTD_d_windowLogMax, LAYER_WINDOW_LOG)))
		return 0;
	return err_set(err, ENOMEM, "out of memory");
}

int layer_open(struct layer *layer, const struct image_blob *blob, uint64_t max, struct err *err)
{
	int ret;

	memset(layer, 0, offsetof(struct layer, in));
	layer->blob = *blob;
	layer->max = max;
	sha256_init(&layer->stored_context);
	sha256_init(&layer->unpacked_context);
	ret = detect(layer, err);
	if (ret < 0)
		return ret;
	if (layer->kind == LAYER_GZIP && inflateInit2(&layer->zlib, GZIP_WINDOW) != Z_OK)
		ret = err_set(err, ENOMEM, "out of memory");
	else if (layer->kind == LAYER_ZSTD)
		ret = open_zstd(layer, err);
	if (ret < 0)
		layer_close(layer);
	return ret;
}

/* --- reading ---------------------------------------------------------------------------------- */

static ssize_t read_plain(struct layer *layer, void *to, size_t length, struct err *err)
{
	int ret = refill(layer, err);
	size_t part = min_u64(length, layer->left);

	if (ret < 0)
		return ret;
	memcpy(to, layer->next, part);
	use(layer, part);
	return (ssize_t)part;
}

static int inflate_some(struct layer *layer)
{
	int ret;

	layer->zlib.next_in = (uint8_t *)layer->next;
	layer->zlib.avail_in = (uInt)layer->left;
	ret = inflate(&layer->zlib, Z_NO_FLUSH);
	use(layer, layer->left - layer->zlib.avail_in);
	return ret;
}

/* At the end of a gzip member: 1 if another one follows. */
static int next_member(struct layer *layer, struct err *err)
{
	int ret = refill(layer, err);

	return ret <= 0 ? ret : inflateReset(&layer->zlib) == Z_OK ? 1 : -EIO;
}

static ssize_t read_gzip(struct layer *layer, void *to, size_t length, struct err *err)
{
	int ret;

	layer->zlib.next_out = to;
	layer->zlib.avail_out = (uInt)min_u64(length, 1u << 30);
	length = layer->zlib.avail_out;
	while (layer->zlib.avail_out == length) {
		ret = refill(layer, err);
		if (ret < 0)
			return ret;
		ret = inflate_some(layer);
		if (ret == Z_STREAM_END) {
			ret = next_member(layer, err);
			if (ret < 0)
				return ret;
			layer->ended = ret == 0;
			if (layer->ended)
				break;
		} else if (ret == Z_BUF_ERROR && layer->read == layer->blob.size) {
			return err_set(err, EPROTO, "a layer's gzip stream is truncated");
		} else if (ret != Z_OK && ret != Z_BUF_ERROR) {
			return err_set(err, EPROTO, "a layer's gzip stream is damaged");
		}
	}
	return (ssize_t)(length - layer->zlib.avail_out);
}

static int explain_zstd(size_t code, struct err *err)
{
	switch (zstd.error_code(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(err, EFBIG, "a layer's zstd stream needs more than %d MiB of memory",
			       1 << (LAYER_WINDOW_LOG - 20));
	case ZSTD_error_memory_allocation:
		return err_set(err, ENOMEM, "out of memory");
	default:
		return err_set(err, EPROTO, "a layer's zstd stream is damaged");
	}
}

/* The stream is a sequence of frames, and may end after any of them. */
static ssize_t read_zstd(struct layer *layer, void *to, size_t length, struct err *err)
{
	ZSTD_outBuffer out = {.dst = to, .size = length};
	ZSTD_inBuffer in;
	size_t code;
	int ret;

	while (out.pos == 0) {
		ret = refill(layer, err);
		if (ret < 0)
			return ret;
		if (ret == 0 && !layer->in_frame) {
			layer->ended = true;
			break;
		}
		in = (ZSTD_inBuffer){.src = layer->next, .size = layer->left};
		code = zstd.decompress(layer->zstd, &out, &in);
		if (zstd.is_error(code))
			return explain_zstd(code, err);
		use(layer, in.pos);
		layer->in_frame = code != 0;
		/* Without input, the decoder can only flush what it holds. */
		if (ret == 0 && out.pos == 0 && layer->in_frame)
			return err_set(err, EPROTO, "a layer's zstd stream is truncated");
	}
	return (ssize_t)out.pos;
}

static ssize_t read_some(struct layer *layer, void *to, size_t length, struct err *err)
{
	switch (layer->kind) {
	case LAYER_GZIP:
		return read_gzip(layer, to, length, err);
	case LAYER_ZSTD:
		return read_zstd(layer, to, length, err);
	default:
		return read_plain(layer, to, length, err);
	}
}

ssize_t layer_read(void *arg, void *to, size_t length, struct err *err)
{
	struct layer *layer = arg;
	ssize_t n;

	if (layer->ended || length == 0)
		return 0;
	n = read_some(layer, to, length, err);
	if (n < 0)
		return n;
	layer->produced += (uint64_t)n;
	if (layer->produced > layer->max)
		return err_set(err, EFBIG, "the image unpacks to more than the limit");
	if (layer->kind != LAYER_PLAIN && layer->produced > LAYER_SLACK &&
	    (layer->produced - LAYER_SLACK) / LAYER_RATIO > layer->read)
		return err_set(err, EFBIG,
			       "a layer unpacks to more than %d times its size: refused",
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
		return err_set(err, EBADMSG, "a layer does not match its digest (sha256:%.12s...)",
			       stored->hex);
	digest_finish(&found, &layer->unpacked_context);
	if (!digest_equal(&found, unpacked))
		return err_set(err, EBADMSG,
			       "a layer's unpacked contents do not match their digest "
			       "(sha256:%.12s...)",
			       unpacked->hex);
	return 0;
}

void layer_close(struct layer *layer)
{
	if (layer->kind == LAYER_GZIP)
		inflateEnd(&layer->zlib);
	if (layer->zstd)
		zstd.free(layer->zstd);
	layer->zstd = NULL;
	layer->kind = LAYER_PLAIN;
}
