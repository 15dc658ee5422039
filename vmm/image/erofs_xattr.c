/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/erofs_internal.h"

/* The format counts units of 4 bytes in 16 bits. */
#define UNITS_MAX 0xfffe

static const struct {
	const char *text;
	uint8_t index;
} prefixes[] = {
	{"user.", EROFS_XATTR_INDEX_USER},
	{"trusted.", EROFS_XATTR_INDEX_TRUSTED},
	{"security.", EROFS_XATTR_INDEX_SECURITY},
};

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The name behind its prefix, or NULL if the attribute is left out. */
static const char *split(const char *name, uint8_t *index)
{
	size_t i;

	if (begins(name, "trusted.overlay.") || begins(name, "user.overlay."))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (begins(name, prefixes[i].text)) {
			*index = prefixes[i].index;
			name += strlen(prefixes[i].text);
			return *name ? name : NULL;
		}
	return NULL;
}

static size_t entry_size(const char *name, size_t value_size)
{
	return align_up(sizeof(struct erofs_xattr_entry) + strlen(name) + value_size, 4);
}

/* The bytes of all entries, or -errno. */
static int64_t measure(const struct erofs_stat *stat, struct err *err)
{
	size_t size = 0;
	unsigned i;

	for (i = 0; i < stat->attribute_count; i++) {
		const struct tar_attribute *attribute = &stat->attributes[i];
		uint8_t index;
		const char *name = split(attribute->name, &index);

		if (!name)
			continue;
		if (strlen(name) > EROFS_NAME_LEN || attribute->size > UINT16_MAX)
			return err_set(err, E2BIG, "%.200s: the attribute is too long",
				       attribute->name);
		size += entry_size(name, attribute->size);
		if (size / 4 > UNITS_MAX)
			return err_set(err, E2BIG, "a file has too many attributes");
	}
	return (int64_t)size;
}

static void pack(const struct erofs_stat *stat, uint8_t *to)
{
	unsigned i;

	for (i = 0; i < stat->attribute_count; i++) {
		const struct tar_attribute *attribute = &stat->attributes[i];
		struct erofs_xattr_entry entry = {.e_value_size = htole16(attribute->size)};
		const char *name = split(attribute->name, &entry.e_name_index);
		size_t length;

		if (!name)
			continue;
		length = strlen(name);
		entry.e_name_len = (uint8_t)length;
		memcpy(to, &entry, sizeof(entry));
		memcpy(to + sizeof(entry), name, length);
		if (attribute->size > 0)
			memcpy(to + sizeof(entry) + length, attribute->value, attribute->size);
		to += entry_size(name, attribute->size);
	}
}

int erofs_set_xattr(struct erofs *fs, struct erofs_node *node, const struct erofs_stat *stat,
		    struct err *err)
{
	int64_t entries = measure(stat, err);
	uint32_t size;
	uint8_t *xattr = NULL;
	int ret;

	if (entries < 0)
		return (int)entries;
	size = entries > 0 ? (uint32_t)(sizeof(struct erofs_xattr_ibody_header) + entries) : 0;
	ret = erofs_take(fs, size, err);
	if (ret < 0)
		return ret;
	if (size > 0) {
		xattr = calloc(1, size); /* the header: nothing shared, no filter */
		if (!xattr) {
			erofs_give(fs, size);
			return err_set(err, ENOMEM, "out of memory");
		}
		pack(stat, xattr + sizeof(struct erofs_xattr_ibody_header));
	}
	erofs_give(fs, node->xattr_size);
	free(node->xattr);
	node->xattr = xattr;
	node->xattr_size = size;
	return 0;
}
