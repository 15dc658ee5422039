/* SPDX-License-Identifier: Apache-2.0 */
/* A root file system without a description, as `docker export` writes it. */
#include <errno.h>
#include <stdio.h>

#include "vmm/base/fd.h"
#include "vmm/base/signals.h"
#include "vmm/image/manifest_internal.h"

static int digest_blob(struct digest *digest, const struct image_blob *blob, struct err *err)
{
	struct sha256_ctx context;
	uint8_t buffer[64 << 10];
	uint64_t at = 0;
	ssize_t n;

	sha256_init(&context);
	for (at = 0; at < blob->size; at += (uint64_t)n) {
		n = fd_pread_full(blob->fd, buffer, min_u64(sizeof(buffer), blob->size - at),
				  (off_t)(blob->at + at));
		if (n <= 0)
			return err_set(err, EIO, "cannot read the archive");
		if (signals_arrived())
			return err_set(err, EINTR, "interrupted");
		sha256_update(&context, (size_t)n, buffer);
	}
	digest_finish(digest, &context);
	return 0;
}

/* The archive is the only layer, and the configuration says nothing else. */
int manifest_take_flat(struct image_manifest *manifest, const struct image_source *source,
		       struct err *err)
{
	struct image_layer *layer = &manifest->layers[0];
	struct image_blob blob;
	char text[256];
	json_t *config;
	int length, ret = image_source_find(source, IMAGE_SOURCE_WHOLE, &blob, err);

	if (ret < 0)
		return ret;
	ret = digest_blob(&layer->unpacked, &blob, err);
	image_blob_close(&blob);
	if (ret < 0)
		return ret;
	manifest->layer_count = 1;
	snprintf(layer->file, sizeof(layer->file), "%s", IMAGE_SOURCE_WHOLE);
	length = snprintf(
		text, sizeof(text),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"sha256:%s\"]}}",
		layer->unpacked.hex);
	digest_of(&manifest->id, text, (size_t)length);
	config = image_json_parse("configuration", text, (size_t)length, err);
	ret = config ? manifest_take_config(manifest, config, err) : -EPROTO;
	json_decref(config);
	return ret;
}
