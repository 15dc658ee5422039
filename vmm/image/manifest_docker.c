/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.json, as `docker save` and others write it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/image/manifest_internal.h"

/* The digest in the name of the configuration: "HEX.json", "blobs/sha256/HEX" or "sha256:HEX".
 * False if it has none, as "config.json". */
static bool config_digest(struct digest *digest, const char *name)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;

	if (digest_parse(digest, base))
		return true;
	return digest_parse_hex(digest, base, strcspn(base, "."));
}

static bool has_tag(const json_t *image, const char *ref)
{
	const json_t *tags = json_object_get(image, "RepoTags");
	size_t i;

	for (i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (tag && strcmp(tag, ref) == 0)
			return true;
	}
	return false;
}

/* The names that the image's author gave it. What is no string is left out. */
static void take_tags(struct image_manifest *manifest, const json_t *image)
{
	json_t *tags = json_object_get(image, "RepoTags"), *tag;
	size_t i;

	manifest->tags = json_array();
	for (i = 0; i < json_array_size(tags) && i < IMAGE_TAGS_MAX; i++) {
		tag = json_array_get(tags, i);
		if (json_string_length(tag) > 0)
			json_array_append(manifest->tags, tag);
	}
}

static int take_docker_image(const struct manifest_reading *reading, const json_t *image,
			     struct err *err)
{
	struct image_manifest *manifest = reading->manifest;
	const json_t *layers = json_object_get(image, "Layers");
	const char *name = manifest_string(image, "Config");
	struct digest named;
	json_t *config;
	size_t i;
	int ret;

	if (json_array_size(layers) > IMAGE_LAYERS_MAX)
		return err_set(err, EPROTO, "the image has more than %d layers", IMAGE_LAYERS_MAX);
	for (i = 0; i < json_array_size(layers); i++) {
		const char *file = json_string_value(json_array_get(layers, i));

		if (!file || strlen(file) > IMAGE_NAME_MAX)
			return err_set(err, EPROTO, "manifest.json has an invalid layer name");
		strcpy(manifest->layers[i].file, file);
	}
	manifest->layer_count = (unsigned)i;
	config = manifest_json(reading->source, name, config_digest(&named, name) ? &named : NULL,
			       &manifest->id, err);
	ret = config ? manifest_take_config(manifest, config, err) : -EPROTO;
	json_decref(config);
	take_tags(manifest, image);
	return ret;
}

/* Adds the tags of an image to a list for messages, as far as it fits. */
static void list_tags(char *list, size_t size, const json_t *image)
{
	const json_t *tags = json_object_get(image, "RepoTags");
	size_t i, used = strlen(list);
	const char *tag;

	for (i = 0; i < json_array_size(tags) && used < size; i++) {
		tag = json_string_value(json_array_get(tags, i));
		used += (size_t)snprintf(list + used, size - used, "%s %.60s", used ? "," : "",
					 tag ? tag : "?");
	}
}

int manifest_take_docker(const struct manifest_reading *reading, const json_t *list,
			 struct err *err)
{
	const json_t *chosen = NULL;
	char names[256] = "";
	size_t i, count = 0;

	for (i = 0; i < json_array_size(list); i++)
		if (!reading->ref || has_tag(json_array_get(list, i), reading->ref)) {
			chosen = json_array_get(list, i);
			count++;
		}
	for (i = 0; count != 1 && i < json_array_size(list); i++)
		list_tags(names, sizeof(names), json_array_get(list, i));
	if (count == 0 && reading->ref)
		return err_set(err, ENOENT, "%s: has no image tagged %s%s%s", reading->source->path,
			       reading->ref, names[0] ? ": it has" : "", names);
	if (count != 1)
		return err_set(err, EINVAL,
			       "%s: has %zu images: choose one with --ref NAME (its RepoTag)%s%s",
			       reading->source->path, count, names[0] ? ":" : "", names);
	return take_docker_image(reading, chosen, err);
}
