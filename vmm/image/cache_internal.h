/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by cache.c, cache_use.c and cache_old.c. */
#ifndef CORDON_IMAGE_CACHE_INTERNAL_H
#define CORDON_IMAGE_CACHE_INTERNAL_H

#include <dirent.h>
#include <stdbool.h>

#include "vmm/image/cache.h"

#define CACHE_ROOTFS	 "rootfs.erofs"
#define CACHE_OLD_TREE	 "rootfs" /* of versions that unpacked to a tree of files */
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

/* Whether the image at HEX is one of an older version, a tree of files. */
bool cache_is_old(int cache_fd, const char *hex);

/* Makes a new directory for an image and locks it. Returns its descriptor; -errno with a message.
 */
int cache_make_temporary(int cache_fd, char name[CACHE_NAME_SIZE], struct err *err);

/* Makes the file of the root file system in it. A descriptor for reading and writing, or -errno
 * with a message. */
int cache_create_rootfs(int fd, struct err *err);

/* Completes the directory: the file that describes it. 0 or -errno with a message. */
int cache_write_metadata(int fd, json_t *settings, uint64_t entries, struct err *err);

/*
 * Renames the directory, which fd is and which is locked, to its final name, in place of an image
 * of an older version. 1; 0: another process has made the same image first; -errno with a message.
 */
int cache_put_in_place(int cache_fd, int fd, const char *name, const char *hex, struct err *err);

/* Converts an image of an older version. 0, also if there is none by now; -errno with a message. */
int cache_convert(int cache_fd, const struct digest *id, struct err *err);

json_t *cache_read_metadata(int fd); /* of an image's directory; or NULL */

/* A unique name. */
void cache_temporary_name(char name[CACHE_NAME_SIZE], const char *prefix);

#endif
