/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/layer.h"

#include <errno.h>

#include "vmm/base/fd.h"

/* Reads stored bytes, and hashes them. */
static ssize_t read_stored(void *arg, void *to, size_t length, struct err *err)
{
	struct layer *layer = arg;
	size_t part = min_u64(layer->blob.size - layer->read, length);
	ssize_t n;

	n = fd_pread_full(layer->blob.fd, to, part, (off_t)(layer->blob.at + layer->read));
	if (n < 0)
		return err_code(err, (int)-n, "reading a layer");
	if ((size_t)n < part)
		return err_set(err, EIO, "a layer shrank while it was read");
	layer->read += part;
	sha256_update(&layer->stored_context, part, to);
	return n;
}

int layer_open(struct layer *layer, const struct image_blob *blob, uint64_t max, struct err *err)
{
	const struct decompress_input input = {
		.read = read_stored,
		.arg = layer,
		.what = "a layer",
		.advice = "save the image with gzip or zstd layers",
	};

	layer->blob = *blob;
	layer->read = 0;
	sha256_init(&layer->stored_context);
	sha256_init(&layer->unpacked_context);
	return decompressor_open(&layer->stream, &input, max, err);
}

ssize_t layer_read(void *arg, void *to, size_t length, struct err *err)
{
	struct layer *layer = arg;
	ssize_t n = decompressor_read(&layer->stream, to, length, err);

	if (n > 0)
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
	decompressor_close(&layer->stream);
}
