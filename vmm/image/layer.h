/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes: read from a blob, decompressed (decompress.h), counted, and hashed both as
 * stored and as unpacked. Only layer_finish(), at the end, checks the digests: until then nothing
 * that is made of the bytes may take effect.
 */
#ifndef CORDON_IMAGE_LAYER_H
#define CORDON_IMAGE_LAYER_H

#include <stdint.h>
#include <sys/types.h>

#include "vmm/image/decompress.h"
#include "vmm/image/digest.h"
#include "vmm/image/source.h"

struct layer {
	struct image_blob blob; /* the caller's */
	uint64_t read;		/* bytes of the blob */
	struct sha256_ctx stored_context, unpacked_context;
	struct decompressor stream;
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
