/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the file system device share. */
#ifndef CORDON_TEST_FS_COMMON_H
#define CORDON_TEST_FS_COMMON_H

#include "tests/support/fake_fs.h"
#include "tests/support/unit.h"

extern struct fake_fs *fake;

/* A live device with a server, as by fake_fs_begin(); begin(): one request queue, no features. */
void begin_with(unsigned queues, uint64_t features);
void begin(void);
/* Ends it, and expects that no slot is in use and that the device did nothing wrong. */
void end(void);

/* A request that works: the twin of all refusals. */
void expect_works(unsigned queue);

#endif
