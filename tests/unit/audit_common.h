/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of audit share. */
#ifndef CORDON_TEST_AUDIT_COMMON_H
#define CORDON_TEST_AUDIT_COMMON_H

#include "vmm/policy/audit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/guard.h"

extern struct err why;
extern struct audit_check chains;
extern unsigned found;

#endif
