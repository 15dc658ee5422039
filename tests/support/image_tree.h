/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an image's layers to files in a directory, with the kernel's help for links: what the
 * erofs image of the same layers is compared with.
 */
#ifndef CORDON_TEST_IMAGE_TREE_H
#define CORDON_TEST_IMAGE_TREE_H

#include "vmm/image/unpack.h"

/*
 * directory_fd: an empty directory. All files belong to the user who unpacks. Devices and pipes are
 * left out and counted; set-id bits and extended attributes of the image are dropped. 0; or -errno
 * with a message.
 */
int image_tree(const struct image_manifest *manifest, const struct image_source *source,
	       int directory_fd, const struct image_limits *limits, struct image_counts *counts,
	       uint64_t *left_out, struct err *err);

#endif
