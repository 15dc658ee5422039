/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of files bad share. */
#ifndef CORDON_TEST_FILES_BAD_COMMON_H
#define CORDON_TEST_FILES_BAD_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/base/budget.h"
#include "vmm/base/fd.h"

extern struct files_host host;
extern struct p9_client *const client;

#endif
