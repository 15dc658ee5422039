/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/manifest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF_ANNOTATION "org.opencontainers.image.ref.name"

struct reading {
	struct image_manifest *manifest;
	const struct image_source *source;
	const char *ref;
};

static const char *string_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

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
	const char *text = string_at(json, "digest");
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

/* Reads a description by name; its bytes must match the digest, if there is one. *found: theirs. */
static json_t *read_checked(const struct image_source *source, const char *name,
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
	return read_checked(source, name, &digest, &found, err);
}

/* --- the configuration ------------------------------------------------------------------------ */

/* Adds a list of strings for execve(): bounded, without NUL bytes. variables: NAME=VALUE each. */
static int add_strings(json_t *settings, const char *name, const json_t *strings, bool variables,
		       struct err *err)
{
	json_t *list = json_array(), *string;
	const char *text;
	size_t i, bytes = 0;

	json_object_set_new(settings, name, list);
	if (!strings || json_is_null(strings))
		return 0;
	if (!json_is_array(strings) || json_array_size(strings) > IMAGE_STRINGS_MAX)
		return err_set(err, EPROTO, "the image's %s is not a list of at most %d strings",
			       name, IMAGE_STRINGS_MAX);
	for (i = 0; i < json_array_size(strings); i++) {
		string = json_array_get(strings, i);
		text = json_string_value(string);
		if (!text || strlen(text) != json_string_length(string) ||
		    (variables && (text[0] == '=' || !strchr(text, '='))))
			return err_set(err, EPROTO, "the image's %s has an invalid string", name);
		bytes += strlen(text) + 1;
		json_array_append(list, string);
	}
	if (bytes > IMAGE_STRINGS_BYTES_MAX)
		return err_set(err, EPROTO, "the image's %s has more than %d bytes", name,
			       IMAGE_STRINGS_BYTES_MAX);
	return 0;
}

static int add_text(json_t *settings, const char *name, const json_t *text, struct err *err)
{
	const char *value = text && !json_is_null(text) ? json_string_value(text) : "";

	if (!value || strlen(value) > 1024 ||
	    (value[0] && strlen(value) != json_string_length(text)))
		return err_set(err, EPROTO, "the image's %s is not a short text", name);
	json_object_set_new(settings, name, json_string(value));
	return 0;
}

/* Volumes: an object whose keys are paths. */
static int add_volumes(json_t *settings, json_t *volumes, struct err *err)
{
	json_t *list = json_array();
	void *at = json_object_iter(volumes);
	int ret;

	for (; at; at = json_object_iter_next(volumes, at))
		json_array_append_new(list, json_string(json_object_iter_key(at)));
	ret = add_strings(settings, "volumes", list, false, err);
	json_decref(list);
	return ret;
}

json_t *image_settings(const json_t *configuration, struct err *err)
{
	const json_t *config = json_object_get(configuration, "config");
	json_t *settings = json_object();
	int ret;

	ret = add_strings(settings, "env", json_object_get(config, "Env"), true, err);
	if (ret == 0)
		ret = add_strings(settings, "entrypoint", json_object_get(config, "Entrypoint"),
				  false, err);
	if (ret == 0)
		ret = add_strings(settings, "cmd", json_object_get(config, "Cmd"), false, err);
	if (ret == 0)
		ret = add_volumes(settings, json_object_get(config, "Volumes"), err);
	if (ret == 0)
		ret = add_text(settings, "workdir", json_object_get(config, "WorkingDir"), err);
	if (ret == 0)
		ret = add_text(settings, "user", json_object_get(config, "User"), err);
	if (ret == 0)
		return settings;
	json_decref(settings);
	return NULL;
}

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

static int take_config(struct image_manifest *manifest, const json_t *config, struct err *err)
{
	const char *os = string_at(config, "os"), *machine = string_at(config, "architecture");
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

static int take_oci_manifest(struct reading *reading, const json_t *json, struct err *err)
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
	ret = config ? take_config(reading->manifest, config, err) : -EPROTO;
	json_decref(config);
	return ret;
}

/* Whether an entry of an index may be the wanted image. One without a platform may be. */
static bool fits(const json_t *entry, const char *ref)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *name = string_at(json_object_get(entry, "annotations"), REF_ANNOTATION);

	if (platform && (strcmp(string_at(platform, "os"), "linux") != 0 ||
			 strcmp(string_at(platform, "architecture"), "amd64") != 0))
		return false;
	return !ref || strcmp(name, ref) == 0;
}

/* The variant of an entry's platform: a baseline runs on every processor. */
static const char *variant(const json_t *entry)
{
	const char *text = string_at(json_object_get(entry, "platform"), "variant");

	return text[0] ? text : "v1";
}

