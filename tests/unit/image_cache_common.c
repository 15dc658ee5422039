/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image_cache_common.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"sh\"]}}"

struct forged_image image;
char source[128], cache[160];
struct digest id;
struct err err;

void begin(const char *contents)
{
	static struct forged_layer layer;
	const struct forged_entry entries[] = {{'5', "d", ""}, {'0', "d/x", contents}, {.type = 0}};

	forged_create(&image);
	forged_layer(&layer, entries);
	forged_add(&image, &layer, COMPRESSION_GZIP);
	forged_oci(&image, CONFIG);
	snprintf(source, sizeof(source), "%s/src", image.base);
	snprintf(cache, sizeof(cache), "%s/out/cordon/images", image.base);
	cache[strlen(cache) - strlen("/cordon/images")] = '\0';
	setenv("XDG_CACHE_HOME", cache, 1);
	strcat(cache, "/cordon/images");
}

unsigned count(const char *prefix)
{
	DIR *list = opendir(cache);
	struct dirent *item;
	unsigned n = 0;

	ck_assert_ptr_nonnull(list);
	while ((item = readdir(list)))
		n += strncmp(item->d_name, prefix, strlen(prefix)) == 0;
	closedir(list);
	return n;
}

bool named(const char *name)
{
	struct digest one;

	return image_find(name, &one, &err) == 0 && digest_equal(&one, &id);
}

void in_image(char path[300], const char *name)
{
	snprintf(path, 300, "%s/%s/%s", cache, id.hex, name);
}
