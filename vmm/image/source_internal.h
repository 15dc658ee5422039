/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by source.c and source_scan.c. */
#ifndef CORDON_IMAGE_SOURCE_INTERNAL_H
#define CORDON_IMAGE_SOURCE_INTERNAL_H

#include "vmm/image/source.h"

/* Fills the table of contents of the archive of size bytes that source->fd is, and says whether it
 * is flat. 0 or -errno with a message. */
int image_source_scan(struct image_source *source, uint64_t size, struct err *err);

#endif
