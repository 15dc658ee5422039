/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes: read from a blob, decompressed if gzip (RFC 1952) or zstd (RFC 8878), counted,
 * and hashed both as stored and as unpacked. Only layer_finish(), at the end, checks the digests:
 * until then nothing that is made of the bytes may take effect.
 */
#ifndef CORDON_IMAGE_LAYER_H
#define CORDON_IMAGE_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/base/bytes.h"
#include "vmm/image/digest.h"
#include "vmm/image/source.h"

/*
 * The most that a layer may unpack to: LAYER_SLACK, plus LAYER_RATIO times the stored size. (gzip
 * can reach 1032, zstd 32768; programs and texts stay below 20.)
 */
#define LAYER_SLACK MIB(16)
#define LAYER_RATIO 128

/* The memory that a zstd stream may need, as a power of two: the default limit of zstd(1), too. */
#define LAYER_WINDOW_LOG 27

enum layer_kind { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct layer {
	struct image_blob blob; /* the caller's */
	uint64_t read;		/* bytes of the blob */
	uint64_t produced, max; /* bytes unpacked */
	struct sha256_ctx stored_context, unpacked_context;
	enum layer_kind kind;
	const uint8_t *next; /* unused bytes in the buffer */
	size_t left;
	z_stream zlib;
	ZSTD_DCtx *zstd;
	bool in_frame; /* zstd: the stream cannot end here */
	bool ended;
	uint8_t in[64 << 10];
};

/* max: bytes that it may unpack to. 0; or -errno with a message, and layer_close() is harmless. */
int layer_open(struct layer *layer, const struct image_blob *blob, uint64_t max, struct err *err);

/* Reads the next unpacked bytes; 0 at the end; -errno with a message. For struct tar_input. */
ssize_t layer_read(void *layer, void *to, size_t length, struct err *err);

/*
 * Reads the rest and checks both digests; stored may be NULL or empty if it is not known. 0, or
 * -EBADMSG with a message.
 */
int layer_finish(struct layer *layer, const struct digest *stored, const struct digest *unpacked,
		 struct err *err);

void layer_close(struct layer *layer);

#endif
