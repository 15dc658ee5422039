/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image consists of, by its own description: the OCI image specification 1.1 (index.json,
 * manifest, configuration), or manifest.json of `docker save`. Only linux/amd64 images are taken.
 */
#ifndef CORDON_IMAGE_MANIFEST_H
#define CORDON_IMAGE_MANIFEST_H

#include <jansson.h>

#include "vmm/base/bytes.h"
#include "vmm/image/digest.h"
#include "vmm/image/source.h"

#define IMAGE_LAYERS_MAX  128
#define IMAGE_JSON_MAX	  MIB(4)
#define IMAGE_INDEX_DEPTH 3   /* indexes in indexes */
#define IMAGE_WORDS_MAX	  200 /* of Env, Entrypoint and Cmd each */
#define IMAGE_WORD_MAX	  16384

struct image_layer {
	char file[IMAGE_NAME_MAX + 1]; /* in the source */
	struct digest stored;	       /* of the file; "" if only unpacked is known */
	struct digest unpacked;
	uint64_t size; /* of the file; 0: not told */
};

struct image_manifest {
	struct digest id; /* of the configuration, which names what every layer unpacks to */
	struct image_layer layers[IMAGE_LAYERS_MAX];
	unsigned layer_count;
	json_t *settings; /* {"env", "entrypoint", "cmd": lists, "workdir", "user": strings} */
};

/*
 * Reads and checks all descriptions. ref: which of several images, as the image's author tagged it
 * (org.opencontainers.image.ref.name or RepoTags); NULL: the only one. 0 or -errno with a message.
 * The manifest is to be cleared in any case.
 */
int image_manifest_read(struct image_manifest *manifest, const struct image_source *source,
			const char *ref, struct err *err);
void image_manifest_clear(struct image_manifest *manifest);

/* A description that is a JSON object or array: NULL with a message if it is neither. */
json_t *image_json_parse(const char *name, const char *text, size_t length, struct err *err);

/* The part of a configuration that says how a program is started, checked. NULL with a message. */
json_t *image_settings(const json_t *configuration, struct err *err);

#endif
