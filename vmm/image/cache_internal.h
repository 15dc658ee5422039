/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the cache of images share. */
#ifndef CORDON_IMAGE_CACHE_INTERNAL_H
#define CORDON_IMAGE_CACHE_INTERNAL_H

#include <dirent.h>

#include "vmm/image/cache.h"

#define CACHE_ROOTFS	 "rootfs"
#define CACHE_NOTES	 "image.json"
#define CACHE_PREFIX_NEW ".new-"
#define CACHE_PREFIX_OLD ".old-"
#define CACHE_NAME_SIZE	 32

/* The cache's folder: a descriptor, or -errno with a message. */
int cache_open(struct err *err);
DIR *cache_read(int cache_fd); /* or NULL */

/* A descriptor to close, or -errno with a message. */
int cache_lock(int cache_fd, struct err *err);

/* Removes what killed processes have left. With the cache's lock. */
void cache_sweep(int cache_fd);

/* A name that nobody else has. */
void cache_temporary_name(char name[CACHE_NAME_SIZE], const char *prefix);

#endif
