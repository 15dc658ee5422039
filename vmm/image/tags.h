/* SPDX-License-Identifier: Apache-2.0 */
/* The names of images: one small file each (see cache.h). */
#ifndef CORDON_IMAGE_TAGS_H
#define CORDON_IMAGE_TAGS_H

#include "vmm/image/cache.h"

/* Descriptors are of the cache's folder. */
int image_tag_write(int folder_fd, const char *tag, const struct digest *id, struct err *err);

/* 0, -ENOENT without a message, or another error with one. */
int image_tag_read(int folder_fd, const char *tag, struct digest *id, struct err *err);

int image_tag_remove(int folder_fd, const char *tag, struct err *err);

/* Calls back for every name. */
typedef void image_tag_fn(void *arg, const char *tag, const struct digest *id);
void image_tag_each(int folder_fd, image_tag_fn *fn, void *arg);

#endif
