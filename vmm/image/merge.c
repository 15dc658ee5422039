/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/layer.h"

#define WHITEOUT ".wh."
#define OPAQUE	 ".wh..wh..opq"
#define AUFS	 ".wh..wh." /* metadata of aufs, except OPAQUE */

const struct image_limits image_limits_default = {.bytes = GIB(32), .entries = 1u << 20};

struct merge {
	const struct merge_sink *sink;
	struct image_counts *counts;
	struct tar_reader reader;
	bool whiteouts; /* the pass over a layer that applies them */
	struct tar_entry entry;
	char path[PATH_MAX], target[PATH_MAX];
	struct layer layer;
	struct tar_attributes attributes;
	struct tar_sparse sparse;
};

/* --- names ------------------------------------------------------------------------------------ */

static bool is_whiteout(const char *name)
{
	return strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0;
}

static int check_part(const char *part, size_t length, bool last, struct err *err)
{
	size_t prefix = strlen(WHITEOUT);

	if (length > NAME_MAX)
		return err_set(err, ENAMETOOLONG, "a layer has a name of more than %d bytes",
			       NAME_MAX);
	if (length == 2 && part[0] == '.' && part[1] == '.')
		return err_set(err, EPROTO, "a layer has a name with '..'");
	if (length < prefix || strncmp(part, WHITEOUT, prefix) != 0)
		return 0;
	if (!last)
		return err_set(err, EPROTO, "a layer has files below a whiteout");
	part += prefix;
	length -= prefix;
	if (length == 0 || (length == 1 && part[0] == '.') ||
	    (length == 2 && part[0] == '.' && part[1] == '.'))
		return err_set(err, EPROTO, "a layer has a whiteout of nothing");
	return 0;
}

/* Normalises a name to a path below the root, "" for the root itself. An absolute name counts from
 * there. */
