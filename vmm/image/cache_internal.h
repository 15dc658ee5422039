/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by cache.c and cache_use.c. */
#ifndef CORDON_IMAGE_CACHE_INTERNAL_H
#define CORDON_IMAGE_CACHE_INTERNAL_H

#include <dirent.h>

#include "vmm/image/cache.h"

#define CACHE_ROOTFS	 "rootfs"
#define CACHE_METADATA	 "image.json"
#define CACHE_PREFIX_NEW ".new-"
#define CACHE_PREFIX_OLD ".old-"
#define CACHE_NAME_SIZE	 32

/* Opens the cache's directory: a descriptor, or -errno with a message. */
int cache_open(struct err *err);
DIR *cache_read(int cache_fd); /* or NULL */

/* Locks the cache until the returned descriptor is closed. -errno with a message. */
int cache_lock(int cache_fd, struct err *err);

/* Removes leftovers of killed processes. The caller holds the cache's lock. */
void cache_sweep(int cache_fd);

/* A unique name. */
void cache_temporary_name(char name[CACHE_NAME_SIZE], const char *prefix);

#endif
