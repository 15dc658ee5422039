/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of record share. */
#ifndef CORDON_TEST_RECORD_COMMON_H
#define CORDON_TEST_RECORD_COMMON_H

#include "vmm/control/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/unit.h"
#include "vmm/base/directory.h"

extern char base[64];

void begin(void);

/* Everything that records left can be removed by pruning. */
void end(void);

struct record *create(const char *name, const char *kind);
void life(const char *name, const char *kind, int status);

/* A monitor that is killed. ready: after it has made its record. */
void killed(const char *name);

int count(void);

#endif
