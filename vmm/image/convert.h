/* SPDX-License-Identifier: Apache-2.0 */
/* An OCI image as one file, without the cache. */
#ifndef CORDON_IMAGE_CONVERT_H
#define CORDON_IMAGE_CONVERT_H

#include "vmm/base/err.h"
#include "vmm/image/digest.h"

/*
 * Writes the image at path (see image_source_open()) as an erofs image to file, as
 * image_unpack_erofs() does. ref: see image_manifest_read(). An existing file is replaced, by a
 * rename when the new one is complete and on the disk. 0; or -errno with a message, and file is as
 * it was. As for image_build(), a signal waits until the temporary file is removed.
 */
int image_convert(const char *path, const char *ref, const char *file, struct digest *id,
		  struct err *err);

#endif
