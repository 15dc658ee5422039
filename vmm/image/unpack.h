/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an image's layers, one over the other (OCI image layer specification), to one erofs
 * image. Works without host root.
 *
 * Names and targets of hard links count from the image's root, absolute ones too. "..", unknown
 * types of entries, names that begin with ".wh." but are not whiteouts, and anything beyond a limit
 * are errors. Links on the way to an entry lead where they would in the sandbox, so never out of
 * the tree.
 */
#ifndef CORDON_IMAGE_UNPACK_H
#define CORDON_IMAGE_UNPACK_H

#include <stdint.h>

#include "vmm/image/manifest.h"

#define IMAGE_DEPTH_MAX 128 /* components of a name */

struct image_limits {
	uint64_t bytes;	  /* of all layers, unpacked, and of sparse files with their holes */
	uint64_t entries; /* of all layers */
};

extern const struct image_limits image_limits_default; /* 32 GiB, a million */

struct image_counts {
	uint64_t bytes, entries;
	uint64_t owned; /* entries with an owner other than root */
};

/*
 * Unpacks into an empty file, open for reading and writing, as an erofs image (erofs.h). Everything
 * in the layers is kept: owners, set-id bits, times, devices and pipes, and the extended attributes
 * of which erofs.h speaks. The same layers give the same bytes; the UUID is made from the
 * manifest's id. Names and attributes take at most erofs_limits_default.memory. 0; or -errno with a
 * message, and the caller removes the file.
 */
int image_unpack_erofs(const struct image_manifest *manifest, const struct image_source *source,
		       int fd, const struct image_limits *limits, struct image_counts *counts,
		       struct err *err);

#endif
