/* SPDX-License-Identifier: Apache-2.0 */
/* Archives that cannot be read in place, from a pipe or compressed as a whole: a copy on disk. */
#ifndef CORDON_IMAGE_STAGE_H
#define CORDON_IMAGE_STAGE_H

#include "vmm/base/err.h"

/*
 * Reads fd to its end, decompresses (decompress.h), and returns a descriptor of the copy, or -errno
 * with a message. name: of the stream, for messages. The copy is a file without a name in the
 * cache's directory, so that nothing stays of it however the process ends. At most as many bytes
 * come out as an image may have.
 */
int image_stage(int fd, const char *name, struct err *err);

#endif
