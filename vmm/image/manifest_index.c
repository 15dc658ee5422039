/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of an OCI index: which of them is meant, and what it is called. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/image/manifest_internal.h"

/* --- names ------------------------------------------------------------------------------------ */

/* NAME, or a tag alone, as the layout's author likes. */
static const char *ref_name(const json_t *entry)
{
	return manifest_string(json_object_get(entry, "annotations"),
			       "org.opencontainers.image.ref.name");
}

/* REGISTRY/NAME:TAG, as Docker, BuildKit and containerd write it. */
static const char *full_name(const json_t *entry)
{
	return manifest_string(json_object_get(entry, "annotations"), "io.containerd.image.name");
}

static const char *without(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : text;
}

/* A name as its users write it, and as RepoTags have it: without Docker's own registry. */
static const char *short_name(const char *name)
{
	const char *rest = without(name, "docker.io/");

	return rest == name ? name : without(rest, "library/");
}

/* The entry's name; "": it has none, as a tag alone is none. */
static const char *name_of(const json_t *entry)
{
	const char *name = short_name(full_name(entry)), *ref = ref_name(entry);

	return name[0] ? name : strpbrk(ref, "/:") ? ref : "";
}

static bool is_called(const json_t *entry, const char *ref)
{
	const char *name = full_name(entry);

	return strcmp(ref_name(entry), ref) == 0 || strcmp(name, ref) == 0 ||
	       strcmp(short_name(name), ref) == 0;
}

static bool same_digest(const json_t *one, const json_t *other)
{
	return strcmp(manifest_string(one, "digest"), manifest_string(other, "digest")) == 0;
}

void manifest_take_names(struct image_manifest *manifest, const json_t *list, const json_t *chosen)
{
	const json_t *entry;
	size_t i;

	manifest->tags = json_array();
	for (i = 0; i < json_array_size(list); i++) {
		entry = json_array_get(list, i);
		if (name_of(entry)[0] && same_digest(entry, chosen) &&
		    json_array_size(manifest->tags) < IMAGE_TAGS_MAX)
			json_array_append_new(manifest->tags, json_string(name_of(entry)));
	}
}

/* --- the choice ------------------------------------------------------------------------------- */

/* Whether an entry of an index may be the wanted image. One without a platform may be. */
static bool fits(const json_t *entry, const char *ref)
{
	const json_t *platform = json_object_get(entry, "platform");

	if (platform && (strcmp(manifest_string(platform, "os"), "linux") != 0 ||
			 strcmp(manifest_string(platform, "architecture"), "amd64") != 0))
		return false;
	return !ref || is_called(entry, ref);
}

/* The variant of an entry's platform: a baseline runs on every processor. */
static const char *variant(const json_t *entry)
{
	const char *text = manifest_string(json_object_get(entry, "platform"), "variant");

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
	return others + (order == 0 && !same_digest(*chosen, entry));
}

/* Adds " NAME (OS/MACHINE)" to a list for messages, as far as it fits. */
static void list_entry(char *list, size_t size, const json_t *entry)
{
	const char *name = name_of(entry)[0] ? name_of(entry) : ref_name(entry);
	const json_t *platform = json_object_get(entry, "platform");
	size_t used = strlen(list);

	used += (size_t)snprintf(list + used, size - used, "%s %.60s", used ? "," : "",
				 name[0]    ? name
				 : platform ? ""
					    : "(without a name)");
	if (platform && used < size)
		snprintf(list + used, size - used, "%s%.32s/%.32s%s", name[0] ? " (" : "",
			 manifest_string(platform, "os"), manifest_string(platform, "architecture"),
			 name[0] ? ")" : "");
}

int manifest_choose(const char *path, const json_t *list, const char *ref, const json_t **chosen,
		    struct err *err)
{
	char names[256] = "";
	size_t i, others = 0;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);

		list_entry(names, sizeof(names), entry);
		if (fits(entry, ref))
			others = compare_choice(entry, chosen, others);
	}
	if (*chosen && others == 0)
		return 0;
	if (!*chosen)
		return err_set(err, ENOENT, "%s: has no linux/amd64 image%s%s%s%s", path,
			       ref ? " called " : "", ref ? ref : "", names[0] ? ": it has" : "",
			       names);
	return err_set(err, EINVAL, "%s: has several images: choose one with --ref NAME:%s", path,
		       names);
}
