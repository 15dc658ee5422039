/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by manifest.c, manifest_index.c, manifest_docker.c and manifest_flat.c. */
#ifndef CORDON_IMAGE_MANIFEST_INTERNAL_H
#define CORDON_IMAGE_MANIFEST_INTERNAL_H

#include "vmm/image/manifest.h"

struct manifest_reading {
	struct image_manifest *manifest;
	const struct image_source *source;
	const char *ref;
};

/* "" if there is no such string. */
static inline const char *manifest_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/*
 * Reads a description by name; its bytes must match the digest, if there is one. *found: theirs.
 * NULL with a message.
 */
json_t *manifest_json(const struct image_source *source, const char *name,
		      const struct digest *digest, struct digest *found, struct err *err);

/* Checks a configuration and takes the settings from it, and the digests of the layers, whose
 * number is known. 0 or -errno with a message. */
int manifest_take_config(struct image_manifest *manifest, const json_t *config, struct err *err);

/*
 * list: the manifests of an index, which is the archive at path. Chooses one; ref: see
 * image_manifest_read(). 0 or -errno with a message.
 */
int manifest_choose(const char *path, const json_t *list, const char *ref, const json_t **chosen,
		    struct err *err);

/* Takes the names that the index gives the chosen one, which may have several entries. */
void manifest_take_names(struct image_manifest *manifest, const json_t *list, const json_t *chosen);

/* list: what manifest.json is. 0 or -errno with a message. */
int manifest_take_docker(const struct manifest_reading *reading, const json_t *list,
			 struct err *err);

/* Describes a flat source: the archive is the only layer. 0 or -errno with a message. */
int manifest_take_flat(struct image_manifest *manifest, const struct image_source *source,
		       struct err *err);

#endif