/*
 * Makes entry the choice if there is none or it is for less capable processors. Returns how many
 * others are as good: an entry of the same digest is the same image under another name.
 */
static size_t compare_choice(const json_t *entry, const json_t **chosen, size_t others)
{
	int order = *chosen ? strcmp(variant(entry), variant(*chosen)) : -1;

	if (order < 0) {
		*chosen = entry;
		return 0;
	}
	return others + (order == 0 &&
			 strcmp(string_at(*chosen, "digest"), string_at(entry, "digest")) != 0);
}

static int choose(const struct reading *reading, const json_t *list, const char *ref,
		  const json_t **chosen, struct err *err)
{
	char names[256] = "";
	size_t i, used = 0, others = 0;
	const char *name;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);

		name = string_at(json_object_get(entry, "annotations"), REF_ANNOTATION);
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %.60s",
						 name[0] ? name : "(without a name)");
		if (!fits(entry, ref))
			continue;
		others = compare_choice(entry, chosen, others);
	}
	if (*chosen && others == 0)
		return 0;
	if (!*chosen)
		return err_set(err, ENOENT, "%s: has no linux/amd64 image%s%s%s%s",
			       reading->source->path, ref ? " called " : "", ref ? ref : "",
			       used ? ": it has" : "", names);
	return err_set(err, EINVAL, "%s: has several images: choose one with --ref NAME:%s",
		       reading->source->path, names);
}

static int take_index(struct reading *reading, json_t *index, unsigned depth, const char *ref,
		      struct err *err)
{
	const json_t *chosen = NULL;
	json_t *json;
	int ret = choose(reading, json_object_get(index, "manifests"), ref, &chosen, err);

	if (ret < 0)
		return ret;
	json = read_blob(reading->source, chosen, err);
	if (!json)
		return -EPROTO;
	if (!json_object_get(json, "manifests"))
		ret = take_oci_manifest(reading, json, err);
	else if (depth < IMAGE_INDEX_DEPTH) /* ref was for the outer index */
		ret = take_index(reading, json, depth + 1, NULL, err);
	else
		ret = err_set(err, ELOOP, "%s: indexes nested more than %d deep",
			      reading->source->path, IMAGE_INDEX_DEPTH);
	json_decref(json);
	return ret;
}

/* --- docker save ------------------------------------------------------------------------------ */

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

static int take_docker_image(struct reading *reading, const json_t *image, struct err *err)
{
	struct image_manifest *manifest = reading->manifest;
	const json_t *layers = json_object_get(image, "Layers");
	const char *name = string_at(image, "Config");
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
	config = read_checked(reading->source, name, config_digest(&named, name) ? &named : NULL,
			      &manifest->id, err);
	ret = config ? take_config(manifest, config, err) : -EPROTO;
	json_decref(config);
	return ret;
}

static int take_docker(struct reading *reading, const json_t *list, struct err *err)
{
	const json_t *chosen = NULL;
	size_t i, count = 0;

	for (i = 0; i < json_array_size(list); i++)
		if (!reading->ref || has_tag(json_array_get(list, i), reading->ref)) {
			chosen = json_array_get(list, i);
			count++;
		}
	if (count == 0 && reading->ref)
		return err_set(err, ENOENT, "%s: has no image tagged %s", reading->source->path,
			       reading->ref);
	if (count != 1)
		return err_set(err, EINVAL,
			       "%s: has %zu images: choose one with --ref NAME (its RepoTag)",
			       reading->source->path, count);
	return take_docker_image(reading, chosen, err);
}

/* --- both formats ----------------------------------------------------------------------------- */

int image_manifest_read(struct image_manifest *manifest, const struct image_source *source,
			const char *ref, struct err *err)
{
	struct reading reading = {.manifest = manifest, .source = source, .ref = ref};
	struct image_blob blob;
	json_t *json;
	int ret;

	memset(manifest, 0, sizeof(*manifest));
	/* Newer `docker save` writes both; manifest.json has the tags that the user knows. */
	if (image_source_find(source, "manifest.json", &blob, NULL) == 0) {
		image_blob_close(&blob);
		json = read_json(source, "manifest.json", err);
		ret = json ? take_docker(&reading, json, err) : -EPROTO;
	} else if (image_source_find(source, "index.json", &blob, NULL) == 0) {
		image_blob_close(&blob);
		json = read_json(source, "index.json", err);
		ret = json ? take_index(&reading, json, 0, ref, err) : -EPROTO;
	} else {
		return err_set(err, ENOENT,
			       "%s: has neither index.json nor manifest.json: neither an OCI image "
			       "layout nor an archive of `docker save`",
			       source->path);
	}
	json_decref(json);
	return ret;
}

void image_manifest_clear(struct image_manifest *manifest)
{
	json_decref(manifest->settings);
	manifest->settings = NULL;
}
