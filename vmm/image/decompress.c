/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/decompress.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <zstd_errors.h>

#include "vmm/base/library.h"
#include "vmm/base/progress.h"
#include "vmm/base/signals.h"

#define GZIP_WINDOW (15 + 16) /* the largest window, with gzip's header and trailer */

/* --- which compression ------------------------------------------------------------------------ */

/* A zstd frame or a skippable frame, which some tools write before the first one. */
static bool is_zstd(const uint8_t *start)
{
	uint32_t magic = load_le32(start);

	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

enum compression compression_of(const uint8_t start[COMPRESSION_MAGIC])
{
	if (start[0] == 0x1f && start[1] == 0x8b)
		return COMPRESSION_GZIP;
	return is_zstd(start) ? COMPRESSION_ZSTD : COMPRESSION_NONE;
}

const char *compression_unknown(const uint8_t start[COMPRESSION_MAGIC])
{
	static const struct {
		const char *magic, *name;
		size_t length;
	} kinds[] = {
		{"\xfd"
		 "7zXZ",
		 "xz", 5},
		{"BZh", "bzip2", 3},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memcmp(start, kinds[i].magic, kinds[i].length) == 0)
			return kinds[i].name;
	return NULL;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* libzstd, which is loaded with the first stream that needs it. */
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

static int open_zstd(struct decompressor *stream, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_zstd);
	if (zstd.ret < 0) {
		*err = zstd.why;
		return zstd.ret;
	}
	stream->zstd = zstd.create();
	if (stream->zstd &&
	    !zstd.is_error(zstd.set(stream->zstd, ZSTD_d_windowLogMax, DECOMPRESS_WINDOW_LOG)))
		return 0;
	return err_set(err, ENOMEM, "out of memory");
}

/* Adds stored bytes to an empty buffer, up to `wanted` of them unless the input is over. */
static int fill(struct decompressor *stream, size_t wanted, struct err *err)
{
	ssize_t n;

	stream->next = stream->in;
	while (stream->left < wanted && !stream->input_over) {
		if (signals_arrived())
			return err_set(err, EINTR, "interrupted");
		n = stream->input.read(stream->input.arg, stream->in + stream->left,
				       sizeof(stream->in) - stream->left, err);
		if (n < 0)
			return (int)n;
		stream->input_over = n == 0;
		stream->left += (size_t)n;
		stream->stored += (uint64_t)n;
		/* An endless input of which nothing comes, such as empty members. */
		if (stream->stored - min_u64(stream->stored, DECOMPRESS_SLACK) > stream->max)
			return err_set(err, EFBIG, "%s has more bytes than the limit",
				       stream->input.what);
		progress_add((uint64_t)n);
	}
	return 0;
}

int decompressor_open(struct decompressor *stream, const struct decompress_input *input,
		      uint64_t max, struct err *err)
{
	uint8_t start[COMPRESSION_MAGIC] = "";
	const char *unknown;
	int ret;

	memset(stream, 0, offsetof(struct decompressor, in));
	stream->input = *input;
	stream->max = max;
	ret = fill(stream, COMPRESSION_MAGIC, err);
	if (ret < 0)
		return ret;
	memcpy(start, stream->in, min_u64(sizeof(start), stream->left));
	unknown = compression_unknown(start);
	if (unknown)
		return err_set(err, ENOTSUP, "%s is compressed by %s: %s", input->what, unknown,
			       input->advice);
	stream->kind = compression_of(start);
	if (stream->kind == COMPRESSION_GZIP && inflateInit2(&stream->zlib, GZIP_WINDOW) != Z_OK) {
		stream->kind = COMPRESSION_NONE;
		ret = err_set(err, ENOMEM, "out of memory");
	} else if (stream->kind == COMPRESSION_ZSTD) {
		ret = open_zstd(stream, err);
	}
	if (ret < 0)
		decompressor_close(stream);
	return ret;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* 1; 0 at the end of the input. */
static int refill(struct decompressor *stream, struct err *err)
{
	int ret = stream->left > 0 ? 0 : fill(stream, 1, err);

	return ret < 0 ? ret : stream->left > 0;
}

static void use(struct decompressor *stream, size_t bytes)
{
	stream->next += bytes;
	stream->left -= bytes;
}

static ssize_t read_plain(struct decompressor *stream, void *to, size_t length, struct err *err)
{
	int ret = refill(stream, err);
	size_t part = min_u64(length, stream->left);

	if (ret < 0)
		return ret;
	memcpy(to, stream->next, part);
	use(stream, part);
	return (ssize_t)part;
}

static int inflate_some(struct decompressor *stream)
{
	int ret;

	stream->zlib.next_in = (uint8_t *)stream->next;
	stream->zlib.avail_in = (uInt)stream->left;
	ret = inflate(&stream->zlib, Z_NO_FLUSH);
	use(stream, stream->left - stream->zlib.avail_in);
	return ret;
}

/* Skips zeros to the end of the input, as blocks of tapes and disks are filled up. 0 there. */
static int skip_padding(struct decompressor *stream, struct err *err)
{
	uint64_t skipped;
	int ret = 1;

	for (skipped = 0; skipped < DECOMPRESS_PADDING && ret > 0; skipped++) {
		if (*stream->next != 0)
			break;
		use(stream, 1);
		ret = refill(stream, err);
	}
	return ret <= 0 ? ret
			: err_set(err, EPROTO, "%s's gzip stream is damaged", stream->input.what);
}

/* At the end of a gzip member: 1 if another one follows. */
static int next_member(struct decompressor *stream, struct err *err)
{
	int ret = refill(stream, err);

	if (ret > 0 && *stream->next == 0)
		return skip_padding(stream, err);
	return ret <= 0 ? ret : inflateReset(&stream->zlib) == Z_OK ? 1 : -EIO;
}

static ssize_t read_gzip(struct decompressor *stream, void *to, size_t length, struct err *err)
{
	int ret;

	stream->zlib.next_out = to;
	stream->zlib.avail_out = (uInt)min_u64(length, 1u << 30);
	length = stream->zlib.avail_out;
	while (stream->zlib.avail_out == length) {
		ret = refill(stream, err);
		if (ret < 0)
			return ret;
		ret = inflate_some(stream);
		if (ret == Z_STREAM_END) {
			ret = next_member(stream, err);
			if (ret < 0)
				return ret;
			stream->ended = ret == 0;
			if (stream->ended)
				break;
		} else if (ret == Z_BUF_ERROR && stream->input_over) {
			return err_set(err, EPROTO, "%s's gzip stream is truncated",
				       stream->input.what);
		} else if (ret != Z_OK && ret != Z_BUF_ERROR) {
			return err_set(err, EPROTO, "%s's gzip stream is damaged",
				       stream->input.what);
		}
	}
	return (ssize_t)(length - stream->zlib.avail_out);
}

static int explain_zstd(const struct decompressor *stream, size_t code, struct err *err)
{
	switch (zstd.error_code(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(err, EFBIG, "%s's zstd stream needs more than %d MiB of memory",
			       stream->input.what, 1 << (DECOMPRESS_WINDOW_LOG - 20));
	case ZSTD_error_memory_allocation:
		return err_set(err, ENOMEM, "out of memory");
	default:
		return err_set(err, EPROTO, "%s's zstd stream is damaged", stream->input.what);
	}
}

/* The stream is a sequence of frames, and may end after any of them. */
static ssize_t read_zstd(struct decompressor *stream, void *to, size_t length, struct err *err)
{
	ZSTD_outBuffer out = {.dst = to, .size = length};
	ZSTD_inBuffer in;
	size_t code;
	int ret;

	while (out.pos == 0) {
		ret = refill(stream, err);
		if (ret < 0)
			return ret;
		if (ret == 0 && !stream->in_frame) {
			stream->ended = true;
			break;
		}
		in = (ZSTD_inBuffer){.src = stream->next, .size = stream->left};
		code = zstd.decompress(stream->zstd, &out, &in);
		if (zstd.is_error(code))
			return explain_zstd(stream, code, err);
		use(stream, in.pos);
		stream->in_frame = code != 0;
		/* Without input, the decoder can only flush what it holds. */
		if (ret == 0 && out.pos == 0 && stream->in_frame)
			return err_set(err, EPROTO, "%s's zstd stream is truncated",
				       stream->input.what);
	}
	return (ssize_t)out.pos;
}

static ssize_t read_some(struct decompressor *stream, void *to, size_t length, struct err *err)
{
	switch (stream->kind) {
	case COMPRESSION_GZIP:
		return read_gzip(stream, to, length, err);
	case COMPRESSION_ZSTD:
		return read_zstd(stream, to, length, err);
	default:
		return read_plain(stream, to, length, err);
	}
}

ssize_t decompressor_read(struct decompressor *stream, void *to, size_t length, struct err *err)
{
	ssize_t n;

	if (stream->ended || length == 0)
		return 0;
	n = read_some(stream, to, length, err);
	if (n < 0)
		return n;
	stream->produced += (uint64_t)n;
	if (stream->produced > stream->max)
		return err_set(err, EFBIG, "%s unpacks to more than the limit", stream->input.what);
	if (stream->kind != COMPRESSION_NONE && stream->produced > DECOMPRESS_SLACK &&
	    (stream->produced - DECOMPRESS_SLACK) / DECOMPRESS_RATIO > stream->stored)
		return err_set(err, EFBIG, "%s unpacks to more than %d times its size: refused",
			       stream->input.what, DECOMPRESS_RATIO);
	return n;
}

void decompressor_close(struct decompressor *stream)
{
	if (stream->kind == COMPRESSION_GZIP)
		inflateEnd(&stream->zlib);
	if (stream->zstd)
		zstd.free(stream->zstd);
	stream->zstd = NULL;
	stream->kind = COMPRESSION_NONE;
}
