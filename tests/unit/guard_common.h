/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of guard share. */
#ifndef CORDON_TEST_GUARD_COMMON_H
#define CORDON_TEST_GUARD_COMMON_H

#include "vmm/policy/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/policy/audit.h"
#include "vmm/policy/in_force.h"

#define DEPTH 1900 /* components: about as many as a path can have */

extern struct err why;
extern char deep[2 * DEPTH + 16];

/* "/w/a/a/a ... /f" */
size_t make_deep(void);

/* Policies are told apart by their files' names: "p0", "p1" ... */
struct policy *make(unsigned number, const char *rules);

/* Decisions since *before. */
uint64_t used(const struct files_host *host, uint64_t *before);

#endif