static int clean_path(const char *name, char path[PATH_MAX], struct err *err)
{
	const char *at = name, *part;
	size_t length, used = 0;
	unsigned depth = 0;
	int ret;

	while (*at) {
		part = at;
		length = strcspn(at, "/");
		at += length;
		at += strspn(at, "/");
		if (length == 0 || (length == 1 && part[0] == '.'))
			continue;
		ret = check_part(part, length, *at == '\0', err);
		if (ret < 0)
			return ret;
		if (++depth > IMAGE_DEPTH_MAX)
			return err_set(err, ENAMETOOLONG, "a layer has directories %d deep",
				       IMAGE_DEPTH_MAX);
		/* Never longer than the name itself, which fits. */
		used += (size_t)snprintf(path + used, PATH_MAX - used, "%s%.*s", used ? "/" : "",
					 (int)length, part);
	}
	path[used] = '\0';
	return 0;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* name: the last component of merge->path, which is a whiteout. */
static int apply_whiteout(struct merge *merge, char *name, struct err *err)
{
	bool contents = strcmp(name, OPAQUE) == 0;

	if (contents)
		name[name > merge->path ? -1 : 0] = '\0';
	else if (strncmp(name, AUFS, strlen(AUFS)) == 0)
		return 0;
	else
		memmove(name, name + strlen(WHITEOUT), strlen(name + strlen(WHITEOUT)) + 1);
	return merge->sink->hide(merge->sink->arg, merge->path, contents, err);
}

static int check_kind(const struct tar_entry *entry, struct err *err)
{
	if (entry->type == TAR_OTHER && !strchr("346", entry->flag))
		return err_set(err, EPROTO, "%.200s: an entry of unknown type (%d)", entry->name,
			       entry->flag);
	return 0;
}

static char *last_component(char *path)
{
	char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int check_target(struct merge *merge, struct err *err)
{
	int ret = clean_path(merge->entry.link, merge->target, err);

	if (ret == 0 && (!merge->target[0] || is_whiteout(last_component(merge->target))))
		ret = err_set(err, EPROTO, "a layer has a hard link to nothing");
	return ret;
}

static int take_entry(struct merge *merge, struct err *err)
{
	const struct tar_entry *entry = &merge->entry;
	bool link = entry->type == TAR_LINK;
	int ret = check_kind(entry, err);
	char *name;

	if (!merge->whiteouts && (entry->uid || entry->gid))
		merge->counts->owned++;
	if (ret == 0)
		ret = clean_path(entry->name, merge->path, err);
	if (ret < 0)
		return ret;
	name = last_component(merge->path);
	if (is_whiteout(name) || merge->whiteouts)
		return is_whiteout(name) && merge->whiteouts ? apply_whiteout(merge, name, err) : 0;
	if (!merge->path[0] && entry->type != TAR_DIRECTORY)
		return err_set(err, EPROTO, "a layer has a file in place of the root");
	if (link)
		ret = check_target(merge, err);
	return ret < 0 ? ret
		       : merge->sink->add(merge->sink->arg, merge->path, entry,
					  link ? merge->target : NULL, &merge->reader, err);
}

/* --- layers ----------------------------------------------------------------------------------- */

/* Holes take no bytes of the layer, but the sink may write them. */
static int check_bytes(const struct merge *merge, const struct image_limits *limits, uint64_t holes,
		       struct err *err)
{
	uint64_t left = limits->bytes - merge->counts->bytes;

	if (merge->layer.stream.produced <= left && holes <= left - merge->layer.stream.produced)
		return 0;
	return err_set(err, EFBIG, "the image has more than %llu bytes, holes included",
		       (unsigned long long)limits->bytes);
}

static int count_entry(const struct merge *merge, const struct image_limits *limits,
		       uint64_t *entries, uint64_t *holes, struct err *err)
{
	if (++*entries > limits->entries)
		return err_set(err, EFBIG, "the image has more than %llu entries",
			       (unsigned long long)limits->entries);
	if (add_overflows(*holes, merge->entry.holes, holes))
		*holes = UINT64_MAX;
	return check_bytes(merge, limits, *holes, err);
}

static int pass(struct merge *merge, const struct image_layer *layer, const struct image_blob *blob,
		const struct image_limits *limits, struct err *err)
{
	const struct tar_input input = {.read = layer_read, .arg = &merge->layer};
	uint64_t entries = merge->counts->entries, holes = 0;
	int ret = layer_open(&merge->layer, blob, limits->bytes - merge->counts->bytes, err);

	if (ret < 0)
		return ret;
	tar_reader_init_input(&merge->reader, &input);
	merge->reader.sparse = &merge->sparse;
	merge->reader.end_optional = true; /* the digest says whether it is all */
	if (merge->sink->attributes)
		merge->reader.attributes = &merge->attributes;
	while ((ret = tar_next(&merge->reader, &merge->entry, err)) == 1) {
		ret = count_entry(merge, limits, &entries, &holes, err);
		if (ret == 0)
			ret = take_entry(merge, err);
		if (ret < 0)
			break;
	}
	if (ret == 0)
		ret = layer_finish(&merge->layer, &layer->stored, &layer->unpacked, err);
	if (ret == 0)
		ret = check_bytes(merge, limits, holes, err);
	if (ret == 0 && !merge->whiteouts) {
		merge->counts->entries = entries;
		merge->counts->bytes += merge->layer.stream.produced + holes;
	}
	layer_close(&merge->layer);
	return ret;
}

static int add_layer(struct merge *merge, const struct image_source *source,
		     const struct image_layer *layer, bool first, const struct image_limits *limits,
		     struct err *err)
{
	struct image_blob blob;
	int ret = image_source_find(source, layer->file, &blob, err);

	if (ret < 0)
		return ret;
	if (layer->size && layer->size != blob.size)
		ret = err_set(err, EPROTO, "%s: has %llu bytes, but %llu in the manifest",
			      layer->file, (unsigned long long)blob.size,
			      (unsigned long long)layer->size);
	merge->whiteouts = true;
	if (ret == 0 && !first)
		ret = pass(merge, layer, &blob, limits, err);
	merge->whiteouts = false;
	if (ret == 0)
		ret = pass(merge, layer, &blob, limits, err);
	image_blob_close(&blob);
	return ret;
}

int merge_layers(const struct image_manifest *manifest, const struct image_source *source,
		 const struct merge_sink *sink, const struct image_limits *limits,
		 struct image_counts *counts, struct err *err)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	struct err why = {.text = ""};
	unsigned i;
	int ret = 0;

	if (!merge)
		return err_set(err, ENOMEM, "out of memory");
	merge->sink = sink;
	merge->counts = counts;
	for (i = 0; i < manifest->layer_count && ret == 0; i++)
		ret = add_layer(merge, source, &manifest->layers[i], i == 0, limits, &why);
	if (ret < 0)
		ret = err_set(err, -ret, "%s: layer %u of %u: %s", source->path, i,
			      manifest->layer_count, why.text);
	free(merge);
	return ret;
}
