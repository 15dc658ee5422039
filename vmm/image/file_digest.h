/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of whole files, which are kept so that a file that has not changed is read only once.
 *
 * The file "digests" of a directory has a line for each file: its device, inode, size, times of
 * modification and change, and digest. A file that changed less than two seconds ago is read again,
 * since another change might leave the same times. At most FILE_DIGESTS_MAX lines are kept.
 */
#ifndef CORDON_IMAGE_FILE_DIGEST_H
#define CORDON_IMAGE_FILE_DIGEST_H

#include "vmm/base/err.h"
#include "vmm/image/digest.h"

#define FILE_DIGESTS_MAX 16

/*
 * directory: an absolute path; its contents are trusted (vmm/base/directory.h). A digest that can't
 * be kept there is no error. 0, or -errno with a message if the file cannot be read.
 */
int file_digest(struct digest *digest, const char *path, const char *directory, struct err *err);

#endif
