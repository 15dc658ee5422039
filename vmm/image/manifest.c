/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/manifest_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *image_json_parse(const char *name, const char *text, size_t length, struct err *err)
{
	json_error_t why;
	json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);

	if (!json)
		err_set(err, EPROTO, "%s: line %d: %s", name, why.line, why.text);
	return json;
}

static json_t *read_json(const struct image_source *source, const char *name, struct err *err)
{
	char *text;
	long length = image_source_read(source, name, IMAGE_JSON_MAX, &text, err);
	json_t *json;

	if (length < 0)
		return NULL;
	json = image_json_parse(name, text, (size_t)length, err);
	free(text);
	return json;
}

/* --- blobs ------------------------------------------------------------------------------------ */

static void blob_name(char name[IMAGE_NAME_MAX + 1], const struct digest *digest)
{
	snprintf(name, IMAGE_NAME_MAX + 1, "blobs/sha256/%s", digest->hex);
}

static int descriptor(const json_t *json, struct digest *digest, uint64_t *size, struct err *err)
{
	const char *text = manifest_string(json, "digest");
	json_t *number = json_object_get(json, "size");

	if (!digest_parse(digest, text))
		return err_set(err, EPROTO,
			       "the image has a digest that is not sha256: and 64 digits: '%.80s'",
			       text);
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return err_set(err, EPROTO, "the image has a descriptor without a size");
	*size = (uint64_t)json_integer_value(number);
	return 0;
}

json_t *manifest_json(const struct image_source *source, const char *name,
		      const struct digest *digest, struct digest *found, struct err *err)
{
	json_t *json = NULL;
	char *text;
	long length = image_source_read(source, name, IMAGE_JSON_MAX, &text, err);

	if (length < 0)
		return NULL;
	digest_of(found, text, (size_t)length);
	if (digest && !digest_equal(found, digest))
		err_set(err, EBADMSG, "%s: the contents do not match the digest", name);
	else
		json = image_json_parse(name, text, (size_t)length, err);
	free(text);
	return json;
}

static json_t *read_blob(const struct image_source *source, const json_t *from, struct err *err)
{
	char name[IMAGE_NAME_MAX + 1];
	struct digest digest, found;
	uint64_t size;

	if (descriptor(from, &digest, &size, err) < 0)
		return NULL;
	blob_name(name, &digest);
	return manifest_json(source, name, &digest, &found, err);
}

/* --- the configuration ------------------------------------------------------------------------ */

/* The digests of all unpacked layers, in order. */
static int read_diff_ids(struct image_manifest *manifest, const json_t *config, struct err *err)
{
	const json_t *list = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	const char *text;
	size_t i;

	if (json_array_size(list) != manifest->layer_count)
		return err_set(err, EPROTO,
			       "the image has %u layers, but its configuration names %zu",
			       manifest->layer_count, json_array_size(list));
	for (i = 0; i < manifest->layer_count; i++) {
		text = json_string_value(json_array_get(list, i));
		if (!text || !digest_parse(&manifest->layers[i].unpacked, text))
			return err_set(err, EPROTO, "the image has an invalid diff_id");
	}
	return 0;
}

int manifest_take_config(struct image_manifest *manifest, const json_t *config, struct err *err)
{
	const char *os = manifest_string(config, "os"),
		   *machine = manifest_string(config, "architecture");
	int ret;

	if (strcmp(os, "linux") != 0 || strcmp(machine, "amd64") != 0)
		return err_set(err, ENOTSUP,
			       "the image is for %.32s/%.32s: only linux/amd64 can run here",
			       os[0] ? os : "unknown", machine[0] ? machine : "unknown");
	ret = read_diff_ids(manifest, config, err);
	if (ret < 0)
		return ret;
	manifest->settings = image_settings(config, err);
	return manifest->settings ? 0 : -EPROTO;
}

/* --- OCI -------------------------------------------------------------------------------------- */

