/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of protected share. */
#ifndef CORDON_TEST_PROTECTED_COMMON_H
#define CORDON_TEST_PROTECTED_COMMON_H

#include "vmm/policy/protected.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/risks.h"

extern const struct policy_source here;
extern struct err why;

struct policy *workspace(void);

enum policy_verdict decide(const struct policy *policy, enum policy_op op, const char *name,
			   const char *other);
bool writable(const struct policy *policy, const char *name);

#endif
