/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes: read from a blob, unpacked if it is gzip (RFC 1952) or zstd (RFC 8878), counted,
 * and hashed both as stored and as unpacked. What the bytes are is known only at the end, by
 * layer_finish(): until then whatever is made of them must be of no consequence.
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
 * What a layer may unpack to: LAYER_SLACK, and beyond that LAYER_RATIO times what is stored.
 * (gzip's own limit is 1032, zstd's 32768; programs and texts come to less than 20.)
 */
#define LAYER_SLACK MIB(16)
#define LAYER_RATIO 128

/* The memory that a zstd stream may ask for, as a power of two: what its own program takes too. */
#define LAYER_WINDOW_LOG 27

enum layer_kind { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct layer {
	struct image_blob blob; /* not ours */
	uint64_t read;		/* of the blob */
	uint64_t produced, max; /* unpacked */
	struct sha256_ctx stored_context, unpacked_context;
	enum layer_kind kind;
	const uint8_t *next; /* of what is in the buffer and not used yet */
	size_t left;
	z_stream zlib;
	ZSTD_DCtx *zstd;
	bool in_frame; /* of zstd: the stream can't end here */
	bool ended;
	uint8_t in[64 << 10];
};

/* max: bytes that may come out. 0 or -errno with a message; layer_close() is harmless then. */
int layer_open(struct layer *layer, const struct image_blob *blob, uint64_t max, struct err *err);

/* The next bytes; 0 at the end. -errno with a message. Fits struct tar_input. */
ssize_t layer_read(void *layer, void *to, size_t length, struct err *err);

/*
 * Reads what is left and compares: stored may be NULL or empty (then only what it unpacks to is
 * known beforehand). 0, or -EBADMSG with a message.
 */
int layer_finish(struct layer *layer, const struct digest *stored, const struct digest *unpacked,
		 struct err *err);

void layer_close(struct layer *layer);

#endif
