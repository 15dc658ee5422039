/* SPDX-License-Identifier: Apache-2.0 */
/* The names of images, a small file each (see cache.h). */
#ifndef CORDON_IMAGE_TAGS_H
#define CORDON_IMAGE_TAGS_H

#include <stdbool.h>

#include "vmm/image/cache.h"

#define IMAGE_DIGEST_SHORT 8 /* digits of a digest that suffice to name an image */

/* cache_fd: the cache's directory. */
int image_tag_write(int cache_fd, const char *tag, const struct digest *id, struct err *err);

/* 0, -ENOENT without a message, or another error with one. */
int image_tag_read(int cache_fd, const char *tag, struct digest *id, struct err *err);

/*
 * As image_tag_read(), but for NAME it also finds NAME:latest, and the other way round. found: the
 * name that exists.
 */
int image_tag_find(int cache_fd, const char *tag, char found[IMAGE_TAG_MAX + 1], struct digest *id,
		   struct err *err);

/* Whether NAME or NAME:latest would hide the image whose digest begins with NAME. */
bool image_tag_hides_digest(const char *tag);

int image_tag_remove(int cache_fd, const char *tag, struct err *err);

/* Calls fn for every name. */
typedef void image_tag_fn(void *arg, const char *tag, const struct digest *id);
void image_tag_each(int cache_fd, image_tag_fn *fn, void *arg);

#endif
