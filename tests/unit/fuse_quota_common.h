/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the FUSE server's quota share. */
#ifndef CORDON_TEST_FUSE_QUOTA_COMMON_H
#define CORDON_TEST_FUSE_QUOTA_COMMON_H

#include "tests/unit/fuse_common.h"

extern struct files_quota quota;
#define BLOCK ((uint64_t)FILES_QUOTA_BLOCK)

/* A strict share without a policy, which counts up to these limits; FILES_QUOTA_NONE: no limit. */
void begin_counting(uint64_t bytes, uint64_t files);
/* Ends the host, and expects that nothing is counted for any file after that. */
void end_counting(void);

/* Expects this to be counted. */
void counted(uint64_t bytes, uint64_t files);

/* Creates a file in the root, which must work: its handle, and the node. */
uint64_t create(const char *name, uint64_t *node);
int resize(uint64_t node, uint64_t size);

#endif
