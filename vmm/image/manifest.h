/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an image's description: OCI image specification 1.1 (index.json, manifest, configuration),
 * or manifest.json of `docker save`. Only linux/amd64 images are accepted. A flat source gets an
 * empty configuration and one layer.
 */
#ifndef CORDON_IMAGE_MANIFEST_H
#define CORDON_IMAGE_MANIFEST_H

#include <jansson.h>

#include "vmm/base/bytes.h"
#include "vmm/image/digest.h"
#include "vmm/image/source.h"

#define IMAGE_LAYERS_MAX  128
#define IMAGE_JSON_MAX	  MIB(4)
#define IMAGE_INDEX_DEPTH 3 /* nested indexes */
#define IMAGE_TAGS_MAX	  32

/* Limits of Env, Entrypoint and Cmd, each. */
#define IMAGE_STRINGS_MAX	200
#define IMAGE_STRINGS_BYTES_MAX 16384

struct image_layer {
	char file[IMAGE_NAME_MAX + 1]; /* in the source */
	struct digest stored;	       /* of the file; "": only unpacked is known */
	struct digest unpacked;
	uint64_t size; /* of the file; 0: unknown */
};

struct image_manifest {
	struct digest id; /* of the configuration, which has the digest of every unpacked layer */
	struct image_layer layers[IMAGE_LAYERS_MAX];
	unsigned layer_count;
	/* {"env", "entrypoint", "cmd", "volumes": lists, "workdir", "user": strings} */
	json_t *settings;
	json_t *tags; /* names that the archive gives it: at most IMAGE_TAGS_MAX strings; or NULL */
};

/*
 * Reads and checks all descriptions. ref: which of several images, by a name that its author gave
 * it (one of its RepoTags; or the annotation org.opencontainers.image.ref.name or
 * io.containerd.image.name of its entry in index.json); NULL: the only one. 0 or -errno with a
 * message. The caller clears the manifest in any case.
 */
int image_manifest_read(struct image_manifest *manifest, const struct image_source *source,
			const char *ref, struct err *err);
void image_manifest_clear(struct image_manifest *manifest);

/* Parses a description, a JSON object or array; or NULL with a message. */
json_t *image_json_parse(const char *name, const char *text, size_t length, struct err *err);

/* Checks the part of a configuration for starting programs; returns manifest.settings, or NULL with
 * a message. */
json_t *image_settings(const json_t *configuration, struct err *err);

#endif
