/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of unpacked images: $XDG_CACHE_HOME/cordon/images, or ~/.cache/cordon/images, for its
 * owner alone.
 *
 *   HEX/rootfs	      the tree; HEX is the SHA-256 of the image's configuration (docker's image id)
 *   HEX/image.json   when it was made, sizes, and how its programs are started
 *   tags/NAME	      a file that holds HEX ('/' in a name is kept as '%')
 *   .new-*, .old-*   being made, being removed: locked (flock) by who does it, else left-overs
 *
 * An image appears by a rename of the whole folder, so it is there whole or not at all; two that
 * make the same one at once end with one of the two. What a process that was killed has left is
 * removed by the next that builds or removes an image.
 */
#ifndef CORDON_IMAGE_CACHE_H
#define CORDON_IMAGE_CACHE_H

#include <jansson.h>

#include "vmm/base/err.h"
#include "vmm/image/digest.h"

#define IMAGE_TAG_MAX 128

/* Whether a name can be given to an image: letters, digits and ._-:/ with a letter or digit first.
 * 0 or -EINVAL with a message. */
int image_check_tag(const char *tag, struct err *err);

/*
 * Unpacks the image at path (an OCI layout folder, or an archive), unless the cache has it. ref:
 * see image_manifest_read(). tag: a name for it, or NULL. 1: unpacked; 0: it was there; -errno with
 * a message.
 */
int image_build(const char *path, const char *ref, const char *tag, struct digest *id,
		struct err *err);

/* An image by its name, or by (the beginning of, 8 digits and more) its digest, with or without
 * "sha256:". 0; -ENOENT with a message; or another error. */
int image_find(const char *name, struct digest *id, struct err *err);

/* An image in use: it can't be removed until image_close(). */
struct image {
	int fd; /* the tree, O_PATH */
	int lock_fd;
	json_t *settings; /* as image_settings() makes them */
};

int image_open(struct image *image, const struct digest *id, struct err *err);
void image_close(struct image *image);

/*
 * Removes a name (and the image, if it was its last name) or, by digest, an image with all its
 * names. -EBUSY if a sandbox uses it. 0 or -errno with a message.
 */
int image_remove(const char *name, struct err *err);

/* All images: an array of {"id", "names", "bytes", "entries", "created"}. NULL with a message. */
json_t *image_list(struct err *err);

#endif
