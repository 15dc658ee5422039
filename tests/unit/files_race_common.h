/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of files race share. */
#ifndef CORDON_TEST_FILES_RACE_COMMON_H
#define CORDON_TEST_FILES_RACE_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"

extern struct files_host host;
extern struct p9_client *const client;

#endif
