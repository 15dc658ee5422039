/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompresses a stream of gzip members (RFC 1952) or zstd frames (RFC 8878), which its first bytes
 * tell; another stream passes unchanged. The input is hostile: what comes out is bounded by a
 * number of bytes, and by a multiple of what went in.
 */
#ifndef CORDON_IMAGE_DECOMPRESS_H
#define CORDON_IMAGE_DECOMPRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/err.h"

/*
 * The most that may come out of a compressed stream: DECOMPRESS_SLACK, plus DECOMPRESS_RATIO times
 * what went in. (gzip can reach 1032, zstd 32768; programs and texts stay below 20.)
 */
#define DECOMPRESS_SLACK MIB(16)
#define DECOMPRESS_RATIO 128

/* Zeros behind the last gzip member that are ignored, as gzip(1) does. */
#define DECOMPRESS_PADDING MIB(16)

/* The memory that a zstd stream may need, as a power of two: the default limit of zstd(1), too. */
#define DECOMPRESS_WINDOW_LOG 27

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

/* Where the stored bytes come from. */
struct decompress_input {
	/* Reads up to length bytes; 0 at the end; -errno with a message. */
	ssize_t (*read)(void *arg, void *to, size_t length, struct err *err);
	void *arg;
	const char *what;   /* "a layer": for messages */
	const char *advice; /* what to do if it is compressed in another way */
};

struct decompressor {
	struct decompress_input input;
	enum compression kind;
	uint64_t stored;	/* bytes read */
	uint64_t produced, max; /* bytes that came out */
	const uint8_t *next;	/* unused bytes in the buffer */
	size_t left;
	z_stream zlib;
	ZSTD_DCtx *zstd;
	bool in_frame;	 /* zstd: the stream cannot end here */
	bool input_over; /* nothing more can be read */
	bool ended;
	uint8_t in[64 << 10];
};

/* How these first bytes of a stream say that it is compressed. */
#define COMPRESSION_MAGIC 8
enum compression compression_of(const uint8_t start[COMPRESSION_MAGIC]);
/* "xz", "bzip2": a compression that nothing here can undo; NULL: none is known. */
const char *compression_unknown(const uint8_t start[COMPRESSION_MAGIC]);

/*
 * Reads the first bytes. max: of bytes that come out. 0; or -errno with a message, and
 * decompressor_close() is harmless.
 */
int decompressor_open(struct decompressor *decompressor, const struct decompress_input *input,
		      uint64_t max, struct err *err);

/*
 * Reads the next bytes; 0 at the end; -errno with a message: -EFBIG: beyond a limit; -EPROTO:
 * damaged or truncated; -EINTR: a signal has arrived (signals_hold()).
 */
ssize_t decompressor_read(struct decompressor *decompressor, void *to, size_t length,
			  struct err *err);

void decompressor_close(struct decompressor *decompressor);

#endif
