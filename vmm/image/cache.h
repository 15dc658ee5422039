/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of unpacked images: $XDG_CACHE_HOME/cordon/images, or ~/.cache/cordon/images,
 * accessible only to its owner.
 *
 *   HEX/rootfs.erofs the root file system, an uncompressed erofs (erofs.h) that nothing writes to;
 *                    HEX is the SHA-256 of the image's configuration (docker's image id)
 *   HEX/image.json   metadata: creation time, sizes, how its programs are started, and what
 *                    identifies the erofs
 *   tags/NAME	      a file that contains HEX ('/' in a name is stored as '%')
 *   .new-*, .old-*   being made or removed, and locked (flock) meanwhile; unlocked: leftovers
 *
 * An image appears by a rename of its directory, complete or not at all; of two processes that make
 * the same one at once, one wins. The next process that builds or removes an image removes the
 * leftovers of killed ones.
 */
#ifndef CORDON_IMAGE_CACHE_H
#define CORDON_IMAGE_CACHE_H

#include <jansson.h>

#include "vmm/base/err.h"
#include "vmm/image/digest.h"

#define IMAGE_TAG_MAX 128

/* Checks a name for an image: letters, digits and ._-:/ with a letter or digit first. 0 or -EINVAL
 * with a message. */
int image_check_tag(const char *tag, struct err *err);

/*
 * Unpacks the image at path (see image_source_open()), unless the cache has it. ref: see
 * image_manifest_read(). tag: a name for it; "": its RepoTags that are not names of other images;
 * NULL: none. 1: unpacked; 0: it was in the cache; -errno with a message. Replaces an image that an
 * older version has unpacked to a tree of files. A signal that would end the process does so when
 * what was made is removed (signals_hold()).
 */
int image_build(const char *path, const char *ref, const char *tag, struct digest *id,
		struct err *err);

/*
 * Finds an image by its name, or by its digest or at least its first 8 digits, with or without
 * "sha256:". NAME and NAME:latest stand for each other if only one exists. 0; or -errno with a
 * message, -ENOENT if there is none.
 */
int image_find(const char *name, struct digest *id, struct err *err);

/* An image in use: it cannot be removed until image_close(). */
struct image {
	int fd; /* its erofs, for reading */
	int lock_fd;
	/* Identify the bytes of the erofs: equal for the same image, also in the cache of another
	 * host. */
	uint64_t contents[2];
	json_t *settings; /* see image_settings() */
};

int image_open(struct image *image, const struct digest *id, struct err *err);
void image_close(struct image *image);

/*
 * Removes a name (and with its last name the image) or, given a digest, an image with all its
 * names. 0; or -errno with a message, -EBUSY if a sandbox uses the image.
 */
int image_remove(const char *name, struct err *err);

/* All images: an array of {"id", "names", "bytes", "entries", "created"}. NULL with a message. */
json_t *image_list(struct err *err);

#endif
