/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of files policy share. */
#ifndef CORDON_TEST_FILES_POLICY_COMMON_H
#define CORDON_TEST_FILES_POLICY_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"

extern struct files_host host;
extern struct p9_client *const client;
extern const char rules[];

void begin(const char *policy, bool read_only);
void end(void);

extern char last[256]; /* way that led there */

#endif
