/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of saved sessions share. */
#ifndef CORDON_TEST_FUSE_SAVE_COMMON_H
#define CORDON_TEST_FUSE_SAVE_COMMON_H

#include "tests/unit/fuse_common.h"
#include "vmm/base/pack.h"

/* The session as save() has written it. */
extern struct pack saved;
void save(void);

/*
 * Reads bytes back into a session of its own, which is the client's from then on, and whose roots
 * are added in this order; 0 or -errno.
 */
int read_back(const uint8_t *data, size_t length, const char *const *roots, size_t count);

/* Saves the session, and restores it as another one with the root "0". */
void go_on(void);

#endif
