/* SPDX-License-Identifier: Apache-2.0 */
/* Images made for tests: layers of chosen entries in a directory, and their descriptions. */
#ifndef CORDON_TEST_FORGED_IMAGE_H
#define CORDON_TEST_FORGED_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/image/layer.h"
#include "vmm/image/manifest.h"

#define FORGED_LAYER_MAX (256u << 10)

struct forged_entry {
	char type; /* as tar has it; 0 ends a list */
	/*
	 * "@MODE NAME" or "@MODE:UID NAME": with this mode, in octal, and owner; else 0644, or 0755
	 * for directories, and uid 0
	 */
	const char *name;
	const char *text; /* contents, or a link's target */
};

struct forged_layer {
	uint8_t bytes[FORGED_LAYER_MAX];
	size_t length;
};

struct forged_image {
	char base[64]; /* a new directory, with "src" and "out" in it */
	int src_fd, out_fd;
	struct image_manifest manifest; /* filled by forged_add() */
};

void forged_create(struct forged_image *image);
void forged_destroy(struct forged_image *image); /* and everything in the directory */

/* Makes a tar stream of the entries. */
void forged_layer(struct forged_layer *layer, const struct forged_entry *entries);

/* Compresses the stream, as one gzip member or one zstd frame. */
void forged_compress(struct forged_layer *layer, enum compression kind);

/* Writes a file into "src". */
void forged_write(struct forged_image *image, const char *name, const void *bytes, size_t length);

/* Adds a layer to "src" and the manifest, stored as kind says. */
void forged_add(struct forged_image *image, struct forged_layer *layer, enum compression kind);

/* Writes blobs, index.json and so on for the manifest's layers: a whole OCI image layout. */
void forged_oci(struct forged_image *image, const char *config);

/* Whether out/NAME is a file with these contents; text NULL: whether it is absent. */
bool forged_has(const struct forged_image *image, const char *name, const char *text);

#endif
