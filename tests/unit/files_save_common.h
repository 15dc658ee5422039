/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of files save share. */
#ifndef CORDON_TEST_FILES_SAVE_COMMON_H
#define CORDON_TEST_FILES_SAVE_COMMON_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"

extern struct files_host host;
extern struct p9_client *const client;

/* Reads the bytes back into a session of its own: 0 or -errno, and then the client is the old
 * one's. */
int read_back(const uint8_t *data, size_t length);

struct files_stats stats(void);
int begin_attribute(uint32_t fid, const char *name, uint64_t size);

#endif