static int read_oci_layers(struct image_manifest *manifest, const json_t *list, struct err *err)
{
	struct image_layer *layer;
	size_t i;
	int ret = 0;

	if (!json_is_array(list) || json_array_size(list) > IMAGE_LAYERS_MAX)
		return err_set(err, EPROTO, "the image's manifest has no list of at most %d layers",
			       IMAGE_LAYERS_MAX);
	for (i = 0; i < json_array_size(list) && ret == 0; i++) {
		layer = &manifest->layers[i];
		ret = descriptor(json_array_get(list, i), &layer->stored, &layer->size, err);
		blob_name(layer->file, &layer->stored);
	}
	manifest->layer_count = (unsigned)i;
	return ret;
}

static int take_oci_manifest(struct manifest_reading *reading, const json_t *json, struct err *err)
{
	const json_t *from = json_object_get(json, "config");
	json_t *config;
	uint64_t size;
	int ret = read_oci_layers(reading->manifest, json_object_get(json, "layers"), err);

	if (ret == 0)
		ret = descriptor(from, &reading->manifest->id, &size, err);
	if (ret < 0)
		return ret;
	config = read_blob(reading->source, from, err);
	ret = config ? manifest_take_config(reading->manifest, config, err) : -EPROTO;
	json_decref(config);
	return ret;
}

static int take_index(struct manifest_reading *reading, json_t *index, unsigned depth,
		      const char *ref, struct err *err)
{
	const json_t *list = json_object_get(index, "manifests"), *chosen = NULL;
	json_t *json;
	int ret = manifest_choose(reading->source->path, list, ref, &chosen, err);

	if (ret < 0)
		return ret;
	if (depth == 0)
		manifest_take_names(reading->manifest, list, chosen);
	json = read_blob(reading->source, chosen, err);
	if (!json)
		return -EPROTO;
	if (!json_object_get(json, "manifests"))
		ret = take_oci_manifest(reading, json, err);
	else if (depth < IMAGE_INDEX_DEPTH) /* ref and names were for the outer index */
		ret = take_index(reading, json, depth + 1, NULL, err);
	else
		ret = err_set(err, ELOOP, "%s: indexes nested more than %d deep",
			      reading->source->path, IMAGE_INDEX_DEPTH);
	json_decref(json);
	return ret;
}

/* --- all formats ------------------------------------------------------------------------------ */

static bool has_file(const struct image_source *source, const char *name)
{
	struct image_blob blob;
	bool found = image_source_find(source, name, &blob, NULL) == 0;

	if (found)
		image_blob_close(&blob);
	return found;
}

int image_manifest_read(struct image_manifest *manifest, const struct image_source *source,
			const char *ref, struct err *err)
{
	struct manifest_reading reading = {.manifest = manifest, .source = source, .ref = ref};
	json_t *json;
	int ret;

	memset(manifest, 0, sizeof(*manifest));
	if (source->flat && ref)
		return err_set(
			err, ENOENT,
			"%s: is a root file system without images' names: --ref does not fit",
			source->path);
	if (source->flat)
		return manifest_take_flat(manifest, source, err);
	/* Newer `docker save` writes both; manifest.json has the tags that the user knows. */
	if (has_file(source, "manifest.json")) {
		json = read_json(source, "manifest.json", err);
		ret = json ? manifest_take_docker(&reading, json, err) : -EPROTO;
	} else if (has_file(source, "index.json")) {
		json = read_json(source, "index.json", err);
		ret = json ? take_index(&reading, json, 0, ref, err) : -EPROTO;
	} else {
		return err_set(err, ENOENT,
			       "%s: has neither index.json nor manifest.json: neither an OCI image "
			       "layout nor an archive of `docker save`%s",
			       source->path,
			       source->files ? ", and no root file system as `docker export` writes"
					     : "");
	}
	json_decref(json);
	return ret;
}

void image_manifest_clear(struct image_manifest *manifest)
{
	json_decref(manifest->settings);
	json_decref(manifest->tags);
	manifest->settings = manifest->tags = NULL;
}
