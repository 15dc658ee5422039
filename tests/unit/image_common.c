/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image_common.h"

struct forged_image image;
struct forged_layer layer;
struct image_counts counts;
uint64_t left_out;
struct err why;

void add(const struct forged_entry *entries, enum compression kind)
{
	forged_layer(&layer, entries);
	forged_add(&image, &layer, kind);
}

int unpack_with(const struct image_limits *limits)
{
	struct image_source source;
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "%s/src", image.base);
	why.text[0] = '\0';
	ret = image_source_open(&source, path, &why);
	if (ret == 0)
		ret = image_tree(&image.manifest, &source, image.out_fd, limits, &counts, &left_out,
				 &why);
	image_source_close(&source);
	ck_assert_msg(ret == 0 || why.text[0], "an error without a message");
	return ret;
}

int unpack(void)
{
	return unpack_with(&image_limits_default);
}

int unpack_only(const struct forged_entry *entries)
{
	int ret;

	forged_create(&image);
	add(ENTRIES({'5', "d", ""}, {'0', "d/below", "below"}), COMPRESSION_NONE);
	add(entries, COMPRESSION_GZIP);
	ret = unpack();
	return ret;
}
